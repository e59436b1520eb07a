"""Variances of fluctuation electron microscopy, against analytic values and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.steps import fixed_point
from emdvc.steps.registry import find

from .conftest import dataset, run


@pytest.fixture(scope="module")
def poisson() -> NDArray[np.uint16]:
    """Return 3000 patterns of 32 x 32 px with Poisson counts of mean 4."""
    return np.random.default_rng(1).poisson(4.0, (3000, 32, 32)).astype(np.uint16)


def test_poisson_noise_gives_one_over_the_mean(poisson: NDArray[np.uint16]) -> None:
    """Poisson counts of mean m: V = 1 / m over the scan, and 1 / (m N) for means over N pixels."""
    found = {name: v.values for name, v in run("fem_variance", dataset(poisson, "frame ky kx")).items()}
    # 3000 draws: a pixel's variance is known to 2.6 %, that of a ring of N pixels to 2.6 % / sqrt(N)
    assert found["variance_image"].mean() == pytest.approx(0.25, rel=0.005)
    outer = found["pixels"] > 40
    assert found["variance"][outer] == pytest.approx(0.25, rel=0.015)
    assert found["ensemble_variance"][outer] == pytest.approx(0.25, rel=0.015)
    assert found["annular_variance"] * found["pixels"] == pytest.approx(0.25, rel=0.11)
    assert found["mean_profile"] == pytest.approx(4.0, rel=0.02)


def test_poisson_noise_within_rings(poisson: NDArray[np.uint16]) -> None:
    """Within a ring of N pixels of one pattern V is 1 / m in the mean, less by 1 / (m N) for the mean that is taken."""
    found = run("ring_variance", dataset(poisson, "frame ky kx"))
    pixels = found["pixels"].values
    outer = pixels > 30
    expected = 0.25 * (1 - 1 / pixels[outer])
    assert found["mean_variance"].values[outer] == pytest.approx(expected, rel=0.015)
    assert found["variance"].values.shape == (3000, pixels.size)


def test_shot_noise_can_be_taken_off(poisson: NDArray[np.uint16]) -> None:
    """Nothing is left of Poisson noise; what varies otherwise is left."""
    rest = run("fem_variance", dataset(poisson, "frame ky kx"), shot_noise="subtract")
    outer = rest["pixels"].values > 40
    for name in ("variance", "ensemble_variance", "annular_variance"):
        assert np.abs(rest[name].values[outer]).max() < 0.004
    ring = run("ring_variance", dataset(poisson, "frame ky kx"), shot_noise="subtract")
    assert np.abs(ring["mean_variance"].values[outer] + 0.25 / ring["pixels"].values[outer]).max() < 0.005
    # every pattern brighter or dimmer as a whole by half: V = 0.25 without noise
    factor = np.random.default_rng(2).choice([0.5, 1.5], 3000)
    counts = np.random.default_rng(3).poisson(20 * factor[:, None, None] * np.ones((32, 32))).astype(np.uint16)
    found = run("fem_variance", dataset(counts, "frame ky kx"), shot_noise="subtract")
    for name in ("variance", "ensemble_variance", "annular_variance"):
        assert found[name].values[outer] == pytest.approx(0.25, rel=0.03)


def test_two_patterns_of_known_variance() -> None:
    """Patterns of 3 and of 5 everywhere: V = ((9 + 25) / 2) / 16 - 1 = 1 / 16 by every definition, 0 within a ring."""
    frames = np.stack([np.full((16, 16), 3), np.full((16, 16), 5)]).astype(np.uint8)
    found = run("fem_variance", dataset(frames, "frame ky kx"))
    for name in ("variance", "annular_variance", "ensemble_variance", "variance_image"):
        assert (found[name].values == 1 / 16).all()
    assert (run("ring_variance", dataset(frames, "frame ky kx"))["variance"].values == 0).all()
    # a chess board that moves by one pixel: every pixel varies, the rings and their ensemble hardly or alike
    y, x = np.mgrid[0:16, 0:16]
    board = np.stack([(y + x) % 2, (y + x + 1) % 2]).astype(np.uint8)
    found = run("fem_variance", dataset(board, "frame ky kx"))
    assert (found["variance"].values == 1).all() and (found["ensemble_variance"].values == 1).all()
    assert found["annular_variance"].values[-3:] == pytest.approx(0, abs=1e-2)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(1, 65535), st.integers(0, 2**32 - 1))
def test_variances_are_exact_to_one_rounding(number: int, highest: int, seed: int) -> None:
    """Against fractions: the annular and the ensemble variance are rounded once."""
    frames = np.random.default_rng(seed).integers(0, highest, (number, 9, 9), endpoint=True).astype(np.uint16)
    frames[0, 4, 4] = 1  # not all empty
    found = run("fem_variance", dataset(frames, "frame ky kx"), center="4,4", threads=2)
    y, x = np.mgrid[0:9, 0:9] - 4.0
    ring = np.floor(np.sqrt(y * y + x * x) * (1 + 1e-9)).astype(int)
    for index in range(5):
        values = [[int(v) for v in frame[ring == index]] for frame in frames]
        total = sum(map(sum, values))
        if total == 0:
            assert np.isnan(found["annular_variance"].values[index])
            continue
        annular = Fraction(number * sum(sum(v) ** 2 for v in values), total**2) - 1
        ensemble = Fraction(number * len(values[0]) * sum(n * n for v in values for n in v), total**2) - 1
        assert found["annular_variance"].values[index] == float(annular)
        assert found["ensemble_variance"].values[index] == float(ensemble)


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4", "f8"])
def test_against_plain_numpy(kind: str) -> None:
    """Every output against its definition in NumPy, for every kind of numbers."""
    frames = np.random.default_rng(5).poisson(20, (3, 5, 24, 27)).astype(kind)
    found = {name: v.values for name, v in run("fem_variance", dataset(frames, "y x ky kx"), center="11,13").items()}
    rings = run("ring_variance", dataset(frames, "y x ky kx"), center="11,13")
    flat = frames.reshape(15, 24, 27).astype("f8")
    image = (flat**2).mean(axis=0) / flat.mean(axis=0) ** 2 - 1
    assert np.allclose(found["variance_image"], image, rtol=1e-12)
    y, x = np.mgrid[0:24, 0:27]
    ring = np.floor(np.hypot(y - 11, x - 13) + 1e-9).astype(int)
    for index in range(found["pixels"].size):
        values = flat[:, ring == index]
        means = values.mean(axis=1)
        assert found["variance"][index] == pytest.approx(image[ring == index].mean(), rel=1e-12)
        assert found["annular_variance"][index] == pytest.approx((means**2).mean() / means.mean() ** 2 - 1, abs=1e-14)
        assert found["ensemble_variance"][index] == pytest.approx(
            (values**2).mean() / values.mean() ** 2 - 1, abs=1e-14
        )
        each = (values**2).mean(axis=1) / means**2 - 1
        assert rings["variance"].values.reshape(15, -1)[:, index] == pytest.approx(each, abs=1e-14)
        assert rings["mean_variance"].values[index] == pytest.approx(each.mean(), abs=1e-9)


def test_empty_rings_and_patterns() -> None:
    """A ring or a pixel without counts has no variance; it does not spoil those that have."""
    frames = np.zeros((4, 12, 12), np.uint16)
    frames[1:3, 4:8, 4:8] = 6
    found = run("fem_variance", dataset(frames, "frame ky kx"), outer=6, bins=3)
    assert found["variance"].values[0] == 1.0 and np.isnan(found["variance"].values[2])
    assert np.isnan(found["annular_variance"].values[2]) and np.isnan(found["variance_image"].values[0, 0])
    ring = run("ring_variance", dataset(frames, "frame ky kx"), outer=6, bins=3)
    assert np.isnan(ring["variance"].values[[0, 3]]).all() and ring["variance"].values[1, 0] == 0
    assert ring["patterns"].values.tolist() == [2, 2, 0]
    assert np.isnan(ring["mean_variance"].values[2]) and ring["mean_variance"].values[0] == 0


def test_one_pattern_does_not_vary() -> None:
    """A single pattern is refused, with the step that fits."""
    with pytest.raises(StepError) as caught:
        run("fem_variance", dataset(np.ones((8, 8), "u1"), "ky kx"))
    assert "ring_variance" in str(caught.value)
    assert (run("ring_variance", dataset(np.ones((8, 8), "u1"), "ky kx"))["variance"].values == 0).all()


@pytest.mark.parametrize("step", ["fem_variance", "ring_variance"])
@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_threads_do_not_matter(step: str, kind: str) -> None:
    """One and two threads: the same bytes."""
    scan = np.random.default_rng(6).poisson(9, (45, 9, 33, 41)).astype(kind)
    first, second = (run(step, dataset(scan, "y x ky kx"), threads=n) for n in (1, 2))
    assert all(first[name].values.tobytes() == second[name].values.tobytes() for name in first)


def test_the_order_of_patterns_does_not_matter() -> None:
    """Integers: the same patterns in another order, so in other blocks, give the same bits."""
    scan = np.random.default_rng(7).poisson(3, (700, 24, 24)).astype(np.uint16)
    for step in ("fem_variance", "ring_variance"):
        first, second = (run(step, dataset(values, "frame ky kx")) for values in (scan, scan[::-1].copy()))
        per_probe = {"variance"} if step == "ring_variance" else set()
        for name in set(first) - per_probe:
            assert first[name].values.tobytes() == second[name].values.tobytes()


def test_single_electrons() -> None:
    """One count on a ring of N pixels: V = N - 1 in each pattern and in the mean, however large that is."""
    frames = np.zeros((50, 65, 65), np.uint8)
    frames[np.arange(50), 32, 32 + 30] = 1
    found = run("ring_variance", dataset(frames, "frame ky kx"))
    pixels = int(found["pixels"].values[30])
    assert pixels > 150
    assert (found["variance"].values[:, 30] == pixels - 1).all() and found["mean_variance"].values[30] == pixels - 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_fixed_point_sums(values: list[float]) -> None:
    """Sums in parts are those of the rounded numbers, in any order."""
    parts = fixed_point.split(fixed_point.in_parts(np.array(values)))
    exact = sum(round(Fraction(value) * 2**32) for value in values)
    assert (int(parts[0].sum()) << 32) + int(parts[1].sum()) == exact
    assert fixed_point.joined(parts.sum(axis=1)) == pytest.approx(sum(values), abs=30 * 2.0**-33 + 1e-9)


def test_documented_definitions() -> None:
    """Each output names what it is, so that Daulton's four definitions cannot be mixed up."""
    doc = find("fem_variance").__doc__ or ""
    for name in ("variance_image", "annular_variance", "ensemble_variance", "ring_variance"):
        assert name in doc
