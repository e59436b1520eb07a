"""Polar samples and angular correlations against plain NumPy, for every number type and number of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels.correlation import FIXED, angular_correlations, pairs_of
from emdvc.kernels.polar import WHOLE, bilinear, polar_samples

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"]


def frames_of(kind: str, n: int, pixels: int, seed: int = 1) -> NDArray[Any]:
    """Return frames with numbers over most of a type's range."""
    random = np.random.default_rng(seed)
    if kind[0] == "f":
        return random.normal(size=(n, pixels)).astype(kind)
    bounds = np.iinfo(kind)
    return random.integers(bounds.min, bounds.max, (n, pixels), endpoint=True, dtype=kind)


def weighted(frames: NDArray[Any], pixels: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.float64]:
    """Return the samples as NumPy makes them: corner by corner."""
    total = np.zeros((frames.shape[0], pixels.shape[0]))
    for corner in range(4):
        total += frames[:, pixels[:, corner]].astype("f8") * weights[:, corner]
    return total / WHOLE


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("n", [1, 31, 32, 33, 70])
def test_samples(kind: str, n: int) -> None:
    """Every sample is the weighted mean of its four pixels, rounded once; frames do not mix."""
    random = np.random.default_rng(2)
    shape = (9, 11)  # 99 pixels: no whole number of squares of sixteen
    y, x = random.uniform(-1, 9.5, 37), random.uniform(-1, 11.5, 37)
    pixels, weights = bilinear(y, x, shape)
    frames = frames_of(kind, n, 99)
    assert (polar_samples(frames, pixels, weights) == weighted(frames, pixels, weights).astype(np.float32)).all()


def test_saturated_counts_do_not_overflow() -> None:
    """65536 times the highest 16-bit count fits 32 bits."""
    pixels, weights = bilinear(np.array([1.3, 2.0]), np.array([0.7, 1.0]), (4, 4))
    assert (polar_samples(np.full((3, 16), 65535, np.uint16), pixels, weights) == 65535).all()


@settings(deadline=None)
@given(st.floats(-0.5, 6.5), st.floats(-0.5, 8.5))
def test_a_plane_is_interpolated_exactly(y: float, x: float) -> None:
    """Of I = 3 y + 5 x a sample is that of its position, rounded to 1/256 px and held to the pixels' middles."""
    pixels, weights = bilinear(np.array([y]), np.array([x]), (7, 9))
    assert weights.sum() == WHOLE
    plane = (3.0 * np.arange(7)[:, None] + 5.0 * np.arange(9)).reshape(1, -1)
    held_y, held_x = min(max(y, 0.0), 6.0), min(max(x, 0.0), 8.0)
    sample = float(weighted(plane, pixels, weights)[0, 0])
    assert sample == pytest.approx(3 * held_y + 5 * held_x, abs=(3 + 5) / 512 + 1e-9)
    assert sample == 3 * np.rint(held_y * 256) / 256 + 5 * np.rint(held_x * 256) / 256


def test_outside_the_detector_nothing_is_sampled() -> None:
    """Beyond the border pixels the weights are zero."""
    _, weights = bilinear(np.array([-0.51, 6.51, 3.0, 3.0]), np.array([4.0, 4.0, -0.6, 8.6]), (7, 9))
    assert (weights == 0).all()


