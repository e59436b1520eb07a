"""Peaks and shifts of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.kernels import zero_loss as kernels


def _positions(frames: Any, first: int, last: int, method: int, half: int = 3) -> list[float]:
    found = np.empty(len(frames))
    kernels.peak_positions(np.asarray(frames), first, last, method, half, found)
    return found.tolist()


def test_the_first_of_equal_maxima() -> None:
    assert _positions(np.array([[0, 5, 9, 1, 9, 0]], "u2"), 0, 6, kernels.MAXIMUM) == [2.0]
    assert _positions(np.array([[90, 5, 9, 1, 9, 0]], "u2"), 1, 6, kernels.MAXIMUM) == [2.0]


@pytest.mark.parametrize("top", [4.0, 4.3, 3.6, 4.49])
def test_a_parabola_is_found_exactly(top: float) -> None:
    """Counts 100 - (i - top)^2: the formula is exact."""
    counts = 100.0 - (np.arange(9) - top) ** 2
    assert _positions([counts], 0, 9, kernels.PARABOLA)[0] == pytest.approx(top, abs=1e-12)


def test_a_parabola_needs_neighbours_and_a_top() -> None:
    falling = np.array([[9.0, 5.0, 3.0, 2.0, 1.0]])
    assert _positions(falling, 0, 5, kernels.PARABOLA) == [0.0]
    assert _positions(falling, 2, 5, kernels.PARABOLA) == [2.0]  # its neighbour outside of the window is higher
    assert _positions(np.full((1, 5), 4.0), 1, 4, kernels.PARABOLA) == [1.0]  # flat


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 1000), min_size=9, max_size=9), st.integers(1, 4))
def test_centre_of_mass(counts: list[int], half: int) -> None:
    """Against the sums written out; NaN where nothing was counted."""
    found = _positions(np.array([counts], "u4"), 2, 7, kernels.CENTRE_OF_MASS, half)[0]
    top = 2 + int(np.argmax(counts[2:7]))
    if counts[top] == 0:
        assert np.isnan(found)
        return
    near = range(max(0, top - half), min(9, top + half + 1))
    assert found == pytest.approx(sum(i * counts[i] for i in near) / sum(counts[i] for i in near), rel=1e-12)


def test_moves_keep_counts_or_interpolate() -> None:
    frames = np.arange(24, dtype=np.uint16).reshape(2, 12) ** 2
    moved = np.empty((2, 8), np.uint16)
    kernels.moved_by_channels(frames, np.array([1, 3]), moved)
    assert (moved[0] == frames[0, 1:9]).all()
    assert (moved[1] == frames[1, 3:11]).all()
    between = np.empty((2, 8))
    kernels.moved_between_channels(frames, np.array([1, 3]), np.array([0.0, 0.25]), between)
    assert (between[0] == frames[0, 1:9]).all()
    assert (between[1] == 0.75 * frames[1, 3:11] + 0.25 * frames[1, 4:12]).all()
