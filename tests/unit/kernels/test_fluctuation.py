"""Sums of squares in wide integers, and weighted sums, against Python's own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.fluctuation import add_wide, as_integers, sums_and_squares, wide_squares
from emdvc.kernels.weights import weigh


@settings(deadline=None)
@given(
    st.sampled_from(["u1", "u2", "i1", "i2"]).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), st.tuples(st.integers(1, 20), st.integers(1, 30)))
    )
)
def test_sums_and_squares(frames: NDArray[Any]) -> None:
    """Both are those of integers of any size."""
    sums, squares = sums_and_squares(frames)
    wide = frames.astype(object)
    assert (sums == wide.sum(axis=0)).all() and (squares == (wide * wide).sum(axis=0)).all()


def test_squares_of_saturated_counts() -> None:
    """Eight squares of the highest 16-bit count do not fit 32 bits; their sum is exact."""
    sums, squares = sums_and_squares(np.full((19, 3), 65535, np.uint16))
    assert (sums == 19 * 65535).all() and (squares == 19 * 65535**2).all()


def test_floats_are_added_frame_by_frame() -> None:
    """The bits equal those of a plain loop."""
    frames = np.random.default_rng(7).normal(size=(21, 5)).astype(np.float32)
    sums, squares = np.zeros(5), np.zeros(5)
    for frame in frames.astype("f8"):
        sums += frame
        squares += frame * frame
    found = sums_and_squares(frames)
    assert (found[0] == sums).all() and (found[1] == squares).all()


@settings(deadline=None)
@given(hnp.arrays(np.uint64, st.tuples(st.integers(1, 9), st.integers(1, 4))), st.integers(0, 9))
def test_wide_squares(sums: NDArray[np.uint64], cut: int) -> None:
    """Squares of 64-bit numbers add up in 128 bits (their lower 128 bits, where even those are too few)."""
    expected = [sum(int(value) ** 2 for value in column) % 2**128 for column in sums.T]
    # the kernel is given sums of counts: signed ones have their sign taken off before
    assert as_integers(wide_squares(sums)) == expected
    parts = [wide_squares(part) for part in (sums[:cut], sums[cut:])]
    assert as_integers(add_wide(*parts)) == expected


def test_signed_sums_are_squared() -> None:
    """The square of a negative sum is positive."""
    assert as_integers(wide_squares(np.array([[-3], [-(2**40)]]))) == [9 + 2**80]


@pytest.mark.parametrize("kind", ["u8", "i8", "f8"])
def test_weighted_sums(kind: str) -> None:
    """The sum over labels of weight times sum, in the weights' type and order."""
    sums = np.arange(12).reshape(3, 4).astype(kind)
    weights = np.array([7, 1, 256], kind)
    found = weigh(sums, np.array([3, 0, 2]), weights)
    assert found.dtype == weights.dtype
    assert found.tolist() == [7 * a + b + 256 * c for a, b, c in sums[:, [3, 0, 2]].tolist()]


def test_negative_weights_of_unsigned_counts() -> None:
    """Unsigned sums are taken over into signed ones before they are weighed."""
    assert weigh(np.array([[5, 9]], np.uint64), np.array([0, 1]), np.array([-2, 1])).tolist() == [-1]
