"""The ellipse of a distorted ring, and profiles in which it is round again."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, EmdvcError
from emdvc.formats.results import write_result
from emdvc.steps.registry import find

from .conftest import dataset, run

CENTER = (63.2, 64.9)


def ring(
    ratio: float,
    angle: float,
    radius: float = 40.0,
    width: float = 1.5,
    center: tuple[float, float] = CENTER,
    background: float = 0.0,
) -> NDArray[np.float64]:
    """Return a pattern with one Gaussian ring, stretched to semi-axes of a ratio at an azimuth, area preserved."""
    y, x = np.mgrid[0:128, 0:128]
    y, x = y - center[0], x - center[1]
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = (x * c + y * s) / math.sqrt(ratio), (y * c - x * s) * math.sqrt(ratio)
    r = np.hypot(along, across)
    return 100 * np.exp(-((r - radius) ** 2) / (2 * width**2)) + background / (1 + r * r / 400)


def width_of(profile: NDArray[np.float64], k: NDArray[np.float64]) -> float:
    """Return the standard deviation of the ring in a profile, from its moments between 30 and 50 px."""
    window = (k > 30) & (k < 50)
    weight, k = profile[window], k[window]
    mean = (weight * k).sum() / weight.sum()
    return math.sqrt((weight * (k - mean) ** 2).sum() / weight.sum())


def profile_width(pattern: NDArray[np.float64], **parameters: Any) -> float:
    """Return the width of the ring in a radial profile with half-pixel bins."""
    found = run("radial_profile", dataset(pattern, "ky kx"), outer=55, bins=110, **parameters)["profile"].values
    return width_of(found, (np.arange(110) + 0.5) / 2)


def test_a_stretched_ring_becomes_one_sharp_ring() -> None:
    """a / b = 1.1 at 30 degrees: the width is that of the round ring within 5 %; uncorrected it is far off."""
    round_width = profile_width(ring(1.0, 0.0), center=CENTER)
    stretched = ring(1.1, 30.0)
    assert profile_width(stretched, center=CENTER) > 1.2 * round_width
    corrected = profile_width(stretched, center=CENTER, ratio=1.1, angle="30deg")
    assert corrected == pytest.approx(round_width, rel=0.05)
    # the ellipse the wrong way round makes it worse
    assert profile_width(stretched, center=CENTER, ratio=1.1, angle=120) > 1.5 * round_width


def test_the_ring_lies_at_the_mean_of_its_axes() -> None:
    """r is the geometric mean of the semi-axes: a ring with a b = 40^2 lies at 40 px."""
    found = run("radial_profile", dataset(ring(1.1, 30.0), "ky kx"), center=CENTER, ratio=1.1, angle=30)
    assert abs(int(np.nanargmax(found["profile"].values)) + 0.5 - 40) <= 0.5


def test_the_fit_goes_into_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of ellipse_fit, written and read back, corrects the profile with its ratio, angle and centre.

    The stretched ring has the width of the round one within 5 %.
    """
    monkeypatch.chdir(tmp_path)
    step = find("ellipse_fit")
    pattern = dataset(np.rint(ring(1.1, 30.0) * 1000).astype(np.uint32), "ky kx")
    fit = run_step(step, step.Parameters(inner=32, outer=48, center="64,64"), pattern, name="sum")
    write_result(tmp_path / "fit.zarr", fit)
    corrected = profile_width(ring(1.1, 30.0), ellipse="fit.zarr")
    assert corrected == pytest.approx(profile_width(ring(1.0, 0.0), center=CENTER), rel=0.05)
    profile = find("radial_profile")
    assert profile.references(profile.Parameters(ellipse="fit.zarr"))["ellipse"].path == "fit.zarr"
    assert profile.metadata(profile.Parameters(ellipse="fit.zarr")) == ()  # the centre is the fit's


