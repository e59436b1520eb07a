"""Peaks against a slow formulation of the same definition, and against analytic places."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.peaks import Aperture, Choice, peaks
from emdvc.kernels.template_correlation import correlate, taps_of

ONE = np.ones((1, 1), np.int64)
BOX = np.full((5, 5), -9, np.int64)
BOX[1:4, 1:4] = 16


def find(frames: NDArray[Any], template: NDArray[np.int64] = ONE, **choice: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    aperture = Aperture((template > 0).astype(np.int64), (template < 0).astype(np.int64))
    return peaks(frames, frames, taps_of(template), aperture, Choice(**choice))


def chosen(c: NDArray[Any], relative: float, distance: float, number: int, margin: int) -> list[tuple[int, int]]:
    """Return the places that the definition gives, pixel by pixel."""
    inner = [(y, x) for y in range(margin, c.shape[0] - margin) for x in range(margin, c.shape[1] - margin)]
    top = max(c[p] for p in inner)
    maxima = []
    for y, x in inner:
        around = [(y + v, x + u) for v in (-1, 0, 1) for u in (-1, 0, 1) if (v, u) != (0, 0)]
        if c[y, x] <= 0 or c[y, x] < relative * top:
            continue
        if all(c[y, x] > c[p] if p < (y, x) else c[y, x] >= c[p] for p in around):
            maxima.append((y, x))
    kept: list[tuple[int, int]] = []
    for p in sorted(maxima, key=lambda p: (-c[p], p)):
        if all(math.dist(p, other) >= distance for other in kept) and len(kept) < number:
            kept.append(p)
    return kept


@settings(deadline=None, max_examples=80)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 3), st.integers(7, 14), st.integers(7, 14)), elements=st.integers(0, 9)
    ),
    st.sampled_from([0.0, 0.3, 0.9]),
    st.sampled_from([1.0, 2.0, 3.5]),
    st.integers(1, 12),
    st.integers(1, 3),
)
def test_maxima_are_those_of_the_definition(
    frames: NDArray[Any], relative: float, distance: float, number: int, margin: int
) -> None:
    """Which pixels are peaks, in which order, and the vertex of the least-squares quadratic through each."""
    count, table = find(frames, BOX, relative=relative, distance=distance, number=number, margin=margin, lowest=-1e9)
    correlation = correlate(frames, taps_of(BOX))
    expected = [chosen(c, relative, distance, number, margin) for c in correlation]
    assert count.tolist() == [len(one) for one in expected]
    places = [(f, c, p) for f, c, one in zip(frames, correlation, expected, strict=True) for p in one]
    for (frame, c, p), row in zip(places, table, strict=True):
        assert row[2] == pytest.approx(above_background(frame, p))
        assert row[:2] == pytest.approx(np.array(p) + vertex(c[p[0] - 1 : p[0] + 2, p[1] - 1 : p[1] + 2]), abs=1e-9)


def above_background(frame: NDArray[Any], at: tuple[int, int]) -> float:
    """Return the sum of 3 x 3 pixels less nine times the mean of those of 5 x 5 around them that the frame holds."""
    y, x = (np.arange(n) - a for n, a in zip(frame.shape, at, strict=True))
    inside = (np.abs(y) <= 1)[:, None] & (np.abs(x) <= 1)
    around = (np.abs(y) <= 2)[:, None] & (np.abs(x) <= 2) & ~inside
    return float(frame[inside].sum()) - 9 * float(frame[around].mean())


def vertex(nine: NDArray[Any]) -> NDArray[np.float64]:
    """Return the place of the maximum of the quadratic that NumPy's least squares gives, within a pixel."""
    y, x = (part.ravel() for part in np.mgrid[-1:2, -1:2].astype(float))
    matrix = np.stack([np.ones(9), x, y, x * x, x * y, y * y], axis=1)
    _, gx, gy, xx, xy, yy = np.linalg.lstsq(matrix, nine.ravel().astype(float), rcond=None)[0]
    hessian = np.array([[2 * yy, xy], [xy, 2 * xx]])
    if xx >= -1e-9 or np.linalg.det(hessian) <= 1e-9:
        return np.zeros(2)
    return np.clip(-np.linalg.solve(hessian, [gy, gx]), -1, 1)


def test_the_vertex_of_a_quadratic_is_exact() -> None:
    y, x = np.mgrid[0:11, 0:12].astype(float)
    frames = np.array([100 - 1.5 * (y - 5.2) ** 2 - 2 * (x - 6.4) ** 2 + 0.7 * (y - 5.2) * (x - 6.4)])
    count, table = find(frames + 1000)
    assert count.tolist() == [1]
    assert table[0, :2] == pytest.approx([5.2, 6.4], abs=1e-9)


def test_significance_is_poissons() -> None:
    """A peak of 100 counts above nine pixels of 10 each: variance 190 + 160 (9 / 16)^2."""
    frames = np.full((1, 15, 15), 10, np.uint16)
    frames[0, 7, 7] += 100
    sigma = 100 / math.sqrt(190 + 160 * (9 / 16) ** 2)
    assert find(frames, BOX, margin=3, significance=0.999 * sigma)[0].tolist() == [1]
    assert find(frames, BOX, margin=3, significance=1.001 * sigma)[0].tolist() == [0]


def test_least_intensity() -> None:
    frames = np.full((1, 15, 15), 10, np.uint16)
    frames[0, 7, 7] += 100
    assert find(frames, BOX, margin=3, lowest=100)[0].tolist() == [1]
    assert find(frames, BOX, margin=3, lowest=100.01)[0].tolist() == [0]


def test_a_background_makes_no_peaks_at_the_edge() -> None:
    """A uniform frame has no peak, and one at the corner has its true intensity above the background."""
    frames = np.full((1, 15, 15), 10, np.uint16)
    assert find(frames, BOX)[0].tolist() == [0]
    frames[0, 2, 2] += 100
    _, table = find(frames, BOX, distance=3)
    assert table[:, 2].tolist() == [100]
    assert table[0, :2] == pytest.approx([2, 2], abs=1)


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f4", "f8"])
def test_centre_of_mass_above_background(kind: str) -> None:
    """Three pixels above a background of 10: their centre of mass, whatever the background."""
    frames = np.full((1, 15, 15), 10).astype(kind)
    frames[0, 7, 7:9] += 30
    frames[0, 8, 7] += 20
    _, table = find(frames, BOX, margin=3, window=1, ring=2, distance=4)
    assert table[0, :2] == pytest.approx([7 + 20 / 80, 7 + 30 / 80], abs=1e-12)


def test_nothing_in_nothing() -> None:
    """No counts, a frame without an interior, and no frame give no peaks."""
    for shape, margin in (((2, 9, 9), 1), ((2, 5, 5), 3), ((0, 9, 9), 1)):
        count, table = find(np.zeros(shape, np.uint16), margin=margin)
        assert count.tolist() == [0] * shape[0]
        assert table.shape == (0, 3)
