"""Cutting an array into what a conversion reads at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.stored_array import StoredArray
from emdvc.formats.zarr_keys import pieces

#: A block is about so large, unless a file of the result, or a chunk of the source, is larger.
BLOCK = 16 << 20
#: What a source reads whole is read whole up to this size, even where it is many chunks of the result. A file of the
#: result that is larger (a shard) is read chunk by chunk.
LARGEST = 64 << 20


@dataclass(frozen=True, slots=True)
class ConvertBlocks:
    """The blocks of an array that is stored anew.

    The cut depends on the source and the form alone, not on threads or memory: floats are added up along it.

    Parameters
    ----------
    stored
        How the result is stored.
    block
        Samples of a block along each dimension: whole files of the result.
    chunk_by_chunk
        Whether a block is too large to be read at once.
    """

    stored: StoredArray
    block: tuple[int, ...]
    chunk_by_chunk: bool

    @classmethod
    def of(cls, array: LazyArray, stored: StoredArray) -> ConvertBlocks:
        """Return the blocks for a source: whole files of the result, and where that allows it whole chunks of its own.

        A chunk of the source that holds many of the result's would else be decoded for each of them again.
        """
        unit, shape, itemsize = stored.keys.stored, array.shape, array.dtype.itemsize
        block = [min(length, max(1, n)) for length, n in zip(unit, shape, strict=True)]

        def grown(axis: int, least: int) -> list[int]:
            length = min(-(-least // unit[axis]) * unit[axis], max(1, shape[axis]))
            return [length if other == axis else held for other, held in enumerate(block)]

        for axis, wanted in enumerate(array.chunks):
            if wanted > block[axis] and math.prod(grown(axis, wanted)) * itemsize <= LARGEST:
                block = grown(axis, wanted)
        for axis in reversed(range(len(block))):
            while block[axis] < shape[axis] and 2 * math.prod(block) * itemsize <= BLOCK:
                block = grown(axis, block[axis] + unit[axis])
            if block[axis] < shape[axis]:
                break
        return cls(stored, tuple(block), math.prod(block) * itemsize > LARGEST)

    @property
    def nbytes(self) -> int:
        """Bytes that are held of a block at once."""
        shape = self.stored.chunk if self.chunk_by_chunk else self.block
        return max(1, math.prod(shape) * self.stored.dtype.itemsize)

    def __iter__(self) -> Iterator[Region]:
        """Yield the region of every block, in C order."""
        along = zip(self.stored.shape, self.block, strict=True)
        yield from itertools.product(*([slice(i, min(i + b, n)) for i in range(0, n, b)] for n, b in along))

    def files(self, region: Region) -> Iterator[tuple[int, ...]]:
        """Yield the index of every file of the result that a block fills."""
        for index, _, _ in pieces(region, self.stored.keys.stored):
            yield index
