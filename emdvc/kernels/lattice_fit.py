"""Least-squares fits of a lattice to the peaks of each pattern."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Columns of what :func:`fit_lattices` returns.
ORIGIN_Y, ORIGIN_X, A_Y, A_X, B_Y, B_X, ERROR, INDEXED = range(8)
#: How far from the origin peaks are used, in turn, in lengths of the longer vector: what is near is indexed safely, and
#: the lattice fitted to it tells the indices of what is farther.
_REACHES = (1.6, 2.6, 4.6, math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Guess:
    """What a fit starts from.

    Parameters
    ----------
    center
        Place (y, x) of the undiffracted beam, px.
    a, b
        Lattice vectors (y, x), px.
    """

    center: tuple[float, float]
    a: tuple[float, float]
    b: tuple[float, float]


def fit_lattices(
    count: NDArray[Any],
    peaks: NDArray[np.float64],
    weights: NDArray[np.float64],
    guess: Guess,
    tolerance: float,
    least: int,
) -> NDArray[np.float64]:
    """Return origin and vectors of the lattice of each pattern.

    Parameters
    ----------
    count
        Shape (n,): peaks of each pattern.
    peaks
        Shape (rows, 2): their places (y, x), px, pattern after pattern.
    weights
        Shape (rows,): of their squared residuals, from 0 on.
    guess
        Where to start: its vectors say which of the equivalent bases is meant.
    tolerance
        A peak is indexed when it lies this near to a lattice point, px.
    least
        Number of indexed peaks below which a pattern gives none.

    Returns
    -------
    array
        Shape (n, 8): origin (y, x), a (y, x), b (y, x), weighted root mean square of the residuals (their length), all
        in px, and the number of indexed peaks. All but the last are NaN where fewer than `least` peaks were indexed, or
        those lie on one line.

    Notes
    -----
    The origin starts at the strongest peak within half a lattice vector of the center (there, if none is). A peak p
    has the indices (h, k) nearest to the solution of p = o + h a + k b; of two peaks with the same indices the nearer
    counts. o, a, b minimise sum w |p - o - h a - k b|^2; with h, k, p counted from their weighted means this is a
    system of two equations, solved by Cramer's rule. Everything is added in the order of the peaks.
    """
    stops = np.cumsum(count.reshape(-1), dtype=np.int64)
    starts = stops - count.reshape(-1)
    found = np.full((starts.size, 8), np.nan)
    most = int(count.max()) if count.size else 0
    indices = np.zeros((most, 2), np.int64)
    residuals = np.zeros(most)
    start = np.array([*guess.center, *guess.a, *guess.b])
    reaches = np.array(_REACHES) * max(math.hypot(*guess.a), math.hypot(*guess.b))
    _fit_all(starts, stops, peaks, weights, start, reaches, tolerance, least, indices, residuals, found)
    return found


@njit(nogil=True, cache=True)
def _fit_all(  # type: ignore[no-untyped-def]
    starts, stops, peaks, weights, start, reaches, tolerance, least, indices, residuals, found
):
    lattice = np.empty(6)
    sums = np.empty(7)
    for pattern in range(starts.shape[0]):
        p = peaks[starts[pattern] : stops[pattern]]
        w = weights[starts[pattern] : stops[pattern]]
        lattice[:] = start
        _move_to_strongest(p, w, lattice)
        indexed, solved = 0, False
        for reach in reaches:
            indexed = _index(p, lattice, reach, tolerance, indices, residuals)
            solved = _solve(p, w, indices, residuals, sums, lattice)
        found[pattern, 7] = indexed
        if solved and indexed >= least:
            found[pattern, :6] = lattice
            found[pattern, 6] = _error(p, w, lattice, indices, residuals)


@njit(nogil=True, cache=True)
def _move_to_strongest(p, w, lattice):  # type: ignore[no-untyped-def]
    a, b = lattice[2] * lattice[2] + lattice[3] * lattice[3], lattice[4] * lattice[4] + lattice[5] * lattice[5]
    near = min(a, b) / 4.0
    y, x = lattice[0], lattice[1]
    strongest = 0.0
    for row in range(p.shape[0]):
        dy, dx = p[row, 0] - y, p[row, 1] - x
        if dy * dy + dx * dx < near and w[row] > strongest:
            strongest = w[row]
            lattice[0], lattice[1] = p[row, 0], p[row, 1]


@njit(nogil=True, cache=True)
def _index(p, lattice, reach, tolerance, indices, residuals):  # type: ignore[no-untyped-def]
    """Write the indices of each peak and the square of its distance from there, -1 where it is not indexed."""
    y, x, ay, ax, by, bx = lattice
    determinant = ay * bx - ax * by
    number = 0
    for row in range(p.shape[0]):
        residuals[row] = -1.0
        dy, dx = p[row, 0] - y, p[row, 1] - x
        if dy * dy + dx * dx > reach * reach:
            continue
        h, k = round((dy * bx - dx * by) / determinant), round((ay * dx - ax * dy) / determinant)
        ry, rx = dy - (h * ay + k * by), dx - (h * ax + k * bx)
        square = ry * ry + rx * rx
        if square > tolerance * tolerance:
            continue
        indices[row, 0], indices[row, 1] = h, k
        number += 1
        for other in range(row):
            if residuals[other] >= 0.0 and indices[other, 0] == h and indices[other, 1] == k:
                number -= 1
                if residuals[other] <= square:
                    square = -1.0
                else:
                    residuals[other] = -1.0
                break
        residuals[row] = square
    return number


@njit(nogil=True, cache=True)
def _solve(p, w, indices, residuals, sums, lattice):  # type: ignore[no-untyped-def]
    """Replace the lattice by that fitted to the indexed peaks; False, and no change, where they lie on one line."""
    total, mh, mk, my, mx = 0.0, 0.0, 0.0, 0.0, 0.0
    for row in range(p.shape[0]):
        if residuals[row] >= 0.0:
            total += w[row]
            mh += w[row] * indices[row, 0]
            mk += w[row] * indices[row, 1]
            my += w[row] * p[row, 0]
            mx += w[row] * p[row, 1]
    if not total > 0.0:
        return False
    mh, mk, my, mx = mh / total, mk / total, my / total, mx / total
    sums[:] = 0.0
    for row in range(p.shape[0]):
        if residuals[row] >= 0.0:
            h, k, y, x = indices[row, 0] - mh, indices[row, 1] - mk, p[row, 0] - my, p[row, 1] - mx
            sums[0] += w[row] * h * h
            sums[1] += w[row] * h * k
            sums[2] += w[row] * k * k
            sums[3] += w[row] * h * y
            sums[4] += w[row] * k * y
            sums[5] += w[row] * h * x
            sums[6] += w[row] * k * x
    determinant = sums[0] * sums[2] - sums[1] * sums[1]
    # on one line the determinant is zero but for rounding; the weakest peak off it gives far more
    if not determinant > 1e-12 * sums[0] * sums[2]:
        return False
    ay, ax = (
        (sums[3] * sums[2] - sums[4] * sums[1]) / determinant,
        (sums[5] * sums[2] - sums[6] * sums[1]) / determinant,
    )
    by, bx = (
        (sums[4] * sums[0] - sums[3] * sums[1]) / determinant,
        (sums[6] * sums[0] - sums[5] * sums[1]) / determinant,
    )
    if not abs(ay * bx - ax * by) > 0.0:
        return False
    lattice[2], lattice[3], lattice[4], lattice[5] = ay, ax, by, bx
    lattice[0], lattice[1] = my - (mh * ay + mk * by), mx - (mh * ax + mk * bx)
    return True


@njit(nogil=True, cache=True)
def _error(p, w, lattice, indices, residuals):  # type: ignore[no-untyped-def]
    total, squares = 0.0, 0.0
    for row in range(p.shape[0]):
        if residuals[row] >= 0.0:
            h, k = indices[row, 0], indices[row, 1]
            ry = p[row, 0] - (lattice[0] + h * lattice[2] + k * lattice[4])
            rx = p[row, 1] - (lattice[1] + h * lattice[3] + k * lattice[5])
            total += w[row]
            squares += w[row] * (ry * ry + rx * rx)
    return math.sqrt(squares / total)