@pytest.mark.parametrize("ratio", [1.0, 1.01, 1.1, 1.2])
@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 160.0])
def test_fit_of_a_known_ellipse(ratio: float, angle: float) -> None:
    """Without noise: the ratio to 1e-4, the centre and axes to 0.01 px, the angle to 0.1 degrees."""
    opened = dataset(ring(ratio, angle), "ky kx", diffraction__center="63,65px")
    found = {name: v.values for name, v in run("ellipse_fit", opened, inner=31, outer=50).items()}
    assert found["ratio"] == pytest.approx(ratio, abs=1e-4)
    assert (found["center_y"], found["center_x"]) == pytest.approx(CENTER, abs=0.01)
    assert found["major"] == pytest.approx(40 * math.sqrt(ratio), abs=0.02)
    assert found["minor"] == pytest.approx(40 / math.sqrt(ratio), abs=0.02)
    if ratio > 1.005:
        off = (float(found["angle"]) - angle + 90) % 180 - 90
        assert abs(off) < (0.1 if ratio > 1.05 else 0.5)
    assert found["residual"] < 0.01
    assert found["ridge"].shape == (72,) and np.abs(found["ridge"] - 40).max() < 0.02


def test_noise_and_background() -> None:
    """20 counts a pixel over a halo: the ratio within 0.005, the angle within 1.5 degrees, five different draws."""
    for seed in range(5):
        counts = np.random.default_rng(seed).poisson(ring(1.1, 30.0, background=100) / 5).astype(np.uint16)
        found = run("ellipse_fit", dataset(counts, "ky kx"), inner=33, outer=48, center=CENTER)
        assert float(found["ratio"].values) == pytest.approx(1.1, abs=0.005)
        assert float(found["angle"].values) == pytest.approx(30, abs=1.5)
        assert 0.01 < float(found["residual"].values) < 0.3


def test_spots_and_a_beam_stop_do_not_pull() -> None:
    """Three spots thirty times as bright as the ring, 3 px off it, and the shadow of a needle."""
    pattern = ring(1.02, 75.0, background=20)
    y, x = np.mgrid[0:128, 0:128]
    for azimuth in (20, 100, 275):
        spot = [c + 43 * f(math.radians(azimuth)) for c, f in zip(CENTER, (math.sin, math.cos), strict=True)]
        pattern += 3000 * np.exp(-((y - spot[0]) ** 2 + (x - spot[1]) ** 2) / (2 * 1.5**2))
    pattern[(np.abs(x - CENTER[1]) < 4) & (y > CENTER[0])] = 0
    found = run("ellipse_fit", dataset(pattern, "ky kx"), inner=30, outer=51, center="63.5,63.5")
    assert float(found["ratio"].values) == pytest.approx(1.02, abs=0.002)
    assert float(found["center_y"].values) == pytest.approx(CENTER[0], abs=0.05)
    assert float(found["center_x"].values) == pytest.approx(CENTER[1], abs=0.05)


@settings(deadline=None, max_examples=15)
@given(st.floats(1.0, 1.15), st.floats(0, 180), st.floats(62, 66), st.floats(62, 66))
def test_any_ellipse_is_found(ratio: float, angle: float, cy: float, cx: float) -> None:
    """From the middle of the detector, up to 2 px from the centre of the ring."""
    found = run("ellipse_fit", dataset(ring(ratio, angle, center=(cy, cx)), "ky kx"), inner=30, outer=52)
    assert float(found["ratio"].values) == pytest.approx(ratio, abs=5e-4)
    assert float(found["center_y"].values) == pytest.approx(cy, abs=0.02)


def test_radii_in_angles() -> None:
    """The window may be given in any unit: 0.02 1/angstrom a pixel at 300 keV (1.96875 pm)."""
    opened = dataset(ring(1.1, 30.0), "ky kx", diffraction__pixel_size="0.02/angstrom", beam__energy="300keV")
    first = run("ellipse_fit", opened, inner="32px", outer="48px", center=CENTER)
    second = run("ellipse_fit", opened, inner="0.64/angstrom", outer="18.9mrad", center=CENTER)
    assert float(first["ratio"].values) == pytest.approx(float(second["ratio"].values), abs=1e-4)


