"""Objects of the cache on their way to a remote: checked before, side by side, a directory's list after its files."""

from __future__ import annotations

import asyncio
from pathlib import Path

from emdvc.engine.cores import default_threads
from emdvc.history.cache_place import object_path
from emdvc.history.storage.contract import Advance
from emdvc.history.storage.remote import Remote
from emdvc.history.transfer.comparing import Plan
from emdvc.history.transfer.crowd import crowd
from emdvc.history.workspace.hashing import file_md5

#: Objects that are checked or under way at a time, per request that the remote takes at a time.
_AHEAD = 2


async def send(place: Remote, plan: Plan, cache: Path, advance: Advance) -> set[str]:
    """Send what is planned; what was sent is noted in the plan.

    Parameters
    ----------
    place
        The remote.
    plan
        What to send.
    cache
        Folder of the cache's objects.
    advance
        Told the bytes.

    Returns
    -------
    Objects that are corrupt in the cache and were not sent.

    Raises
    ------
    EnvironmentFault
        The remote did not take an object; those under way were given up.
    """
    corrupt: set[str] = set()
    waits_for = {
        md5: {one for one in plan.lot.lists[md5] if one not in plan.there} for md5 in plan.send if md5 in plan.lot.lists
    }
    lists_of: dict[str, list[str]] = {}
    for md5, files in waits_for.items():
        for file in files:
            lists_of.setdefault(file, []).append(md5)
    checking = asyncio.Semaphore(default_threads())

    async def one(md5: str) -> None:
        source = object_path(cache, md5)
        async with checking:
            found = await asyncio.to_thread(file_md5, str(source))
        if found != md5.removesuffix(".dir"):
            corrupt.add(md5)
            return
        await place.send(md5, source, advance)
        plan.sent.add(md5)
        for each in lists_of.get(md5, ()):
            waits_for[each].discard(md5)
            if not waits_for[each]:
                await one(each)

    first = [md5 for md5 in plan.send if not waits_for.get(md5)]
    await crowd(one, first, (await place.storage()).parallel * _AHEAD)
    return corrupt
