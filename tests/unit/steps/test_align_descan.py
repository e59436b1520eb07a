"""Where the beam stands over the scan: fits to centres that are known, exactly and with counting noise."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.steps.surface_fit import TERMS, fit
from emdvc.testing.phantoms import VACUUM, DiffractionPhantom

from .conftest import dataset
from .scan_maps import centres, outputs, reference, reopened, result

SHAPE = (12, 17)
GRID = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]].astype(float)


def test_linear_descan_is_found_exactly() -> None:
    """The phantom's descan, noise free: slopes, offset and every centre to the last bit, nothing left."""
    y, x = GRID
    (yy, yx), (xy, xx) = DiffractionPhantom().descan
    moved = 60.25 + yy * y + yx * x, 64.5 + xy * y + xx * x
    found = outputs("descan_fit", centres(*moved))
    assert found["offset"].values.tolist() == [60.25, 64.5]
    assert found["slope"].values.tolist() == [[yy, yx], [xy, xx]]
    assert (found["center_y"].values == moved[0]).all()
    assert (found["center_x"].values == moved[1]).all()
    assert (found["residual_y"].values == 0).all()
    assert found["residual_rms"].values.tolist() == [0.0, 0.0]
    assert "curvature" not in found
    assert {name: variable.unit for name, variable in found.items()} == {
        "center_y": "px",
        "center_x": "px",
        "residual_y": "px",
        "residual_x": "px",
        "used": "",
        "offset": "px",
        "slope": "px/px",
        "residual_rms": "px",
    }


def test_quadratic_descan_is_found_exactly() -> None:
    """A surface of second order with coefficients that binary numbers hold."""
    y, x = GRID
    surface = 3.0 - 0.5 * y + 0.25 * x + 0.125 * y * y - 0.0625 * y * x + 0.03125 * x * x
    found = outputs("descan_fit", centres(surface, -surface), order="quadratic")
    assert found["curvature"].values.tolist() == [[0.125, -0.0625, 0.03125], [-0.125, 0.0625, -0.03125]]
    assert (found["center_y"].values == surface).all()
    assert (found["residual_x"].values == 0).all()