@pytest.mark.parametrize(
    ("values", "dims", "parameters", "code", "says"),
    [
        (np.ones((2, 64, 64)), "frame ky kx", {"inner": 10, "outer": 20}, Code.STEP_DIMENSIONS, "sum_pattern"),
        (np.ones((64, 64)), "ky kx", {"inner": 10, "outer": 20}, Code.STEP_PARAMETER, "half of all directions"),
        (np.zeros((64, 64)), "ky kx", {"inner": 10, "outer": 20}, Code.STEP_PARAMETER, "half of all directions"),
        (np.ones((64, 64)), "ky kx", {"inner": 100, "outer": 200}, Code.STEP_PARAMETER, "half of all directions"),
        (np.ones((64, 64)), "ky kx", {"inner": "10px", "outer": 11}, Code.STEP_PARAMETER, "wider than 2 px"),
        (np.full((64, 64), np.nan), "ky kx", {"inner": 10, "outer": 20}, Code.STEP_COUNTS, "no number"),
    ],
)
def test_what_the_fit_refuses(
    values: NDArray[Any], dims: str, parameters: dict[str, Any], code: Code, says: str
) -> None:
    """Each is one error with its cause and what to do."""
    with pytest.raises(EmdvcError) as caught:
        run("ellipse_fit", dataset(values, dims), **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("step", "parameters", "says"),
    [
        ("radial_profile", {"ratio": 1.1}, "both `ratio` and `angle`"),
        ("radial_profile", {"angle": 3}, "both `ratio` and `angle`"),
        ("radial_profile", {"ratio": 0.9, "angle": 3}, "greater than or equal to 1"),
        ("radial_profile", {"ratio": 1.1, "angle": 3, "ellipse": "fit.zarr"}, "not both"),
        ("ellipse_fit", {"inner": 20, "outer": 10}, "smaller than outer"),
        ("ellipse_fit", {"inner": 20}, "outer"),
    ],
)
def test_bad_parameters(step: str, parameters: dict[str, Any], says: str) -> None:
    """Half an ellipse, or two, are refused before anything is read."""
    with pytest.raises(ValidationError) as caught:
        find(step).Parameters(**parameters)
    assert says in str(caught.value)


def test_means_of_a_constant_and_of_r_on_ellipses() -> None:
    """The mean of a constant is the constant, exactly; that of the elliptical radius lies within half a bin."""
    y, x = np.mgrid[0:128, 0:128]
    y, x = y - CENTER[0], x - CENTER[1]
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    r = np.hypot((x * c + y * s) / math.sqrt(1.1), (y * c - x * s) * math.sqrt(1.1))
    frames = np.stack([np.full((128, 128), 7.0), r])
    found = run("radial_profile", dataset(frames, "frame ky kx"), center=CENTER, ratio=1.1, angle=30)
    constant, radius = found["profile"].values
    assert (constant[~np.isnan(constant)] == 7.0).all()
    assert (np.abs(radius - np.arange(radius.size) - 0.5)[~np.isnan(radius)] <= 0.5).all()
    # the largest full ring: on its middle the ellipse just reaches the outer half of the border pixels, 62.6 px away
    middle = 62.6 / math.sqrt(1.1 * c * c + s * s / 1.1)
    assert radius.size == math.floor(middle + 0.5)


def test_threads_do_not_matter() -> None:
    """One and two threads: the same bytes of an elliptical profile."""
    frames = np.random.default_rng(1).poisson(5.0, (300, 64, 64)).astype(np.uint16)
    first, second = (
        run("radial_profile", dataset(frames, "frame ky kx"), threads=n, ratio=1.1, angle=30) for n in (1, 2)
    )
    assert all(first[name].values.tobytes() == second[name].values.tobytes() for name in first)


def test_the_rings_of_gold(realdata: Path) -> None:
    """Rings 111, 220 and 311 of a measured cross grating: three fits of one distortion, which sharpens all of them."""
    tifffile = pytest.importorskip("tifffile")
    opened = dataset(tifffile.imread(realdata / "au_xgrating_20cm.tif"), "ky kx")
    windows = ((34, 50), (62, 77), (75, 90))
    fits = [run("ellipse_fit", opened, inner=a, outer=b, center="127.55,127.41") for a, b in windows]
    ratios, angles = ([float(fit[name].values) for fit in fits] for name in ("ratio", "angle"))
    # no reference value is published: that three rings of different size, each fitted alone, agree is the evidence
    assert np.ptp(ratios) < 0.002 and np.ptp(angles) < 2.5
    assert np.mean(ratios) == pytest.approx(1.0366, abs=0.001)
    common = {"outer": 95, "bins": 190, "center": [float(fits[0][f"center_{axis}"].values) for axis in "yx"]}
    before = run("radial_profile", opened, **common)["profile"].values
    after = run("radial_profile", opened, ratio=ratios[0], angle=angles[0], **common)["profile"].values
    for low, high in windows:
        heights = []
        for profile in (before, after):
            part = profile[2 * low : 2 * high]
            heights.append((part - np.linspace(part[0], part[-1], part.size)).max())
        assert heights[1] > 1.02 * heights[0]
