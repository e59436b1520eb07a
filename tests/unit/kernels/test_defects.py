"""Defects planted into images with known statistics; structures of a beam that are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.kernels.defects import DEAD, GOOD, HOT, Behaviour, find_defects

FRAMES = 400


def behaviour(rates: NDArray[np.float64], seed: int = 1) -> Behaviour:
    """Return what pixels with these Poisson rates do in 400 frames."""
    samples = np.random.default_rng(seed).poisson(rates, (FRAMES, *rates.shape))
    return of(samples)


def of(samples: NDArray[np.int64]) -> Behaviour:
    """Return what samples show, the largest of each pixel left out."""
    left = np.sort(samples, axis=0)[:-1]
    constant = samples.min(axis=0) == samples.max(axis=0)
    return Behaviour(left.mean(axis=0), left.var(axis=0), left[0].astype(float), constant, len(left))


def disk(radius: float, size: int = 41) -> NDArray[np.float64]:
    """Return a disk with an edge of one pixel."""
    y, x = np.mgrid[0:size, 0:size]
    return np.clip(radius + 0.5 - np.hypot(y - 20.3, x - 19.8), 0.0, 1.0)


def search(seen: Behaviour, radius: int = 2) -> NDArray[np.uint8]:
    """Return the defects at the step's defaults."""
    return find_defects(seen, radius, 5.0, 0.5)


@pytest.mark.parametrize("radius", [2.5, 4.0, 8.2, 15.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_edge_of_a_disk_is_no_defect(radius: float, seed: int) -> None:
    """Bright disks on a faint and on no background, from small Bragg disks to a bright field."""
    for background in (0.0, 0.05, 1.0):
        assert not search(behaviour(9.0 * disk(radius) + background, seed)).any()


def test_spots_and_rings_are_no_defects() -> None:
    """Gaussian spots of sigma 0.8 px and a ring 1.5 px wide, both still through the scan."""
    y, x = np.mgrid[0:41, 0:41]
    rates = np.full((41, 41), 0.2)
    for at_y, at_x in ((8, 8), (8.5, 30.5), (30.25, 9.0)):
        rates += 20 * np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 0.8**2))
    rates += 3 * np.exp(-((np.hypot(y - 20, x - 20) - 14.3) ** 2) / (2 * 0.65**2))
    assert not search(behaviour(rates)).any()


@pytest.mark.parametrize("level", [0.0, 0.02, 1.0, 50.0, 3000.0])
def test_flat_illumination_has_no_defects(level: float) -> None:
    """Poisson noise alone, from next to nothing to thousands of counts, with sensitivities that scatter by 3 %."""
    sensitivity = 1 + 0.03 * np.random.default_rng(9).normal(size=(64, 64))
    assert not search(behaviour(level * np.clip(sensitivity, 0, None))).any()


@pytest.mark.parametrize(
    "pixels",
    [
        [(10, 12)],
        [(0, 0)],
        [(10, 12), (10, 13)],
        [(20, 20), (20, 21), (21, 20), (21, 21)],
        [(5, 5), (5, 4), (5, 6), (4, 5), (6, 5)],
        [(y, 17) for y in range(41)],
        [(0, x) for x in range(41)],
        [(12, x) for x in range(41)] + [(y, 30) for y in range(41)],
    ],
    ids=["one", "corner", "pair", "square", "cross", "column", "border", "lines"],
)
@pytest.mark.parametrize("kind", [HOT, DEAD])
def test_what_is_planted_is_found_and_nothing_else(pixels: list[tuple[int, int]], kind: int) -> None:
    """Hot pixels of three times the level, dead ones that count nothing."""
    rates = np.full((41, 41), 4.0)
    planted = np.zeros((41, 41), np.uint8)
    for y, x in pixels:
        rates[y, x] = 12.0 if kind == HOT else 0.0
        planted[y, x] = kind
    assert (search(behaviour(rates)) == planted).all()


def test_defects_on_the_edge_of_a_disk() -> None:
    """Hot and dead pixels where the counts fall from 9 to 0.5 within two pixels."""
    rates = 9.0 * disk(8.2) + 0.5
    for y, x, rate in ((12, 20, 90.0), (28, 19, 0.0), (20, 11, 60.0), (21, 28, 0.0)):
        rates[y, x] = rate
    found = search(behaviour(rates))
    assert {(int(y), int(x)): int(found[y, x]) for y, x in np.argwhere(found)} == {
        (12, 20): HOT,
        (28, 19): DEAD,
        (20, 11): HOT,
        (21, 28): DEAD,
    }


def test_a_pixel_that_never_changes_is_dead() -> None:
    """It says 4 in every frame, where its neighbours say 4 on average."""
    samples = np.random.default_rng(3).poisson(4.0, (FRAMES, 21, 21))
    samples[:, 9, 9] = 4
    found = search(of(samples))
    assert np.argwhere(found).tolist() == [[9, 9]]
    assert found[9, 9] == DEAD


def test_an_x_ray_does_not_make_a_pixel_hot() -> None:
    """One sample of 60 000 in 400 frames of 0.1 counts; two of them are indeed suspicious."""
    samples = np.random.default_rng(3).poisson(0.1, (FRAMES, 21, 21))
    samples[77, 9, 9] = 60_000
    assert not search(of(samples)).any()
    samples[200, 9, 9] = 60_000
    assert np.argwhere(search(of(samples))).tolist() == [[9, 9]]


def test_where_nothing_arrives_no_pixel_is_dead() -> None:
    """Half of the detector is in shadow: its pixels cannot be judged, and its edge is no line of defects."""
    rates = np.full((30, 30), 5.0)
    rates[:, 13:] = 0.0
    assert (search(behaviour(rates)) == GOOD).all()


def test_a_larger_neighbourhood_finds_larger_clusters() -> None:
    """Of 3 x 3 dead pixels each has eight others beside it: 7 x 7 shows them, 5 x 5 does not."""
    rates = np.full((41, 41), 4.0)
    rates[10:13, 20:23] = 0.0
    assert search(behaviour(rates), radius=4)[10:13, 20:23].all()
    assert np.count_nonzero(search(behaviour(rates), radius=4)) == 9
    assert not search(behaviour(rates), radius=2).any()
