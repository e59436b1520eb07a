"""Differential phase contrast on fields that are known, and through a simulated scan of a thin specimen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.errors import Code, EmdvcError
from emdvc.model.quantity import Quantity
from emdvc.steps.geometry import wavelength
from emdvc.steps.registry import find

from .scan_maps import as_detected, centres, differences, outputs, reference, result

SHAPE = (20, 27)


@pytest.fixture
def gradient() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gradient of a potential of random numbers, mean taken off."""
    y, x = differences(np.random.default_rng(8).normal(size=SHAPE))
    return y - y.mean(), x - x.mean()


@pytest.mark.parametrize(("degrees", "flip"), [(0.0, False), (33.0, True), (-120.0, False), (90.0, True)])
def test_given_orientation_is_undone(gradient: Any, degrees: float, flip: bool) -> None:
    """A detector at a known angle: the deflection comes back along the scan's axes, whatever the beam's position."""
    y, x = as_detected(*gradient, degrees, flip)
    found = outputs("dpc", centres(y + 61.5, x + 70.25), rotation=degrees, flip=flip)
    assert np.allclose(found["deflection_y"].values, gradient[0], atol=1e-13)
    assert np.allclose(found["deflection_x"].values, gradient[1], atol=1e-13)
    assert np.allclose(found["curl"].values, 0.0, atol=1e-13)


def test_a_transposed_detector_is_mirrored_and_turned_by_90_degrees(gradient: Any) -> None:
    """Rows and columns swapped: flip and 90 degrees give the field back exactly."""
    found = outputs("dpc", centres(gradient[1], gradient[0]), rotation=90, flip=True)
    assert np.allclose(found["deflection_y"].values, gradient[0], atol=1e-15)
    assert np.allclose(found["deflection_x"].values, gradient[1], atol=1e-15)


def test_magnitude_angle_and_derivatives(gradient: Any) -> None:
    """Against NumPy, with unequal scan steps in nm."""
    y, x = gradient
    found = outputs("dpc", centres(y, x, scan__step="0.5,0.2nm"), rotation=0, flip=False)
    assert np.allclose(found["magnitude"].values, np.hypot(y, x), rtol=1e-14)
    assert np.allclose(found["angle"].values, np.degrees(np.arctan2(y, x)), atol=1e-12)
    divergence = np.gradient(y, 0.5, axis=0) + np.gradient(x, 0.2, axis=1)
    assert np.allclose(found["divergence"].values, divergence, atol=1e-13)
    assert np.allclose(found["curl"].values, np.gradient(y, 0.2, axis=1) - np.gradient(x, 0.5, axis=0), atol=1e-13)
    units = {name: variable.unit for name, variable in found.items()}
    assert units == {
        "deflection_y": "px",
        "deflection_x": "px",
        "magnitude": "px",
        "angle": "deg",
        "divergence": "px/nm",
        "curl": "px/nm",
    }


def test_units(gradient: Any) -> None:
    """A pixel of 0.01 x 0.02 1/angstrom at 200 keV: 0.01 1/angstrom are 0.250793 mrad (lambda = 2.50793 pm)."""
    opened = centres(*gradient, diffraction__pixel_size="0.01,0.02/angstrom", beam__energy="200keV")
    frequency = outputs("dpc", opened, rotation=0, flip=False, unit="1/angstrom")
    angle = outputs("dpc", opened, rotation=0, flip=False, unit="mrad")
    assert np.allclose(frequency["deflection_y"].values, 0.01 * gradient[0], atol=1e-15)
    assert np.allclose(frequency["deflection_x"].values, 0.02 * gradient[1], atol=1e-15)
    assert np.allclose(angle["deflection_y"].values, 0.250793 * gradient[0], atol=1e-6)
    assert np.allclose(angle["deflection_x"].values, 2 * 0.250793 * gradient[1], atol=1e-6)
    assert frequency["divergence"].unit == "1/angstrom/px"
    assert wavelength(Quantity(200, "keV")) == pytest.approx(0.0250793, abs=1e-7)


def test_the_orientation_comes_from_parameters_then_record_then_curl(gradient: Any) -> None:
    """What was used stands in the record of the result; a parameter wins over the record, the record over the curl."""
    y, x = as_detected(*gradient, 25.0, True)
    free = result("dpc", centres(y, x)).own_record["diffraction"]
    assert free["rotation"]["value"] == pytest.approx(25.0, abs=1e-9)
    assert free["flip"] is True
    recorded = centres(y, x, diffraction__rotation="10deg", diffraction__flip="false")
    found = result("dpc", recorded).own_record["diffraction"]
    assert (found["rotation"]["value"], found["flip"]) == (10.0, False)
    found = result("dpc", recorded, rotation="-5deg", flip=True).own_record["diffraction"]
    assert (found["rotation"]["value"], found["flip"]) == (-5.0, True)
    # one of the two known, the other found
    found = result("dpc", centres(y, x), rotation=25).own_record["diffraction"]
    assert (found["rotation"]["value"], found["flip"]) == (25.0, True)
    found = result("dpc", centres(y, x), flip=True).own_record["diffraction"]
    assert found["rotation"]["value"] == pytest.approx(25.0, abs=1e-9)


