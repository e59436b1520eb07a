"""The ellipse of a diffraction ring, from where the ring lies in each of many directions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emdvc.steps import ellipse, trigonometry

#: Directions in which the ring is looked for, lines that are averaged for each, and radial samples per pixel.
SECTORS, _LINES, _SAMPLES = 72, 5, 2
#: A direction counts where the ring has more than this part of its middle strength.
_FAINT = 0.1
#: Residuals beyond so many standard deviations of a normal distribution do not count (Tukey's biweight).
_TUKEY = 4.685
_ROUNDS, _SETTLED = 60, 1e-7

Array = NDArray[np.float64]


class RingNotFound(Exception):  # noqa: N818 - said to the user by the step, with its parameters
    """The ring shows in too few directions."""


@dataclass(frozen=True, slots=True)
class Ring:
    """An elliptical ring.

    Parameters
    ----------
    center
        (y, x) in px.
    matrix
        What makes it round, as :func:`emdvc.steps.ellipse.rounding` gives it.
    radius
        Geometric mean of its semi-axes, in px.
    ridge
        Where the ring lies in each direction, as a radius in the undistorted pattern; NaN where it does not show.
    residual
        Spread of the ridge around the ellipse in px: the standard deviation that its median residual stands for.
    """

    center: tuple[float, float]
    matrix: ellipse.Rounding
    radius: float = 0.0
    ridge: Array = field(default_factory=lambda: np.empty(0))
    residual: float = 0.0

    def shape(self) -> tuple[float, float]:
        """Return major over minor semi-axis, and the azimuth of the major axis from 0 to 180 degrees."""
        squared = _product(self.matrix.T, self.matrix)
        (yy, yx), (_, xx) = squared.tolist()
        half = (xx - yy) / 2
        # eigenvalues are the ratio and its inverse: the determinant is 1
        ratio = (yy + xx) / 2 + float(np.sqrt(half * half + yx * yx))
        return max(ratio, 1.0), (trigonometry.degrees_of(-yx, -half) / 2) % 180.0


def fit_ring(pattern: Array, center: tuple[float, float], inner: float, outer: float) -> Ring:
    """Return the ellipse of the ring between two radii.

    Parameters
    ----------
    pattern
        Shape (ky, kx).
    center
        Where the centre is about, (y, x) in px.
    inner, outer
        The ring lies between these radii everywhere, in px.

    Raises
    ------
    RingNotFound
        The ring shows in less than half of all directions.
    """
    ring = Ring(center, np.eye(2))
    for _ in range(_ROUNDS):
        ridge, strength = _ridge(pattern, ring, inner, outer)
        found = _harmonics(ridge, strength)
        ring = _corrected(replace(ring, ridge=ridge), found)
        if max(abs(number) for number in found[1:]) < _SETTLED * outer:
            break
    residual = ridge - _series(_design(), found)
    return replace(ring, residual=_spread(residual[~np.isnan(residual)]))


def _corrected(ring: Ring, found: list[float]) -> Ring:
    """Return the ring with the first and second harmonics of its ridge taken into centre and ellipse."""
    radius, cosine, sine, cosine2, sine2 = found
    back = ellipse.inverse(ring.matrix)
    y, x = (row[0] * sine + row[1] * cosine for row in back)
    further = np.eye(2) - np.array([[-cosine2, sine2], [sine2, cosine2]]) / radius
    matrix = _product(further, ring.matrix)
    squared = _product(matrix.T, matrix)
    squared /= np.sqrt(squared[0, 0] * squared[1, 1] - squared[0, 1] * squared[1, 0])
    # the symmetric root of a matrix of determinant 1 (Cayley and Hamilton)
    root = (squared + np.eye(2)) / np.sqrt(squared[0, 0] + squared[1, 1] + 2.0)
    moved = (ring.center[0] + float(y), ring.center[1] + float(x))
    return replace(ring, center=moved, matrix=root, radius=radius)


def _ridge(pattern: Array, ring: Ring, inner: float, outer: float) -> tuple[Array, Array]:
    """Return the middle of the ring and its counts above the background, in each direction."""
    number = max(8, int((outer - inner) * _SAMPLES))
    radii = inner + (outer - inner) * (np.arange(number) / (number - 1))
    table = trigonometry.cosine_table(4 * SECTORS * _LINES)
    turns = 4 * np.arange(SECTORS * _LINES) - 2 * (_LINES - 1)  # lines on both sides of a sector's direction
    cosine, sine = table[turns % len(table)], table[(turns - SECTORS * _LINES) % len(table)]
    back = ellipse.inverse(ring.matrix)
    y, x = (row[0] * sine[:, None] * radii + row[1] * cosine[:, None] * radii for row in back)
    lines = _at(pattern, y + ring.center[0], x + ring.center[1]).reshape(SECTORS, _LINES, number)
    profiles = np.cumsum(lines, axis=1)[:, -1] / _LINES
    # a straight line between the ends of the window is the background under the ring
    end = max(1, number // 8)
    low, high = (_sums(part) / end for part in (profiles[:, :end], profiles[:, -end:]))
    middles = ((radii[0] + radii[end - 1]) / 2, (radii[-end] + radii[-1]) / 2)
    slope = (high - low) / (middles[1] - middles[0])
    net = profiles - low[:, None] - slope[:, None] * (radii - middles[0])
    strength = _sums(net)
    usual = np.nanmedian(strength) if not np.isnan(strength).all() else 0.0
    shown = strength > max(_FAINT * usual, 0.0)
    ridge = np.where(shown, _sums(net * radii) / np.where(shown, strength, 1.0), np.nan)
    ridge[(ridge < inner) | (ridge > outer)] = np.nan
    if np.count_nonzero(~np.isnan(ridge)) < SECTORS // 2:
        raise RingNotFound
    return ridge, strength


def _harmonics(ridge: Array, strength: Array) -> list[float]:
    """Return the Fourier series of the ridge up to the second order, robustly.

    Least squares weighted by counts (a bright spot by no more than the usual ones), then repeated with Tukey's biweight
    of the residuals: Bragg spots and a beam stop do not pull the ellipse.
    """
    known = ~np.isnan(ridge)
    design, values = _design()[known], ridge[known]
    weights = counts = np.minimum(strength[known], np.median(strength[known]))
    found = _solve(design, values, weights)
    for _ in range(20):
        residual = values - _series(design, found)
        spread = _spread(residual)
        if spread < 1e-12:
            break
        part = np.abs(residual) / (_TUKEY * spread)
        weights = counts * np.where(part < 1.0, (1.0 - part * part) ** 2, 0.0)
        found = _solve(design, values, weights)
    return found


def _spread(residual: Array) -> float:
    return 1.4826 * float(np.median(np.abs(residual)))


def _design() -> Array:
    table = trigonometry.cosine_table(SECTORS)
    order = np.arange(SECTORS)
    quarter = SECTORS // 4
    columns = [np.ones(SECTORS)]
    for harmonic in (1, 2):
        columns += [table[harmonic * order % SECTORS], table[(harmonic * order - quarter) % SECTORS]]
    return np.stack(columns, axis=1)


def _series(design: Array, found: list[float]) -> Array:
    return _product(design, np.array(found)[:, None])[:, 0]


def _solve(design: Array, values: Array, weights: Array) -> list[float]:
    """Return the weighted least squares solution, by elimination with pivots in a fixed order of operations."""
    size = design.shape[1]
    columns = [design[:, i] for i in range(size)]
    rows = [
        [_sum(weights * columns[i] * columns[j]) for j in range(size)] + [_sum(weights * columns[i] * values)]
        for i in range(size)
    ]
    for pivot in range(size):
        best = max(range(pivot, size), key=lambda row: abs(rows[row][pivot]))
        rows[pivot], rows[best] = rows[best], rows[pivot]
        if abs(rows[pivot][pivot]) < 1e-12 * abs(rows[0][0]):
            raise RingNotFound
        for row in range(pivot + 1, size):
            factor = rows[row][pivot] / rows[pivot][pivot]
            rows[row] = [a - factor * b for a, b in zip(rows[row], rows[pivot], strict=True)]
    found = [0.0] * size
    for row in reversed(range(size)):
        rest = sum(rows[row][column] * found[column] for column in range(row + 1, size))
        found[row] = (rows[row][size] - rest) / rows[row][row]
    return found


def _at(pattern: Array, y: Array, x: Array) -> Array:
    """Return the pattern between its pixels, bilinearly; NaN outside."""
    height, width = pattern.shape
    outside = (y < 0) | (y > height - 1) | (x < 0) | (x > width - 1)
    y, x = np.where(outside, 0.0, y), np.where(outside, 0.0, x)
    top, left = (np.minimum(np.floor(p), n - 2).astype(np.int64) for p, n in ((y, height), (x, width)))
    fy, fx = y - top, x - left
    upper = pattern[top, left] * (1 - fx) + pattern[top, left + 1] * fx
    lower = pattern[top + 1, left] * (1 - fx) + pattern[top + 1, left + 1] * fx
    return np.where(outside, np.nan, upper * (1 - fy) + lower * fy)


def _product(first: Array, second: Array) -> Array:
    # a library's matrix product adds in an order of its own
    found: Array = np.cumsum(first[:, :, None] * second, axis=1)[:, -1]
    return found


def _sums(values: Array) -> Array:
    # cumsum adds one after the other; sum may not
    found: Array = np.cumsum(values, axis=1)[:, -1]
    return found


def _sum(values: Array) -> float:
    return float(np.cumsum(values)[-1])
