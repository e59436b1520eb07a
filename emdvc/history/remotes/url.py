"""The remote that a person names on the command line: checked before anything is written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit

from emdvc.errors import UsageError, suggest
from emdvc.history.remotes.kinds import KINDS, Kind, kind_of

_NAME = r"[A-Za-z0-9][\w.-]*"


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A remote's name and URL, as written into DVC's settings (a folder relative to ``.dvc``), and as typed."""

    name: str
    url: str
    typed: str = field(default="", compare=False)

    @property
    def section(self) -> str:
        """The remote's section in DVC's settings."""
        return section_of(self.name)

    @property
    def kind(self) -> Kind:
        """What kind of storage it is."""
        return kind_of(self.url)

    @classmethod
    def parse(cls, text: str, root: Path) -> RemoteUrl:
        """Return the remote that ``NAME=URL`` names, as :meth:`of` does.

        Raises
        ------
        UsageError
            There is no ``=``, and as :meth:`of`.
        EnvironmentFault
            As :meth:`of`.
        """
        name, equals, url = (part.strip() for part in text.partition("="))
        if not equals or not url or not re.fullmatch(_NAME, name):
            raise UsageError(
                f"'{text}' names no remote", hint="write NAME=URL, as in lab=/mnt/lab/emdvc or lab=s3://bucket/folder"
            )
        return cls.of(name, url, root)

    @classmethod
    def of(cls, name: str, url: str, root: Path) -> RemoteUrl:
        """Return a remote.

        Parameters
        ----------
        name
            DVC knows names in small letters only.
        url
            As typed; a relative folder is relative to the current one.
        root
            The project's root.

        Raises
        ------
        UsageError
            No name, an unknown scheme, a password in the URL, or a folder inside the project.
        EnvironmentFault
            The package for this scheme is not installed.
        """
        if not re.fullmatch(_NAME, name):
            raise UsageError(
                f"'{name}' cannot name a remote", hint="begin with a letter; use letters, digits, . _ and -"
            )
        name, url = name.lower(), url.strip()
        try:
            scheme = urlsplit(url).scheme.lower() if "://" in url else ""
        except ValueError as error:
            raise UsageError("that is no URL", evidence=f"{url}: {error}", hint="write s3://bucket/folder") from error
        if not url:
            raise UsageError(f"the remote {name} is nowhere", hint="name a folder, or a URL as s3://bucket/folder")
        if scheme == "file":
            return cls(name, _folder(unquote(urlsplit(url).path), root), url)
        if not scheme:
            return cls(name, _folder(url, root), url)
        _check_scheme(scheme)
        _check_secrets(name, url, scheme)
        _check_place(url, scheme)
        return cls(name, url, url)


def section_of(name: str) -> str:
    """Return the section of a remote in DVC's settings."""
    return f'remote "{name}"'


def _folder(url: str, root: Path) -> str:
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", url):
        drive = PureWindowsPath(url)
        raise UsageError(
            "that is a folder as Windows names it, and this is no Windows",
            evidence=url,
            hint=f"mount {drive.drive or drive} here, then name the folder that it is mounted at",
        )
    path = Path(url).expanduser()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    if absolute.is_relative_to(root):
        raise UsageError(
            "a remote inside the project would be committed with it",
            evidence=str(absolute),
            hint="name a folder outside",
        )
    if absolute.exists() and not absolute.is_dir():
        raise UsageError(f"{absolute} is a file", hint="name a folder")
    if path.is_absolute() or absolute.drive != root.drive:
        return absolute.as_posix()
    # relative to .dvc, so that a project and its remote can be moved together
    return Path(os.path.relpath(absolute, root / ".dvc")).as_posix()


def _check_scheme(scheme: str) -> None:
    from emdvc.history.dvc_errors import missing_extra

    known = [name for name in KINDS if name != "folder"]
    if scheme in ("smb", "cifs", "nfs"):
        raise UsageError(
            f"{scheme}:// is a network drive, which the system mounts",
            hint="mount it, then name its folder: /mnt/lab/project, or \\\\server\\share\\project on Windows",
        )
    if scheme not in known:
        near = suggest(scheme, known)
        raise UsageError(
            f"no remote can be reached by {scheme}://",
            hint=f"did you mean {near}://?" if near else f"use a folder, {', '.join(f'{s}://' for s in known)}",
        )
    package = KINDS[scheme].package
    if package is not None and find_spec(package) is None:
        raise missing_extra(scheme)


def _check_secrets(name: str, url: str, scheme: str) -> None:
    parts = urlsplit(url)
    user_is_secret = scheme in ("s3", "gs", "azure") and parts.username is not None
    if parts.password is not None or parts.query or user_is_secret:
        user, query = "...@" * ("@" in parts.netloc), "?..." * bool(parts.query)
        shown = f"{scheme}://{user}{parts.hostname or ''}{parts.path}{query}"
        raise UsageError(
            "a remote's URL is committed for everyone to read: it must not hold a password, a key or a token",
            evidence=shown,
            hint=f"emdvc remote add {name} URL --ask-password asks for it and keeps it in .dvc/config.local",
        )


def _check_place(url: str, scheme: str) -> None:
    parts = urlsplit(url)
    try:
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise UsageError("the URL names no port", evidence=f"{url}: {error}") from error
    if not host:
        what = "bucket" if scheme in ("s3", "gs", "azure") else "host"
        raise UsageError(f"the URL names no {what}", evidence=url, hint=f"write {scheme}://{what.upper()}/folder")