@pytest.mark.parametrize("degrees", [-150.0, -30.0, 30.0, 170.0])
def test_atoms_attract(degrees: float) -> None:
    """Peaks of the potential draw the beam: of the two angles of least curl, the one that makes them do so is taken."""
    y, x = np.mgrid[0:32, 0:32]
    atoms = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in ((7, 9), (20, 8), (15, 22)))
    opened = centres(*as_detected(*differences(np.asarray(atoms)), degrees, False))
    found = result("dpc", opened, half_turn="atoms").own_record["diffraction"]
    assert found["rotation"]["value"] == pytest.approx(degrees, abs=1e-9)
    nearest = result("dpc", opened).own_record["diffraction"]["rotation"]["value"]
    assert nearest == pytest.approx((degrees + 90) % 180 - 90, abs=1e-9)


@pytest.mark.parametrize("background", ["mean", "plane", "quadratic"])
def test_a_smooth_background_is_taken_off(background: str) -> None:
    """A constant, plane or quadratic movement of the beam alone leaves no deflection: whole numbers, exactly."""
    y, x = np.mgrid[0:9, 0:12].astype(float)
    plane = 2.0 * y - 3.0 * x if background != "mean" else 0.0
    moved = 50.0 + plane + (0.5 * y * y - 0.25 * x * y if background == "quadratic" else 0.0) + np.zeros((9, 12))
    found = outputs("dpc", centres(moved, -moved), rotation=0, flip=False, background=background)
    assert (found["magnitude"].values == 0.0).all()
    assert (found["angle"].values == 0.0).all()


def test_recorded_centre_and_fitted_descan_are_taken_off(gradient: Any) -> None:
    """Against the recorded centre, or the maps of descan_fit, nothing else is subtracted."""
    y, x = gradient
    opened = centres(y + 3.0, x - 4.0, diffraction__center="2,-5px")
    found = outputs("dpc", opened, rotation=0, flip=False, background="center")
    assert np.allclose(found["deflection_y"].values, y + 1.0, atol=1e-14)
    assert np.allclose(found["deflection_x"].values, x + 1.0, atol=1e-14)
    descan = reference({"center_y": y, "center_x": x})
    found = outputs("dpc", opened, {"descan": descan}, rotation=0, flip=False, descan="results/other.zarr")
    assert np.allclose(found["deflection_y"].values, 3.0, atol=1e-14)
    assert np.allclose(found["deflection_x"].values, -4.0, atol=1e-14)


def test_patterns_without_counts(gradient: Any) -> None:
    """They are refused, or taken as not deflected and left out of the mean."""
    y, x = (part.copy() for part in gradient)
    y[3, 4] = x[3, 4] = np.nan
    with pytest.raises(EmdvcError) as caught:
        outputs("dpc", centres(y, x))
    assert caught.value.code == Code.STEP_COUNTS
    assert "y=3, x=4" in str(caught.value)
    found = outputs("dpc", centres(y, x), missing="zero", rotation=0, flip=False)
    assert found["deflection_y"].values[3, 4] == found["deflection_x"].values[3, 4] == 0.0
    assert np.allclose(found["deflection_y"].values[0], y[0] - np.nanmean(y), atol=1e-13)


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({"rotation": 0, "flip": False}, ("scan.step",)),
        ({}, ("diffraction.flip", "diffraction.rotation", "scan.step")),
        ({"rotation": 3, "unit": "1/angstrom"}, ("diffraction.flip", "diffraction.pixel_size", "scan.step")),
        (
            {"rotation": 3, "flip": True, "unit": "mrad", "background": "center"},
            ("beam.energy", "diffraction.center", "diffraction.pixel_size", "scan.step"),
        ),
    ],
)
def test_metadata_read(parameters: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Only what a setting needs is declared; the engine refuses any other key."""
    step = find("dpc")
    assert step.metadata(step.Parameters(**parameters)) == keys


@pytest.mark.parametrize(
    ("record", "parameters", "says"),
    [
        ({}, {"unit": "mrad"}, "diffraction.pixel_size"),
        ({"diffraction__pixel_size": "0.1/angstrom"}, {"unit": "mrad"}, "beam.energy"),
        ({}, {"background": "center"}, "diffraction.center"),
        ({"scan__step": "0nm"}, {}, "above 0"),
    ],
)
def test_missing_calibrations(gradient: Any, record: dict[str, str], parameters: dict[str, Any], says: str) -> None:
    """A calibration that a setting needs and the record lacks is one error that names it."""
    with pytest.raises(EmdvcError, match=says):
        outputs("dpc", centres(*gradient, **record), rotation=0, flip=False, **parameters)


def test_a_descan_of_another_scan_is_refused(gradient: Any) -> None:
    """Maps of another shape do not fit."""
    other = reference({"center_y": np.zeros((3, 3)), "center_x": np.zeros((3, 3))})
    with pytest.raises(EmdvcError, match="does not fit"):
        outputs("dpc", centres(*gradient), {"descan": other}, descan="results/other.zarr")
