"""Planes and quadratic surfaces fitted to maps over a scan, by normal equations that are solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.kernels.polynomials import monomial_sums

Map = NDArray[np.float64]

#: Powers (of y, of x) of the terms of each order of fit.
TERMS = {
    "constant": ((0, 0),),
    "plane": ((0, 0), (1, 0), (0, 1)),
    "quadratic": ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)),
}
#: Median of the length of a vector whose two components are normal, over the standard deviation of each: sqrt(2 ln 2).
_RAYLEIGH_MEDIAN = 1.1774100225154747


@dataclass(frozen=True, slots=True)
class Surface:
    """A fitted polynomial of the probe position.

    Parameters
    ----------
    powers
        Powers of y and of x of each term, as :data:`TERMS` gives them.
    coefficients
        Of each term, with y and x counted in probe positions from 0.
    """

    powers: tuple[tuple[int, int], ...]
    coefficients: tuple[float, ...]

    def values(self, shape: tuple[int, int]) -> Map:
        """Return the surface at every probe position: term by term, so that the bits are the same on every machine."""
        y, x = np.arange(shape[0], dtype=np.float64)[:, None], np.arange(shape[1], dtype=np.float64)[None, :]
        found = np.zeros(shape)
        for (p, q), coefficient in zip(self.powers, self.coefficients, strict=True):
            found += _power(y, p) * _power(x, q) * coefficient
        return found


def _power(base: Map, exponent: int) -> Map:
    found = np.ones_like(base)
    for _ in range(exponent):
        found = found * base
    return found


def fit(maps: tuple[Map, ...], used: NDArray[np.bool_], order: str) -> tuple[Surface, ...]:
    """Return the least-squares surface of each map.

    Parameters
    ----------
    maps
        Each of shape (ny, nx).
    used
        Shape (ny, nx): the probe positions that count.
    order
        A name in :data:`TERMS`.

    Raises
    ------
    StepError
        The probe positions that count do not determine the surface.

    Notes
    -----
    The normal equations are made in whole numbers around the middle of the scan and solved in fractions: the only
    roundings are those of the sums of values and, once each, of the coefficients.
    """
    powers = TERMS[order]
    shape = (used.shape[0], used.shape[1])
    sums = monomial_sums(np.stack(maps), used, np.array(powers, np.int64))
    sides = [[Fraction(float(value)) for value in row] for row in sums]
    solutions = _solve(_normal_matrix(used, powers), sides)
    if solutions is None:
        raise StepError(
            f"the probe positions that count do not determine a fit of order '{order}'",
            code=Code.STEP_PARAMETER,
            evidence=f"{int(used.sum())} of {used.size} count, of a scan of {shape[0]} x {shape[1]}",
            hint="--set order=constant or plane, or let more probe positions count",
        )
    return tuple(Surface(powers, _from_corner(solution, powers, shape)) for solution in solutions)


def fit_without_outliers(
    maps: tuple[Map, Map], used: NDArray[np.bool_], order: str, rejection: float, rounds: int = 50
) -> tuple[tuple[Surface, ...], NDArray[np.bool_]]:
    """Return the surfaces of a vector's two components, fitted without the probe positions that lie far from them.

    Parameters
    ----------
    maps, used, order
        As for :func:`fit`.
    rejection
        Distance beyond which a probe position is left out, in standard deviations; these are estimated by the median
        of all distances, which outliers move little.
    rounds
        Most repetitions, if the choice does not settle before.

    Returns
    -------
    surfaces
        Of the two components.
    kept
        Shape (ny, nx): the probe positions that were used in the end.

    Raises
    ------
    StepError
        The probe positions that are left do not determine the surfaces.
    """
    kept = used
    for _ in range(rounds):
        surfaces = fit(maps, kept, order)
        away = squared_distance(maps, surfaces)
        sigma = np.sqrt(np.median(away[used])) / _RAYLEIGH_MEDIAN
        chosen = used & (away <= (rejection * sigma) * (rejection * sigma))
        if (chosen == kept).all():
            break
        kept = chosen
    return fit(maps, kept, order), kept


def squared_distance(maps: tuple[Map, Map], surfaces: tuple[Surface, ...]) -> Map:
    """Return the squared length of the vector that the surfaces leave of two maps, shape (ny, nx)."""
    off = [
        values - surface.values((values.shape[0], values.shape[1]))
        for values, surface in zip(maps, surfaces, strict=True)
    ]
    return off[0] * off[0] + off[1] * off[1]


def _normal_matrix(used: NDArray[np.bool_], powers: tuple[tuple[int, int], ...]) -> list[list[Fraction]]:
    # sums of u^p v^q over the probe positions that count: a row's sum fits 64 bits where the row is not very long
    ny, nx = used.shape
    whole = np.int64 if nx <= 4096 else object
    u, v = range(1 - ny, ny, 2), np.arange(1 - nx, nx, 2).astype(whole)
    rows = {q: [int(n) for n in used.astype(whole) @ v**q] for q in range(2 * max(q for _, q in powers) + 1)}

    def moment(p: int, q: int) -> Fraction:
        return Fraction(sum(a**p * b for a, b in zip(u, rows[q], strict=True)))

    return [[moment(p + r, q + s) for r, s in powers] for p, q in powers]


def _solve(matrix: list[list[Fraction]], sides: list[list[Fraction]]) -> list[list[Fraction]] | None:
    """Return the solution for each right-hand side by Gauss's elimination; None where there is no single one."""
    n = len(matrix)
    rows = [[*row, *(side[index] for side in sides)] for index, row in enumerate(matrix)]
    for column in range(n):
        pivot = next((row for row in range(column, n) if rows[row][column] != 0), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(n):
            if row != column and rows[row][column] != 0:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [[rows[index][n + side] for index in range(n)] for side in range(len(sides))]


def _from_corner(
    solution: list[Fraction], powers: tuple[tuple[int, int], ...], shape: tuple[int, int]
) -> tuple[float, ...]:
    """Return the coefficients for coordinates y, x from those for u = 2 y - (ny - 1) and v = 2 x - (nx - 1)."""
    found = dict.fromkeys(powers, Fraction(0))
    for value, (p, q) in zip(solution, powers, strict=True):
        for i, a in enumerate(_expanded(p, shape[0] - 1)):
            for j, b in enumerate(_expanded(q, shape[1] - 1)):
                if a * b:
                    found[i, j] += value * a * b
    return tuple(float(found[power]) for power in powers)


def _expanded(power: int, last: int) -> tuple[int, ...]:
    """Return the coefficients of (2 y - last) ** power, from that of y ** 0 on; the power is at most 2."""
    return ((1,), (-last, 2), (last * last, -4 * last, 4))[power]
