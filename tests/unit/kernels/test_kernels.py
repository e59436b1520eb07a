"""Kernels against plain NumPy sums in wide integers, for every number type and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.accumulators import NARROW_ADDITIONS
from emdvc.kernels.frames import sum_and_max
from emdvc.kernels.labels import label_sums, label_sums_and_squares
from emdvc.kernels.moments import first_moments
from emdvc.kernels.validity import NEGATIVE, NOT_FINITE, VALID, first_invalid

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4"]


def counts(*shape: tuple[int, int]) -> st.SearchStrategy[NDArray[Any]]:
    """Return arrays of every integer type with shapes within bounds."""
    sides = st.tuples(*(st.integers(low, high) for low, high in shape))
    return st.sampled_from(TYPES).flatmap(lambda kind: hnp.arrays(np.dtype(kind), sides))


@settings(deadline=None)
@given(counts((1, 80), (1, 70)), st.integers(1, 5), st.randoms(use_true_random=False))
def test_label_sums(frames: NDArray[Any], count: int, random: Any) -> None:
    """The sum over each label is NumPy's sum over its pixels; pixels with a negative label count nowhere.

    Numbers of frames and pixels on both sides of what the lanes and the squares hold.
    """
    labels = np.array([random.randrange(-1, count) for _ in range(frames.shape[1])], np.int32)
    wide = frames.astype(object)
    expected, squared = (
        np.stack([power[:, labels == label].sum(axis=1) for label in range(count)], axis=1) for power in (wide, wide**2)
    )
    assert (label_sums(frames, labels, count) == expected).all()
    sums, squares = label_sums_and_squares(frames, labels, count)
    assert (sums == expected).all()
    if frames.dtype.itemsize < 4:  # the squares of 32-bit numbers may exceed 64 bits
        assert (squares == squared).all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "f4", "f8"])
def test_label_sums_of_a_small_detector_on_a_large_one(dtype: str) -> None:
    """What no detector holds is not read; the sums are those of the few pixels, for every number type."""
    frames = np.random.default_rng(3).integers(0, 200, (45, 600)).astype(dtype)
    labels = np.full(600, -1, np.int32)
    labels[[37, 38, 250, 599]] = [0, 1, 1, 0]
    expected = np.stack([frames[:, [37, 599]].sum(axis=1), frames[:, [38, 250]].sum(axis=1)], axis=1)
    assert (label_sums(frames, labels, 2) == expected).all()


@settings(deadline=None)
@given(counts((1, 20), (1, 40)))
def test_sum_and_max(frames: NDArray[Any]) -> None:
    """Sum and maximum over frames are NumPy's."""
    total, largest = sum_and_max(frames)
    assert (total == frames.sum(axis=0, dtype=object)).all()
    assert (largest == frames.max(axis=0)).all()


@settings(deadline=None)
@given(counts((1, 5), (1, 12), (1, 12)))
def test_first_moments(frames: NDArray[Any]) -> None:
    """The moments are NumPy's sums in whole numbers of any size."""
    wide = frames.astype(object)
    y, x = np.arange(frames.shape[1])[:, None], np.arange(frames.shape[2])
    for mask in (np.ones(frames.shape[1:], np.uint8), ((y + 2 * x) % 3 == 1).astype(np.uint8)):
        expected = np.stack([(wide * mask * weight).sum(axis=(1, 2)) for weight in (1, y, x)], axis=1)
        assert (first_moments(frames, mask) == expected).all()


def test_saturated_counters_do_not_overflow() -> None:
    """More saturated 16-bit pixels than fit a 32-bit lane: the sum still is exact."""
    pixels = NARROW_ADDITIONS + 1000
    frames = np.full((9, pixels), 65535, np.uint16)
    assert (label_sums(frames, np.zeros(pixels, np.int32), 1) == 65535 * pixels).all()
    total, _ = sum_and_max(np.full((NARROW_ADDITIONS + 7, 3), 65535, np.uint16))
    assert (total == 65535 * (NARROW_ADDITIONS + 7)).all()


@pytest.mark.parametrize("height", [360, 361, 362, 1030])
def test_large_detectors_do_not_overflow(height: int) -> None:
    """Saturated columns on both sides of the height up to which they are summed in 32 bits."""
    moments = first_moments(np.full((2, height, 3), 65535, np.uint16), np.ones((height, 3), np.uint8))
    assert moments[0, 1] == 3 * 65535 * height * (height - 1) // 2


def test_masked_pixels_do_not_count() -> None:
    """A mask takes pixels out of all three sums."""
    frames = np.arange(2 * 4 * 5, dtype=np.uint16).reshape(2, 4, 5)
    mask = np.zeros((4, 5), np.uint8)
    mask[2, 3] = 1
    assert (first_moments(frames, mask) == [[13, 26, 39], [33, 66, 99]]).all()


def test_floats_are_summed_in_pixel_order() -> None:
    """The order of float additions is fixed: the bits equal those of a plain loop."""
    for count, pixels in ((75, 301), (35, NARROW_ADDITIONS + 133)):
        frames = np.random.default_rng(7).normal(size=(count, pixels)).astype(np.float32)
        expected = np.zeros(count)
        for pixel in range(pixels):
            expected += frames[:, pixel]
        assert (label_sums(frames, np.zeros(pixels, np.int32), 1)[:, 0] == expected).all()


@pytest.mark.parametrize(
    ("values", "allow", "expected"),
    [
        ([1.0, 2.0], False, (VALID, -1)),
        ([1.0, -2.0, float("nan")], False, (NEGATIVE, 1)),
        ([1.0, -2.0, float("nan")], True, (NOT_FINITE, 2)),
        ([1.0, float("inf")], True, (NOT_FINITE, 1)),
    ],
)
def test_first_invalid_float(values: list[float], allow: bool, expected: tuple[int, int]) -> None:
    """The first sample that is no count is found, and what it is."""
    assert first_invalid(np.array(values, np.float32), allow) == expected


def test_first_invalid_integer() -> None:
    """Signed integers are searched, unsigned ones cannot be wrong."""
    assert first_invalid(np.array([[3, 2], [-1, 0]], np.int16), False) == (NEGATIVE, 2)
    assert first_invalid(np.array([[3, 2], [-1, 0]], np.int16), True) == (VALID, -1)
    assert first_invalid(np.array([255], np.uint8), False) == (VALID, -1)
