"""What data at a source are: read there once, for their record, their checksums, and the digest of their numbers."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, EnvironmentFault, FormatError
from emdvc.formats import registry
from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region
from emdvc.formats.describe import describe
from emdvc.formats.digest import content_digest
from emdvc.formats.zarr_keys import ChunkKeys, keys_of
from emdvc.history import adding_ranges, blocks
from emdvc.history.adding_files import Source
from emdvc.history.blocks import Ranges
from emdvc.history.in_place.finished import Finished
from emdvc.history.in_place.spool import Spool
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
#: Samples of a line of coordinates, whose files are read when the store is opened.
_SMALL = 1 << 16
#: Threads that read blocks: more than processors, because most of their time they wait for the source. Fixed: how
#: arrays are cut follows from it, and a run that goes on after a kill must cut them alike.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Described:
    """What was found out.

    Parameters
    ----------
    sidecar
        Without the files.
    ranges
        What is known of large files, so that parts of them can be read alone.
    missing
        Chunk files that the source does not have; they read as the fill value.
    """

    sidecar: Sidecar
    ranges: Ranges
    missing: tuple[str, ...] = ()


def described(spool: Spool, finished: Finished, options: ReadOptions) -> Described:
    """Read a dataset at its source.

    Of a Zarr store each chunk file passes through this machine once. Any other file is here whole for a while: only
    its reader knows which of its bytes say what it is.

    Parameters
    ----------
    spool
        Its files.
    finished
        What was read before a kill.
    options
        How to read it.

    Raises
    ------
    FormatError
        It cannot be read.
    EnvironmentFault
        The source did not answer, it is being written, or a file does not find room here.
    """
    try:
        return _store(spool, finished, options) if is_store(spool.files) else _whole(spool, options)
    except FormatError as error:
        texts = (text and text.replace(str(spool.top), spool.place.url) for text in (error.cause, error.evidence))
        cause, evidence = texts
        hint = error.hint if error.code != Code.FORMAT_BROKEN else "ask who keeps it whether it is complete"
        raise FormatError(str(cause), code=error.code, evidence=evidence, hint=hint) from error


def is_store(files: Iterable[str]) -> bool:
    """Say whether files are those of a Zarr store."""
    return any(name in ("zarr.json", ".zarray", ".zgroup") for name in files)


def _store(spool: Spool, finished: Finished, options: ReadOptions) -> Described:
    with _open_store(spool, options) as opened:
        found = _digested(spool, finished, opened, options)
    spool.sum_rest()
    return found


def foreseen(spool: Spool, options: ReadOptions) -> Sidecar:
    """Return the sidecar of a Zarr store as far as its metadata tell it: without digests.

    Raises
    ------
    FormatError, EnvironmentFault
        As :func:`described`.
    """
    with _open_store(spool, options) as opened:
        return describe(opened, options=options, files=[], digests={})


@contextmanager
def _open_store(spool: Spool, options: ReadOptions) -> Iterator[Opened]:
    """Open a store of which the metadata and the coordinates are here."""
    metadata = [file for file in spool.files if PurePosixPath(file).name in _METADATA]
    with spool.holding(metadata):
        small = tuple(f"{folder}/" for folder in _small_arrays(spool, metadata))
        with spool.holding(file for file in spool.files if file.startswith(small)):
            opened = registry.open_file(spool.top, options)
            try:
                yield opened
            finally:
                opened.close()


def _digested(spool: Spool, finished: Finished, opened: Opened, options: ReadOptions) -> Described:
    keys = [keys_of(variable.array) for variable in opened.variables]
    if any(one is None for one in keys):  # a view of which no one knows the chunk files
        with spool.holding(spool.files):
            digests = {one.name: content_digest(one.array) for one in opened.variables}
        return Described(describe(opened, options=options, files=[], digests=digests), Ranges())
    missing: list[str] = []
    digests = {}
    for variable, known in zip(opened.variables, keys, strict=True):
        assert known is not None
        array = _Passing(variable.array, known, spool)
        digests[variable.name] = content_digest(array, threads=_THREADS, kept=finished.of(variable.name))
        missing += [name for name in map(known.key, known.indices()) if name not in spool.files]
    sidecar = describe(opened, options=options, files=[], digests=digests)
    return Described(sidecar, Ranges(), tuple(missing))


class _Passing:
    """An array of a store at a source: the chunk files of a region are here while it is read."""

    def __init__(self, array: LazyArray, keys: ChunkKeys, spool: Spool) -> None:
        self._array, self._keys, self._spool = array, keys, spool
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.chunks: tuple[int, ...] = array.chunks

    def read(self, region: Region) -> NDArray[Any]:
        with self._spool.holding(self._keys.keys(region)):
            return self._array.read(region)


def _small_arrays(spool: Spool, metadata: Iterable[str]) -> set[str]:
    found = set()
    for name in metadata:
        folder, _, last = name.rpartition("/")
        if last in ("zarr.json", ".zarray") and folder:
            try:
                shape = json.loads(spool.path(name).read_bytes()).get("shape")
            except (ValueError, AttributeError):
                continue  # the reader will say so
            if isinstance(shape, list) and len(shape) <= 1 and math.prod(int(n) for n in shape) <= _SMALL:
                found.add(folder)
    return found


def _whole(spool: Spool, options: ReadOptions) -> Described:
    size = sum(stat.size for stat in spool.files.values())
    _check_room(spool, size)
    with spool.holding(spool.files):
        opened = registry.open_file(spool.top, options)
        try:
            digests = {one.name: content_digest(one.array) for one in opened.variables}
            sidecar = describe(opened, options=options, files=[], digests=digests)
            alone = "" in spool.files
            paths = tuple(spool.path(file) for file in spool.files)
            base = spool.top.parent if alone else spool.top
            source = Source(spool.top, base, paths, spool.top, not alone, here=False)
            ranges = Ranges(_block_sums(source), adding_ranges.places(source, opened))
        finally:
            opened.close()
    return Described(sidecar, ranges)


def _block_sums(source: Source) -> dict[str, blocks.BlockSums]:
    made = adding_ranges.sums_to_make(source)
    for file, summing in made.items():
        with file.open("rb", buffering=0) as reading:
            while part := reading.read(4 << 20):
                summing.update(part)
    return adding_ranges.named(source, made)


def _check_room(spool: Spool, size: int) -> None:
    folder: Path = spool.top.parent
    folder.mkdir(parents=True, exist_ok=True)
    here = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    if size - here > free:
        raise EnvironmentFault(
            f"{spool.place.url} does not find room here",
            code=Code.DISK_FULL,
            evidence=f"a file that is no Zarr store is here whole while it is read: {size / 1e9:.3g} GB, "
            f"{free / 1e9:.3g} GB are free",
            hint="run it on a machine of the facility, or convert it to Zarr there: emdvc convert",
        )
