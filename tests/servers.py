"""Real servers on the loopback interface, each ended by its process id when the tests are done."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

BUCKET = "microscopy"


@dataclass(frozen=True)
class S3Server:
    """An S3 service: where it listens, and one bucket of it."""

    endpoint: str
    bucket: str


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start an S3 service (moto: the protocol, kept in memory) with one bucket."""
    port = _free_port()
    log = tmp_path_factory.mktemp("s3") / "moto.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        _wait_for(port, process, log)
        endpoint = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        yield S3Server(endpoint, BUCKET)
    finally:
        _end(process)


@pytest.fixture
def s3_remote(
    s3_server: S3Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> str:
    """Return the URL of an empty place on the S3 service; the credentials are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    return f"s3://{s3_server.bucket}/{request.node.name.replace('[', '-').strip(']')}"


@pytest.fixture
def ssh_remote(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an OpenSSH server with keys made for it and return the URL of a folder, or skip where none is installed.

    The key is found as a person's is: by the SSH settings in the home folder, which is a temporary one.
    """
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server is installed")
    state = tmp_path_factory.mktemp("sshd")
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / key)], check=True)
    shutil.copy(state / "user.pub", state / "authorized_keys")
    (state / "store").mkdir()
    port = _free_port()
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": state / "host",
        "PidFile": "none",
        "AuthorizedKeysFile": state / "authorized_keys",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "Subsystem": "sftp internal-sftp",
    }
    (state / "sshd_config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    log = state / "sshd.log"
    if Path("/run").is_dir() and getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, run by root, locks up its unprivileged child
    process = subprocess.Popen([sshd, "-D", "-E", str(log), "-f", str(state / "sshd_config")])
    try:
        _wait_for(port, process, log)
        (state / ".ssh").mkdir()
        (state / ".ssh" / "config").write_text(f"Host 127.0.0.1\n  IdentityFile {state / 'user'}\n")
        (state / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {(state / 'host.pub').read_text()}")
        monkeypatch.setenv("HOME", str(state))
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}{state / 'store'}"
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    said = log.read_text(errors="replace") if log.is_file() else ""
    raise RuntimeError(f"the server on port {port} did not start: {said[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
