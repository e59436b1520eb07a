"""A place that holds objects: the cache, or a remote; both have the same layout."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.history.cache_place import cache_folder
from emdvc.history.collecting.repository import NAME
from emdvc.history.project import Project
from emdvc.history.storage import connect, loop
from emdvc.history.storage.contract import RemoteSettings, Stat, Storage
from emdvc.history.storage.remote import OBJECTS, key_of, together
from emdvc.history.storage.settings import remote_settings
from emdvc.history.storage.trying import trying

#: What the cache is called among places.
CACHE = "cache"
#: Where DVC keeps what it ran with which result.
RUNS = "runs"


@dataclass(frozen=True, slots=True)
class Held:
    """An object that lies in a place.

    Parameters
    ----------
    size
        Bytes.
    arrived
        When, in seconds since 1970; None where unknown.
    others
        Whether another user of this machine put it there.
    """

    size: int
    arrived: float | None
    others: bool = False


class Place:
    """A place that holds objects.

    Parameters
    ----------
    name
        What a person calls it.
    settings
        Of the remote; of the cache as if it was one.
    shared
        Whether other projects may use it, too.
    """

    def __init__(self, name: str, settings: RemoteSettings, *, shared: bool) -> None:
        self.name = name
        self.settings = settings
        self.shared = shared
        self._storage: Storage | None = None

    @property
    def url(self) -> str:
        """Folder or URL."""
        return self.settings.url

    @property
    def folder(self) -> Path | None:
        """The folder that it is; None for a server."""
        return Path(self.url) if self.settings.scheme == "folder" else None

    def storage(self) -> Storage:
        """Return its storage, open.

        Raises
        ------
        EnvironmentFault
            It cannot be reached.
        """
        if self._storage is None:
            storage = connect.storage_of(self.settings)
            loop.run(trying(storage.open))
            self._storage = storage
        return self._storage

    def close(self) -> None:
        """Let the connections go."""
        if self._storage is not None:
            loop.run(self._storage.close())
            self._storage = None

    def objects(self) -> dict[str, Held]:
        """Return every object by its name."""
        listed = self.listing(OBJECTS)
        found = {}
        for key, stat in listed.items():
            name = "".join(key.split("/")[-2:])
            if NAME.fullmatch(name) and key == key_of(name):
                found[name] = self._held(key, stat)
        return found

    def listing(self, folder: str) -> dict[str, Stat]:
        """Return everything below a folder."""
        storage = self.storage()
        return loop.run(trying(lambda: storage.listing(folder)))

    def read(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return some small files; those that are not there are left out."""
        storage = self.storage()

        async def one(key: str) -> tuple[str, bytes | None]:
            try:
                return key, await trying(lambda: storage.read(key))
            except FileNotFoundError:
                return key, None

        found: dict[str, bytes] = {}
        keys = list(keys)
        for start in range(0, len(keys), storage.parallel):
            part = loop.run(together([one(key) for key in keys[start : start + storage.parallel]]))
            found |= {key: content for key, content in part if content is not None}
        return found

    def remove(self, keys: Iterable[str]) -> None:
        """Remove some files."""
        storage = self.storage()
        keys = list(keys)

        async def one(key: str) -> None:
            await trying(lambda: storage.remove(key))

        for start in range(0, len(keys), storage.parallel):
            loop.run(together([one(key) for key in keys[start : start + storage.parallel]]))

    def write(self, key: str, text: str, near: Path) -> None:
        """Write a small file.

        Parameters
        ----------
        near
            Folder for the file on its way.
        """
        near.mkdir(parents=True, exist_ok=True)
        file = near / f"sending.{os.getpid()}.tmp"
        storage = self.storage()
        try:
            file.write_text(text, encoding="utf-8", newline="\n")
            loop.run(trying(lambda: storage.send(file, key)))
        finally:
            file.unlink(missing_ok=True)

    def _held(self, key: str, stat: Stat) -> Held:
        if self.folder is None:
            return Held(stat.size, stat.modified)
        try:
            found = (self.folder / key).stat()
        except OSError:
            return Held(stat.size, None)
        # a file keeps the time of its making when it is moved to its place; that of its entry tells when it came
        mine: Any = getattr(os, "geteuid", None)
        return Held(stat.size, max(found.st_mtime, found.st_ctime), mine is not None and found.st_uid != mine())


def cache_of(project: Project) -> Place:
    """Return the local cache."""
    folder = cache_folder(project).parent.parent
    return Place(CACHE, RemoteSettings(CACHE, str(folder)), shared=not folder.is_relative_to(project.root))


def remote_place(project: Project, name: str | None) -> Place:
    """Return a remote; None: the default one.

    Raises
    ------
    ProjectError
        There is no such remote.
    """
    settings = remote_settings(project, name)
    return Place(settings.name, settings, shared=True)
