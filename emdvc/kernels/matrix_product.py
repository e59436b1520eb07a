"""A matrix product whose additions have a fixed order, which those of a BLAS library have not."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def product(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix product; each element is summed from the first column to the last.

    Parameters
    ----------
    first
        Shape (rows, n).
    second
        Shape (n, columns).

    Returns
    -------
    array
        Shape (rows, columns). One rounding for each product and one for each addition, in order: the same bits on every
        machine.
    """
    found = np.zeros((first.shape[0], second.shape[1]))
    _product(np.ascontiguousarray(first), np.ascontiguousarray(second), found)
    return found


@njit(nogil=True, cache=True)
def _product(first, second, found):  # type: ignore[no-untyped-def]
    rows, n = first.shape
    columns = second.shape[1]
    # eight rows take each row of `second` from the cache together; the SIMD lanes are columns
    for top in range(0, rows - rows % 8, 8):
        for k in range(n):
            a, b, c, d = first[top, k], first[top + 1, k], first[top + 2, k], first[top + 3, k]
            e, f, g, h = first[top + 4, k], first[top + 5, k], first[top + 6, k], first[top + 7, k]
            for j in range(columns):
                value = second[k, j]
                found[top, j] += a * value
                found[top + 1, j] += b * value
                found[top + 2, j] += c * value
                found[top + 3, j] += d * value
                found[top + 4, j] += e * value
                found[top + 5, j] += f * value
                found[top + 6, j] += g * value
                found[top + 7, j] += h * value
    for row in range(rows - rows % 8, rows):
        for k in range(n):
            a = first[row, k]
            for j in range(columns):
                found[row, j] += a * second[k, j]
