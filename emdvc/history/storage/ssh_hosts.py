"""Whether the server that answers is the one that the user trusts: OpenSSH's files of known hosts.

DVC's own SSH remote trusts any server. Here a server is trusted as OpenSSH would trust it: its key, or the authority
that signed it, stands in the user's or the system's files of known hosts under the name by which it is called.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage.contract import RemoteSettings, fault

if TYPE_CHECKING:
    from asyncssh import SSHKey

_DEFAULT_PORT = 22
_USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


@dataclass(frozen=True)
class KnownKey:
    """One line of a file of known hosts that speaks of the server."""

    key: SSHKey
    path: Path
    line: int


@dataclass
class KnownHost:
    """What is known of one server, and what to do about what is not.

    Parameters
    ----------
    name
        By which the files call it: its address, or the alias that SSH's settings give it.
    port
        Where it listens.
    strict
        SSH's ``StrictHostKeyChecking``: ``yes``, ``ask``, ``accept-new`` or ``no``.
    files
        The user's files, the one that is written to first.
    direct
        It is reached directly, not through another host.
    """

    name: str
    port: int
    strict: str = "ask"
    files: list[Path] = field(default_factory=list)
    direct: bool = True
    keys: list[KnownKey] = field(default_factory=list)
    elsewhere: list[KnownKey] = field(default_factory=list)  # known for this name, but for another port
    authorities: list[KnownKey] = field(default_factory=list)
    revoked: list[KnownKey] = field(default_factory=list)
    seen: SSHKey | None = None  # the key that was not trusted

    @property
    def trusted(self) -> tuple[list[SSHKey], list[SSHKey], list[SSHKey]]:
        """The keys, authorities and revoked keys; a key of the same name at another port counts, as with OpenSSH."""
        keys = self.keys or self.elsewhere
        return [one.key for one in keys], [one.key for one in self.authorities], [one.key for one in self.revoked]

    @property
    def label(self) -> str:
        """The server's name as a file of known hosts has it."""
        return self.name if self.port == _DEFAULT_PORT else f"[{self.name}]:{self.port}"

    def trusts(self, key: SSHKey, *, password: bool) -> bool:
        """Return whether a key that stands in no file is trusted all the same, as SSH's settings say.

        Parameters
        ----------
        password
            A password would be sent: never to a server whose key has changed, whatever the settings say.
        """
        changed = bool(self.keys)
        lax = self.strict in ("no", "off")
        if (lax and not (changed and password)) or (self.strict == "accept-new" and not changed):
            if not changed:
                self._write(key)
            return True
        self.seen = key
        return False

    def refusal(self, settings: RemoteSettings) -> EnvironmentFault:
        """Return the error that says why the server is not trusted, with both fingerprints and the way to trust it."""
        assert self.seen is not None, "only after a key was refused"
        kind, print_ = _kind(self.seen), self.seen.get_fingerprint()
        if self.keys:
            alike = [known for known in self.keys if _kind(known.key) == kind] or self.keys
            places = f"{alike[0].path} line {alike[0].line}"
            return fault(
                settings,
                "shows another host key than the one you trust",
                f"{self.label} showed {kind} {print_}, but {places} has {_kind(alike[0].key)} "
                f"{alike[0].key.get_fingerprint()}",
                "somebody may be listening in: ask those who run the server whether its key was changed; only then: "
                f'ssh-keygen -R "{self.label}"{_of_file(alike[0].path)} and {self._way_to_trust(kind)}',
                code=Code.REMOTE_UNTRUSTED,
            )
        return fault(
            settings,
            "is a host that you do not know yet",
            f"{self.label} showed {kind} {print_}",
            "compare the fingerprint with the one that those who run the server publish; if it is the same: "
            + self._way_to_trust(kind),
            code=Code.REMOTE_UNTRUSTED,
        )

    def _way_to_trust(self, kind: str) -> str:
        if not self.direct:
            return f"ssh {'' if self.port == _DEFAULT_PORT else f'-p {self.port} '}{self.name}, and answer yes"
        port = "" if self.port == _DEFAULT_PORT else f"-p {self.port} "
        scan = f"ssh-keyscan -t {kind.removeprefix('ssh-').split('-')[0]} {port}{self.name}"
        path = self.files[0] if self.files else Path(_USER_FILES[0]).expanduser()
        make = "" if path.parent.is_dir() else f'mkdir "{path.parent}" && '
        if os.name == "nt":  # PowerShell's own >> would write UTF-16
            return f"cmd /c '{make}{scan} >> \"{path}\"'"
        return f"{make}{scan} >> {_short(path)}"

    def _write(self, key: SSHKey) -> None:
        """Add a key to the user's file, as OpenSSH does; where that fails it will be new the next time, too."""
        if self.files:
            with suppress(OSError):
                self.files[0].parent.mkdir(mode=0o700, exist_ok=True)
                with self.files[0].open("a+b") as file:
                    file.seek(0)
                    content = file.read()
                    gap = b"" if not content or content.endswith(b"\n") else b"\n"
                    file.write(gap + f"{self.label} {_exported(key)}\n".encode())


