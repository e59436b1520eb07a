"""Which parts of an array may differ: found from the checksums of its chunk files, before any of them is read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.region import extent as lengths
from emdvc.formats.region import whole as all_of
from emdvc.formats.zarr_keys import ChunkKeys, keys_of

#: Bytes of a block that is compared at a time.
BLOCK = 8 << 20
#: Bytes of a piece when two arrays are compared as a whole.
_PIECE = 16 << 20
#: A pattern up to this size, in bytes, is compared whole where one of its chunks differs.
_PATTERN = 4 << 20
#: Regions whose chunks are fetched together.
_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Extent:
    """What is to be compared.

    Parameters
    ----------
    regions
        They cover everything that may differ, and overlap nowhere.
    chunks, chunks_of
        Chunk files that differ, and that the array has; 0 where they are not known.
    """

    regions: tuple[Region, ...]
    chunks: int = 0
    chunks_of: int = 0


def differing_regions(
    a: LazyArray,
    b: LazyArray,
    before: Mapping[str, str],
    after: Mapping[str, str],
    positions: tuple[int, ...],
    *,
    whole: bool,
) -> Extent:
    """Return what may differ between two arrays of one shape.

    Parameters
    ----------
    a, b
        The arrays.
    before, after
        Relative path -> md5 of their stores' files; empty where they are not known.
    positions
        Axes over probe positions: along the others, patterns are compared whole.
    whole
        Whether all is compared, whatever the checksums say.
    """
    first, second = keys_of(a), keys_of(b)
    everything = Extent((all_of(b),))
    if first is None or second is None or not before or not after or first.stored != second.stored:
        return everything
    held, holds = _stored(first, before), _stored(second, after)
    differing = sorted(index for index in held.keys() | holds.keys() if held.get(index) != holds.get(index))
    count = math.prod(-(-n // s) for n, s in zip(first.shape, first.stored, strict=True))
    if len(held.keys() | holds.keys()) < count and _metadata(first, before) != _metadata(second, after):
        return Extent(everything.regions, len(differing), count)  # the fill value may be another
    if whole:
        return Extent(everything.regions, len(differing), count)
    itemsize = max(a.dtype.itemsize, b.dtype.itemsize)
    found = dict.fromkeys(_region(index, second, positions, itemsize) for index in differing)
    return Extent(tuple(_slices(one) for one in found), len(differing), count)


def windows(regions: Iterable[Region]) -> Iterator[list[Region]]:
    """Yield regions some at a time: the chunks of each lot are fetched together."""
    waiting = iter(regions)
    while lot := list(islice(waiting, _TOGETHER)):
        yield lot


def parts(region: Region, chunks: tuple[int, ...], itemsize: int) -> Iterator[Region]:
    """Yield the blocks in which a region is compared: whole chunks, about :data:`BLOCK` bytes."""
    start = tuple(part.start for part in region)
    for piece in pieces(lengths(region), chunks, itemsize, BLOCK):
        yield tuple(slice(p.start + s, p.stop + s) for p, s in zip(piece, start, strict=True))


def pieces(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int, limit: int = _PIECE) -> Iterator[Region]:
    """Yield regions that cover an array: whole chunks, as many as a limit in bytes allows, one at least."""
    block = [max(1, min(c, n)) for c, n in zip(chunks, shape, strict=True)]
    for axis in range(len(shape) - 1, -1, -1):
        room = limit // max(1, math.prod(block) * itemsize)
        block[axis] = min(max(1, shape[axis]), block[axis] * max(1, room))
        if block[axis] < shape[axis]:
            break
    along = [
        [slice(start, min(start + step, n)) for start in range(0, n, step)]
        for n, step in zip(shape, block, strict=True)
    ]
    yield from itertools.product(*along)


def _stored(keys: ChunkKeys, files: Mapping[str, str]) -> dict[tuple[int, ...], str]:
    """Return the md5 of each chunk file by its index."""
    found = {}
    for path, md5 in files.items():
        region = keys.region(path)
        if region is not None:
            found[tuple(part.start // size for part, size in zip(region, keys.stored, strict=True))] = md5
    return found


def _metadata(keys: ChunkKeys, files: Mapping[str, str]) -> tuple[str | None, ...]:
    folder = f"{keys.folder}/" if keys.folder else ""
    return tuple(files.get(f"{folder}{name}") for name in ("zarr.json", ".zarray"))


def _region(
    index: tuple[int, ...], keys: ChunkKeys, positions: tuple[int, ...], itemsize: int
) -> tuple[tuple[int, int], ...]:
    core = [axis for axis in range(len(keys.shape)) if axis not in positions]
    wide = bool(positions) and math.prod(keys.shape[axis] for axis in core) * itemsize <= _PATTERN
    return tuple(
        (0, n) if wide and axis in core else (i * s, min((i + 1) * s, n))
        for axis, (i, s, n) in enumerate(zip(index, keys.stored, keys.shape, strict=True))
    )


def _slices(ends: tuple[tuple[int, int], ...]) -> Region:
    return tuple(slice(*pair) for pair in ends)
