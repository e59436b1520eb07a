"""The rotation and the handedness of the detector, found from the curl of known fields."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.steps.trigonometry import of_degrees
from emdvc.steps.vector_field import Derivatives, Field, orientation

from .scan_maps import as_detected, centres, differences, outputs, reference, result


def potential(seed: int = 1, shape: tuple[int, int] = (24, 31)) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=shape)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.floats(-89.9, 89.9), st.booleans())
def test_any_orientation_is_found(seed: int, degrees: float, flip: bool) -> None:
    """A gradient seen by a detector at any angle and of either handedness: both come back, to rounding."""
    field = Field(*as_detected(*differences(potential(seed)), degrees, flip))
    found = orientation(field)
    assert found.flip == flip
    assert found.degrees == pytest.approx(degrees, abs=1e-6)


def test_the_angle_is_where_a_search_finds_least_curl() -> None:
    """A noisy field: no angle on a grid of hundredths of a degree leaves less curl, in either handedness."""
    noise = np.random.default_rng(2).normal(size=(2, 24, 31))
    y, x = as_detected(*differences(potential()), 27.0, True)
    field = Field(y + noise[0], x + noise[1])
    for hand in (Derivatives.of(field), Derivatives.of(field.flipped())):
        cosine, sine = hand.least_curl()
        angles = np.radians(np.arange(-90, 90, 0.01))
        searched = min(hand.share(float(c), float(s)) for c, s in zip(np.cos(angles), np.sin(angles), strict=True))
        assert hand.share(cosine, sine) == pytest.approx(hand.least_share(), abs=1e-12)
        assert hand.least_share() <= searched + 1e-12
        assert hand.least_share() == pytest.approx(searched, abs=1e-7)


def test_curl_and_divergence_of_a_turned_field() -> None:
    """The share of curl from three sums equals that of the field really turned, with unequal steps too."""
    rng = np.random.default_rng(3)
    field = Field(rng.normal(size=(9, 7)), rng.normal(size=(9, 7)), (0.5, 2.0))
    sums = Derivatives.of(field)
    for angle in (-70.0, 0.0, 12.5, 90.0):
        turned = field.turned(*of_degrees(angle))
        curl, divergence = (turned.curl() ** 2).sum(), (turned.divergence() ** 2).sum()
        assert sums.share(*of_degrees(angle)) == pytest.approx(curl / (curl + divergence), rel=1e-12)


def test_derivatives_are_numpys() -> None:
    """Divergence and curl from NumPy's gradient, with unequal steps."""
    rng = np.random.default_rng(4)
    y, x = rng.normal(size=(2, 6, 5))
    field = Field(y, x, (0.3, 0.7))
    assert np.allclose(field.divergence(), np.gradient(y, 0.3, axis=0) + np.gradient(x, 0.7, axis=1), rtol=1e-13)
    assert np.allclose(field.curl(), np.gradient(y, 0.7, axis=1) - np.gradient(x, 0.3, axis=0), rtol=1e-13)


@pytest.mark.parametrize(("degrees", "flip"), [(-40.0, False), (75.0, True), (90.0, False)])
def test_the_step_says_how_sure_it_is(degrees: float, flip: bool) -> None:
    """Without noise no curl is left; the other handedness keeps much of it; the curves say the same."""
    found = outputs("scan_rotation", centres(*as_detected(*differences(potential()), degrees, flip)))
    assert found["rotation"].values == pytest.approx(degrees, abs=1e-9)
    assert found["rotation"].unit == "deg"
    assert bool(found["mirrored"].values) == flip
    assert found["residual"].values < 1e-12
    # of white noise as potential: (fxx - fyy)^2 = 1/4 and 4 fxy^2 = 1 on average, so that 0.2 are left; more at edges
    assert 0.2 < found["residual_other"].values < 0.35
    assert found["determined"].values == 1
    curve = found["curl_mirrored" if flip else "curl"].values
    other = found["curl" if flip else "curl_mirrored"].values
    assert np.arange(-89, 91)[curve.argmin()] == degrees
    assert other.min() >= found["residual_other"].values - 1e-12


