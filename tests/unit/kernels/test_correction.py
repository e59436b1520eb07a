"""Correction of frames against plain NumPy, and the repair against a slow search pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.correction import neighbours, repair, subtract, subtract_and_scale


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.uint16, (3, 20)), hnp.arrays(np.uint16, 20))
def test_subtract(frames: NDArray[Any], dark: NDArray[Any]) -> None:
    """Differences of unsigned numbers come out signed."""
    found = subtract(frames, dark.astype(np.int32))
    assert found.dtype == np.int32
    assert (found == frames.astype(object) - dark.astype(object)).all()


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4", "f4"])
def test_subtract_and_scale(kind: str) -> None:
    """Two operations in 64 bits, and one rounding: the bits of NumPy's elementwise arithmetic."""
    random = np.random.default_rng(4)
    frames = random.integers(0, 120, (5, 33)).astype(kind)
    dark, gain = random.normal(3, 1, 33), random.normal(1, 0.1, 33)
    found = subtract_and_scale(frames, dark, gain, np.dtype(np.float32))
    assert (found == ((frames.astype(np.float64) - dark) * gain).astype(np.float32)).all()


def slow_repair(frame: NDArray[Any], bad: NDArray[np.bool_], median: bool) -> NDArray[Any]:
    """Return a repaired frame, each bad pixel looked at on its own."""
    out = frame.copy()
    for y, x in np.argwhere(bad):
        for radius in range(1, max(bad.shape) + 1):
            rows = slice(max(0, y - radius), y + radius + 1)
            columns = slice(max(0, x - radius), x + radius + 1)
            good = frame[rows, columns][~bad[rows, columns]]
            if good.size >= 3:
                break
        estimate = np.median(good.astype(float)) if median else good.astype(float).sum() / good.size
        out[y, x] = np.rint(estimate) if frame.dtype.kind != "f" else estimate
    return out


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["u1", "u2", "i4"]).flatmap(lambda kind: hnp.arrays(np.dtype(kind), (3, 6, 7))),
    hnp.arrays(np.bool_, (6, 7)),
    st.booleans(),
)
def test_repair(frames: NDArray[Any], bad: NDArray[np.bool_], median: bool) -> None:
    """Any pattern of bad pixels that leaves a good one: the same numbers as the slow search, good pixels untouched."""
    bad[2, 3] = False
    expected = np.stack([slow_repair(frame, bad, median) for frame in frames])
    repair(frames.reshape(3, -1), neighbours(bad), median)
    assert (frames == expected).all()


def test_repair_rounds_halves_to_even() -> None:
    """Neighbours 0 and 1 in equal numbers give 0, 1 and 2 give 2."""
    for low, expected in ((0, 0), (1, 2)):
        frame = np.array([[low, low + 1, low], [low + 1, 9, low], [low + 1, low, low + 1]], np.uint8)
        bad = np.zeros((3, 3), np.bool_)
        bad[1, 1] = True
        repair(frame.reshape(1, -1), neighbours(bad), False)
        assert frame[1, 1] == expected


def test_repair_of_floats() -> None:
    """Floats are not rounded: the mean of 3 x 3 without its middle, and the median."""
    frame = np.arange(9, dtype=np.float32).reshape(3, 3) ** 2
    bad = np.zeros((3, 3), np.bool_)
    bad[1, 1] = True
    around = neighbours(bad)
    assert around.others.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    for median, expected in ((False, (0 + 1 + 4 + 9 + 25 + 36 + 49 + 64) / 8), (True, (9 + 25) / 2)):
        copy = frame.copy()
        repair(copy.reshape(1, -1), around, median)
        assert copy[1, 1] == np.float32(expected)
