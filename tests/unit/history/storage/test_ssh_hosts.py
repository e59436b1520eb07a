"""Which servers are trusted: what stands in files of known hosts, held against what OpenSSH would say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest

from emdvc.errors import Code
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.ssh_hosts import KnownHost, known_host

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
SETTINGS = RemoteSettings("lab", "ssh://lab.example/data")
HERE = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
OTHER = asyncssh.generate_private_key("ssh-ed25519").convert_to_public()
CURVE = asyncssh.generate_private_key("ecdsa-sha2-nistp256").convert_to_public()


def line(key: asyncssh.SSHKey, names: str = "lab.example") -> str:
    return f"{names} {key.export_public_key().decode().strip()}\n"


def read(path: Path, text: str, *, name: str = "lab.example", port: int = 22, strict: str = "ask") -> KnownHost:
    path.write_text(text)
    return known_host(name, port, user_files=[str(path)], system_files=[], strict=strict)


@pytest.mark.parametrize(
    ("names", "port", "known"),
    [
        ("lab.example", 22, True),
        ("other.example,lab.example", 22, True),
        ("*.example", 22, True),
        ("*.example,!lab.example", 22, False),
        ("lab2.example", 22, False),
        ("[lab.example]:2222", 2222, True),
        ("lab.example", 2222, True),  # as OpenSSH: the same server at another port
        ("[lab.example]:2222", 22, False),
        ("[lab.example]:2222", 2223, False),
    ],
)
def test_names_are_matched_as_openssh_matches_them(tmp_path: Path, names: str, port: int, known: bool) -> None:
    path = tmp_path / "known_hosts"
    host = read(path, "# a comment\n\nnonsense\n" + line(HERE, names), port=port)

    assert (HERE in host.trusted[0]) is known
    if port == 22 and "*" not in names:
        found = subprocess.run(["ssh-keygen", "-F", host.label, "-f", str(path)], capture_output=True, check=False)
        assert (found.returncode == 0) is known


@pytest.mark.parametrize("port", [22, 2222])
def test_hashed_names_are_matched(tmp_path: Path, port: int) -> None:
    path = tmp_path / "known_hosts"
    label = "lab.example" if port == 22 else "[lab.example]:2222"
    path.write_text(line(OTHER, "elsewhere.example") + line(HERE, label))
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    assert "lab.example" not in path.read_text()

    host = read(path, path.read_text(), port=port)

    assert host.trusted[0] == [HERE]
    assert host.keys[0].line == 2


def test_authorities_and_revoked_keys_are_told_apart(tmp_path: Path) -> None:
    text = line(HERE, "@cert-authority *.example") + line(OTHER, "@revoked lab.example") + line(CURVE)
    host = read(tmp_path / "known_hosts", text)
    assert host.trusted == ([CURVE], [HERE], [OTHER])


def test_an_unknown_host_is_told_with_its_fingerprint_and_the_way_to_trust_it(tmp_path: Path) -> None:
    host = read(tmp_path / "known_hosts", line(HERE, "lab.example"), port=22, name="new.example")
    assert not host.trusts(CURVE, password=False)

    error = host.refusal(SETTINGS)

    assert error.code == Code.REMOTE_UNTRUSTED
    assert error.evidence == f"new.example showed ecdsa-sha2-nistp256 {CURVE.get_fingerprint()}"
    assert f"ssh-keyscan -t ecdsa new.example >> {tmp_path / 'known_hosts'}" in str(error.hint)


def test_a_changed_key_is_told_with_both_fingerprints_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    host = read(path, line(CURVE, "[lab.example]:2222") + line(HERE, "[lab.example]:2222"), port=2222)
    assert not host.trusts(OTHER, password=False)

    error = host.refusal(SETTINGS)

    assert error.code == Code.REMOTE_UNTRUSTED
    for part in (HERE.get_fingerprint(), OTHER.get_fingerprint(), f"{path} line 2"):
        assert part in str(error.evidence)
    assert f'ssh-keygen -R "[lab.example]:2222" -f "{path}"' in str(error.hint)
    assert "ssh-keyscan -t ed25519 -p 2222 lab.example" in str(error.hint)


def test_the_printed_commands_are_openssh_s(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    host = read(path, line(HERE, "[lab.example]:2222") + line(CURVE, "other.example"), port=2222)
    host.trusts(OTHER, password=False)
    remove = str(host.refusal(SETTINGS).hint).split("only then: ")[1].split(" and ")[0]

    subprocess.run(remove, shell=True, check=True, capture_output=True)

    assert path.read_text() == line(CURVE, "other.example")


@pytest.mark.parametrize(
    ("strict", "known", "password", "trusted", "written"),
    [
        ("ask", None, False, False, False),
        ("yes", None, False, False, False),
        ("accept-new", None, False, True, True),
        ("no", None, True, True, True),
        ("accept-new", OTHER, False, False, False),
        ("no", OTHER, False, True, False),
        ("no", OTHER, True, False, False),  # never a password to a server whose key has changed
        ("ask", OTHER, False, False, False),
    ],
)
def test_strictness_is_the_user_s(
    tmp_path: Path, strict: str, known: asyncssh.SSHKey | None, password: bool, trusted: bool, written: bool
) -> None:
    path = tmp_path / "known_hosts"
    text = "" if known is None else line(known).strip()  # without an end of line, as editors leave it
    host = read(path, text, strict=strict)

    assert host.trusts(HERE, password=password) is trusted
    assert read(path, path.read_text()).trusted[0] == ([HERE] if written else [known] if known else [])


def test_a_file_that_is_missing_knows_nobody(tmp_path: Path) -> None:
    host = known_host("lab.example", 22, user_files=[str(tmp_path / ".ssh" / "none")], system_files=[])
    assert host.trusted == ([], [], [])
    assert not host.trusts(HERE, password=False)
    assert f'mkdir "{tmp_path / ".ssh"}" && ssh-keyscan' in str(host.refusal(SETTINGS).hint)
