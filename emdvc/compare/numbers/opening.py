"""The numbers of a dataset as they lie in a file, in the workspace, or at a revision: opened only to be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from emdvc.compare.numbers.arrays import Reading, Side, compare_numbers, paired
from emdvc.compare.numbers.values import ValueChange
from emdvc.history.recorded import Recorded
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.compare.state import State
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.objects import Objects

#: Numbers whose digests are the same on both sides are read nevertheless up to this many bytes, where they are here:
#: a digest is only as good as who wrote it.
_CHECKED = 4 << 30
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Version:
    """A dataset as it was sometime, not yet open.

    Parameters
    ----------
    sidecar
        What is known of it, resolved.
    open
        Opens it.
    here
        Says whether all of its bytes are on this machine.
    """

    sidecar: Sidecar
    open: Callable[[], AbstractContextManager[Side]]
    here: Callable[[], bool]


def recorded_version(objects: Objects, record: Recorded, revision: str | None, sidecar: Sidecar) -> Version:
    """Return a dataset as DVC recorded it at a revision (None: in the workspace)."""

    @contextmanager
    def side() -> Iterator[Side]:
        from emdvc.formats.contract import ReadOptions
        from emdvc.history.lazy.opening import open_files
        from emdvc.history.lazy.recorded_dataset import recorded_dataset

        dataset = recorded_dataset(objects.project, record.path, record, revision, sidecar=sidecar)
        found = open_files(dataset, ReadOptions.from_dict(sidecar.source.get("options") or {}))
        try:
            yield Side(sidecar, found, dataset.files if dataset.is_store else {})
        finally:
            found.close()

    def here() -> bool:
        if not objects.here([record.md5]):
            return False
        return not record.is_directory or objects.here(set(objects.manifest(record.md5, str(record.path)).values()))

    return Version(sidecar, side, here)


def file_version(state: State, typed: str, options: ReadOptions | None = None) -> Version:
    """Return a dataset as it lies on the disk.

    Parameters
    ----------
    state
        What was found of it.
    typed
        As it was named: a path may hold a place inside the file.
    options
        How to read it, where it has no sidecar.
    """

    @contextmanager
    def side() -> Iterator[Side]:
        from emdvc.formats.dataset import open_lazy

        opened, sidecar = open_lazy(state.path if state.recorded else typed, options)
        try:
            yield Side(sidecar, opened)
        finally:
            opened.close()

    return Version(state.sidecar, side, state.path.exists)


def value_changes(before: Version, after: Version, reading: Reading) -> tuple[ValueChange, ...]:
    """Return what differs in the numbers of the arrays that both versions have.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        Bytes are neither here nor on the remote; the remote does not answer; a file is damaged.
    """
    if _same_digests(before.sidecar, after.sidecar):
        from numpy import dtype

        size = sum(prod(info.shape) * dtype(info.dtype).itemsize for info in after.sidecar.variables.values())
        if size > _CHECKED or not (before.here() and after.here()):
            return ()
    with before.open() as old, after.open() as new:
        found = [compare_numbers(old, new, names, reading) for names in paired(old, new)]
    return tuple(change for change in found if change is not None)


def _same_digests(before: Sidecar, after: Sidecar) -> bool:
    first, second = ({name: info.digest for name, info in sidecar.variables.items()} for sidecar in (before, after))
    return first == second and bool(first) and all(first.values())


def same_bytes(a: Path, b: Path) -> bool:
    """Say whether two files, or the files of two directories, hold the same bytes; false where one is not there."""
    if a.is_dir() and b.is_dir():
        first, second = ({path.relative_to(top) for path in top.rglob("*") if path.is_file()} for top in (a, b))
        return first == second and all(same_bytes(a / path, b / path) for path in first)
    if not (a.is_file() and b.is_file()) or a.stat().st_size != b.stat().st_size:
        return False
    with a.open("rb") as one, b.open("rb") as other:
        while block := one.read(_BLOCK):
            if block != other.read(_BLOCK):
                return False
    return True
