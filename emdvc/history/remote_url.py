"""The remote that a person names on the command line: checked before anything is written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from emdvc.errors import UsageError, suggest

#: Scheme -> package that moves the data.
SCHEMES = {
    "s3": "dvc_s3",
    "ssh": "dvc_ssh",
    "webdav": "dvc_webdav",
    "webdavs": "dvc_webdav",
    "gs": "dvc_gs",
    "azure": "dvc_azure",
}


@dataclass(frozen=True, slots=True)
class RemoteUrl:
    """A remote's name and URL, as they are written into DVC's settings (a folder relative to ``.dvc``)."""

    name: str
    url: str

    @property
    def section(self) -> str:
        """The remote's section in DVC's settings."""
        return f'remote "{self.name}"'

    @classmethod
    def parse(cls, text: str, root: Path) -> RemoteUrl:
        """Return the remote that ``NAME=URL`` names.

        Parameters
        ----------
        text
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
        name, equals, url = (part.strip() for part in text.partition("="))
        if not equals or not url or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise UsageError(
                f"'{text}' names no remote", hint="write NAME=URL, as in lab=/mnt/lab/emdvc or lab=s3://bucket/folder"
            )
        scheme = urlsplit(url).scheme.lower() if "://" in url else ""
        if not scheme:
            return cls(name, _folder(url, root))
        _check_scheme(scheme)
        _check_secrets(name, url, scheme)
        return cls(name, url)


def _folder(url: str, root: Path) -> str:
    path = Path(url).expanduser()
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    if absolute.is_relative_to(root):
        raise UsageError(
            "a remote inside the project would be committed with it",
            evidence=str(absolute),
            hint="name a folder outside",
        )
    # relative to .dvc, so that a project and its remote can be moved together
    written = absolute if path.is_absolute() else Path(os.path.relpath(absolute, root / ".dvc"))
    return written.as_posix()


def _check_scheme(scheme: str) -> None:
    from emdvc.history.dvc_errors import missing_extra

    if scheme not in SCHEMES:
        near = suggest(scheme, list(SCHEMES))
        raise UsageError(
            f"no remote can be reached by {scheme}://",
            hint=f"did you mean {near}://?" if near else f"use a folder, {', '.join(f'{s}://' for s in SCHEMES)}",
        )
    if find_spec(SCHEMES[scheme]) is None:
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
            hint=f"leave it out, then: dvc remote modify --local {name} "
            + ("access_key_id KEY" if scheme == "s3" else "password ..."),
        )
