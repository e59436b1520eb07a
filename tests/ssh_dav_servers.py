"""Real OpenSSH and WebDAV servers on the loopback interface, which a test may kill, freeze and start again.

Every process is ended by its id; unix users that were made are removed again.
"""

from __future__ import annotations

import getpass
import grp
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from emdvc.history.storage.contract import RemoteSettings

_APACHE_MODULES = Path("/usr/lib/apache2/modules")


@dataclass
class Server:
    """A server of its own: its command is run again at each start, on the same port."""

    state: Path
    port: int
    command: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.state / "server.log"

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"the server on port {self.port} did not start: {self.log.read_text(errors='replace')}")

    def all(self) -> list[psutil.Process]:
        """Return the server's processes: the one that was started, and those that serve a connection."""
        if self.process is None or self.process.poll() is not None:
            return []
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and all who serve a connection of it; a unix user of theirs can be removed afterwards."""
        everyone = self.all()
        for one in reversed(everyone):
            with suppress(psutil.NoSuchProcess):
                one.resume()
                one.terminate()
        for one in psutil.wait_procs(everyone, timeout=10)[1]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        if self.process is not None:
            self.process.wait(10)

    def _signal(self, number: signal.Signals) -> None:
        for one in self.all():
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


@dataclass
class SshServer(Server):
    """OpenSSH; its files lie in :attr:`store`, and every user's key is ``key_NAME``."""

    users: list[str] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.state / "store"

    def key(self, user: str | None = None) -> Path:
        return self.state / f"key_{user or self.users[0]}"

    def host_key(self, kind: str = "ed25519") -> str:
        """Return the public half of a host key, as it stands in a file of known hosts."""
        return " ".join((self.state / f"host_{kind}.pub").read_text().split()[:2])

    def fingerprint(self, kind: str = "ed25519") -> str:
        run = ["ssh-keygen", "-lf", str(self.state / f"host_{kind}.pub")]
        return subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()[1]

    def configure(self, *lines: str, sftp: bool = True) -> None:
        """Write the server's settings, for the next start."""
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.state / "host_ed25519",
            "PidFile": "none",
            "AuthorizedKeysFile": self.state / "keys" / "%u",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "MaxStartups": "100:30:200",
        }
        text = [*lines, *(f"{name} {value}" for name, value in settings.items())]
        if sftp:
            text.append("Subsystem sftp internal-sftp")
        (self.state / "sshd_config").write_text("\n".join(text) + "\n")

    def url(self, below: str = "", *, user: str | None = None, port: int | None = None) -> str:
        path = self.store / below if below else self.store
        return f"ssh://{user or self.users[0]}@127.0.0.1:{port or self.port}{path}"

    def settings(
        self, below: str = "", *, user: str | None = None, port: int | None = None, patience: float = 60, **options: str
    ) -> RemoteSettings:
        options.setdefault("keyfile", str(self.key(user)))
        options.setdefault("allow_agent", "false")
        return RemoteSettings("lab", self.url(below, user=user, port=port), options, patience)

    def trust_in(self, home: Path) -> None:
        """Make a home folder in which this server is known."""
        (home / ".ssh").mkdir(exist_ok=True)
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {self.host_key()}\n")


def _ssh_server(state: Path, users: list[str]) -> SshServer:
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server is installed")
    if Path("/run").is_dir() and getpass.getuser() == "root":
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd, run by root, locks up its unprivileged child
    server = SshServer(state, free_port(), users=users)
    (state / "keys").mkdir()
    server.store.mkdir()
    new_key(state / "host_ed25519")
    for user in users:
        new_key(server.key(user))
        allowed = state / "keys" / user
        shutil.copy(server.key(user).with_suffix(".pub"), allowed)
        allowed.chmod(0o644)
    server.configure()
    server.command = [sshd, "-D", "-e", "-f", str(state / "sshd_config")]
    return server


def new_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """Make an SSH key."""
    run = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(run, check=True)


