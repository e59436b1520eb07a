"""Numbers at even distances in a file: what is said of them so that they can be found again without their reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: Where an array's numbers lie: their place in a file, then one view after the other; see emdvc.formats.placement.
Placement = list[dict[str, Any]]


def packed_strides(shape: Sequence[int], itemsize: int, gap: int = 0) -> tuple[int, ...]:
    """Return the strides of numbers that lie one after the other, slowest dimension first.

    Parameters
    ----------
    shape
        Of the array.
    itemsize
        Bytes of one number.
    gap
        Bytes between one position of the first dimension and the next.
    """
    strides = [itemsize] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    if strides:
        strides[0] += gap
    return tuple(strides)


def strided(file: str, dtype: np.dtype[Any], offset: int, shape: Sequence[int], strides: Sequence[int]) -> Placement:
    """Return the placement of numbers at any even distances; those that run backwards are read forwards and flipped.

    Parameters
    ----------
    file
        Name of the file.
    dtype
        With the byte order of the file.
    offset
        Of the array's first number.
    shape, strides
        Samples of each dimension, and bytes from one to the next.
    """
    distances = [abs(stride) for stride in strides]
    flipped = [axis for axis, stride in enumerate(strides) if stride < 0 and shape[axis] > 1]
    start = offset - sum((shape[axis] - 1) * distances[axis] for axis in flipped)
    order = sorted(range(len(shape)), key=lambda axis: -distances[axis])  # stable: equal ones keep their order
    said: dict[str, Any] = {
        "file": file,
        "offset": int(start),
        "dtype": dtype.str,
        "shape": [int(shape[axis]) for axis in order],
    }
    stored = tuple(int(distances[axis]) for axis in order)
    if stored != packed_strides(said["shape"], dtype.itemsize):
        said["strides"] = list(stored)
    placement: Placement = [said]
    if order != sorted(order):
        placement.append({"transpose": [order.index(axis) for axis in range(len(order))]})
    if flipped:
        placement.append({"flip": flipped})
    return placement


def viewed(source: Any, step: dict[str, Any]) -> Placement | None:
    """Return the placement of a view on an array; None where that of the array is not known."""
    below = getattr(source, "placement", None)
    found: Placement | None = below() if below is not None else None
    return None if found is None else [*found, step]
