"""Moved frames against NumPy's slices and a plain bilinear formula, for every number type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels.shifts import shift_bilinear, shift_by_pixels

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"]


def plain_shift(frame: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return a frame moved by whole pixels, by padding and cutting."""
    ny, nx = frame.shape
    padded = np.pad(frame, ((ny + abs(down),) * 2, (nx + abs(right),) * 2))
    top, left = ny + abs(down) - down, nx + abs(right) - right
    return padded[top : top + ny, left : left + nx]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TYPES), st.integers(1, 7), st.integers(1, 7), st.integers(0, 999))
def test_whole_pixels(kind: str, ny: int, nx: int, seed: int) -> None:
    """Any shift, also beyond the frame: each number stays what it is, the lost ones are counted."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 100, (4, ny, nx)).astype(kind)
    shifts = rng.integers(-9, 10, (4, 2))
    moved, lost = shift_by_pixels(frames, shifts)
    assert moved.dtype == frames.dtype
    for frame, (down, right), one, gone in zip(frames, shifts.tolist(), moved, lost, strict=True):
        expected = plain_shift(frame, down, right)
        assert (one == expected).all()
        assert int(gone) == int(frame.sum(dtype="f8") - expected.sum(dtype="f8"))


def test_lost_counts_do_not_overflow() -> None:
    """Saturated 32-bit pixels: their sum needs 64 bits."""
    frames = np.full((1, 40, 50), 2**32 - 1, np.uint32)
    _, lost = shift_by_pixels(frames, np.array([[100, 0]]))
    assert lost[0] == 2000 * (2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TYPES), st.integers(1, 7), st.integers(1, 7), st.integers(0, 999), st.sampled_from([1.0, 4.0]))
def test_bilinear(kind: str, ny: int, nx: int, seed: int, grid: float) -> None:
    """The mean of four moved frames, weighted by the fractions; to the bit where the fractions are quarters."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 100, (3, ny, nx)).astype(kind)
    shifts = rng.uniform(-9, 9, (3, 2))
    if grid > 1:
        shifts = np.rint(shifts * grid) / grid
    moved = shift_bilinear(frames, shifts)
    assert moved.dtype == np.float32
    for frame, (down, right), one in zip(frames.astype("f8"), shifts.tolist(), moved, strict=True):
        whole_y, whole_x = int(np.floor(down)), int(np.floor(right))
        fy, fx = down - whole_y, right - whole_x
        expected = np.zeros((ny, nx))
        for step_y, weight_y in ((0, 1 - fy), (1, fy)):
            for step_x, weight_x in ((0, 1 - fx), (1, fx)):
                expected += weight_y * weight_x * plain_shift(frame, whole_y + step_y, whole_x + step_x)
        if grid > 1:
            assert (one == expected.astype(np.float32)).all()
        else:
            assert np.allclose(one, expected, rtol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 3.0, -2.0])
def test_bilinear_by_whole_pixels_is_exact(shift: float) -> None:
    """Nothing is blurred where no fraction is left."""
    frames = np.random.default_rng(1).integers(0, 60_000, (2, 8, 9)).astype(np.uint16)
    shifts = np.full((2, 2), shift)
    assert (shift_bilinear(frames, shifts) == shift_by_pixels(frames, shifts.astype(np.int64))[0]).all()
