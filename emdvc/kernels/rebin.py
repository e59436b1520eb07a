"""Sums over blocks of frames and of detector pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def sum_type(dtype: np.dtype[Any], samples: int) -> np.dtype[Any]:
    """Return the narrowest type that surely holds the sum of so many samples; 64-bit integers and floats stay.

    It follows from the type and the number alone, not from the data, so that every part of a scan has the same.
    """
    if dtype.kind == "f":
        return dtype
    limits = np.iinfo(dtype)
    for name in ("u1", "u2", "u4", "u8") if dtype.kind == "u" else ("i1", "i2", "i4", "i8"):
        wide = np.iinfo(name)
        if samples * limits.max <= wide.max and samples * limits.min >= wide.min:
            return np.dtype(name)
    return np.dtype(f"{dtype.kind}8")


def sum_blocks(frames: NDArray[Any], groups: NDArray[np.int64], ky: int, kx: int) -> NDArray[Any]:
    """Return sums over groups of frames and over blocks of pixels.

    Floats are added in 64 bits in a fixed order: four rows of a block together in the order of its frames, then
    along the row.

    Parameters
    ----------
    frames
        Shape (n, height, width), C-contiguous.
    groups
        Shape (groups, frames per group): which frames are summed.
    ky, kx
        Rows and columns of a block of pixels; what is left over at the end is left out.

    Returns
    -------
    array
        Shape (groups, height // ky, width // kx), of the type that :func:`sum_type` says.
    """
    height, width = frames.shape[1] // ky, frames.shape[2] // kx
    dtype = sum_type(frames.dtype, groups.shape[1] * ky * kx)
    sums = np.empty((groups.shape[0], height, width), dtype)
    row = np.empty(width * kx, np.float64 if dtype.kind == "f" else dtype)
    _sum_blocks(frames, groups, ky, kx, row, sums)
    return sums


@njit(nogil=True, cache=True)
def _sum_blocks(frames, groups, ky, kx, row, sums):  # type: ignore[no-untyped-def]
    wide, count = row.dtype.type, groups.shape[1] * ky
    for index in range(groups.shape[0]):
        group = groups[index]
        for y in range(sums.shape[1]):
            # First the rows of all frames of the group, whole vectors of neighbouring pixels; four rows at a time, so
            # that the sums are loaded and stored once for them.
            row[:] = 0
            start = count - count % 4
            for line in range(0, start, 4):
                a = frames[group[line // ky], y * ky + line % ky]
                b = frames[group[(line + 1) // ky], y * ky + (line + 1) % ky]
                c = frames[group[(line + 2) // ky], y * ky + (line + 2) % ky]
                d = frames[group[(line + 3) // ky], y * ky + (line + 3) % ky]
                for x in range(row.shape[0]):
                    row[x] += (wide(a[x]) + wide(b[x])) + (wide(c[x]) + wide(d[x]))
            for line in range(start, count):
                a = frames[group[line // ky], y * ky + line % ky]
                for x in range(row.shape[0]):
                    row[x] += wide(a[x])
            _fold(row, kx, sums[index, y])


@njit(nogil=True, cache=True)
def _fold(row, kx, sums):  # type: ignore[no-untyped-def]
    # with the number of columns known, the compiler folds whole vectors
    if kx == 1:
        for x in range(sums.shape[0]):
            sums[x] = row[x]
    elif kx == 2:
        for x in range(sums.shape[0]):
            sums[x] = row[2 * x] + row[2 * x + 1]
    elif kx == 4:
        for x in range(sums.shape[0]):
            sums[x] = (row[4 * x] + row[4 * x + 1]) + (row[4 * x + 2] + row[4 * x + 3])
    else:
        for x in range(sums.shape[0]):
            total = row[x * kx]
            for column in range(x * kx + 1, (x + 1) * kx):
                total += row[column]
            sums[x] = total
