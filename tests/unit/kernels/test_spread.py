"""Exact sums of squares and variances against Python's integers and fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.spread import float_spread, joined_spread, whole_sums, whole_variance

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4"]


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(TYPES).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), st.tuples(st.integers(2, 11), st.integers(1, 30)))
    ),
    st.integers(0, 1),
)
def test_whole_numbers(frames: NDArray[Any], ddof: int) -> None:
    """Sums, squares and range are those of whole numbers of any size; the variance is the rounded fraction."""
    total, low, high, smallest, largest = whole_sums(frames)
    wide = frames.astype(object)
    assert (total == wide.sum(axis=0)).all()
    assert (low.astype(object) + (high.astype(object) << 32) == (wide * wide).sum(axis=0)).all()
    assert (smallest == frames.min(axis=0)).all()
    assert (largest == frames.max(axis=0)).all()
    n = len(frames)
    squares = (wide * wide).sum(axis=0)
    exact = [Fraction(n * q - s * s, n * (n - ddof)) for s, q in zip(wide.sum(axis=0), squares, strict=True)]
    assert whole_variance(total, low, high, n, ddof).tolist() == [float(one) for one in exact]


@pytest.mark.parametrize("kind", TYPES)
def test_saturated_counters_do_not_overflow(kind: str) -> None:
    """The largest and the smallest numbers of a type, more of them than fit one round of 32-bit sums."""
    limits = np.iinfo(kind)
    frames = np.full((65536 + 9, 3), limits.max, kind)
    frames[::2] = limits.min
    n, tops = len(frames), len(frames) // 2
    total, low, high, _, _ = whole_sums(frames)
    assert int(total[0]) == tops * limits.max + (n - tops) * limits.min
    squares = tops * int(limits.max) ** 2 + (n - tops) * int(limits.min) ** 2
    assert int(low[0]) + (int(high[0]) << 32) == squares


def test_a_scatter_far_below_the_mean_is_not_lost() -> None:
    """4e9 and 4e9 + 1 in turn: the variance is 1/4 exactly, where 64-bit floats of the squares hold no such digit."""
    frames = np.full((1000, 2), 4_000_000_000, np.uint32)
    frames[::2] += 1
    total, low, high, _, _ = whole_sums(frames)
    assert whole_variance(total, low, high, 1000, 0).tolist() == [0.25, 0.25]


def test_blocks_of_floats_are_joined() -> None:
    """Three blocks give mean and deviations of all frames together; a mean of 1e6 costs no digits of a scatter of 1."""
    frames = np.random.default_rng(2).normal(1e6, 1.0, (700, 5))
    joined, n = float_spread(frames[:100]), 100
    for stop in (350, 700):
        joined = joined_spread(joined, float_spread(frames[n:stop]), n, stop - n)
        n = stop
    mean, deviations, smallest, largest = joined
    assert np.allclose(mean, frames.mean(axis=0), rtol=1e-14, atol=0)
    assert np.allclose(deviations / n, frames.var(axis=0), rtol=1e-9, atol=0)
    assert (smallest == frames.min(axis=0)).all()
    assert (largest == frames.max(axis=0)).all()


def test_floats_are_added_frame_by_frame() -> None:
    """The bits equal those of a plain loop over the frames."""
    frames = np.random.default_rng(7).normal(size=(37, 11)).astype(np.float32)
    mean = np.zeros(11)
    for frame in frames:
        mean += frame
    mean /= 37
    squares = np.zeros(11)
    for frame in frames:
        squares += (frame - mean) * (frame - mean)
    found = float_spread(frames)
    assert (found[0] == mean).all()
    assert (found[1] == squares).all()
