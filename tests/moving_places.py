"""Real places to push to and to pull from, each behind a line that counts, and a project whose data goes there.

Used by the tests of broken transfers and by ``benchmarks/faults.py``, which does the same more often.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from line import Line

KINDS = ("folder", "ssh", "wsgidav", "apache", "s3")


@dataclass
class Place:
    """Where data is shared: a server with a line before it, or a folder."""

    kind: str
    options: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    line: Line | None = None
    server: object = None
    store: Path | None = None
    #: Of a folder, which has no line: what is written into, too, by what goes the other way.
    watched: Path | None = None

    def write_settings(self, project: Path) -> None:
        """Make it the default remote of one clone."""
        lines = [f"    {name} = {value}" for name, value in self.options.items()]
        text = "\n".join(["[core]", "    remote = lab", "['remote \"lab\"']", *lines, ""])
        (project / ".dvc" / "config.local").write_text(text)

    def kill(self) -> None:
        if self.kind != "s3":
            self.server.freeze()  # type: ignore[attr-defined]  # first: it starts no process more that would survive
        self.server.signal(signal.SIGKILL) if self.kind == "s3" else self.server.kill()  # type: ignore[attr-defined]

    def start(self) -> None:
        self.server.start_gateway() if self.kind == "s3" else self.server.start()  # type: ignore[attr-defined]

    def freeze(self) -> None:
        self.server.signal(signal.SIGSTOP) if self.kind == "s3" else self.server.freeze()  # type: ignore[attr-defined]

    def thaw(self) -> None:
        self.server.signal(signal.SIGCONT) if self.kind == "s3" else self.server.thaw()  # type: ignore[attr-defined]

    def moved(self) -> int:
        """Return the bytes that went by so far, in both directions."""
        if self.line is not None:
            return self.line.sent + self.line.received
        assert self.store is not None
        folders = [self.store, *([self.watched.parent] if self.watched else [])]
        # os.walk takes it easy when a folder goes away meanwhile
        return sum(_size(Path(at, name)) for folder in folders for at, _, names in os.walk(folder) for name in names)

    def contents(self) -> dict[str, bytes]:
        """Return what lies under the name of an object, asked of the storage itself, not through emdvc."""
        if self.store is not None:
            files = (self.store / "files" / "md5").glob("??/*")
            return {path.parent.name + path.name: path.read_bytes() for path in files if path.is_file()}
        client, bucket, prefix = self.server.client(), self.server.bucket, self._prefix()  # type: ignore[attr-defined]
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/files/md5/")
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
        return {
            "".join(key.rsplit("/", 2)[1:]): client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys
        }

    def lose(self, md5: str) -> None:
        """Lose an object, as a disk would."""
        self._file(md5).unlink()

    def overwrite(self, md5: str, content: bytes) -> None:
        """Put other bytes in the place of an object."""
        if self.store is None:
            key = f"{self._prefix()}/files/md5/{md5[:2]}/{md5[2:]}"
            self.server.client().put_object(Bucket=self.server.bucket, Key=key, Body=content)  # type: ignore[attr-defined]
            return
        self._file(md5).unlink()
        self._file(md5).write_bytes(content)

    def clear(self) -> None:
        """Be empty."""
        if self.store is not None:
            for path in self.store.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return
        client, bucket = self.server.client(), self.server.bucket  # type: ignore[attr-defined]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=self._prefix()):
            for one in page.get("Contents", ()):
                client.delete_object(Bucket=bucket, Key=one["Key"])

    def _file(self, md5: str) -> Path:
        assert self.store is not None
        return self.store / "files" / "md5" / md5[:2] / md5[2:]

    def _prefix(self) -> str:
        return self.options["url"].rpartition("/")[2]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # renamed meanwhile
        return 0


def damaged(contents: Mapping[str, bytes]) -> list[str]:
    """Return the objects whose bytes are not those that their name says."""
    return [
        name
        for name, content in contents.items()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != name.removesuffix(".dir")
    ]


@contextmanager
def place(kind: str, *, mbit: float = 0, ceph: object = None) -> Iterator[Place]:
    """Yield a place that runs, empty, behind a line of some width; a folder has no line.

    Parameters
    ----------
    kind
        One of :data:`KINDS`.
    mbit
        Width of the line in each direction; 0: without bound.
    ceph
        The S3 service that runs already.
    """
    state = Path(tempfile.mkdtemp(prefix=f"emdvc-{kind}-"))  # not below pytest's folder, which is closed to others
    state.chmod(0o755)
    try:
        if kind == "folder":
            (state / "store").mkdir()
            yield Place(kind, {"url": str(state / "store")}, store=state / "store")
        elif kind == "s3":
            yield from _s3(ceph, mbit)
        else:
            yield from _served(kind, state, mbit)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _s3(ceph: object, mbit: float) -> Iterator[Place]:
    with Line("127.0.0.1", ceph.port, mbit=mbit) as line:  # type: ignore[attr-defined]
        url = f"s3://{ceph.bucket}/moved{random.randrange(1 << 30)}"  # type: ignore[attr-defined]
        options = {"url": url, **ceph.options(), "endpointurl": f"http://{line.address}"}  # type: ignore[attr-defined]
        found = Place("s3", options, line=line, server=ceph)
        yield found
        found.clear()


def _served(kind: str, state: Path, mbit: float) -> Iterator[Place]:
    from ssh_dav_servers import _ssh_server, apache_server, wsgidav_server

    if kind == "ssh":
        server = _ssh_server(state, [getpass.getuser()])
    else:
        server = wsgidav_server(state) if kind == "wsgidav" else apache_server(state)  # type: ignore[assignment]
    server.start()
    try:
        with Line("127.0.0.1", server.port, mbit=mbit) as line:
            env = {}
            if kind == "ssh":
                (state / "home" / ".ssh").mkdir(parents=True)
                known = f"[127.0.0.1]:{line.port} {server.host_key()}\n"
                (state / "home" / ".ssh" / "known_hosts").write_text(known)
                env = {"HOME": str(state / "home"), "SSH_AUTH_SOCK": ""}
                options = {"url": server.url(port=line.port), "keyfile": str(server.key())}
            else:
                password = server.password  # type: ignore[attr-defined]
                options = {"url": server.url(port=line.port), "user": "emdvc", "password": password}
            yield Place(kind, options, env, line, server, server.store)
    finally:
        server.stop()


@dataclass
class Moved:
    """A project with one dataset of many files, which no remote has yet."""

    folder: Path
    size: int

    @property
    def cache(self) -> Path:
        return self.folder / ".dvc" / "cache" / "files" / "md5"

    def objects(self) -> set[str]:
        """Return the names of all objects that the cache holds."""
        return {path.parent.name + path.name for path in self.cache.glob("??/*")}

    def contents(self) -> dict[str, bytes]:
        """Return what lies under the name of an object in the cache."""
        return {path.parent.name + path.name: path.read_bytes() for path in self.cache.glob("??/*")}

    def empty(self) -> None:
        """Have no data any more, as a clone of which nothing was fetched."""
        shutil.rmtree(self.folder / ".dvc" / "cache", ignore_errors=True)
        shutil.rmtree(self.folder / "raw" / "scan", ignore_errors=True)


def project(folder: Path, sizes: list[int], seed: int = 0) -> Moved:
    """Make a project whose dataset ``raw/scan`` has files of these sizes, and commit it."""
    run([sys.executable, "-m", "emdvc", "init", str(folder)], folder.parent)
    (folder / "raw" / "scan").mkdir()
    bits = random.Random(seed)
    for number, size in enumerate(sizes):
        (folder / "raw" / "scan" / f"c.{number}").write_bytes(bits.randbytes(size))
    run([sys.executable, "-m", "dvc", "add", "-q", "raw/scan"], folder)
    run(["git", "add", "-A"], folder)
    run(["git", "commit", "-qm", "a scan"], folder)
    return Moved(folder, sum(sizes))


def run(command: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done


def begin(words: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start an emdvc command."""
    return subprocess.Popen(
        [sys.executable, "-m", "emdvc", *words],
        cwd=cwd,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_bytes(where: Place, count: int, process: subprocess.Popen[str], seconds: float = 60) -> bool:
    """Wait until so many bytes went by; false where the command ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        if where.moved() >= count:
            return True
        time.sleep(0.005)
    return False


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a command; return its status and what it said."""
    try:
        said, _ = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
    return process.returncode, said
