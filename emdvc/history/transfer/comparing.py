"""What a remote has of what it is to hold: every object asked for, and its size compared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emdvc.history.cache_place import object_path
from emdvc.history.dvc_manifest import parsed_list
from emdvc.history.storage import loop
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.remote import Arrived, Remote
from emdvc.history.transfer.crowd import crowd
from emdvc.history.transfer.needed import Lot

_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")
#: Bytes of an object that is read to learn whether a server's marks are md5s.
_SMALL = 64 << 20


@dataclass(slots=True)
class Plan:
    """What is to be done with a lot.

    Parameters
    ----------
    lot
        What the remote is to hold.
    send
        Objects to send, in order.
    sizes
        Bytes of each of them.
    there
        Objects that are there as they should be.
    repaired
        Objects to send of which the remote has other bytes.
    absent
        Objects that are neither here nor there.
    sent
        Objects that were sent, in the end.
    """

    lot: Lot
    send: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    repaired: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(self.sizes.values())

    def safe(self, *, dry_run: bool = False) -> set[str]:
        """Return the files and directories that are there with all that belongs to them."""
        held = self.there | (set(self.send) if dry_run else self.sent)
        return {md5 for md5 in held if held.issuperset(self.lot.of(md5))}


def compared(place: Remote, lot: Lot, cache: Path) -> Plan:
    """Ask a remote for all objects that it is to hold.

    Parameters
    ----------
    place
        The remote.
    lot
        The objects; lists that are there and not here are read, and added to it.
    cache
        Folder of the cache's objects.

    Raises
    ------
    EnvironmentFault
        The remote did not answer.
    """
    if lot.unread:
        loop.run(_read_lists(place, lot))
    found = loop.run(place.there(lot.names))
    plan = Plan(lot)
    doubted: dict[str, int] = {}
    for md5 in lot.names:
        size = _size(object_path(cache, md5))
        there = found.get(md5)
        if there is not None and (size is None or size == there.size):
            plan.there.add(md5)
            if size is not None and _other_mark(md5, there):
                doubted[md5] = size
        elif size is None:
            plan.absent.add(md5)
        else:
            plan.send.append(md5)
            plan.sizes[md5] = size
            if there is not None:
                plan.repaired.append(md5)
    for md5 in _corrupt(place, doubted, len(plan.there)):
        plan.there.discard(md5)
        plan.send.append(md5)
        plan.sizes[md5] = doubted[md5]
        plan.repaired.append(md5)
    return plan


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def _other_mark(md5: str, stat: Stat) -> bool:
    """Say whether a server's mark looks like an md5 and is another one."""
    return bool(stat.etag and _PLAIN_MD5.fullmatch(stat.etag) and stat.etag != md5.removesuffix(".dir"))


def _corrupt(place: Remote, doubted: Mapping[str, int], count: int) -> Iterable[str]:
    """Return which objects with another mark are corrupt.

    Where a server encrypts, its marks look like md5s and are none: then the first such object is good all the same, and
    the marks say nothing of the others.
    """
    if not doubted:
        return ()
    smallest = min(doubted, key=doubted.__getitem__)
    if len(doubted) == count and doubted[smallest] > _SMALL:
        return ()  # no mark of this server ever fitted, and to read one object would take long
    arrived, _ = loop.run(place.load(smallest))
    return () if arrived is Arrived.GOOD else doubted


async def _read_lists(place: Remote, lot: Lot) -> None:
    """Read the lists that the cache lacks; those that are not there either are asked for like files, and absent."""

    async def one(md5: str) -> None:
        name = lot.unread[md5]
        arrived, content = await place.load(md5)
        files = parsed_list(content) if arrived is Arrived.GOOD else None
        if files is None:
            lot.unread.pop(md5)
            lot.names.setdefault(md5, name)
            lot.lists.setdefault(md5, ())
        else:
            lot.add(md5, name, files, optional=md5 in lot.optional)

    await crowd(one, list(lot.unread), (await place.storage()).parallel)
