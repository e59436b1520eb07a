"""Angular correlations of patterns of known symmetry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.steps.registry import find

from .conftest import dataset, run


def pattern(fold: int, depth: float = 0.5, turned: float = 0.0) -> NDArray[np.float64]:
    """Return 1 + depth cos(fold (phi - turned)) around the middle of 129 x 129 px."""
    y, x = np.mgrid[0:129, 0:129] - 64.0
    return 1 + depth * np.cos(fold * (np.arctan2(y, x) - turned))


@pytest.mark.parametrize("fold", [2, 3, 4, 5, 6])
def test_symmetry_gives_its_angles(fold: int) -> None:
    """m-fold symmetry: C(delta) = depth^2 / 2 cos(m delta), with maxima at the multiples of 360 / m degrees."""
    found = run("angular_correlation", dataset(pattern(fold), "ky kx"), azimuths=360)["mean_correlation"].values
    delta = np.arange(181)
    expected = 0.125 * np.cos(fold * np.radians(delta))
    assert found.shape == (65, 181)
    # interpolation smooths cos(m phi) by up to (m / r)^2 / 8 of it per pixel of spacing
    assert np.abs(found[30:64] - expected).max() < 0.0015
    for ring in (30, 45, 60):
        inner = found[ring, 1:-1]
        peaks = np.flatnonzero((inner > found[ring, :-2]) & (inner >= found[ring, 2:])) + 1
        assert peaks.tolist() == [360 * i // fold for i in range(1, fold) if 0 < 360 * i / fold < 180]


def test_patterns_turned_against_each_other_add_up() -> None:
    """The correlation does not depend on how a pattern is turned, the mean pattern does: it loses its symmetry."""
    frames = np.stack([pattern(4, turned=angle) for angle in np.linspace(0, math.pi / 2, 9)[:-1]])
    found = run("angular_correlation", dataset(frames, "frame ky kx"), per_probe=True)
    each = found["correlation"].values
    assert each.shape == (8, 65, 91) and each.dtype == np.float32
    assert np.abs(each[:, 40] - each[0, 40]).max() < 0.001
    assert np.allclose(found["mean_correlation"].values, each.mean(axis=0), atol=1e-7)
    of_mean = run("angular_correlation", dataset(frames.mean(axis=0), "ky kx"))["mean_correlation"].values
    assert np.abs(of_mean[40]).max() < 0.01 * each[0, 40].max()


def test_bragg_spots() -> None:
    """Six spots on a ring of radius 40 px correlate at 60, 120 and 180 degrees, and nowhere else."""
    y, x = np.mgrid[0:129, 0:129] - 64.0
    spots = sum(
        np.exp(-((y - 40 * math.sin(a)) ** 2 + (x - 40 * math.cos(a)) ** 2) / 8)
        for a in np.radians(np.arange(6) * 60 + 17)
    )
    found = run("angular_correlation", dataset(np.asarray(spots), "ky kx"))["mean_correlation"].values[40]
    peaks = [2 * i for i in range(5, 90) if found[i - 1] < found[i] >= found[i + 1]]
    assert peaks == [60, 120] and found[90] > found[89]
    assert found[[30, 60, 90]] == pytest.approx(found[0], rel=0.02)
    assert found[[15, 45, 75]].max() < 0  # between the spots there is less than the mean


def test_against_the_definition() -> None:
    """From the samples of polar_transform, with NumPy: means over azimuths of products, over the squared mean."""
    counts = np.random.default_rng(1).poisson(30, (7, 33, 35)).astype(np.uint16)
    opened = dataset(counts, "frame ky kx")
    polar = run("polar_transform", opened, azimuths=24, center="15.8,17.1")["polar"].values.astype("f8")
    found = run("angular_correlation", opened, azimuths=24, center="15.8,17.1", per_probe=True)
    square = polar.mean(axis=1) ** 2
    for step in range(13):
        expected = ((polar * np.roll(polar, -step, axis=1)).mean(axis=1) - square) / square
        assert np.allclose(found["correlation"].values[..., step], expected, atol=1e-6)
        assert np.allclose(found["mean_correlation"].values[:, step], expected.mean(axis=0), atol=1e-6)
    assert (found["patterns"].values == 7).all()


def test_empty_patterns_are_left_out() -> None:
    """A pattern without counts has no correlation, and does not change the mean of the others."""
    one = np.random.default_rng(2).poisson(3, (33, 33)).astype(np.uint8)
    found = run("angular_correlation", dataset(np.stack([one, 0 * one, one]), "frame ky kx"), per_probe=True)
    assert np.isnan(found["correlation"].values[1]).all()
    assert np.allclose(found["mean_correlation"].values, found["correlation"].values[0], atol=1e-6)
    assert (found["patterns"].values == 2).all()
    nothing = run("angular_correlation", dataset(np.zeros((2, 33, 33), "u1"), "frame ky kx"))
    assert np.isnan(nothing["mean_correlation"].values).all()


def test_a_distorted_pattern_is_corrected() -> None:
    """An ellipse looks two-fold; corrected, nothing is left."""
    y, x = np.mgrid[0:129, 0:129] - 64.0
    r = np.hypot(x / math.sqrt(1.1), y * math.sqrt(1.1))
    opened = dataset(np.exp(-((r - 40.5) ** 2) / 18), "ky kx")
    wrong = run("angular_correlation", opened)["mean_correlation"].values[36]
    right = run("angular_correlation", opened, ratio=1.1, angle=0)["mean_correlation"].values[36]
    assert wrong[-1] > 0.05 and np.abs(right).max() < 1e-3


def test_rings_beyond_the_border() -> None:
    """A ring of which a quarter is cut off correlates as the whole one, from the pairs that are left.

    Not exactly: the means over the rest, 2.9 periods of four, are not those of the whole. A constant is constant.
    """
    y, x = np.mgrid[0:129, 0:129] - 64.0
    values = 1 + 0.5 * np.cos(4 * np.arctan2(y, x + 24))
    found = run("angular_correlation", dataset(values, "ky kx"), center="64,40", outer=62, bins=62)
    expected = 0.125 * np.cos(4 * np.radians(2 * np.arange(91)))
    rest = found["mean_correlation"].values[60]
    assert np.corrcoef(rest, expected)[0, 1] > 0.95
    assert [2 * i for i in range(1, 90) if rest[i - 1] < rest[i] >= rest[i + 1]] == pytest.approx([0, 90], abs=8)
    even = run("angular_correlation", dataset(np.full((129, 129), 7, "u1"), "ky kx"), center="64,40", outer=62, bins=62)
    assert (even["mean_correlation"].values == 0).all()


@pytest.mark.parametrize(("parameters", "says"), [({"azimuths": 45}, "even"), ({"azimuths": 2}, "azimuths")])
def test_bad_parameters(parameters: dict[str, Any], says: str) -> None:
    """An odd number of azimuths has no sample at 180 degrees."""
    with pytest.raises(ValidationError) as caught:
        find("angular_correlation").Parameters(**parameters)
    assert says in str(caught.value)


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_threads_and_order_do_not_matter(kind: str) -> None:
    """One and two threads, and the patterns in another order: the same bytes of the mean."""
    scan = np.random.default_rng(3).poisson(9, (600, 33, 41)).astype(kind)
    first, second = (
        run("angular_correlation", dataset(scan, "frame ky kx"), threads=n, azimuths=36, per_probe=True) for n in (1, 2)
    )
    assert all(first[name].values.tobytes() == second[name].values.tobytes() for name in first)
    other = run("angular_correlation", dataset(scan[::-1].copy(), "frame ky kx"), azimuths=36)
    assert other["mean_correlation"].values.tobytes() == first["mean_correlation"].values.tobytes()