def known_host(
    name: str,
    port: int,
    *,
    user_files: list[str] | None,
    system_files: list[str] | None,
    strict: str = "ask",
    direct: bool = True,
) -> KnownHost:
    """Return what the files of known hosts say of a server.

    Parameters
    ----------
    name
        By which the files call it.
    port
        Where it listens.
    user_files
        Of SSH's settings; None for the usual ones.
    system_files
        Likewise.
    strict
        SSH's ``StrictHostKeyChecking``.
    direct
        It is reached directly.
    """
    mine = [Path(text).expanduser() for text in (_USER_FILES if user_files is None else user_files)]
    system = [Path(text).expanduser() for text in (_SYSTEM_FILES if system_files is None else system_files)]
    if os.name == "nt" and system_files is None:
        system = [Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "ssh" / "ssh_known_hosts"]
    host = KnownHost(name, port, strict.lower(), mine[:1], direct)
    for path in [*mine, *system]:
        for number, line in _lines(path):
            _read(host, path, number, line)
    return host


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with suppress(OSError):  # none of the files must be there
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield number, line.strip()


def _read(host: KnownHost, path: Path, number: int, line: str) -> None:
    """Note what one line says of the server; a line that cannot be read says nothing, as with OpenSSH."""
    import asyncssh

    words = line.split(None, 2)
    pattern = words[1] if line.startswith("@") and len(words) > 1 else words[0]
    plain = not any(sign in pattern for sign in "*?|!")
    if plain and not {host.name, f"[{host.name}]:{host.port}"} & set(pattern.split(",")):
        return  # before the key is decoded, which takes time in a long file
    try:
        content = asyncssh.import_known_hosts(line)
    except ValueError:
        return
    here = host.port if host.port != _DEFAULT_PORT else None
    keys, authorities, revoked = _matching(content, host.name, here)
    host.keys.extend(KnownKey(key, path, number) for key in keys)
    host.authorities.extend(KnownKey(key, path, number) for key in authorities)
    host.revoked.extend(KnownKey(key, path, number) for key in revoked)
    if here is not None:
        keys, authorities, revoked = _matching(content, host.name, None)
        host.elsewhere.extend(KnownKey(key, path, number) for key in keys)
        host.authorities.extend(KnownKey(key, path, number) for key in authorities)
        host.revoked.extend(KnownKey(key, path, number) for key in revoked)


def _matching(content: object, name: str, port: int | None) -> tuple[list[SSHKey], list[SSHKey], list[SSHKey]]:
    # asyncssh falls back from a port to the bare name by itself; here the two are told apart
    from asyncssh import match_known_hosts

    wanted = f"[{name}]:{port}" if port else name
    found = match_known_hosts(content, wanted, "", None)  # type: ignore[arg-type]
    return list(found[0]), list(found[1]), list(found[2])


def _kind(key: SSHKey) -> str:
    return key.get_algorithm()


def _exported(key: SSHKey) -> str:
    return " ".join(key.export_public_key().decode().split()[:2])


def _of_file(path: Path) -> str:
    return "" if path == Path(_USER_FILES[0]).expanduser() else f' -f "{path}"'


def _short(path: Path) -> str:
    with suppress(ValueError):
        return f"~/{path.relative_to(Path.home()).as_posix()}"
    return f'"{path}"' if " " in str(path) else str(path)
