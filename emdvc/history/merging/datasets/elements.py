"""Arrays that two people edited, element by element: labels, masks, rows of a table. On plain NumPy arrays.

An element that one side changed is that side's; what both changed to the same is fine; what both changed to different
values is disputed, and comes back as a few boxes in the indices of the whole array. NaN equals NaN here: a place that
was left empty was not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Mask = NDArray[np.bool_]

#: ``(start, stop)`` along each dimension, in the indices of the whole array.
Box = tuple[tuple[int, int], ...]

#: Regions of one array that a person is asked about at most.
MOST = 64
#: Boxes from which on they are first united by a coarse grid: comparing all pairs would take long.
_MANY = 512
#: Values that are named one by one in words.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class MergedElements:
    """What came of a part of an array.

    Parameters
    ----------
    values
        Merged; the base's where it is disputed.
    disputed
        Where both sides changed an element to different values.
    """

    values: Array
    disputed: Mask


def merge_elements(base: Array, ours: Array, theirs: Array, *, rows: bool = False) -> MergedElements:
    """Return three versions of a part of an array as one; the same whichever side is called ours.

    Parameters
    ----------
    base, ours, theirs
        Of the same shape and type.
    rows
        Whether a row (all that differs only in the last index) is one element, as in a table.
    """
    alike = same(ours, theirs)
    ours_same, theirs_same = same(ours, base), same(theirs, base)
    if rows and base.ndim > 1:
        alike, ours_same, theirs_same = (
            np.broadcast_to(mask.all(axis=-1, keepdims=True), base.shape) for mask in (alike, ours_same, theirs_same)
        )
    # equal numbers can have other bits (0.0 and -0.0, two kinds of NaN): one that does not depend on the order
    first = ours if ours.tobytes() <= theirs.tobytes() else theirs
    disputed = ~(alike | ours_same | theirs_same)
    values = base.copy()
    np.copyto(values, theirs, where=ours_same)
    np.copyto(values, ours, where=theirs_same & ~ours_same)
    np.copyto(values, first, where=alike)
    return MergedElements(values, disputed)


def same(one: Array, other: Array) -> Mask:
    """Say of each element whether two arrays have the same value there; NaN is the same as NaN."""
    if one.dtype.names:
        found = np.ones(one.shape, bool)
        for name in one.dtype.names:
            field = same(one[name], other[name])
            found &= field.reshape(*one.shape, -1).all(axis=-1)
        return found
    equal: Mask = np.asarray(one == other)
    if one.dtype.kind in "fc":
        equal |= np.isnan(one) & np.isnan(other)
    elif one.dtype.kind in "mM":
        equal |= np.isnat(one) & np.isnat(other)
    return equal


def box_of(mask: Mask, origin: Sequence[int]) -> Box:
    """Return the smallest box around what a mask marks.

    Parameters
    ----------
    mask
        Of a part of the array; it marks something.
    origin
        Index of the part's first element in the whole array.
    """
    found = []
    for axis, start in enumerate(origin):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        marked = np.flatnonzero(mask.any(axis=others))
        found.append((start + int(marked[0]), start + int(marked[-1]) + 1))
    return tuple(found)


def united(boxes: Iterable[Box], most: int = MOST) -> list[Box]:
    """Return few boxes that hold all of these and do not overlap: those that touch become one, and no more than `most`.

    The answer depends on the boxes alone, not on their order.
    """
    found = sorted(set(boxes))
    cell = 1
    while len(found) > _MANY:
        cell *= 2
        found = _by_grid(found, cell)
    found = _touching(found)
    while len(found) > most:
        cell *= 2
        found = _touching(_by_grid(found, cell))
    return found


def _by_grid(boxes: list[Box], cell: int) -> list[Box]:
    """Return the boxes whose first corners lie in the same cell of a grid as one each."""
    cells: dict[tuple[int, ...], Box] = {}
    for box in boxes:
        place = tuple(start // cell for start, _ in box)
        cells[place] = _around(cells[place], box) if place in cells else box
    return sorted(cells.values())


def _touching(boxes: list[Box]) -> list[Box]:
    found = boxes
    while True:
        kept: list[Box] = []
        for box in found:
            near = next((index for index, other in enumerate(kept) if _touch(box, other)), None)
            if near is None:
                kept.append(box)
            else:
                kept[near] = _around(kept[near], box)
        if len(kept) == len(found):
            return sorted(kept)
        found = sorted(kept)


def _touch(one: Box, other: Box) -> bool:
    return all(a <= d and c <= b for (a, b), (c, d) in zip(one, other, strict=True))


def _around(one: Box, other: Box) -> Box:
    return tuple((min(a, c), max(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))


def within(box: Box, part: Box) -> tuple[slice, ...] | None:
    """Return where a box lies in a part of the array, counted from the part's first element; None where nowhere."""
    slices = []
    for (start, stop), (first, last) in zip(box, part, strict=True):
        begin, end = max(start, first), min(stop, last)
        if begin >= end:
            return None
        slices.append(slice(begin - first, end - first))
    return tuple(slices)


def neither(ours: Array, theirs: Array) -> Array:
    """Return values that are none of the sides', the same whichever side is called ours."""
    if ours.dtype.kind in "uifc":
        made: Array = np.zeros_like(ours)
        for candidate in (1, 2):  # of three numbers one is neither of two
            np.copyto(made, candidate, where=(made == ours) | (made == theirs), casting="unsafe")
        return made
    # truth values and the like have nothing in between: the smaller of the two
    return ours if ours.tobytes() <= theirs.tobytes() else theirs


def in_words(values: Array) -> str:
    """Return what some disputed elements hold: ``3``, ``3 and 5``, or ``12 different values, 1 to 40``."""
    if values.dtype.names or values.dtype.kind not in "biufc":
        return f"{values.size} entries"
    distinct = np.unique(values)
    if len(distinct) <= _NAMED:
        return " and ".join(_number(value) for value in distinct)
    if values.dtype.kind == "c":
        return f"{len(distinct)} different values"
    finite = distinct[np.isfinite(distinct)] if values.dtype.kind == "f" else distinct
    return f"{len(distinct)} different values, {_number(finite.min())} to {_number(finite.max())}"


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