def test_the_record_says_what_was_found() -> None:
    """The result's record holds the rotation and the handedness, and its axis the angles in degrees."""
    found = result("scan_rotation", centres(*as_detected(*differences(potential()), 20.0, True)))
    assert found.own_record["diffraction"]["flip"] is True
    assert found.own_record["diffraction"]["rotation"]["value"] == pytest.approx(20.0, abs=1e-9)
    assert found.axes["turn"].coordinates()[:2] == [-89.0, -88.0]
    assert found.axes["turn"].unit == "deg"


def test_noise_moves_the_residual_and_not_the_angle() -> None:
    """Noise of twice the field's variance: the angle stays within some degrees, the residuals go towards one half."""
    y, x = as_detected(*differences(potential(5, (96, 96))), 33.0, False)
    noise = np.random.default_rng(6).normal(size=(2, 96, 96)) * np.sqrt(2 * (y * y + x * x).mean() / 2)
    found = outputs("scan_rotation", centres(y + noise[0], x + noise[1]))
    assert found["rotation"].values == pytest.approx(33.0, abs=4.0)
    assert found["mirrored"].values == 0
    assert 0.1 < found["residual"].values < found["residual_other"].values < 0.5


def test_noise_alone_determines_nothing() -> None:
    """White noise: at most one of 60 scans may look determined (one in a thousand does), and dpc refuses the others."""
    rng = np.random.default_rng(9)
    looks = [
        int(outputs("scan_rotation", centres(*rng.normal(size=(2, 20, 20))))["determined"].values) for _ in range(60)
    ]
    assert sum(looks) <= 1
    noise = centres(*np.random.default_rng(10).normal(size=(2, 20, 20)))
    assert result("scan_rotation", noise).own_record == {}
    for known in ({}, {"rotation": 10}, {"flip": True}):
        with pytest.raises(StepError, match="noise has as little curl") as caught:
            outputs("dpc", noise, **known)
        assert "rotation=ANGLE" in (caught.value.hint or "")
    assert outputs("dpc", noise, rotation=10, flip=True)["curl"].values.std() > 0.5


def test_descan_is_taken_off_first() -> None:
    """A skew descan has curl of its own: as a fitted plane, or from a result, it does not move the angle."""
    y, x = as_detected(*differences(potential()), 15.0, False)
    along, across = np.mgrid[0:24, 0:31].astype(float)
    descan = {"center_y": 3 + 2.0 * across, "center_x": 5 - 1.5 * along}
    moved = centres(y + descan["center_y"], x + descan["center_x"])
    assert abs(outputs("scan_rotation", moved)["rotation"].values - 15.0) > 1.0
    known = outputs("scan_rotation", moved, {"descan": reference(descan)}, descan="results/other.zarr")
    assert known["rotation"].values == pytest.approx(15.0, abs=1e-6)
    fitted = outputs("scan_rotation", moved, background="plane")
    assert fitted["rotation"].values == pytest.approx(15.0, abs=2.0)  # the plane takes a little of the field too


@pytest.mark.parametrize(
    ("y", "x", "says"),
    [
        (np.zeros((5, 6)), np.zeros((5, 6)), "neither curl nor divergence"),
        (np.full((5, 6), 7.25), np.full((5, 6), 1.0), "neither curl nor divergence"),
        # a lens: mirrored, it is a saddle, which is the gradient of a potential too
        (np.arange(5.0)[:, None] * 0.1 + np.zeros(6), np.arange(6.0)[None, :] * 0.1 + np.zeros((5, 1)), "grows evenly"),
        # a specimen that varies along one direction alone is a gradient in either handedness
        (np.zeros((5, 6)), np.sin(np.arange(6.0))[None, :] + np.zeros((5, 1)), "mirrored"),
        (np.full((5, 6), np.nan), np.full((5, 6), np.nan), "no centre of mass"),
        (np.zeros((1, 6)), np.zeros((1, 6)), "2 x 2"),
    ],
)
def test_fields_that_tell_nothing_are_refused(y: NDArray[np.float64], x: NDArray[np.float64], says: str) -> None:
    """No answer is made up where the field does not determine it."""
    with pytest.raises(StepError) as caught:
        outputs("scan_rotation", centres(y, x))
    assert says in str(caught.value)
    assert caught.value.hint or says == "2 x 2"


def test_an_angle_that_is_not_determined_is_refused() -> None:
    """Curl and divergence of equal size everywhere, unrelated: no angle leaves less curl than another."""
    with pytest.raises(StepError, match="same at every angle"):
        Derivatives(2.0, 2.0, 0.0).least_curl()
