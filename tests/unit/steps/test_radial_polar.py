"""Patterns in polar coordinates, and their profiles along the azimuth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.steps.registry import find

from .conftest import dataset, run


@pytest.fixture
def counts() -> NDArray[np.uint16]:
    """Return 3 x 4 random patterns of 33 x 41 px."""
    return np.random.default_rng(1).integers(0, 60000, (3, 4, 33, 41)).astype(np.uint16)


def test_samples_against_plain_interpolation(counts: NDArray[np.uint16]) -> None:
    """Every sample is the bilinear interpolation at its position, rounded to 1/256 px; the mean is over all frames."""
    found = run("polar_transform", dataset(counts, "y x ky kx"), center="15.7,20.2", azimuths=30, threads=2)
    polar = found["polar"]
    assert polar.dims == ("y", "x", "phi", "k") and polar.values.dtype == np.float32
    assert polar.values.shape == (3, 4, 30, 16)
    expected = np.empty((3, 4, 30, 16))
    for i in range(30):
        for j in range(16):
            y = round((15.7 + (j + 0.5) * math.sin(math.radians(12 * i))) * 256) / 256
            x = round((20.2 + (j + 0.5) * math.cos(math.radians(12 * i))) * 256) / 256
            y0, x0 = min(int(y), 31), min(int(x), 39)
            fy, fx = y - y0, x - x0
            upper = counts[..., y0, x0] * (1 - fx) + counts[..., y0, x0 + 1] * fx
            lower = counts[..., y0 + 1, x0] * (1 - fx) + counts[..., y0 + 1, x0 + 1] * fx
            expected[..., i, j] = upper * (1 - fy) + lower * fy
    assert (polar.values == expected.astype(np.float32)).all()
    assert np.allclose(found["mean_polar"].values, expected.mean(axis=(0, 1)), rtol=1e-13)


def test_axes() -> None:
    """A spot below the centre (+ky) lies at phi = 90 degrees, at its distance."""
    frame = np.zeros((41, 41), np.uint8)
    frame[20 + 12, 20] = 200
    polar = run("polar_transform", dataset(frame, "ky kx"), azimuths=360)["polar"].values
    phi, k = np.unravel_index(polar.argmax(), polar.shape)
    assert phi == 90 and abs(k + 0.5 - 12) <= 0.5
    profile = run("azimuthal_profile", dataset(frame, "ky kx"), bins=8)["profile"].values
    assert np.flatnonzero(profile).tolist() == [2]  # 90 to 135 degrees


def test_a_constant_is_constant() -> None:
    """Interpolation of a constant gives the constant, exactly, whatever the distortion."""
    found = run("polar_transform", dataset(np.full((2, 40, 40), 7, "u2"), "frame ky kx"), ratio=1.2, angle=40)
    assert (found["polar"].values == 7).all() and (found["mean_polar"].values == 7).all()


def test_beyond_the_detector_there_is_nothing() -> None:
    """Samples outside are NaN, in the mean too; those inside are as without them."""
    values = np.random.default_rng(2).integers(0, 99, (5, 21, 21)).astype(np.uint8)
    near = run("polar_transform", dataset(values, "frame ky kx"), outer=10, bins=10)
    far = run("polar_transform", dataset(values, "frame ky kx"), outer=20, bins=20)
    assert np.array_equal(far["polar"].values[..., :10], near["polar"].values)
    assert np.isnan(far["polar"].values[:, 0, 11:]).all() and np.isnan(far["mean_polar"].values[0, 11:]).all()
    assert not np.isnan(far["mean_polar"].values[22:23, :12]).any()  # towards the corner it reaches further


def test_a_distorted_ring_is_straight() -> None:
    """An ellipse of a / b = 1.2 at 50 degrees is one column of the corrected polar pattern."""
    y, x = np.mgrid[0:101, 0:101] - 50.0
    c, s = math.cos(math.radians(50)), math.sin(math.radians(50))
    r = np.hypot((x * c + y * s) / math.sqrt(1.2), (y * c - x * s) * math.sqrt(1.2))
    opened = dataset(np.exp(-((r - 30.5) ** 2) / 8), "ky kx")
    straight = run("polar_transform", opened, ratio=1.2, angle="50deg")["polar"].values
    assert (straight.argmax(axis=1) == 30).all() and straight[:, 30].min() > 0.96
    assert np.ptp(run("polar_transform", opened)["polar"].values.argmax(axis=1)) >= 5


def test_azimuthal_profile_counts_every_pixel_once(counts: NDArray[np.uint16]) -> None:
    """Sums over the sectors are those of the annulus; sectors of a constant are constant."""
    opened = dataset(counts, "y x ky kx")
    found = run("azimuthal_profile", opened, inner=3, outer=14, bins=24, center="16.2,19.9")
    ring = run("virtual_detector", opened, inner=3, outer=14, center="16.2,19.9")["image"].values
    assert np.allclose((found["profile"].values * found["pixels"].values).sum(axis=-1), ring, rtol=1e-12)
    assert np.allclose(found["mean_profile"].values, found["profile"].values.mean(axis=(0, 1)), rtol=1e-12)
    even = run("azimuthal_profile", dataset(np.full((33, 33), 5.0), "ky kx"))["profile"].values
    assert (even == 5).all()


def test_azimuthal_profile_of_a_known_function() -> None:
    """Of I = 100 + 50 cos(2 phi) each sector of 10 degrees has its mean, 50 cos(2 phi) sin(10 deg) / (10 deg) + 100."""
    y, x = np.mgrid[0:201, 0:201] - 100.0
    pattern = 100 + 50 * np.cos(2 * np.arctan2(y, x))
    found = run("azimuthal_profile", dataset(pattern, "ky kx"), bins=36, inner=40, outer=95)["profile"].values
    phi = np.radians(10 * np.arange(36) + 5)
    expected = 100 + 50 * np.cos(2 * phi) * math.sin(math.radians(10)) / math.radians(10)
    assert np.abs(found - expected).max() < 0.3


def test_units() -> None:
    """The same samples, whatever the unit of k."""
    values = np.random.default_rng(3).integers(0, 99, (31, 31)).astype(np.uint8)
    opened = dataset(values, "ky kx", diffraction__pixel_size="0.2/nm", beam__energy="300kV")
    one, other = (run("polar_transform", opened, unit=unit, bins=12)["polar"].values for unit in ("px", "mrad"))
    assert np.allclose(one, other, atol=99 / 256)  # positions may be rounded to neighbouring parts of a pixel


def test_mean_alone_and_an_empty_annulus(counts: NDArray[np.uint16]) -> None:
    """The patterns of the probe positions can be left out; an annulus off the detector is refused."""
    opened = dataset(counts, "y x ky kx")
    found = run("polar_transform", opened, per_probe=False)
    assert set(found) == {"mean_polar"}
    assert np.array_equal(found["mean_polar"].values, run("polar_transform", opened)["mean_polar"].values)
    with pytest.raises(StepError, match="holds no pixel"):
        run("azimuthal_profile", opened, inner=100)


@pytest.mark.parametrize(("step", "more"), [("polar_transform", {}), ("azimuthal_profile", {"inner": 2})])
@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_threads_do_not_matter(step: str, more: dict[str, Any], kind: str) -> None:
    """One and two threads: the same bytes."""
    scan = np.random.default_rng(4).poisson(9, (45, 9, 33, 41)).astype(kind)
    first, second = (run(step, dataset(scan, "y x ky kx"), threads=n, ratio=1.1, angle=20, **more) for n in (1, 2))
    assert all(first[name].values.tobytes() == second[name].values.tobytes() for name in first)


def test_metadata_read() -> None:
    """A radius in px depends on the centre alone."""
    for name in ("polar_transform", "azimuthal_profile", "ring_variance", "fem_variance", "angular_correlation"):
        step = find(name)
        assert step.metadata(step.Parameters()) == ("diffraction.center",)
        assert step.metadata(step.Parameters(outer="3mrad", center="1,2")) == ("beam.energy", "diffraction")
        assert step.metadata(step.Parameters(ellipse="fit.zarr")) == ()