@pytest.mark.parametrize("size", [(1, 5), (5, 1), (1, 1)])
def test_a_line_detector(size: tuple[int, int]) -> None:
    """A detector of one row or column is sampled too."""
    pixels, weights = bilinear(np.zeros(1), np.zeros(1), size)
    assert weights.sum() == WHOLE and pixels.max() < size[0] * size[1]


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f4"])
@pytest.mark.parametrize("n", [1, 32, 45])
@pytest.mark.parametrize("azimuths", [4, 10, 36])
def test_correlations(kind: str, n: int, azimuths: int) -> None:
    """Each frame's correlation is NumPy's, and the sum over frames is that of all in fixed point."""
    random = np.random.default_rng(3)
    rings = 3
    y, x = random.uniform(0, 9, rings * azimuths), random.uniform(0, 11, rings * azimuths)
    pixels, weights = bilinear(y, x, (10, 12))
    frames = np.abs(frames_of(kind, n, 120).astype("f8")).astype(kind) if kind != "u1" else frames_of(kind, n, 120)
    single = np.zeros((n, rings, azimuths // 2 + 1), np.float32)
    total, counted = angular_correlations(frames, pixels, weights, pairs_of(weights, azimuths), single)
    samples = weighted(frames, pixels, weights).reshape(n, rings, azimuths)
    turned = [(samples * np.roll(samples, -d, axis=2)).mean(axis=2) for d in range(azimuths // 2 + 1)]
    square = samples.mean(axis=2) ** 2
    expected = np.stack([(one - square) / square for one in turned], axis=2)
    assert np.allclose(single, expected, rtol=1e-5, atol=1e-6)
    assert np.allclose(total / FIXED, expected.sum(axis=0), rtol=1e-9, atol=n * 2.0**-33 + 1e-9)
    assert (counted == n).all()


def test_correlations_do_not_depend_on_the_cut() -> None:
    """Blocks of any number of frames add up to the same bits."""
    frames = np.random.default_rng(4).poisson(2.0, (75, 120)).astype(np.uint16)
    y, x = np.random.default_rng(5).uniform(0, 9, (2, 40))
    pixels, weights = bilinear(y, x, (10, 12))
    whole = angular_correlations(frames, pixels, weights, pairs_of(weights, 20))
    for cut in (1, 17, 32, 64):
        parts = [
            angular_correlations(part, pixels, weights, pairs_of(weights, 20)) for part in (frames[:cut], frames[cut:])
        ]
        assert (parts[0][0] + parts[1][0] == whole[0]).all() and (parts[0][1] + parts[1][1] == whole[1]).all()


def test_a_ring_without_counts_has_no_correlation() -> None:
    """It gives NaN, and is not counted."""
    frames = np.zeros((3, 120), np.uint8)
    frames[1] = 4
    pixels, weights = bilinear(np.full(8, 3.0), np.arange(8.0), (10, 12))
    single = np.zeros((3, 1, 5), np.float32)
    total, counted = angular_correlations(frames, pixels, weights, pairs_of(weights, 8), single)
    assert np.isnan(single[[0, 2]]).all() and (single[1] == 0).all()
    assert counted.tolist() == [1] and (total == 0).all()


def test_missing_samples_are_left_out() -> None:
    """Means are over the samples and the pairs that there are; where no pair is left there is no correlation."""
    frames = np.random.default_rng(6).poisson(9.0, (37, 120)).astype(np.uint8)
    pixels, weights = bilinear(np.random.default_rng(7).uniform(0, 9, 16), np.arange(16.0) / 2, (10, 12))
    missing = np.zeros((2, 8), bool)
    missing[0, [1, 2]] = True
    missing[1, 1:4] = missing[1, 5:] = True  # samples 0 and 4 are left: 180 degrees apart
    weights[missing.reshape(-1)] = 0
    pairs = pairs_of(weights, 8)
    assert pairs.tolist() == [[6, 5, 4, 4, 4], [2, 0, 0, 0, 2]]
    single = np.zeros((37, 2, 5), np.float32)
    total, _ = angular_correlations(frames, pixels, weights, pairs, single)
    samples = np.where(missing, np.nan, weighted(frames, pixels, weights).reshape(37, 2, 8))
    square = np.nanmean(samples, axis=2) ** 2
    for turn in range(5):
        product = samples * np.roll(samples, -turn, axis=2)
        for ring in range(2):
            if pairs[ring, turn] == 0:
                assert np.isnan(single[:, ring, turn]).all() and total[ring, turn] == 0
            else:
                expected = np.nanmean(product[:, ring], axis=1) / square[:, ring] - 1
                assert np.allclose(single[:, ring, turn], expected, atol=1e-6)
                assert total[ring, turn] / FIXED == pytest.approx(expected.sum(), abs=1e-8)
