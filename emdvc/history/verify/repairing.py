"""A corrupt copy of an object, replaced by the good one of another place."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from emdvc.errors import Code, DataMissingError, EnvironmentFault
from emdvc.history.progress import Advance, Progress, silent
from emdvc.history.verify import copies as object_copies
from emdvc.history.verify.byte_check import ByteCheck
from emdvc.history.verify.copies import CacheObjects, Copy, Place, State
from emdvc.history.verify.remote_copies import RemoteCopies


@dataclass(frozen=True, slots=True)
class Repaired:
    """A copy that is good again.

    Parameters
    ----------
    md5
        Name of the object.
    place
        ``cache``, or the name of a remote.
    source
        Place that the good copy came from.
    """

    md5: str
    place: str
    source: str


def repair(check: ByteCheck, progress: Progress = silent) -> Iterator[Repaired]:
    """Replace every faulty copy of which there is a good one elsewhere; yield each as it is done.

    What is lost and still lies in the workspace is put into the cache. The good copy is read again and its md5
    compared before it replaces anything, and the new copy is read back. A copy is replaced in one step; nothing else is
    touched.

    Parameters
    ----------
    check
        What was found; what is repaired is good in it afterwards.
    progress
        Shows bytes.

    Raises
    ------
    DataMissingError
        The copy that was good a moment ago is not any more.
    EnvironmentFault
        The cache or the remote did not take the new copy, or gives back other bytes.
    """
    places: dict[str, Place] = {place.name: place for place in (*check.places, check.beside)}
    cache = check.places[0].name
    wrong = [(one.md5, one.place, one.good) for one in check.faults()]
    wrong += [(one.md5, cache, one.good) for one in check.lost()]
    for md5, place, good in wrong:
        if good:
            size = check.copies[good[0]][md5].size if good[0] in check.copies else 0
            with progress(f"repairing {md5}", size) as advance:
                check.copies[place][md5] = _replace(md5, places[good[0]], places[place], advance)
            yield Repaired(md5, place, good[0])


def _replace(md5: str, source: Place, target: Place, advance: Advance) -> Copy:
    local = Path(target.where(md5)) if isinstance(target, CacheObjects) else None
    with _fetched(md5, source, local.parent if local else None, advance) as fresh:
        if local is not None:
            fresh.chmod(0o444)  # as DVC keeps its cache
            if os.name == "nt" and local.exists():
                local.chmod(0o644)  # a read-only file is not replaced there
            fresh.replace(local)
        else:
            assert isinstance(target, RemoteCopies)
            target.replace(md5, fresh)
    back = object_copies.read_copy(target, md5, _unseen, threading.Event())
    if back.state is not State.GOOD:
        raise EnvironmentFault(
            f"{target.where(md5)} still holds other bytes after it was replaced",
            code=Code.DATA_CORRUPT,
            evidence=f"it is {back.state}",
            hint="check that disk or storage before anything else is kept there",
        )
    return replace(back, content=None)


@contextmanager
def _fetched(md5: str, source: Place, folder: Path | None, advance: Advance) -> Iterator[Path]:
    """Copy a good copy to a temporary file, which is removed at the end, checking its md5 on the way."""
    with tempfile.TemporaryDirectory(prefix="emdvc-repair-") as other:
        # beside the target, under a name that DVC, too, takes for a copy under way and clears up after a crash
        fresh = (folder or Path(other)) / f".{md5[2:]}.{os.getpid()}.tmp"
        try:
            if object_copies.copy_object(source, md5, fresh, advance).state is not State.GOOD:
                raise DataMissingError(
                    f"the copy in {source.name} is no longer good",
                    code=Code.DATA_CORRUPT,
                    evidence=source.where(md5),
                    hint="emdvc verify --bytes",
                )
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())  # the old copy is gone for good once this one has its name
            yield fresh
        finally:
            fresh.unlink(missing_ok=True)


def _unseen(count: int) -> None:
    return None
