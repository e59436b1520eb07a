"""Lattice fits against NumPy's weighted least squares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels.lattice_fit import ERROR, INDEXED, Guess, fit_lattices

ORIGIN, A, B = np.array([60.3, 64.9]), np.array([-1.2, 17.5]), np.array([15.1, 4.0])
GUESS = Guess((61.0, 64.0), (0.0, 18.0), (15.0, 4.0))


def indices(reach: int = 2) -> NDArray[np.float64]:
    """Return all (h, k) up to a reach, (0, 0) first."""
    every = [(h, k) for h in range(-reach, reach + 1) for k in range(-reach, reach + 1)]
    return np.array(sorted(every, key=lambda p: p[0] ** 2 + p[1] ** 2), float)


def fit(peaks: NDArray[Any], weights: NDArray[Any] | None = None, least: int = 4, guess: Guess = GUESS) -> Any:
    strong_origin = np.concatenate([[2.0], np.ones(max(0, len(peaks) - 1))])[: len(peaks)]
    weights = strong_origin if weights is None else weights
    return fit_lattices(np.array([len(peaks)]), peaks, weights, guess, 3.0, least)[0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_the_fit_is_weighted_least_squares(seed: int) -> None:
    """Places with noise, weights from 1 to 10, in any order of the peaks: NumPy's solution and residual."""
    rng = np.random.default_rng(seed)
    hk = indices()
    hk[1:] = rng.permutation(hk[1:])
    peaks = ORIGIN + hk @ np.stack([A, B]) + rng.normal(0, 0.1, (25, 2))
    weights = rng.uniform(1, 10, 25)
    weights[0] = 11
    found = fit(peaks, weights)
    root = np.sqrt(weights)[:, None]
    matrix = np.column_stack([np.ones(25), hk])
    solution = np.linalg.lstsq(matrix * root, peaks * root, rcond=None)[0]
    np.testing.assert_allclose(found[:6], solution.ravel(), atol=1e-9)
    residuals = ((peaks - matrix @ solution) ** 2).sum(axis=1)
    assert found[ERROR] == pytest.approx(np.sqrt((weights * residuals).sum() / weights.sum()))
    assert found[INDEXED] == 25


def test_a_turned_lattice_is_indexed_from_the_middle_outwards() -> None:
    """Turned by 6 degrees, the outermost points lie nearer to other points of the guess than to their own."""
    angle = np.deg2rad(6.0)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    hk = indices(6)
    peaks = ORIGIN + hk @ np.stack([A, B]) @ turn
    assert np.abs(hk @ np.stack([A, B]) @ turn - hk @ np.stack([A, B])).max() > 9
    found = fit(peaks, guess=Guess((61.0, 64.0), (A[0], A[1]), (B[0], B[1])))
    assert found[INDEXED] == len(hk)
    np.testing.assert_allclose(found[:6].reshape(3, 2), np.stack([ORIGIN, A @ turn, B @ turn]), atol=1e-9)


def test_strays_and_doubles_do_not_count() -> None:
    """A peak off the lattice is not indexed; of two at one point the nearer is."""
    peaks = ORIGIN + indices() @ np.stack([A, B])
    strays = np.array([ORIGIN + 0.5 * A + 0.5 * B, peaks[5] + (0.8, 0.9), peaks[7] + (1.0, -1.0)])
    for mixed in (np.concatenate([peaks, strays]), np.concatenate([peaks[:1], strays, peaks[1:]])):
        found = fit(mixed)
        assert found[INDEXED] == 25
        np.testing.assert_allclose(found[:6].reshape(3, 2), np.stack([ORIGIN, A, B]), atol=1e-9)


@pytest.mark.parametrize(
    ("hk", "number"), [([(0, 0), (1, 0), (-1, 0), (2, 0), (-2, 0)], 5), ([(0, 0), (1, 0), (0, 1)], 3), ([], 0)]
)
def test_what_determines_no_lattice(hk: list[tuple[int, int]], number: int) -> None:
    """Peaks on one line, fewer than asked for, none: NaN, and how many were indexed."""
    peaks = ORIGIN + np.array(hk, float).reshape(-1, 2) @ np.stack([A, B])
    found = fit(peaks)
    assert np.isnan(found[:INDEXED]).all()
    assert found[INDEXED] == number
    assert not np.isnan(fit(ORIGIN + np.array([(0, 0), (1, 0), (0, 1)], float) @ np.stack([A, B]), least=3)).any()


def test_patterns_are_fitted_one_by_one() -> None:
    """Patterns of different lengths, an empty one between them, each with an origin of its own."""
    hk = indices()
    first, second = ORIGIN + hk @ np.stack([A, B]), ORIGIN + (4.0, -5.0) + hk[:9] @ np.stack([A, B])
    weights = np.concatenate([[2.0], np.ones(24), [2.0], np.ones(8)])
    found = fit_lattices(np.array([25, 0, 9]), np.concatenate([first, second]), weights, GUESS, 3.0, 4)
    assert found[:, INDEXED].tolist() == [25, 0, 9]
    np.testing.assert_allclose(found[2, :2] - found[0, :2], (4.0, -5.0), atol=1e-9)
    assert np.isnan(found[1, :INDEXED]).all()
