"""What only an SSH remote can do wrong: trust, login, rights, sessions; on a real OpenSSH server."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from line import Line
from ssh_dav_servers import SshServer, new_key

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import loop
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.ssh import SshStorage

pytestmark = pytest.mark.server
ROOT = os.name != "nt" and os.geteuid() == 0


def opened(settings: RemoteSettings) -> SshStorage:
    storage = SshStorage(settings)
    loop.run(storage.open())
    return storage


def refusal(settings: RemoteSettings) -> EnvironmentFault:
    """Return the error of opening a remote."""
    with pytest.raises(EnvironmentFault) as raised:
        loop.run(SshStorage(settings).open())
    return raised.value


def made(path: Path, size: int) -> tuple[Path, str, str]:
    """Write a file; return it with its md5 and key."""
    content = os.urandom(size)
    path.write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    return path, md5, f"files/md5/{md5[:2]}/{md5[2:]}"


def test_an_unknown_host_is_refused_and_the_printed_command_trusts_it(ssh_server: SshServer) -> None:
    known = Path.home() / ".ssh" / "known_hosts"
    known.unlink()

    error = refusal(ssh_server.settings())

    assert error.code == Code.REMOTE_UNTRUSTED
    assert f"[127.0.0.1]:{ssh_server.port} showed ssh-ed25519 {ssh_server.fingerprint()}" == error.evidence
    command = str(error.hint).split("if it is the same: ")[1]
    assert command == f"ssh-keyscan -t ed25519 -p {ssh_server.port} 127.0.0.1 >> ~/.ssh/known_hosts"
    if shutil.which("ssh-keyscan") is not None:
        subprocess.run(command, shell=True, check=True, capture_output=True)
        loop.run(opened(ssh_server.settings()).close())


def test_a_changed_host_key_is_refused_with_both_fingerprints(ssh_server: SshServer) -> None:
    before = ssh_server.fingerprint()
    ssh_server.stop()
    (ssh_server.state / "host_ed25519").unlink()
    new_key(ssh_server.state / "host_ed25519")
    ssh_server.start()

    error = refusal(ssh_server.settings())

    assert error.code == Code.REMOTE_UNTRUSTED
    assert before in str(error.evidence)
    assert ssh_server.fingerprint() in str(error.evidence)
    assert f"{Path.home() / '.ssh' / 'known_hosts'} line 1" in str(error.evidence)
    assert f'ssh-keygen -R "[127.0.0.1]:{ssh_server.port}"' in str(error.hint)


def test_ssh_s_own_settings_are_followed(ssh_server: SshServer, tmp_path: Path) -> None:
    shutil.move(Path.home() / ".ssh" / "known_hosts", tmp_path / "my hosts")
    (Path.home() / ".ssh" / "config").write_text(
        f"Host Microscope\n  HostName 127.0.0.1\n  Port {ssh_server.port}\n  User {getpass.getuser()}\n"
        f'  IdentityFile {ssh_server.key()}\n  UserKnownHostsFile "{tmp_path}/my hosts"\n'
    )
    loop.run(opened(RemoteSettings("lab", f"ssh://Microscope{ssh_server.store}")).close())

    (Path.home() / ".ssh" / "config").write_text("Host *\n  StrictHostKeyChecking accept-new\n")
    loop.run(opened(ssh_server.settings()).close())
    (Path.home() / ".ssh" / "config").unlink()
    assert ssh_server.host_key() in (Path.home() / ".ssh" / "known_hosts").read_text()
    loop.run(opened(ssh_server.settings()).close())


def test_another_host_is_a_way_to_this_one(ssh_server: SshServer) -> None:
    here = f"  HostName 127.0.0.1\n  Port {ssh_server.port}\n  IdentityFile {ssh_server.key()}\n"
    (Path.home() / ".ssh" / "config").write_text(f"Host gate\n{here}Host inner\n{here}  ProxyJump gate\n")
    loop.run(opened(RemoteSettings("lab", f"ssh://inner{ssh_server.store}")).close())

    (Path.home() / ".ssh" / "known_hosts").write_text("")
    error = refusal(RemoteSettings("lab", f"ssh://inner{ssh_server.store}"))
    assert error.code == Code.REMOTE_UNTRUSTED


def test_a_host_with_a_certificate_of_a_known_authority_is_trusted(ssh_server: SshServer, tmp_path: Path) -> None:
    new_key(tmp_path / "authority")
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "authority"), "-I", "host", "-h", "-n", "127.0.0.1"]
    subprocess.run([*sign, str(ssh_server.state / "host_ed25519.pub")], check=True)
    ssh_server.stop()
    ssh_server.configure(f"HostCertificate {ssh_server.state / 'host_ed25519-cert.pub'}")
    ssh_server.start()
    public = " ".join((tmp_path / "authority.pub").read_text().split()[:2])

    known = Path.home() / ".ssh" / "known_hosts"
    known.write_text(f"@cert-authority * {public}\n")
    loop.run(opened(ssh_server.settings()).close())
    known.write_text("")
    assert ssh_server.fingerprint() in str(refusal(ssh_server.settings()).evidence)  # its key may be trusted, too


def test_a_key_that_is_not_allowed_is_told(ssh_server: SshServer, tmp_path: Path) -> None:
    new_key(tmp_path / "stranger")

    error = refusal(ssh_server.settings(keyfile=str(tmp_path / "stranger")))

    assert error.code == Code.REMOTE_REFUSED
    assert f"does not let the user {getpass.getuser()} in" in error.cause
    run = ["ssh-keygen", "-lf", str(tmp_path / "stranger")]
    fingerprint = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()[1]
    assert error.evidence == f"offered were: stranger (ssh-ed25519 {fingerprint})"
    assert f"ssh -p {ssh_server.port} {getpass.getuser()}@127.0.0.1" in str(error.hint)


def test_unknown_users_and_missing_keys_are_told(ssh_server: SshServer) -> None:
    error = refusal(ssh_server.settings(user="nobody-of-that-name", keyfile=str(ssh_server.key())))
    assert (error.code, "nobody-of-that-name" in error.cause) == (Code.REMOTE_REFUSED, True)
    url = ssh_server.url()
    assert "no key at all" in str(refusal(RemoteSettings("lab", url)).evidence)
    error = refusal(ssh_server.settings(keyfile="/nowhere/key"))
    assert (error.code, error.evidence) == (Code.REMOTE_REFUSED, "/nowhere/key: No such file or directory")


def test_a_locked_key_needs_its_passphrase(ssh_server: SshServer) -> None:
    locked = ssh_server.state / "locked"
    new_key(locked, passphrase="secret words")
    (ssh_server.state / "keys" / getpass.getuser()).write_text(locked.with_suffix(".pub").read_text())

    error = refusal(ssh_server.settings(keyfile=str(locked)))
    assert error.code == Code.REMOTE_REFUSED
    assert "ask_passphrase" in str(error.hint)
    loop.run(opened(ssh_server.settings(keyfile=str(locked), passphrase="secret words")).close())


def test_a_server_without_sftp_is_told(ssh_server: SshServer) -> None:
    ssh_server.stop()
    ssh_server.configure(sftp=False)
    ssh_server.start()
    error = refusal(ssh_server.settings())
    assert "offers no SFTP" in error.cause
    assert "Subsystem sftp internal-sftp" in str(error.hint)


def test_a_server_that_allows_one_session_is_enough(ssh_server: SshServer, tmp_path: Path) -> None:
    ssh_server.stop()
    ssh_server.configure("MaxSessions 1")
    ssh_server.start()
    storage = opened(ssh_server.settings())
    source, md5, key = made(tmp_path / "source", 2_000_000)

    loop.run(storage.send(source, key, md5=md5))

    assert loop.run(storage.read(key)) == source.read_bytes()
    loop.run(storage.close())


@pytest.mark.parametrize("url", ["ssh://host:abc/data", "ssh:///data"])
def test_addresses_that_cannot_be_read_are_told(url: str) -> None:
    error = refusal(RemoteSettings("lab", url))
    assert (error.code, "URL that cannot be read" in error.cause) == (Code.REMOTE_PLACE, True)


def test_a_port_of_something_else_is_told(ssh_server: SshServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        error = refusal(ssh_server.settings(port=listening.getsockname()[1]))
        thread.join()
    assert "is the port that of SSH" in str(error.hint)


@pytest.mark.skipif(not ROOT, reason="rights do not bind root's own login; needs two unix users")
def test_a_folder_without_rights_is_told(shared_ssh_server: SshServer, tmp_path: Path) -> None:
    server = shared_ssh_server
    closed = server.store / "closed"
    closed.mkdir()
    closed.chmod(0o755)  # of root
    storage = opened(server.settings("closed"))
    source, md5, key = made(tmp_path / "source", 100)

    with pytest.raises(EnvironmentFault) as raised:
        loop.run(storage.send(source, key, md5=md5))

    assert raised.value.code == Code.REMOTE_REFUSED
    assert f"does not let us into {closed}" in raised.value.cause
    loop.run(storage.close())


@pytest.mark.skipif(not ROOT, reason="needs two unix users")
def test_two_users_share_a_folder(shared_ssh_server: SshServer, tmp_path: Path) -> None:
    server = shared_ssh_server
    first, second = (opened(server.settings("lab", user=user)) for user in server.users)
    files = [made(tmp_path / str(number), 1000) for number in range(60)]
    large = made(tmp_path / "large", 9 << 20)

    async def both_push() -> None:
        # each sends everything, so that they meet in every folder and at every name
        work = [storage.send(path, key, md5=md5) for storage in (first, second) for path, md5, key in [*files, large]]
        await asyncio.gather(*work)
        assert len(await second.listing("files/md5")) == 61
        assert await second.read(large[2]) == large[0].read_bytes()

    loop.run(both_push())

    group = server.store.stat().st_gid
    owners = set()
    for path in (server.store / "lab").rglob("*"):
        found = path.stat()
        owners.add(pwd.getpwuid(found.st_uid).pw_name)
        assert found.st_gid == group, path
        assert oct(found.st_mode & 0o7777) == ("0o2775" if path.is_dir() else "0o444"), path
    assert owners == set(server.users)
    assert not [path for path in (server.store / "lab" / "emdvc-tmp").iterdir() if path.is_file()]
    for storage, (_, _, key) in ((first, files[0]), (second, files[1])):
        loop.run(storage.remove(key))  # whoever made it
    loop.run(first.close())
    loop.run(second.close())


def test_a_large_file_goes_on_where_another_client_was_killed(ssh_server: SshServer, tmp_path: Path) -> None:
    source, md5, key = made(tmp_path / "source", 24 << 20)
    parts = ssh_server.store / "emdvc-tmp"
    parts.mkdir()
    (parts / f"{md5}-0123456789abcdef.part").write_bytes(source.read_bytes()[: 20 << 20])
    (parts / f"{md5}-00000000damaged0.part").write_bytes(source.read_bytes()[: 19 << 20])
    with Line("127.0.0.1", ssh_server.port) as line:
        known = Path.home() / ".ssh" / "known_hosts"
        known.write_text(f"[127.0.0.1]:{line.port} {ssh_server.host_key()}\n")
        storage = opened(ssh_server.settings(port=line.port))
        line.reset()
        loop.run(storage.send(source, key, md5=md5))
        assert line.sent < 5 << 20
        assert loop.run(storage.read(key)) == source.read_bytes()
        loop.run(storage.close())


def test_a_part_with_a_hole_at_its_end_is_not_gone_on_with(ssh_server: SshServer, tmp_path: Path) -> None:
    source, md5, key = made(tmp_path / "source", 8 << 20)
    parts = ssh_server.store / "emdvc-tmp"
    parts.mkdir()
    whole = source.read_bytes()
    (parts / f"{md5}-0123456789abcdef.part").write_bytes(whole[: 5 << 20] + bytes(1000))
    storage = opened(ssh_server.settings())

    loop.run(storage.send(source, key, md5=md5))

    assert loop.run(storage.read(key)) == whole
    loop.run(storage.close())
    assert not list(parts.iterdir())


def test_a_part_that_grows_belongs_to_somebody_else(ssh_server: SshServer, tmp_path: Path) -> None:
    source, md5, key = made(tmp_path / "source", 8 << 20)
    whole = source.read_bytes()
    parts = ssh_server.store / "emdvc-tmp"
    parts.mkdir()
    part = parts / f"{md5}-0123456789abcdef.part"
    done = threading.Event()

    def grow() -> None:
        with part.open("wb") as writing:
            for start in range(0, 8 << 20, 8 << 10):
                writing.write(whole[start : start + (8 << 10)])
                writing.flush()
                if done.wait(0.02):
                    return

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        storage = opened(ssh_server.settings())
        loop.run(storage.send(source, key, md5=md5))
        assert part.exists()
        assert loop.run(storage.read(key)) == whole
        loop.run(storage.close())
    finally:
        done.set()
        thread.join()


@pytest.mark.skipif(not ROOT or shutil.which("mount") is None, reason="a small disk can be mounted by root only")
def test_a_full_disk_is_told(ssh_server: SshServer, tmp_path: Path) -> None:
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(ssh_server.store)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        storage = opened(ssh_server.settings())
        free, total = loop.run(storage.space()) or (0, 0)
        assert 0 < free <= total == 2 << 20
        source, md5, key = made(tmp_path / "source", 6 << 20)

        with pytest.raises(EnvironmentFault) as raised:
            loop.run(storage.send(source, key, md5=md5))

        assert raised.value.code == Code.DISK_FULL
        loop.run(storage.close())
        assert not list((ssh_server.store / "emdvc-tmp").iterdir())
    finally:
        subprocess.run(["umount", str(ssh_server.store)], check=True)
