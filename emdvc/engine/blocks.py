"""Cutting a scan into blocks of whole frames that follow the chunks of its file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emdvc.formats.contract import LazyArray, Region
from emdvc.steps.contract import Span

#: Blocks grow to about this size (small chunks are read together) ...
LARGE_ENOUGH = 16 << 20
#: ... and are never larger than this (a chunk of a larger scan area is read in parts), if a frame allows it.
SMALL_ENOUGH = 64 << 20


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of one array.

    The cut depends on the array's shape, type and chunks alone, never on the threads or the memory of the machine:
    where data are floats, the order of the additions follows it.

    Parameters
    ----------
    spans
        What is read along each dimension of the scan; empty for a single frame.
    block
        Probe positions of a block along each dimension of the scan.
    """

    spans: tuple[Span, ...]
    block: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of blocks."""
        return math.prod(self.grid)

    def __iter__(self) -> Iterator[Region]:
        """Yield the scan region of every block, in C order."""
        ranges = [
            [slice(start, min(start + b, span.stop)) for start in range(span.start, span.stop, b)]
            for span, b in zip(self.spans, self.block, strict=True)
        ]
        yield from itertools.product(*ranges)

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of blocks along each dimension."""
        return tuple(-(-(span.stop - span.start) // b) for span, b in zip(self.spans, self.block, strict=True))

    @property
    def results(self) -> tuple[int, ...]:
        """Probe positions that come out, along each dimension."""
        return tuple((span.stop - span.start) // span.factor for span in self.spans)

    def result(self, region: Region) -> Region:
        """Return where a block's probe positions lie among those that come out."""
        return tuple(
            slice((part.start - span.start) // span.factor, (part.stop - span.start) // span.factor)
            for part, span in zip(region, self.spans, strict=True)
        )


def cut(array: LazyArray, scan_axes: tuple[int, ...], spans: tuple[Span | None, ...] | None = None) -> Blocks:
    """Return the blocks of an array: whole frames, whole chunks where their size allows it.

    Parameters
    ----------
    array
        The array.
    scan_axes
        Which of its axes are the scan's.
    spans
        What is read of each of them; by default all.
    """
    wanted = tuple(
        span or Span(0, array.shape[axis])
        for axis, span in zip(scan_axes, spans or (None,) * len(scan_axes), strict=True)
    )
    shape = tuple(span.stop - span.start for span in wanted)
    frame_bytes = _frame_bytes(array, scan_axes)
    block = [max(1, min(array.chunks[axis], n)) for axis, n in zip(scan_axes, shape, strict=True)]
    while math.prod(block) * frame_bytes > SMALL_ENOUGH and max(block) > 1:
        longest = block.index(max(block))
        block[longest] = -(-block[longest] // 2)
    for axis in reversed(range(len(block))):
        # grow along the fastest dimension first: neighbouring chunks of a row, then rows of chunks
        step = block[axis]
        while block[axis] < shape[axis] and math.prod(block) * frame_bytes < LARGE_ENOUGH:
            block[axis] = min(block[axis] + step, shape[axis])
        if block[axis] < shape[axis]:
            break
    # whole groups of the probe positions that become one
    whole = (min(-(-size // span.factor) * span.factor, n) for size, span, n in zip(block, wanted, shape, strict=True))
    return Blocks(wanted, tuple(whole))


def _frame_bytes(array: LazyArray, scan_axes: tuple[int, ...]) -> int:
    pixels = math.prod(n for axis, n in enumerate(array.shape) if axis not in scan_axes)
    return max(1, pixels * _itemsize(array.dtype))


def _itemsize(dtype: Any) -> int:
    return int(dtype.itemsize)
