"""First moments of frames: the sums behind a centre of mass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type

# Widest detector row whose x-weighted sum of 16-bit counts fits 32 bits: 65535 * 361 * 362 / 2 < 2**32.
_NARROW_WIDTH = 362


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
    narrow = dtype.kind == "u" and dtype.itemsize <= 2 and frames.shape[2] <= _NARROW_WIDTH
    row = np.dtype("u4") if narrow else total_type(dtype)
    moments = np.zeros((frames.shape[0], 3), total_type(dtype))
    columns = np.arange(frames.shape[2]).astype(row)
    rows = np.arange(frames.shape[1]).astype(moments.dtype)
    _first_moments(frames, mask.astype(row), rows, columns, row.type(0), moments)
    return moments


@njit(nogil=True, cache=True)
def _first_moments(frames, mask, rows, columns, zero, moments):  # type: ignore[no-untyped-def]
    # `zero` carries the type of a row's sums; the compiler turns the inner loop into SIMD where they are integers
    row = type(zero)
    for frame in range(frames.shape[0]):
        for y in range(frames.shape[1]):
            counts = zero
            weighted = zero
            for x in range(frames.shape[2]):
                value = row(row(frames[frame, y, x]) * mask[y, x])
                counts = row(counts + value)
                weighted = row(weighted + row(value * columns[x]))
            moments[frame, 0] += counts
            moments[frame, 1] += counts * rows[y]
            moments[frame, 2] += weighted