@pytest.fixture
def ssh_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """Start an OpenSSH server that the user of the tests may use; the home folder is a temporary one that trusts it."""
    state, home = tmp_path / "sshd", tmp_path / "home"
    state.mkdir()
    home.mkdir()
    server = _ssh_server(state, [getpass.getuser()])
    server.trust_in(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def shared_ssh_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """Start an OpenSSH server with two unix users of one group, to whom its folder belongs; needs root."""
    if os.name == "nt" or os.geteuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("unix users can be made by root only")
    group = f"emdvc_g{os.getpid() % 100000}"
    users = [f"emdvc_{letter}{os.getpid() % 100000}" for letter in "ab"]
    state = Path(tempfile.mkdtemp(prefix="emdvc-sshd-"))  # not below pytest's folder, which is closed to others
    state.chmod(0o755)
    server = None
    try:
        subprocess.run(["groupadd", group], check=True)
        for user in users:
            make = ["useradd", "-M", "-d", str(state), "-s", "/bin/sh", "-p", "*", "-N", "-g", group, user]
            subprocess.run(make, check=True)
        server = _ssh_server(state, users)
        os.chown(server.store, pwd.getpwnam(users[0]).pw_uid, grp.getgrnam(group).gr_gid)
        server.store.chmod(0o2775)
        home = tmp_path / "home"
        home.mkdir()
        server.trust_in(home)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        for user in users:
            subprocess.run(["userdel", "-f", user], check=False, capture_output=True)
        subprocess.run(["groupdel", group], check=False, capture_output=True)
        shutil.rmtree(state, ignore_errors=True)


@dataclass
class DavServer(Server):
    """A WebDAV server; its files lie in :attr:`store`."""

    kind: str = ""
    password: str = ""
    secure: bool = False

    @property
    def store(self) -> Path:
        return self.state / "store"

    def url(self, below: str = "", *, port: int | None = None) -> str:
        scheme = "webdavs" if self.secure else "webdav"
        return f"{scheme}://127.0.0.1:{port or self.port}/dav" + (f"/{below}" if below else "")

    def settings(
        self, below: str = "", *, port: int | None = None, patience: float = 60, **options: str
    ) -> RemoteSettings:
        options.setdefault("user", "emdvc")
        options.setdefault("password", self.password)
        return RemoteSettings("lab", self.url(below, port=port), options, patience)


def wsgidav_server(state: Path, *, secure: bool = False) -> DavServer:
    """Return WsgiDAV, not yet started."""
    pytest.importorskip("wsgidav")
    server = DavServer(state, free_port(), kind="wsgidav", password=secrets.token_hex(8), secure=secure)
    server.store.mkdir(parents=True)
    certificate = ""
    if secure:
        new_certificate(state / "cert.pem", state / "key.pem")
        certificate = f"ssl_certificate: {state / 'cert.pem'}\nssl_private_key: {state / 'key.pem'}\n"
    (state / "wsgidav.yaml").write_text(
        f"host: 127.0.0.1\nport: {server.port}\n"
        f'provider_mapping: {{"/dav": "{server.store}"}}\n'
        "http_authenticator: {accept_basic: true, accept_digest: false, default_to_digest: false}\n"
        f'simple_dc: {{user_mapping: {{"*": {{emdvc: {{password: "{server.password}"}}}}}}}}\n'
        "verbose: 1\nproperty_manager: true\nlock_storage: true\n" + certificate
    )
    run = [sys.executable, "-W", "ignore", "-m", "wsgidav.server.server_cli", "--server", "cheroot"]
    server.command = [*run, "--config", str(state / "wsgidav.yaml")]
    return server


def apache_server(state: Path) -> DavServer:
    """Return Apache with mod_dav, not yet started; where root runs the tests, it serves as www-data."""
    apache = shutil.which("apache2", path="/usr/sbin:/usr/bin")
    if apache is None or not (_APACHE_MODULES / "mod_dav_fs.so").exists() or shutil.which("openssl") is None:
        pytest.skip("no Apache with mod_dav is installed")
    server = DavServer(state, free_port(), kind="apache", password=secrets.token_hex(8))
    user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
    for folder in (server.store, state / "var"):
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            user = group = "www-data"
            shutil.chown(folder, user, group)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", server.password], check=True, capture_output=True, text=True
    ).stdout.strip()
    (state / "htpasswd").write_text(f"emdvc:{hashed}\n")
    names = ["mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic"]
    names += ["alias", "dir", "mime", "dav", "dav_fs"]
    modules = "\n".join(f"LoadModule {name}_module {_APACHE_MODULES}/mod_{name}.so" for name in names)
    (state / "httpd.conf").write_text(f"""ServerRoot {state}
ServerName localhost
Listen 127.0.0.1:{server.port}
PidFile {state}/var/httpd.pid
ErrorLog {state}/var/error.log
User {user}
Group {group}
{modules}
TypesConfig /etc/mime.types
DavLockDB {state}/var/DavLock
DirectorySlash Off
Alias /dav {server.store}
<Directory {server.store}>
  Dav On
  AuthType Basic
  AuthName emdvc
  AuthUserFile {state}/htpasswd
  Require valid-user
</Directory>
""")
    (state / "htpasswd").chmod(0o644)
    server.command = [apache, "-D", "FOREGROUND", "-f", str(state / "httpd.conf")]
    return server


@pytest.fixture
def wsgidav() -> Iterator[DavServer]:
    """Start WsgiDAV."""
    yield from _serving(wsgidav_server)


@pytest.fixture
def apache() -> Iterator[DavServer]:
    """Start Apache with mod_dav."""
    yield from _serving(apache_server)


def _serving(make: object) -> Iterator[DavServer]:
    state = Path(tempfile.mkdtemp(prefix="emdvc-dav-"))  # not below pytest's folder, which is closed to www-data
    state.chmod(0o755)
    server = None
    try:
        server = make(state)  # type: ignore[operator]
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(state, ignore_errors=True)


def new_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate for 127.0.0.1 that nobody has signed but itself."""
    run = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    run += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*run, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
