"""The pages of a project on a remote: a new one follows the last, and of all who write it at once one succeeds.

Nothing is ever overwritten. A page has a number, and the one with the highest number holds. Who changes something reads
it and puts the next number where there is none; who finds that somebody else was faster reads again. The last few pages
stay, so that who is listing them meanwhile finds one.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.locking.note import Page
from emdvc.history.storage.contract import ARRIVING, InterruptedFault, Storage, fault
from emdvc.history.storage.remote import Remote
from emdvc.history.storage.trying import trying

#: Folder of a remote for the pages of all projects.
FOLDER = "emdvc-locks"

_NAME = re.compile(r"(\d{8})\.yaml")
#: Pages that stay.
_KEPT = 3
#: Tries to be the one; each failure means that somebody else has succeeded.
_TRIES = 60
#: Seconds after which somebody who has begun a page is taken for dead.
_DEAD = 4.0


@dataclass(frozen=True, slots=True)
class Found:
    """The page that holds.

    Parameters
    ----------
    number
        0 where there is none yet.
    page
        What stands on it.
    """

    number: int
    page: Page


class Pages:
    """The pages of one project on one remote; coroutines of the storage's loop.

    Parameters
    ----------
    remote
        Where they lie.
    project
        The text that all clones of the project have in common.
    """

    def __init__(self, remote: Remote, project: str) -> None:
        self._remote = remote
        self._folder = f"{FOLDER}/{project}"

    async def newest(self) -> Found:
        """Return the page that holds.

        Raises
        ------
        EnvironmentFault
            The remote does not answer, or the page is damaged.
        """
        storage = await self._remote.storage()
        if not getattr(storage, "lists", True):
            return Found(0, Page())  # nobody can put a page on a web server
        while True:
            number = max(await self._numbers(storage), default=0)
            if number == 0:
                return Found(0, Page())
            with suppress(FileNotFoundError):  # many others have written meanwhile
                key = self._key(number)
                page = Page.parse((await trying(lambda: storage.read(key))).decode("utf-8", "replace"))  # noqa: B023
                if page is None:
                    raise self._damaged(key)
                return Found(number, page)

    async def change(self, change: Callable[[Page, float], Page | None]) -> Page:
        """Write the page that follows, and return it.

        Parameters
        ----------
        change
            Makes the next page of the last one and the remote's time; None: everything stays. Called again where
            somebody else was faster.

        Raises
        ------
        EnvironmentFault
            The remote does not answer, or cannot do this.
        """
        storage = await self._remote.storage()
        if not getattr(storage, "creates", True):
            await storage.create(self._folder, b"")  # raises, and says why not
        now = await clock(storage)
        for _ in range(_TRIES):
            last = await self.newest()
            made = change(last.page, now)
            if made is None:
                return last.page
            made = replace(made, name=uuid.uuid4().hex)
            if await self._put(storage, last.number, made):
                return made
            await asyncio.sleep(random.uniform(0.02, 0.3))
        raise fault(
            self._remote.settings,
            "is written to by many at once",
            f"{self._folder}: somebody else was faster {_TRIES} times",
            "the same command tries again",
            kind=InterruptedFault,
        )

    async def _put(self, storage: Storage, last: int, page: Page) -> bool:
        """Put the page that follows; return whether it holds."""
        number, content = last + 1, page.text().encode()
        key = self._key(number)
        if not await trying(lambda: storage.create(key, content)) and not await self._is_ours(storage, key, page):
            if not await self._abandoned(storage, last):
                return False
            number += 1  # whoever has begun that page is dead
            key = self._key(number)
            if not await trying(lambda: storage.create(key, content)) and not await self._is_ours(storage, key, page):
                return False
        numbers = await self._numbers(storage)
        if any(one > last and one != number for one in numbers):
            # somebody wrote while the pages we had seen were being cleared away: theirs holds
            await self._remove(storage, number)
            return False
        for old in sorted(numbers)[:-_KEPT]:
            await self._remove(storage, old)
        return True

    async def _is_ours(self, storage: Storage, key: str, page: Page) -> bool:
        """Say whether a page is the one that we have put, although the line broke before we were told."""
        try:
            found = Page.parse((await trying(lambda: storage.read(key))).decode("utf-8", "replace"))
        except FileNotFoundError:
            return False
        return found is not None and found.name == page.name

    async def _abandoned(self, storage: Storage, last: int) -> bool:
        """Wait for the page that somebody else has begun; say whether it never came."""
        until = time.monotonic() + _DEAD
        while time.monotonic() < until:
            if any(number > last for number in await self._numbers(storage)):
                return False
            await asyncio.sleep(0.25)
        return True

    async def _numbers(self, storage: Storage) -> list[int]:
        found = await trying(lambda: storage.listing(self._folder))
        names = (_NAME.fullmatch(key.removeprefix(f"{self._folder}/")) for key in found)
        return [int(name[1]) for name in names if name]

    async def _remove(self, storage: Storage, number: int) -> None:
        with suppress(EmdvcError, FileNotFoundError):  # where nothing may be removed, old pages stay
            await storage.remove(self._key(number))

    def _key(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.yaml"

    def _damaged(self, key: str) -> EnvironmentFault:
        hint = f"remove {self._remote.url.rstrip('/')}/{key}: the page before it holds then"
        return fault(self._remote.settings, "has a damaged page of locks", key, hint, code=Code.DATA_CORRUPT)


async def clock(storage: Storage) -> float:
    """Return the time of a storage, in seconds since 1970: as it says, or as a file shows that is just written."""
    said: Any = getattr(storage, "clock", None)
    if said is not None and (told := await trying(said)) is not None:
        return float(told)
    key = f"{ARRIVING}/clock-{uuid.uuid4().hex}"
    with TemporaryDirectory(prefix="emdvc-", ignore_cleanup_errors=True) as folder:
        source = Path(folder) / "clock"
        source.write_bytes(b"x")
        try:
            await trying(lambda: storage.send(source, key))
            there = await trying(lambda: storage.stat(key))
        finally:
            with suppress(EmdvcError, FileNotFoundError):
                await storage.remove(key)
    return time.time() if there is None or there.modified is None else there.modified
