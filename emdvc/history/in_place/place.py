"""A place outside the project where data lie: a folder, or a URL of any kind that a remote can have."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from emdvc.errors import Code, FormatError, UsageError
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.connect import DRIVERS
from emdvc.history.storage.contract import RemoteSettings, Stat
from emdvc.history.storage.remote import Remote, connection_to
from emdvc.history.storage.settings import patience, remote_names, remote_settings
from emdvc.history.storage.trying import trying
from emdvc.history.workspace.ignored import Ignored


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dataset lies.

    Parameters
    ----------
    settings
        How the folder that it lies in is reached.
    name
        Its name there.
    """

    settings: RemoteSettings
    name: str

    @property
    def url(self) -> str:
        """Of the dataset: a URL, or an absolute path."""
        return f"{self.settings.url.rstrip('/')}/{self.name}"

    def key(self, file: str) -> str:
        """Return the key of a file of the dataset; of a single file its name is empty."""
        return f"{self.name}/{file}" if file else self.name


def place_of(project: Project, url: str) -> Place:
    """Return where a URL points to.

    Access is that of the project's remote at the same bucket or host, where there is one; else what the environment
    says.

    Parameters
    ----------
    project
        The project.
    url
        ``s3://bucket/folder/scan.zarr``, ``ssh://host/folder/scan.mib``, ``https://...``, or a folder on a drive.

    Raises
    ------
    UsageError
        It names no dataset, holds a password, or is of a kind that is not read.
    """
    if "://" not in url:
        path = Path(os.path.abspath(os.path.expanduser(url)))  # noqa: PTH100, PTH111
        return Place(RemoteSettings("the source", path.parent.as_posix(), {}, patience(project)), path.name)
    parts = urlsplit(url)
    if parts.scheme.lower() not in DRIVERS:
        kinds = ", ".join(f"{kind}://" for kind in DRIVERS if kind != "folder")
        raise UsageError(f"data at {parts.scheme}:// cannot be read in place", hint=f"a folder, or one of {kinds}")
    if parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            "a URL that is recorded for everybody holds no password and no query",
            evidence=f"{parts.scheme}://{parts.hostname}{parts.path}",
            hint="emdvc remote add NAME URL keeps secrets in a file of your own; then give the URL without them",
        )
    folder, _, name = parts.path.rstrip("/").rpartition("/")
    if not name or (parts.scheme == "s3" and not parts.netloc):
        raise UsageError(f"{url} names no dataset", hint="give the file or the store: s3://bucket/folder/scan.zarr")
    base = f"{parts.scheme.lower()}://{parts.netloc}{folder}"
    near = _remote_beside(project, base)
    return Place(RemoteSettings(near.name, base, near.options, near.patience), name)


def _remote_beside(project: Project, url: str) -> RemoteSettings:
    """Return the settings of the project's remote at the same bucket or host: its keys open this place, too."""
    wanted = urlsplit(url)
    for name in remote_names(project):
        found = remote_settings(project, name)
        there = urlsplit(found.url)
        if found.scheme == wanted.scheme and there.netloc.lower() == wanted.netloc.lower():
            return found
    return RemoteSettings("the source", url, {}, patience(project))


def connection(place: Place) -> Remote:
    """Return the connection to a place; it is kept as long as the process lives."""
    return connection_to(place.settings)


def listed(project: Project, place: Place) -> dict[str, Stat]:
    """Return the files of a dataset at its source, without those that DVC would leave out of a folder here.

    Raises
    ------
    FormatError, EnvironmentFault
        As :func:`survey`.
    """
    ignored = Ignored(project.root)
    files = loop.run(survey(place))
    return {file: stat for file, stat in files.items() if not file or not any(map(ignored, file.split("/")))}


async def survey(place: Place) -> dict[str, Stat]:
    """Return the files of the dataset that lies at a place, by their paths in it; a single file has an empty one.

    Raises
    ------
    FormatError
        Nothing lies there.
    EnvironmentFault
        The server did not answer, or refused.
    """
    storage = await connection(place).storage()
    alone = await trying(lambda: storage.stat(place.name))
    if alone is not None:
        return {"": alone}
    found = await trying(lambda: storage.listing(place.name))
    prefix = f"{place.name}/"
    files = {key.removeprefix(prefix): stat for key, stat in found.items() if key.startswith(prefix)}
    if not files:
        raise FormatError(
            f"{place.url} does not exist",
            code=Code.NOT_FOUND,
            evidence="there is neither a file nor a folder with files of that name",
            hint="compare it with what the facility lists; emdvc remote check tells whether the keys are right",
        )
    return dict(sorted(files.items()))


def listing_digest(files: Mapping[str, Stat]) -> str:
    """Return a digest of what a source lists: it changes with the name, the size, and the etag or the time of a file.

    Times count in whole seconds, and only where the server has no mark of the content: copies of a folder keep them no
    better.
    """
    lines = sorted(
        f"{name}\0{stat.size}\0{stat.etag if stat.etag is not None else int(stat.modified or 0)}\n"
        for name, stat in files.items()
    )
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
