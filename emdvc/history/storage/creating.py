"""Putting a small object where there is none, so that of many who try at once exactly one succeeds.

Storages have different means for that. A name given by a link refuses one that is taken, and shows the whole object at
once. Where there are no links, a folder that only one can make stands beside the object while its one maker looks
whether the object is there and puts it.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from emdvc.errors import EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import ARRIVING, RemoteSettings, Storage, fault

#: Behind the name of an object: the folder of whoever is just putting it.
TAKEN = ".taken"


def cannot_create(settings: RemoteSettings, why: str) -> EnvironmentFault:
    """Return the fault of a remote where two who put the same object at once cannot be told apart.

    Parameters
    ----------
    settings
        Of the remote.
    why
        In one sentence.
    """
    hint = f"use a remote that can: a folder, S3, SSH or WebDAV; emdvc remote check {settings.name} tells"
    return fault(settings, "cannot keep locks", why, hint)


async def linked(
    storage: Storage, key: str, content: bytes, link: Callable[[str], Awaitable[bool | None]]
) -> bool | None:
    """Send an object under a passing name and give it its own by a link.

    Parameters
    ----------
    storage
        Where.
    key
        Of the object.
    content
        Its bytes.
    link
        Gives what lies under a passing key its own name, too. Returns whether it did; None where links are unknown.
    """
    passing = f"{ARRIVING}/{uuid.uuid4().hex}.part"
    await _sent(storage, passing, content)
    try:
        return await link(passing)
    finally:
        with suppress(EmdvcError):  # what is left there is swept some day
            await storage.remove(passing)


async def claimed(
    storage: Storage,
    key: str,
    content: bytes,
    take: Callable[[str], Awaitable[bool]],
    give_back: Callable[[str], Awaitable[None]],
) -> bool:
    """Put an object where there is none, beside a folder that only one can make.

    A process that is killed in between leaves the folder: nobody can put this object any more.

    Parameters
    ----------
    storage, key, content
        As for :func:`linked`.
    take
        Makes a folder, and returns whether it was not there.
    give_back
        Removes it.
    """
    claim = key + TAKEN
    if not await take(claim):
        return False
    try:
        if await storage.stat(key) is not None:
            return False
        await _sent(storage, key, content)
        return True
    finally:
        with suppress(EmdvcError, FileNotFoundError):
            await give_back(claim)


async def _sent(storage: Storage, key: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="emdvc-", ignore_cleanup_errors=True) as folder:
        source = Path(folder) / "object"
        source.write_bytes(content)
        await storage.send(source, key)
