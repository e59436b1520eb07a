"""Numbers that lie in a file at even distances: read by position, here or from far away."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.errors import FormatError
from emdvc.formats.byte_source import ByteSource, LocalFile
from emdvc.formats.contract import Region
from emdvc.formats.region import extent
from emdvc.formats.strides import Placement, packed_strides, strided

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bytes that a piece of an unchunked array holds, about.
PIECE = 64 << 10
#: Bytes of a region that are fetched together, about, where they are not here.
AHEAD = 128 << 20


def contiguous_chunks(shape: tuple[int, ...], itemsize: int, piece: int = PIECE) -> tuple[int, ...]:
    """Return the pieces of an array without chunks: the fewest trailing axes that hold about `piece` bytes."""
    chunks = [1] * len(shape)
    held = itemsize
    for axis in range(len(shape) - 1, -1, -1):
        # the two fastest axes belong together (a frame), unless they are far too large
        room = max(1, (4 << 20 if axis >= len(shape) - 2 else piece) // max(held, 1))
        chunks[axis] = max(1, min(shape[axis], room))
        held *= chunks[axis]
        if chunks[axis] < shape[axis] or held >= piece:
            break
    return tuple(chunks)


class BinaryArray:
    """Numbers that lie in a file at even distances, read by position.

    Not mapped: the pages of a mapped file count as the program's own memory, and a scan larger than memory would
    seem to be held whole.

    Parameters
    ----------
    file
        The file, or its bytes wherever they lie.
    shape, dtype
        Of the array, slowest dimension first; `dtype` with the byte order of the file.
    offset
        Bytes before the first number.
    gap
        Bytes between one position of the first dimension and the next (a header before each frame).
    strides
        Bytes from one position of each dimension to the next, where they follow from neither shape nor gap; positive,
        and none smaller than the next.

    Raises
    ------
    FormatError
        The file ends before the array does.
    """

    def __init__(
        self,
        file: Path | ByteSource,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        offset: int = 0,
        gap: int = 0,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self._stored = np.dtype(dtype)
        self._offset = offset
        self.shape = tuple(int(n) for n in shape)
        self.dtype: np.dtype[Any] = self._stored.newbyteorder("=")
        # what comes from far away comes by blocks: a piece that is smaller costs as much
        piece = PIECE if isinstance(file, Path) else max(PIECE, file.grain)
        self.chunks = contiguous_chunks(self.shape, self.dtype.itemsize, piece)
        self._strides = strides if strides is not None else packed_strides(self.shape, self._stored.itemsize, gap)
        needed = offset + self._span(tuple(slice(0, n) for n in self.shape))
        size = file.stat().st_size if isinstance(file, Path) else file.size
        if size < needed:
            raise FormatError(
                f"{file if isinstance(file, Path) else file.name} is truncated",
                evidence=f"an array of shape {self.shape}, {self._stored.str} from byte {offset} needs {needed} bytes; "
                f"the file has {size}",
            )
        self._file: ByteSource = LocalFile(file) if isinstance(file, Path) else file

    def begin(self, regions: Iterable[Region]) -> None:
        """Begin to fetch some regions, where they are not here."""
        if not self._file.grain:
            return
        spans = []
        for region in regions:
            outer = self._outer(region)
            span = self._span(region[outer:])
            spans += [(place, place + span) for _, place in self._places(region, outer)] if span else []
        self._file.prefetch(spans)

    def placement(self) -> Placement:
        """Return where the numbers lie."""
        return strided(self._file.name, self._stored, self._offset, self.shape, self._strides)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        values = np.empty(extent(region), self._stored)
        if values.size:
            outer = self._outer(region)
            inner = region[outer:]
            span = self._span(inner)
            size = math.prod(extent(inner)) * self._stored.itemsize
            for batch in self._batches(self._places(region, outer), span):
                for index, place in batch:
                    self._read_block(values[index] if index else values, place, span, size, outer)
        return values.astype(self.dtype, copy=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _places(self, region: Region, outer: int) -> Iterator[tuple[tuple[int, ...], int]]:
        """Yield where each block of a region goes, counted along its first axes, and where it lies in the file."""
        base = self._offset + sum(part.start * stride for part, stride in zip(region, self._strides, strict=True))
        for index in itertools.product(*(range(n) for n in extent(region[:outer]))):
            yield index, base + sum(i * stride for i, stride in zip(index, self._strides, strict=False))

    def _batches(
        self, places: Iterator[tuple[tuple[int, ...], int]], span: int
    ) -> Iterator[Iterable[tuple[tuple[int, ...], int]]]:
        """Yield blocks that are read together; what is not here is fetched first, all of a batch at once."""
        grain = self._file.grain
        if not grain:
            yield places
            return
        batch: list[tuple[tuple[int, ...], int]] = []
        held, last = 0, -1
        for index, place in places:
            batch.append((index, place))
            first, end = place // grain, (place + span - 1) // grain
            held += grain * (end - max(first - 1, last))
            last = end
            if held >= AHEAD:
                yield self._fetched(batch, span)
                batch, held = [], 0
        yield self._fetched(batch, span)

    def _fetched(self, batch: list[tuple[tuple[int, ...], int]], span: int) -> list[tuple[tuple[int, ...], int]]:
        self._file.prefetch((place, place + span) for _, place in batch)
        return batch

    def _read_block(self, target: NDArray[Any], place: int, span: int, size: int, outer: int) -> None:
        if span == size:
            self._file.read_into(target.reshape(-1).view("u1").data, place)
            return
        # one read of the span, the wanted samples picked out of it: cheaper than a read for each run of samples
        raw = np.empty(span, "u1")
        self._file.read_into(raw.data, place)
        strided = np.ndarray(target.shape, self._stored, raw.data, 0, self._strides[outer:])
        target[...] = strided

    def _outer(self, region: Region) -> int:
        """Return how many leading axes are looped over: the span of the others is read at once, 4 MiB at most."""
        for outer in range(len(region)):
            inner = region[outer:]
            span = self._span(inner)
            size = math.prod(extent(inner)) * self._stored.itemsize
            if span == size or (span <= 4 << 20 and span <= 64 * size):
                return outer
        return max(0, len(region) - 1)

    def _span(self, inner: Region) -> int:
        if any(part.stop <= part.start for part in inner):
            return 0
        strides = self._strides[len(self._strides) - len(inner) :]
        last = sum((n - 1) * stride for n, stride in zip(extent(inner), strides, strict=True))
        return last + self._stored.itemsize
