"""The lattice of a list of peaks: where its origin lies, and two vectors that index most of it."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import StepError

Vector = tuple[float, float]
Array = NDArray[np.float64]

#: Patterns that the lattice is sought in, evenly over those given.
_PATTERNS = 2048
#: Difference vectors that are looked at, most frequent first, and those of them that a basis is sought among.
_CLUSTERS, _CANDIDATES = 60, 24
#: A difference vector counts when it is this frequent, relative to the most frequent one.
_FREQUENT = 0.1
#: Of the bases that index as much as the best one does, but for this part, the one with the largest cell is taken.
_AS_GOOD = 0.95
#: Shortest vector of a lattice, px: shorter ones are what is left of two that are parallel but for noise.
_SHORTEST = 3.0


def strongest(count: NDArray[Any], intensity: NDArray[Any]) -> NDArray[np.int64]:
    """Return the row of the strongest peak of each pattern that has one; of equal ones the first."""
    flat = count.reshape(-1)
    starts = np.cumsum(flat, dtype=np.int64) - flat
    return np.array(
        [start + int(np.argmax(intensity[start : start + n])) for start, n in zip(starts, flat, strict=True) if n],
        np.int64,
    )


def middle(values: Array) -> float:
    """Return the median: the mean of the two middle ones of an even number."""
    ordered = np.sort(values)
    n = ordered.size
    return float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0)


def find_basis(count: NDArray[Any], peaks: Array, intensity: NDArray[Any], tolerance: float) -> tuple[Vector, Vector]:
    """Return two vectors (y, x) that index most differences between a pattern's peaks and its strongest one.

    The differences are counted on a grid of pixels; a and -a are the same. The local maxima of the counts in squares of
    3 x 3 pixels are candidates. Of all pairs of candidates, those count as good that index nearly as many differences
    as the best pair; of these the pair with the largest cell is taken (a smaller one indexes as much, and noise), and
    reduced to its shortest vectors (Lagrange and Gauss).

    Parameters
    ----------
    count
        Peaks of each pattern.
    peaks
        Shape (rows, 2): their places (y, x), px.
    intensity
        Shape (rows,).
    tolerance
        How near to a lattice point a difference is indexed, relative to the shorter vector.

    Raises
    ------
    StepError
        The peaks form no lattice.
    """
    some = np.arange(count.size) % -(-count.size // _PATTERNS) == 0
    rows = np.repeat(some, count.reshape(-1))
    places, frequency = _clusters(_differences(count.reshape(-1)[some], peaks[rows], intensity[rows]))
    best: list[tuple[float, float, Vector, Vector]] = []
    for first, second in combinations(places[:_CANDIDATES].tolist(), 2):
        a, b = reduced((first[0], first[1]), (second[0], second[1]))
        if _length(a) >= _SHORTEST:
            cell = abs(a[0] * b[1] - a[1] * b[0])
            best.append((_indexed(places, frequency, a, b, tolerance), cell, a, b))
    if not best:
        raise StepError(
            "the peaks form no lattice: no two differences between them are frequent",
            evidence=f"{int(count.sum())} peaks in {count.size} patterns, {len(places)} frequent differences",
            hint="choose a region within one crystal, --set region=Y0,Y1,X0,X1, or give the vectors a and b",
        )
    good = max(score for score, *_ in best) * _AS_GOOD
    _, _, a, b = max((one for one in best if one[0] >= good), key=lambda one: one[1])
    return oriented(a, b)


def reduced(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Return the shortest vectors of the lattice of two, the shorter one first."""
    for _ in range(100):
        if _length(b) < _length(a):
            a, b = b, a
        square = a[0] * a[0] + a[1] * a[1]
        if square == 0.0:
            return a, b
        times = round((a[0] * b[0] + a[1] * b[1]) / square)
        if times == 0:
            break
        b = (b[0] - times * a[0], b[1] - times * a[1])
    return a, b


def oriented(a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """Return the same two, up to their sign and order: a along kx as nearly as can be, b from there towards ky."""
    choices = [(v, w) for v, w in ((a, b), (b, a)) for v in (v, (-v[0], -v[1]))]
    first, second = max(choices, key=lambda pair: pair[0][1] / _length(pair[0]))
    if first[1] * second[0] - first[0] * second[1] < 0.0:
        second = (-second[0], -second[1])
    return first, second


def _length(v: Vector) -> float:
    return math.sqrt(v[0] * v[0] + v[1] * v[1])


def _differences(count: NDArray[Any], peaks: Array, intensity: NDArray[Any]) -> Array:
    """Return the differences to each pattern's strongest peak, in the half plane y > 0 or y = 0, x > 0."""
    found = peaks - np.repeat(peaks[strongest(count, intensity)], count[count > 0], axis=0)
    flipped = (found[:, 0] < 0.0) | ((found[:, 0] == 0.0) & (found[:, 1] < 0.0))
    found[flipped] *= -1.0
    apart: Array = found[(found * found).sum(axis=1) > 4.0]
    return apart


def _clusters(differences: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the mean of each frequent difference vector, shape (clusters, 2), and how often it occurs."""
    if len(differences) == 0:
        return np.zeros((0, 2)), np.zeros(0, np.int64)
    bins = np.rint(differences).astype(np.int64)
    reach = int(np.abs(bins).max()) + 2
    counts = np.zeros((reach + 2, 2 * reach + 1), np.int64)
    np.add.at(counts, (bins[:, 0] + 1, bins[:, 1] + reach), 1)
    smooth = np.zeros_like(counts)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            smooth[1:-1, 1:-1] += counts[1 + dy : counts.shape[0] - 1 + dy, 1 + dx : counts.shape[1] - 1 + dx]
    order = np.argsort(-smooth, axis=None, kind="stable")
    least = max(1.0, _FREQUENT * int(smooth.max()))
    places: list[tuple[float, float]] = []
    frequency: list[int] = []
    for flat in order.tolist():
        y, x = flat // smooth.shape[1] - 1, flat % smooth.shape[1] - reach
        if smooth.reshape(-1)[flat] < least or len(places) == _CLUSTERS:
            break
        if any((y - p[0]) * (y - p[0]) + (x - p[1]) * (x - p[1]) < 9.0 for p in places):
            continue
        members = differences[(np.abs(bins - (y, x)) <= 1).all(axis=1)]
        places.append(
            (math.fsum(members[:, 0].tolist()) / len(members), math.fsum(members[:, 1].tolist()) / len(members))
        )
        frequency.append(len(members))
    return np.array(places), np.array(frequency)


def _indexed(places: Array, frequency: NDArray[np.int64], a: Vector, b: Vector, tolerance: float) -> float:
    """Return the part of all differences that lies on the lattice of two vectors."""
    determinant = a[0] * b[1] - a[1] * b[0]
    y, x = places[:, 0], places[:, 1]
    h = np.rint((y * b[1] - x * b[0]) / determinant)
    k = np.rint((a[0] * x - a[1] * y) / determinant)
    dy, dx = y - (h * a[0] + k * b[0]), x - (h * a[1] + k * b[1])
    near = dy * dy + dx * dx <= (tolerance * min(_length(a), _length(b))) ** 2
    return int(frequency[near].sum()) / int(frequency.sum())
