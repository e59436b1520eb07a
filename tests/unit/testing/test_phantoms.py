from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.model import record as rec
from emdvc.testing.phantoms import FILM, GOLD, VACUUM, DiffractionPhantom
from emdvc.testing.spectra import LINES, EdxPhantom, EelsPhantom


def _center(pattern: NDArray[np.float64]) -> tuple[float, float]:
    y, x = np.indices(pattern.shape)
    return float((pattern * y).sum() / pattern.sum()), float((pattern * x).sum() / pattern.sum())


def _digest(rows: object) -> str:
    found = hashlib.sha256()
    for row in rows:  # type: ignore[attr-defined]
        found.update(np.ascontiguousarray(row, "<u2").tobytes())
    return found.hexdigest()


def test_bytes_are_fixed() -> None:
    # the promise "the same bytes on every machine"; whoever changes the phantom changes the examples too
    scan = DiffractionPhantom(scan_shape=(6, 9), detector_shape=(48, 40), seed=3)
    assert _digest(scan.rows()) == "dcf24f9b0e92ecbba04863020375f4fdb4b3ea43ab5b3b31d464a6cf23278325"
    assert _digest(EdxPhantom((5, 4)).rows()) == "58e68f38b2df9c89d5ed608ecd5e2fb732f88f2cbf98121beb472f06cc59c0a7"
    assert _digest(EelsPhantom((5, 4)).rows()) == "7493fee46e4bd0d2cc8fbec4c73ebdc47a6ce9cd9e682fc01957a0543f3d579d"


def test_any_row_can_be_drawn_alone() -> None:
    scan = DiffractionPhantom(scan_shape=(4, 5), detector_shape=(32, 32))
    assert np.array_equal(list(scan.rows())[2], DiffractionPhantom((4, 5), (32, 32)).row(2))
    assert not np.array_equal(scan.row(2), DiffractionPhantom((4, 5), (32, 32), seed=2).row(2))


def test_counts_scatter_around_the_truth() -> None:
    scan = DiffractionPhantom(scan_shape=(8, 16))
    drawn = sum(int(row.sum()) for row in scan.rows())
    expected = sum(float(scan.expected(y).sum()) for y in range(8))
    assert drawn == pytest.approx(expected, abs=5 * math.sqrt(expected) + 2e-4 * 8 * 16 * 128 * 128)


def test_shift_field_is_found_in_the_vacuum() -> None:
    scan = DiffractionPhantom(scan_shape=(16, 16))
    shifts, regions = scan.shifts(), scan.regions()
    columns = np.flatnonzero((regions == VACUUM).all(axis=0))
    assert columns.size == 2
    for y, x in itertools.product(range(16), columns):
        frame = scan.expected(y)[x]
        found = np.subtract(_center(frame), scan.center)
        assert found == pytest.approx(shifts[y, x], abs=0.02)


def test_noisy_centers_scatter_as_poisson_statistics_says() -> None:
    scan = DiffractionPhantom(scan_shape=(32, 16), descan=((0.0, 0.0), (0.0, 0.0)), step=(0.0, 0.0))
    centers = np.array([_center(frame.astype(float)) for y in range(32) for frame in scan.row(y)[:2]])
    number = float(scan.expected(0)[0].sum())
    # analytic: sigma = R / (2 sqrt(N)) per axis for a disk; 64 frames give sigma to 9 %
    assert centers.std(axis=0) == pytest.approx(scan.disk_radius / (2 * math.sqrt(number)), rel=0.3)


def test_the_step_lies_in_the_middle() -> None:
    shifts = DiffractionPhantom((4, 10), descan=((0.0, 0.0), (0.0, 0.0)), step=(0.5, -0.75)).shifts()
    assert shifts[:, :5].any() == False  # noqa: E712
    assert (shifts[:, 5:] == (0.5, -0.75)).all()


def test_rings_are_those_of_gold() -> None:
    scan = DiffractionPhantom(descan=((0.0, 0.0), (0.0, 0.0)), step=(0.0, 0.0))
    pattern = scan.rates(FILM, (0.0, 0.0))
    y, x = np.indices(pattern.shape)
    r = np.hypot(y - scan.center[0], x - scan.center[1])
    bins = np.rint(r * 4).astype(int).ravel()
    profile = np.bincount(bins, pattern.ravel()) / np.maximum(np.bincount(bins), 1)
    for radius, spacing in zip(scan.ring_radii(), (GOLD / math.sqrt(n) for n in (3, 4, 8, 11)), strict=True):
        near = slice(round(radius * 4) - 8, round(radius * 4) + 9)
        peak = (near.start + int(np.argmax(profile[near]))) / 4
        assert peak * scan.pixel_size == pytest.approx(1 / spacing, rel=0.02)


def test_every_region_is_hit() -> None:
    assert set(np.unique(DiffractionPhantom().regions())) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("phantom", [DiffractionPhantom((3, 4), (32, 32)), EdxPhantom((3, 4)), EelsPhantom((3, 4))])
def test_record_and_axes_describe_the_data(phantom: DiffractionPhantom | EdxPhantom | EelsPhantom) -> None:
    record = phantom.record()
    rec.check(record)
    assert {key for key, _ in rec.leaves(record)} <= set(rec.BY_KEY)
    assert tuple(axis.size for axis in phantom.axes().values()) == phantom.shape
    assert tuple(phantom.axes()) == phantom.dims
    assert phantom.row(0).shape == phantom.shape[1:]


def test_line_counts_are_those_of_the_abundance() -> None:
    image = EdxPhantom((8, 8))
    energy, abundance = image.energies(), image.abundances()
    expected = np.stack([image.expected(y) for y in range(8)])
    _, line, counts = LINES["Cu"][1]
    inside = np.abs(energy - line) < 400
    background = image.components()["background"][inside].sum() * abundance["background"]
    found = expected[:, :, inside].sum(axis=2) - background
    # rounding to levels is unbiased only on average: 2 % of the line
    assert found == pytest.approx(counts * abundance["Cu"], abs=0.02 * counts)


def test_power_law_and_edge() -> None:
    image = EelsPhantom((5, 5))
    energy, spectra = image.energies(), image.components()
    assert spectra["background"] == pytest.approx(40.0 * (energy / 200.0) ** -3.0)
    assert spectra["C"][energy < 284].max() == 0
    assert spectra["C"][energy == 284] == pytest.approx(12.0)
    assert image.abundances()["C"][2, 2] == 1
