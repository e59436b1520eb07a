"""What a remote lets us do, tried with a small file below ``emdvc-tmp/`` that is removed again."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.project import Project
from emdvc.history.remotes import measuring
from emdvc.history.remotes.measuring import Speed
from emdvc.history.remotes.protection import Protection, forget_versions, free, protection
from emdvc.history.storage.connect import storage_of
from emdvc.history.storage.contract import RemoteSettings, Storage, fault
from emdvc.history.storage.remote import key_of

#: Folder on the remote for what is no data.
PLACE = "emdvc-tmp"
_SIZE = 16 << 10
#: Seconds without an answer after which a remote that is only looked at counts as silent.
_PATIENCE = 20.0


@dataclass(slots=True)
class Seen:
    """What was seen of a remote.

    Parameters
    ----------
    round_trip
        Seconds of a small question.
    rights
        ``list``, ``read``, ``write``, ``delete`` -> True, or the fault; absent where it was not tried.
    reading
        What reading was tried with, in words, where nothing was written.
    skew
        Seconds by which its clock is ahead of ours.
    notes
        Whether of two who put the same object one wins, as ``emdvc lock`` needs it; else the fault.
    free
        Bytes of room, where known.
    protection
        Of a bucket; None where there is no such thing, or why it is not known.
    speed
        Up and down; None where not measured.
    slow
        The fault because of which it was not.
    kept
        Why it was left out, where what is measured with could not be removed again.
    """

    round_trip: float = 0.0
    rights: dict[str, bool | EmdvcError] = field(default_factory=dict)
    reading: str = ""
    skew: float | None = None
    notes: bool | EmdvcError | None = None
    free: float | None = None
    protection: Protection | EmdvcError | None = None
    speed: tuple[Speed, Speed] | None = None
    slow: EmdvcError | None = None
    kept: str = ""


async def tried(project: Project, settings: RemoteSettings, *, writes: bool, quick: bool) -> Seen:
    """Use a remote, and return what was seen.

    Parameters
    ----------
    project
        The project.
    settings
        Of the remote.
    writes
        Whether something may be sent there.
    quick
        Whether nothing is written and no throughput is measured.

    Raises
    ------
    EnvironmentFault
        It does not let us in at all.
    """
    settings = replace(settings, patience=min(settings.patience, _PATIENCE))
    seen = Seen()
    async with _opened(settings) as storage:
        key = f"{PLACE}/check-{uuid.uuid4().hex}"
        asked = await _look(storage, key, seen)
        if writes and not quick:
            await _write(storage, key, seen)
        elif not quick:
            await _read_recorded(project, storage, seen)
        # one fault in everything that was tried is no lack of rights: nobody is let in
        if asked is not None and not any(outcome is True for outcome in seen.rights.values()):
            raise asked
        if quick:
            return seen
        seen.free = await free(storage)
        seen.protection = await protection(storage)
        if seen.rights.get("write") is True:
            await _note(storage, f"{key}-note", seen)
            await _measure(storage, key, seen)
            await forget_versions(storage, key)
    return seen


async def _measure(storage: Storage, key: str, seen: Seen) -> None:
    if isinstance(seen.protection, Protection) and seen.protection.default:
        seen.kept = "each file that is sent there is locked"
        return
    if seen.rights.get("delete") is not True:
        seen.kept = "what is sent there could not be removed again"
        return
    try:
        seen.speed = await measuring.throughput(storage, key)
    except (EmdvcError, TimeoutError) as error:
        hint = "try again where the line is better"
        seen.slow = error if isinstance(error, EmdvcError) else fault(storage.settings, "is slow", error, hint)


async def _note(storage: Storage, key: str, seen: Seen) -> None:
    if seen.rights.get("delete") is not True or (isinstance(seen.protection, Protection) and seen.protection.default):
        return  # it could not be removed again
    try:
        seen.notes = [await storage.create(key, b"1"), await storage.create(key, b"2")] == [True, False]
        await storage.remove(key)
        await forget_versions(storage, key)
    except EnvironmentFault as error:
        seen.notes = error


async def _look(storage: Storage, key: str, seen: Seen) -> EnvironmentFault | None:
    """Ask for a file that is not there, and list a folder; return the fault where neither is answered."""
    refused = None
    try:
        seen.round_trip = await measuring.round_trip(storage, key)
    except EnvironmentFault as error:
        if error.code != Code.REMOTE_REFUSED:
            raise
        refused = error  # S3 does not tell whoever may not list what is not there
    if not getattr(storage, "lists", True):
        if refused is None:
            seen.rights["read"] = True
        return refused
    try:
        begun = time.perf_counter()
        await storage.listing(PLACE)
        seen.round_trip = seen.round_trip or time.perf_counter() - begun
        seen.rights["list"] = True
        return None
    except EnvironmentFault as error:
        if error.code != Code.REMOTE_REFUSED:
            raise
        seen.rights["list"] = error
        return error


async def _write(storage: Storage, key: str, seen: Seen) -> None:
    with tempfile.TemporaryDirectory(prefix="emdvc-") as folder:
        source, content = Path(folder) / "small", os.urandom(_SIZE)
        source.write_bytes(content)
        before = time.time()
        try:
            await storage.send(source, key)
            seen.rights["write"] = True
        except EnvironmentFault as error:
            seen.rights["write"] = error
            return
        after = time.time()
    try:
        there = await storage.stat(key)
        if there is None or await storage.read(key) != content:
            seen.rights["read"] = _other_bytes(storage.settings, key)
        else:
            seen.rights["read"] = True
        if there is not None and there.modified is not None:
            # servers tell whole seconds
            seen.skew = min(there.modified - before + 1, 0.0) + max(there.modified - after, 0.0)
    except (EnvironmentFault, FileNotFoundError) as error:
        seen.rights["read"] = error if isinstance(error, EnvironmentFault) else _other_bytes(storage.settings, key)
    try:
        await storage.remove(key)
        seen.rights["delete"] = True
    except EnvironmentFault as error:
        seen.rights["delete"] = error


def _other_bytes(settings: RemoteSettings, key: str) -> EnvironmentFault:
    hint = "a proxy or a cache on the way, or a damaged disk there: tell its administrator"
    return fault(settings, "did not give back what it took", key, hint, code=Code.DATA_CORRUPT)


async def _read_recorded(project: Project, storage: Storage, seen: Seen) -> None:
    """Read the beginning of something that the project records, where nothing may be written."""
    from emdvc.history.recorded import recorded
    from emdvc.history.snapshot import Snapshot

    with Snapshot(project) as snapshot:
        entries = [entry for entry in recorded(snapshot).values() if entry.md5][:5]
    for entry in entries:
        with suppress(FileNotFoundError):
            try:
                there = await storage.stat(key_of(entry.md5))
                if there is None:
                    continue
                await storage.read(key_of(entry.md5), 0, min(there.size, _SIZE))
                seen.rights["read"] = True
            except EnvironmentFault as error:
                seen.rights["read"] = error
            return
    if seen.rights.get("read") is not True or entries:
        seen.rights.pop("read", None)
    seen.reading = "nothing that the workspace records is there yet" if entries else "allowed; nothing is recorded yet"


@asynccontextmanager
async def _opened(settings: RemoteSettings) -> AsyncIterator[Storage]:
    storage = storage_of(settings)
    try:
        await storage.open()
        yield storage
    finally:
        with suppress(EmdvcError):
            await storage.close()
