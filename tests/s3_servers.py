"""A real S3 service on the loopback interface: one node of Ceph with its RADOS Gateway, as many facilities run it.

It needs the programs ceph-mon, ceph-osd, radosgw and ceph (Debian: ``apt-get install --no-install-recommends ceph-mon
ceph-osd radosgw ceph-common``), runs as any user, keeps its data in memory, and starts within seconds. Tests
that ask for it are skipped where the programs are not installed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import _end, _free_port, _wait_for

_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

_SETTINGS = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
public network = 127.0.0.0/8
auth allow insecure global id reclaim = false
keyring = {state}/keyring
run dir = {state}
admin socket = {state}/$name.asok
pid file =
log file = {state}/$name.log
log to stderr = false
crash dir = {state}
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail crit = 1
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw rados pool pg num min = 1
[mon]
mon data = {state}/mon
mon initial members = a
paxos propose interval = 0.05
[osd]
osd data = {state}/osd
osd objectstore = memstore
memstore device bytes = {room}
osd class update on start = false
osd fast shutdown = true
[client.rgw]
rgw data = {state}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw crypt require ssl = false
rgw enable usage log = false
rgw thread pool size = 64
"""


@dataclass
class CephS3:
    """A running service, and how to come into it.

    Parameters
    ----------
    state
        Folder of its settings and data.
    port
        Where the gateway listens, on 127.0.0.1.
    access_key, secret_key
        Of the user who owns the bucket.
    other_access_key, other_secret_key
        Of a user without rights in it.
    """

    state: Path
    port: int
    bucket: str = "microscopy"
    access_key: str = field(default_factory=lambda: f"AK{secrets.token_hex(8)}")
    secret_key: str = field(default_factory=lambda: secrets.token_hex(20))
    other_access_key: str = field(default_factory=lambda: f"AK{secrets.token_hex(8)}")
    other_secret_key: str = field(default_factory=lambda: secrets.token_hex(20))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def options(self) -> dict[str, str]:
        """Return what DVC's settings of a remote on it say beside the URL."""
        return {
            "endpointurl": self.endpoint,
            "region": "us-east-1",
            "access_key_id": self.access_key,
            "secret_access_key": self.secret_key,
        }

    @staticmethod
    def lacking() -> list[str]:
        """Return which of the programs are not installed."""
        return [program for program in _PROGRAMS if shutil.which(program, path=_PATH) is None]

    def start(self) -> None:
        """Lay down what the daemons need, then start them one after the other."""
        for folder in ("mon", "osd", "rgw"):
            (self.state / folder).mkdir(parents=True)
        fsid = str(uuid.uuid4())
        text = _SETTINGS.format(
            fsid=fsid, v2=_free_port(), v1=_free_port(), port=self.port, state=self.state, room=3 << 30
        )
        (self.state / "ceph.conf").write_text(text)
        keyring = str(self.state / "keyring")
        for name, caps in {
            "mon.": {"mon": "allow *"},
            "client.admin": {"mon": "allow *", "osd": "allow *", "mgr": "allow *"},
            "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
            "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
        }.items():
            words = [word for who, cap in caps.items() for word in ("--cap", who, cap)]
            create = [] if Path(keyring).exists() else ["-C"]
            self._run("ceph-authtool", *create, keyring, "--gen-key", "-n", name, *words, settings=False)
        v2_v1 = text.split("mon host = ")[1].splitlines()[0]
        monmap = str(self.state / "monmap")
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", v2_v1, monmap, settings=False)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
        self._daemon("mon", "ceph-mon", "-i", "a", "-f")
        osd = str(uuid.uuid4())
        self._run("ceph", "--connect-timeout", "30", "osd", "new", osd, "0")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "root=default", "host=local")
        self._daemon("osd", "ceph-osd", "-i", "0", "-f")
        self._users()
        self.start_gateway()
        self.make_bucket(self.bucket)

    def start_gateway(self) -> None:
        """Start the gateway, at first or after it was killed; the data is not in it."""
        self._daemon("rgw", "radosgw", "--id", "rgw", "-n", "client.rgw", "-f")
        _wait_for(self.port, self.processes["rgw"], self.state / "client.rgw.log", 120)

    def signal(self, number: int) -> None:
        """Send a signal to the gateway: SIGKILL, SIGSTOP, SIGCONT."""
        self.processes["rgw"].send_signal(number)
        if number == signal.SIGKILL:
            self.processes["rgw"].wait(10)

    def make_bucket(self, name: str, **more: object) -> None:
        """Make a bucket; `more` as botocore's ``create_bucket`` takes it."""
        self.client().create_bucket(Bucket=name, **more)

    def client(self):  # type: ignore[no-untyped-def]
        """Return botocore's client of the owner: what a person could do with any S3 tool."""
        import botocore.session

        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def admin(self, *words: str) -> str:
        """Run radosgw-admin."""
        return self._run("radosgw-admin", "--id", "rgw", "-n", "client.rgw", *words)

    def end(self) -> None:
        """End all daemons, the gateway first."""
        for process in reversed(self.processes.values()):
            with suppress(ProcessLookupError):
                process.kill()  # everything is in memory: nothing is to be written down
        for process in self.processes.values():
            _end(process)

    def _users(self) -> None:
        for name, access, secret in (
            ("owner", self.access_key, self.secret_key),
            ("other", self.other_access_key, self.other_secret_key),
        ):
            self.admin(
                "user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={access}",
                f"--secret-key={secret}",
            )  # fmt: skip

    def _run(self, program: str, *words: str, settings: bool = True) -> str:
        where = ["-c", str(self.state / "ceph.conf")] if settings else []
        command = [shutil.which(program, path=_PATH) or program, *where, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(words)}: {done.stderr[-2000:]}")
        return done.stdout

    def _daemon(self, name: str, program: str, *words: str) -> None:
        log = (self.state / f"{name}.out").open("wb")
        command = [shutil.which(program, path=_PATH) or program, "-c", str(self.state / "ceph.conf"), *words]
        with log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@pytest.fixture(scope="session")
def ceph_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephS3]:
    """Start Ceph with one bucket, or skip where it is not installed."""
    if lacking := CephS3.lacking():
        pytest.skip(f"Ceph is not installed: {', '.join(lacking)}")
    server = CephS3(tmp_path_factory.mktemp("ceph"), _free_port())
    try:
        server.start()
        yield server
    finally:
        server.end()
