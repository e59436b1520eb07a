"""First moments of frames: the sums behind a centre of mass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type


def first_moments(frames: NDArray[Any], mask: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the sums of counts, of counts times row, and of counts times column.

    Parameters
    ----------
    frames
        Shape (n, ny, nx), C-contiguous.
    mask
        Shape (ny, nx): 1 where a pixel counts, 0 where it does not.

    Returns
    -------
    array
        Shape (n, 3), 64 bits wide: sum I, sum y I, sum x I, with y and x as pixel numbers from 0.
    """
    dtype = frames.dtype
    moments = np.zeros((frames.shape[0], 3), total_type(dtype))
    if _narrow(dtype, frames.shape[1]):
        bits = mask.astype(dtype) * np.array(np.iinfo(dtype).max, dtype)  # all bits, or none
        columns = np.zeros((2, frames.shape[2]), np.uint32)
        if mask.all():
            _moments_of_counts(frames, columns, moments)
        else:
            rows = np.flatnonzero(mask.any(axis=1))
            first, last = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 0)
            _moments_of_masked_counts(frames, bits, first, last, columns, moments)
    else:
        _moments(frames, mask.astype(moments.dtype), moments)
    return moments


def _narrow(dtype: np.dtype[Any], rows: int) -> bool:
    """Say whether a column's sum of counts, each as often as rows follow it, surely fits 32 bits."""
    if dtype.kind != "u" or dtype.itemsize > 2:
        return False
    return int(np.iinfo(dtype).max) * rows * (rows + 1) // 2 < 1 << 32


@njit(nogil=True, cache=True)
def _moments_of_counts(frames, columns, moments):  # type: ignore[no-untyped-def]
    # Along a row every column is a lane. `sums` is a column's sum so far; summed in turn after each row it counts a
    # sample once for every row from its own on: (rows - y) times. So no multiplication is needed.
    sums, repeated = columns[0], columns[1]
    rows = frames.shape[1]
    wide = columns.dtype.type
    for frame in range(frames.shape[0]):
        columns[:] = 0
        for y in range(rows):
            row = frames[frame, y]
            for x in range(row.shape[0]):
                total = wide(sums[x] + wide(row[x]))
                sums[x] = total
                repeated[x] = wide(repeated[x] + total)
        _finish(sums, repeated, rows, moments[frame])


@njit(nogil=True, cache=True)
def _moments_of_masked_counts(frames, bits, first, last, columns, moments):  # type: ignore[no-untyped-def]
    sums, repeated = columns[0], columns[1]
    wide = columns.dtype.type
    for frame in range(frames.shape[0]):
        columns[:] = 0
        for y in range(first, last):
            row = frames[frame, y]
            valid = bits[y]
            for x in range(row.shape[0]):
                total = wide(sums[x] + wide(row[x] & valid[x]))
                sums[x] = total
                repeated[x] = wide(repeated[x] + total)
        _finish(sums, repeated, last, moments[frame])


@njit(nogil=True, cache=True)
def _finish(sums, repeated, rows, moments):  # type: ignore[no-untyped-def]
    for x in range(sums.shape[0]):
        moments[0] += np.uint64(sums[x])
        moments[1] += np.uint64(rows) * np.uint64(sums[x]) - np.uint64(repeated[x])
        moments[2] += np.uint64(x) * np.uint64(sums[x])


@njit(nogil=True, cache=True)
def _moments(frames, mask, moments):  # type: ignore[no-untyped-def]
    number = moments.dtype.type
    for frame in range(frames.shape[0]):
        for y in range(frames.shape[1]):
            counts = number(0)
            weighted = number(0)
            for x in range(frames.shape[2]):
                value = number(frames[frame, y, x]) * mask[y, x]
                counts += value
                weighted += value * number(x)
            moments[frame, 0] += counts
            moments[frame, 1] += counts * number(y)
            moments[frame, 2] += weighted
