"""Whether two arrays hold the same numbers in another order: axes exchanged or reversed, rows cut off.

A candidate is looked at in a few patterns first; the one that fits there is then compared as a whole.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.compare.numbers.regions import pieces
from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.views import Flipped, Transposed

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Offsets that are tried where an array was cut; of more, only the corners and the middle.
_OFFSETS = 64
#: Arrays whose scan and detector axes may have been exchanged with each other are looked at up to this size, in bytes:
#: one pattern of the one is a column through the whole of the other.
_EXCHANGED = 256 << 20


class Window:
    """A part of an array.

    Parameters
    ----------
    source
        The array.
    start, shape
        Where the part begins along each axis, and its lengths.
    """

    def __init__(self, source: LazyArray, start: Sequence[int], shape: Sequence[int]) -> None:
        self._source, self._start = source, tuple(start)
        self.shape: tuple[int, ...] = tuple(shape)
        self.dtype: np.dtype[Any] = source.dtype
        self.chunks: tuple[int, ...] = tuple(min(c, n) for c, n in zip(source.chunks, shape, strict=True))

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        return self._source.read(
            tuple(slice(p.start + s, p.stop + s) for p, s in zip(region, self._start, strict=True))
        )


def find(
    before: LazyArray,
    after: LazyArray,
    dims: tuple[tuple[str, ...], tuple[str, ...]],
    positions: tuple[int, ...],
    *,
    limit: int,
) -> str:
    """Return how two arrays hold the same numbers in another order, for a reader; empty where they do not.

    As in ``y and x exchanged; ky reversed`` or ``cut to y 0:63``.

    Parameters
    ----------
    before, after
        The arrays; their own order is known to differ.
    dims
        Names of the axes of each.
    positions
        Axes of `before` that run over probe positions.
    limit
        Bytes of an array that is read at most.
    """
    if len(before.shape) != len(after.shape) or not before.shape or before.dtype.kind != after.dtype.kind:
        return ""
    size = math.prod(before.shape) * before.dtype.itemsize
    if size > limit or 0 in before.shape or 0 in after.shape:
        return ""
    if sorted(before.shape) == sorted(after.shape):
        return _turned(before, after, dims, positions, exchange=size <= _EXCHANGED)
    if dims[0] != dims[1]:
        return ""
    if all(a >= b for a, b in zip(before.shape, after.shape, strict=True)):
        return _cut(before, after, dims[0], positions, "cut to")
    if all(a <= b for a, b in zip(before.shape, after.shape, strict=True)):
        return _cut(after, before, dims[0], positions, "added around")
    return ""


def _turned(
    before: LazyArray,
    after: LazyArray,
    dims: tuple[tuple[str, ...], tuple[str, ...]],
    positions: tuple[int, ...],
    *,
    exchange: bool,
) -> str:
    count = len(before.shape)
    core = tuple(axis for axis in range(count) if axis not in positions)
    for order in _orders(positions, core, count, exchange=exchange):
        if tuple(before.shape[axis] for axis in order) != after.shape:
            continue
        turned = Transposed(before, order)
        places = [axis for axis, source in enumerate(order) if source in positions]
        for flips in itertools.chain.from_iterable(itertools.combinations(range(count), n) for n in range(count + 1)):
            if not flips and order == tuple(range(count)):
                continue
            candidate = Flipped(turned, flips) if flips else turned
            if _alike(candidate, after, tuple(places)) and same_numbers(candidate, after):
                return _words(order, flips, dims)
    return ""


def _orders(
    positions: tuple[int, ...], core: tuple[int, ...], count: int, *, exchange: bool
) -> Iterator[tuple[int, ...]]:
    """Yield orders of axes: within the scan, within the detector, and the two with each other."""
    seen = set()
    for p, c in itertools.product(itertools.permutations(positions), itertools.permutations(core)):
        within = [0] * count
        for place, axis in zip((*positions, *core), (*p, *c), strict=True):
            within[place] = axis
        for order in (tuple(within), (*c, *p) if exchange else (), (*p, *c)):
            if len(order) == count and order not in seen:
                seen.add(order)
                yield order


def _words(order: tuple[int, ...], flips: tuple[int, ...], dims: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    said = []
    moved = [axis for axis, source in enumerate(order) if axis != source]
    if tuple(dims[0][source] for source in order) == dims[1] and moved:
        # the names moved along: what is called y is still y
        said.append(f"stored in the order {', '.join(dims[1])}")
    elif len(moved) == 2:
        said.append(f"{dims[0][moved[0]]} and {dims[0][moved[1]]} exchanged")
    elif moved:
        said.append(f"axes in the order {', '.join(dims[0][source] for source in order)}")
    said += [f"{dims[1][axis]} reversed" for axis in flips]
    return "; ".join(said)


def _cut(large: LazyArray, small: LazyArray, dims: tuple[str, ...], positions: tuple[int, ...], verb: str) -> str:
    for start in _starts([a - b for a, b in zip(large.shape, small.shape, strict=True)]):
        window = Window(large, start, small.shape)
        if _alike(window, small, positions) and same_numbers(window, small):
            parts = [
                f"{dim} {first}:{first + n}"
                for dim, first, n, whole in zip(dims, start, small.shape, large.shape, strict=True)
                if n != whole
            ]
            return f"{verb} {', '.join(parts)}"
    return ""


def _starts(room: list[int]) -> Iterator[tuple[int, ...]]:
    every = [range(n + 1) for n in room]
    if math.prod(len(one) for one in every) > _OFFSETS:
        # both ends and the middle, each axis by itself
        yield from itertools.product(*(sorted({0, n // 2, n}) for n in room))
    else:
        yield from itertools.product(*every)


def _alike(a: LazyArray, b: LazyArray, positions: tuple[int, ...]) -> bool:
    """Say whether two arrays of one shape agree in a few patterns, chosen away from any centre."""
    for part in (3, 7, 11):
        region = tuple(
            slice(n * part // 13, n * part // 13 + 1) if axis in positions else slice(0, n)
            for axis, n in enumerate(b.shape)
        )
        if not np.array_equal(a.read(region), b.read(region), equal_nan=b.dtype.kind in "fc"):
            return False
    return True


def same_numbers(a: LazyArray, b: LazyArray) -> bool:
    """Say whether two arrays of one shape hold the same numbers; stops at the first that differs."""
    nan = b.dtype.kind in "fc"
    return all(
        np.array_equal(a.read(region), b.read(region), equal_nan=nan)
        for region in pieces(b.shape, b.chunks, b.dtype.itemsize)
    )
