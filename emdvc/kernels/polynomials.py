"""Sums behind the least-squares fit of a polynomial to maps over a scan."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def monomial_sums(
    values: NDArray[np.float64], used: NDArray[np.bool_], powers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the sums of ``u**p v**q values`` over the probe positions that are used.

    Parameters
    ----------
    values
        Shape (maps, ny, nx).
    used
        Shape (ny, nx).
    powers
        Shape (terms, 2): p and q of each term, none negative.

    Returns
    -------
    array
        Shape (maps, terms). u = 2 y - (ny - 1) and v = 2 x - (nx - 1) are whole numbers around the middle of the scan.
        The additions carry their rounding errors along (Neumaier, Z. Angew. Math. Mech. 54, 39 (1974)), in scan order.
    """
    sums = np.zeros((values.shape[0], powers.shape[0]))
    _monomial_sums(np.ascontiguousarray(values), used, powers, sums)
    return sums


@njit(nogil=True, cache=True)
def _monomial_sums(values, used, powers, sums):  # type: ignore[no-untyped-def]
    maps, ny, nx = values.shape
    lost = np.zeros_like(sums)
    for y in range(ny):
        for x in range(nx):
            if not used[y, x]:
                continue
            for term in range(powers.shape[0]):
                weight = 1.0
                for _ in range(powers[term, 0]):
                    weight *= 2 * y - (ny - 1)
                for _ in range(powers[term, 1]):
                    weight *= 2 * x - (nx - 1)
                for index in range(maps):
                    value = weight * values[index, y, x]
                    old = sums[index, term]
                    total = old + value
                    if abs(old) >= abs(value):
                        lost[index, term] += (old - total) + value
                    else:
                        lost[index, term] += (value - total) + old
                    sums[index, term] = total
    sums += lost
