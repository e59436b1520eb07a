"""The objects of a remote by their md5: what is there, read, fetched and sent; checked on the way.

A remote has the layout of DVC's cache: an object lies under the md5 of its bytes.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import os
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from emdvc.errors import EmdvcError
from emdvc.history.project import Project
from emdvc.history.storage import connect, loop
from emdvc.history.storage.contract import Advance, RemoteSettings, Stat, Storage, unseen
from emdvc.history.storage.settings import remote_settings
from emdvc.history.storage.trying import trying
from emdvc.history.workspace.hashing import file_md5

_T = TypeVar("_T")

#: Seconds in which a connection is closed in good order.
_GOODBYE = 1.0
#: Where the objects lie on a remote.
OBJECTS = "files/md5"
#: From so many wanted objects on under the same two letters, their folder is listed instead of asking for each.
_WORTH_A_LISTING = 3


class Arrived(StrEnum):
    """What came of fetching an object."""

    GOOD = "good"
    ABSENT = "absent"
    CORRUPT = "corrupt"


def key_of(md5: str) -> str:
    """Return where an object lies on a remote."""
    return f"{OBJECTS}/{md5[:2]}/{md5[2:]}"


class Remote:
    """The objects on one remote. Its coroutines run in :mod:`emdvc.history.storage.loop`; transient faults are retried.

    Parameters
    ----------
    settings
        Of the remote.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._storage: Storage | None = None
        self._opening: asyncio.Lock | None = None
        self._room: asyncio.Semaphore | None = None

    @property
    def name(self) -> str:
        """Of the remote, in the settings."""
        return self.settings.name

    @property
    def url(self) -> str:
        """Folder or URL, without credentials."""
        return self.settings.url

    async def storage(self) -> Storage:
        """Return the remote's storage, open.

        Raises
        ------
        EnvironmentFault
            It cannot be reached.
        """
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._storage is None:
                storage = connect.storage_of(self.settings)
                await trying(storage.open)
                jobs = self.settings.options.get("jobs", "")
                self._room = asyncio.Semaphore(int(jobs) if jobs.isdigit() and int(jobs) else storage.parallel)
                self._storage = storage
            return self._storage

    async def close(self) -> None:
        """Let the connections go."""
        storage, self._storage = self._storage, None
        if storage is not None:
            await storage.close()

    async def there(self, md5s: Iterable[str]) -> dict[str, Stat]:
        """Return which of some objects are there, with their sizes: asked of the remote itself, never remembered.

        Raises
        ------
        EnvironmentFault
            The remote did not answer.
        """
        storage = await self.storage()
        by_folder: dict[str, list[str]] = {}
        for md5 in dict.fromkeys(md5s):
            by_folder.setdefault(md5[:2], []).append(md5)

        async def listed(letters: str, wanted: list[str]) -> dict[str, Stat]:
            folder = f"{OBJECTS}/{letters}"
            async with self._limit():
                found = await trying(lambda: storage.listing(folder))
            return {md5: found[key_of(md5)] for md5 in wanted if key_of(md5) in found}

        async def asked(md5: str) -> dict[str, Stat]:
            async with self._limit():
                found = await trying(lambda: storage.stat(key_of(md5)))
            return {} if found is None else {md5: found}

        work = []
        for letters, wanted in by_folder.items():
            if len(wanted) >= _WORTH_A_LISTING and getattr(storage, "lists", True):  # a web server has no listing
                work.append(listed(letters, wanted))
            else:
                work.extend(asked(md5) for md5 in wanted)
        answer: dict[str, Stat] = {}
        for part in await together(work):
            answer.update(part)
        return answer

    async def read(self, md5: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of an object, unchecked: only the whole has a checksum.

        Raises
        ------
        FileNotFoundError
            There is no such object.
        EnvironmentFault
            The remote did not answer, or the object is shorter than `stop`.
        """
        storage = await self.storage()
        async with self._limit():
            return await trying(lambda: storage.read(key_of(md5), start, stop))

    async def load(self, md5: str) -> tuple[Arrived, bytes]:
        """Return a whole, small object, checked; no bytes where it is absent or corrupt."""
        try:
            content = await self.read(md5)
        except FileNotFoundError:
            return Arrived.ABSENT, b""
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5.removesuffix(".dir"):
            return Arrived.CORRUPT, b""
        return Arrived.GOOD, content

    async def fetch(self, md5: str, target: Path, advance: Advance = unseen) -> Arrived:
        """Fetch an object into a file and check it; what is in the file already is gone on from.

        A corrupt file is removed, so that it is not gone on from the next time.

        Raises
        ------
        EnvironmentFault
            The remote did not answer; what arrived stays in the file.
        """
        storage = await self.storage()
        async with self._limit():
            went_on = target.exists() and target.stat().st_size > 0
            try:
                await trying(lambda: storage.receive(key_of(md5), target, advance))
            except FileNotFoundError:
                return Arrived.ABSENT
            if await asyncio.to_thread(file_md5, str(target)) == md5.removesuffix(".dir"):
                return Arrived.GOOD
            target.unlink(missing_ok=True)
            if not went_on:
                return Arrived.CORRUPT
        return await self.fetch(md5, target, advance)  # the beginning that lay here may have been at fault

    async def send(self, md5: str, source: Path, advance: Advance = unseen) -> None:
        """Send an object; the storage checks that it is whole there.

        Raises
        ------
        EnvironmentFault
            The remote did not take it, or the file is not what its name says.
        """
        storage = await self.storage()
        async with self._limit():
            await trying(lambda: storage.send(source, key_of(md5), md5=md5.removesuffix(".dir"), advance=advance))

    def where(self, md5: str) -> str:
        """Return where an object lies, as a person would name it."""
        return f"{self.url.rstrip('/')}/{key_of(md5)}"

    def _limit(self) -> asyncio.Semaphore:
        assert self._room is not None, "the storage is not open"
        return self._room


async def together(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do work side by side; the first failure ends the rest and is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


_open: list[tuple[int, Remote]] = []


def remote_of(project: Project, name: str | None = None) -> Remote:
    """Return a remote of a project; its connections are kept as long as the process lives.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote; None for the default one.

    Raises
    ------
    ProjectError
        There is no such remote.
    """
    return connection_to(remote_settings(project, name))


def connection_to(settings: RemoteSettings) -> Remote:
    """Return the remote of some settings, the same as long as the process lives."""
    for pid, remote in _open:
        if pid == os.getpid() and remote.settings == settings:
            return remote
    _close_at_the_end()
    made = Remote(settings)
    _open.append((os.getpid(), made))
    return made


def close_all() -> None:
    """Let the connections of all remotes go, as at the end of a command; a silent server is not waited for."""
    while _open:
        pid, remote = _open.pop()
        if pid == os.getpid():
            with suppress(EmdvcError, OSError, TimeoutError):
                loop.run(asyncio.wait_for(remote.close(), _GOODBYE))


@cache
def _close_at_the_end() -> None:
    def close() -> None:
        with suppress(Exception):  # nobody is there to hear of it
            close_all()

    atexit.register(close)