def test_constant_is_the_mean() -> None:
    """The mean position of the beam, correctly rounded."""
    values = np.random.default_rng(1).normal(60, 3, SHAPE)
    found = outputs("descan_fit", centres(values, values), order="constant")
    assert found["offset"].values[0] == math.fsum(values.ravel()) / values.size
    assert "slope" not in found
    assert found["residual_rms"].values[0] == pytest.approx(values.std(), rel=1e-12)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(TERMS)),
    st.integers(3, 30),
    st.integers(3, 30),
    st.integers(0, 10_000),
    st.floats(0.6, 1.0),
)
def test_fits_are_least_squares(order: str, ny: int, nx: int, seed: int, part: float) -> None:
    """Any values at any probe positions: NumPy's least squares over the same terms gives the same surface."""
    rng = np.random.default_rng(seed)
    values = rng.normal(100, 5, (ny, nx))
    used = rng.random((ny, nx)) <= part
    y, x = np.mgrid[0:ny, 0:nx].astype(float)
    design = np.stack([(y**p * x**q)[used] for p, q in TERMS[order]], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        with pytest.raises(StepError, match="do not determine"):
            fit((values,), used, order)
        return
    expected = np.linalg.lstsq(design, values[used], rcond=None)[0]
    (found,) = fit((values,), used, order)
    fitted = sum(c * y**p * x**q for c, (p, q) in zip(expected, TERMS[order], strict=True))
    assert np.allclose(found.values((ny, nx))[used], fitted[used], rtol=0, atol=1e-8)


def test_outliers_are_left_out() -> None:
    """A tenth of the probe positions far off, with noise on all: just these are rejected, and the plane comes back."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:40, 0:40].astype(float)
    plane = 60 + 0.03 * y - 0.01 * x, 62 - 0.02 * y + 0.04 * x
    noise = rng.normal(0, 0.05, (2, 40, 40))
    away = rng.random((40, 40)) < 0.1
    moved = plane[0] + noise[0] + 3.0 * away, plane[1] + noise[1] - 2.0 * away
    plain = outputs("descan_fit", centres(*moved))
    assert np.abs(plain["center_y"].values - plane[0]).max() > 0.2
    robust = outputs("descan_fit", centres(*moved), rejection=5)
    assert (robust["used"].values == ~away).all()
    assert np.abs(robust["center_y"].values - plane[0]).max() < 0.02
    assert robust["residual_rms"].values == pytest.approx([0.05, 0.05], rel=0.1)
    # rejecting by a distance keeps what lies within: exp(-9 / 2) = 1.1 % of a normal vector lie beyond 3 deviations
    clean = outputs("descan_fit", centres(plane[0] + noise[0], plane[1] + noise[1]), rejection=3)
    assert 1 - clean["used"].values.mean() == pytest.approx(math.exp(-4.5), abs=0.008)


def test_only_vacuum_counts() -> None:
    """A mask takes the specimen out of the fit; the surface goes on beneath it."""
    y, x = GRID
    plane = 10 + 0.25 * y - 0.5 * x
    specimen = (x > 4) & (x < 12)
    moved = np.where(specimen, plane + 1.7, plane)
    vacuum = reference({"image": np.where(specimen, 0, 3).astype(np.uint64)})
    found = outputs("descan_fit", centres(moved, plane), {"mask": vacuum}, mask="results/vacuum.zarr")
    assert (found["center_y"].values == plane).all()
    assert (found["used"].values == ~specimen).all()
    assert np.allclose(found["residual_y"].values, np.where(specimen, 1.7, 0.0), atol=1e-12)


def test_patterns_without_counts_do_not_count() -> None:
    """A NaN is no centre: the fit goes through the others, and says where the beam stands there too."""
    y, x = GRID
    plane = 10 + 0.25 * y - 0.5 * x
    holed = plane.copy()
    holed[2, 3] = np.nan
    found = outputs("descan_fit", centres(holed, plane), rejection=4)
    assert (found["center_y"].values == plane).all()
    assert found["used"].values.sum() == plane.size - 1
    assert found["residual_rms"].values.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("y", "parameters", "code", "says"),
    [
        (np.ones((2, 2)), {"order": "quadratic"}, Code.STEP_PARAMETER, "4 of 4 count"),
        (np.full((3, 3), np.nan), {}, Code.STEP_COUNTS, "no probe position"),
        (np.ones((1, 9)), {}, Code.STEP_DIMENSIONS, "2 x 2"),
    ],
)
def test_what_is_refused(y: NDArray[np.float64], parameters: dict[str, Any], code: Code, says: str) -> None:
    """Too few probe positions for the surface, or none."""
    with pytest.raises(StepError) as caught:
        outputs("descan_fit", centres(y, y), **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)


def vacuum_scan(phantom: DiffractionPhantom, seed: int) -> NDArray[np.uint16]:
    """Return the phantom's scan without a specimen: a disk at each probe position, moved by the known shifts."""
    frames = []
    for row, shifts in enumerate(phantom.shifts()):
        levels = np.stack([phantom.table.levels(phantom.rates(VACUUM, (float(a), float(b)))) for a, b in shifts])
        frames.append(phantom.table.draw(levels, np.random.PCG64([seed, row])))
    return np.stack(frames)


def test_a_known_shift_field_within_noise() -> None:
    """Disks moved by the phantom's descan: each centre within its noise, R / (2 sqrt(N)), the fitted plane within its.

    The standard error of a plane's slope along a direction is sigma / sqrt(sum (y - mean y)^2).
    """
    phantom = DiffractionPhantom(scan_shape=(24, 24), detector_shape=(64, 64), step=(0.0, 0.0))
    frames = vacuum_scan(phantom, 3)
    counted = frames.sum(axis=(2, 3)).mean()
    sigma = phantom.disk_radius / (2 * math.sqrt(counted))
    truth = phantom.shifts() + np.array(phantom.center)
    moments = reopened(result("center_of_mass", dataset(frames, "y x ky kx")))
    found = outputs("descan_fit", moments)
    measured = moments.variable("com_y").array.read((slice(0, 24), slice(0, 24))) - truth[..., 0]
    # 576 draws: 3 % standard error of a standard deviation; the disk's soft edge makes it a little wider than a disk
    assert measured.std() == pytest.approx(sigma, rel=0.12)
    assert found["residual_rms"].values == pytest.approx([sigma, sigma], rel=0.12)
    spread = (np.arange(24) - 11.5) ** 2
    slope_error = sigma / math.sqrt(24 * spread.sum())
    assert np.abs(found["slope"].values - np.array(phantom.descan)).max() < 4 * slope_error
    rounding = 1 / 16 / math.sqrt(12)  # the phantom's shifts are rounded to sixteenths
    for axis, name in enumerate(("center_y", "center_x")):
        assert np.abs(found[name].values - truth[..., axis]).std() < rounding + 4 * sigma / 24
