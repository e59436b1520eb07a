"""Steps on constructed data, against analytic values; and what each refuses."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.errors import Code, EmdvcError, InternalError, StepError
from emdvc.model.quantity import Quantity
from emdvc.steps.contract import Metadata
from emdvc.steps.geometry import EDGE, wavelength
from emdvc.steps.registry import find, names

from .conftest import dataset, run


@pytest.mark.parametrize(
    ("energy", "picometre"), [("80keV", 4.1757), ("100keV", 3.7014), ("200keV", 2.5079), ("300keV", 1.9687)]
)
def test_wavelength(energy: str, picometre: float) -> None:
    """Relativistic wavelengths as tabulated (Williams and Carter, table 1.2; Kirkland, table 2.1)."""
    assert wavelength(Quantity.parse(energy)) * 100 == pytest.approx(picometre, abs=1e-4)


def test_centre_of_mass_follows_a_known_shift(disk: NDArray[np.uint16]) -> None:
    """A disk shifted by whole pixels: the shift field comes back, noise free, exactly."""
    found = run("center_of_mass", dataset(disk, "y x ky kx"))
    assert np.allclose(found["com_y"].values, 16 + np.arange(3)[:, None] - 1 + np.zeros(4), atol=1e-12)
    assert np.allclose(found["com_x"].values, 20 + np.arange(4)[None, :] - 2 + np.zeros((3, 1)), atol=1e-12)
    assert "tilt_y" not in found  # without a calibration there is no angle


def test_tilt_in_mrad(disk: NDArray[np.uint16]) -> None:
    """One pixel of 0.01 1/angstrom at 200 keV (2.5079 pm) is 0.25079 mrad."""
    opened = dataset(
        disk, "y x ky kx", diffraction__pixel_size="0.01/angstrom", beam__energy="200keV", diffraction__center="16,20px"
    )
    tilt = run("center_of_mass", opened)["tilt_x"]
    assert tilt.unit == "mrad"
    assert np.allclose(tilt.values[0], 0.250793 * np.array([-2, -1, 0, 1]), atol=1e-6)


def test_centre_of_mass_noise_is_poissons() -> None:
    """N counts in a disk of radius R: sigma = R / (2 sqrt(N)) per axis (analytic)."""
    radius, mean, repeats = 10, 4.0, 3000
    y, x = np.mgrid[0:31, 0:31]
    inside = (y - 15) ** 2 + (x - 15) ** 2 < radius**2
    frames = np.random.default_rng(3).poisson(inside * mean, (repeats, 31, 31)).astype(np.uint16)
    found = run("center_of_mass", dataset(frames, "frame ky kx"))
    expected = radius / (2 * math.sqrt(mean * inside.sum()))
    for name in ("com_y", "com_x"):
        assert found[name].values.std() == pytest.approx(expected, rel=0.06)  # 3000 draws: 1.3 % standard error


def test_a_pattern_without_counts_has_no_centre() -> None:
    """An empty pattern gives NaN, not a centre at the corner, and no warning."""
    found = run("center_of_mass", dataset(np.zeros((2, 8, 8), np.uint16), "frame ky kx"))
    assert np.isnan(found["com_y"].values).all()


@pytest.mark.parametrize("center", ["15.25,17.5px", "16,16px"])
def test_radial_profile_of_constant_and_of_r(center: str) -> None:
    """The radial mean of a constant is the constant, exactly; that of f(r) = r lies within half a bin of the ring."""
    y, x = np.mgrid[0:33, 0:35]
    cy, cx = (float(part) for part in center.removesuffix("px").split(","))
    frames = np.stack([np.full((33, 35), 7.0), np.hypot(y - cy, x - cx)])
    found = run("radial_profile", dataset(frames, "frame ky kx"), center=center)
    constant, radius = found["profile"].values
    assert (constant[~np.isnan(constant)] == 7.0).all()
    rings = np.arange(radius.size) + 0.5
    assert (np.abs(radius - rings)[~np.isnan(radius)] <= 0.5).all()


def test_rings_are_complete(disk: NDArray[np.uint16]) -> None:
    """Ring sums and pixel numbers add up to those of the disk that the rings cover."""
    found = run("radial_profile", dataset(disk, "y x ky kx"), outer="12px", bins=5, center="16,20px")
    detector = run("virtual_detector", dataset(disk, "y x ky kx"), outer="12px", center="16,20px")
    total = (found["profile"].values * found["pixels"].values).sum(axis=-1)
    assert np.allclose(total, detector["image"].values, rtol=1e-12)
    assert np.allclose(found["mean_profile"].values, found["profile"].values.mean(axis=(0, 1)), rtol=1e-12)


def test_profile_units_agree(disk: NDArray[np.uint16]) -> None:
    """The same rings, whatever the unit of k."""
    opened = dataset(
        disk, "y x ky kx", diffraction__pixel_size="0.2/nm", beam__energy="300kV", diffraction__center="16,20px"
    )
    pixels, reciprocal, angles = (
        run("radial_profile", opened, unit=unit, bins=12) for unit in ("px", "1/angstrom", "mrad")
    )
    assert (pixels["pixels"].values == reciprocal["pixels"].values).all()
    assert (pixels["pixels"].values == angles["pixels"].values).all()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True),
    st.floats(3, 29),
    st.floats(3, 37),
)
def test_adjoining_annuli_neither_overlap_nor_leave_a_gap(radii: list[int], cy: float, cx: float) -> None:
    """Every pixel between the first and the last radius is counted once."""
    radii = sorted(radii)
    frames = np.random.default_rng(1).integers(0, 60000, (2, 33, 41)).astype(np.uint16)
    rings = {f"r{a}": {"inner": a, "outer": b} for a, b in itertools.pairwise(radii)}
    opened = dataset(frames, "frame ky kx")
    center = f"{cy},{cx}px"
    y, x = np.mgrid[0:33, 0:41]
    squared = (y - cy) ** 2 + (x - cx) ** 2
    # a pixel that lies on an edge but for rounding lies on it
    low, high = (radius**2 * (1 - 2 * EDGE) for radius in (radii[0], radii[-1]))
    held = (squared >= low) & (squared < high)
    try:
        parts = run("virtual_detector", opened, detectors=rings, center=center)
    except StepError as error:  # a thin ring may hold no pixel: that is refused, and nothing else is
        assert "holds no pixel" in error.cause
        return
    total = np.sum([part.values for part in parts.values()], axis=0)
    assert (total == frames[:, held].sum(axis=1)).all()


def test_overlapping_detectors_are_each_complete(disk: NDArray[np.uint16]) -> None:
    """Detectors in one step may overlap; each equals the one computed alone."""
    opened = dataset(disk, "y x ky kx")
    several = run(
        "virtual_detector", opened, detectors={"bf": {"outer": 8}, "abf": {"inner": 4, "outer": 8}, "all": {"inner": 0}}
    )
    assert (several["bf"].values == run("virtual_detector", opened, outer=8)["image"].values).all()
    assert (several["abf"].values == run("virtual_detector", opened, inner=4, outer="8px")["image"].values).all()
    assert (several["all"].values == disk.sum(axis=(2, 3))).all()


def test_detectors_in_three_units_are_the_same(disk: NDArray[np.uint16]) -> None:
    """5 px of 0.02 1/angstrom at 300 keV (1.96875 pm) are 0.1 1/angstrom and 1.96875 mrad."""
    opened = dataset(disk, "y x ky kx", diffraction__pixel_size="0.02/angstrom", beam__energy="300keV")
    images = [
        run("virtual_detector", opened, outer=outer)["image"].values
        for outer in ("5.01px", "0.1002/angstrom", "1.9726mrad", "1.002/nm")
    ]
    for image in images[1:]:
        assert (image == images[0]).all()


@pytest.mark.parametrize(
    ("step", "parameters", "keys"),
    [
        ("virtual_detector", {"outer": "20px"}, ("diffraction.center",)),
        ("virtual_detector", {"outer": "20px", "center": "3,4"}, ()),
        ("virtual_detector", {"outer": "0.2/angstrom"}, ("diffraction",)),
        ("virtual_detector", {"outer": "20mrad"}, ("beam.energy", "diffraction")),
        (
            "virtual_detector",
            {"detectors": {"a": {"outer": "20px"}, "b": {"outer": "1mrad"}}},
            ("beam.energy", "diffraction"),
        ),
        ("radial_profile", {}, ("diffraction.center",)),
        ("radial_profile", {"unit": "1/angstrom"}, ("diffraction",)),
        ("virtual_image", {}, ()),
        ("sum_pattern", {}, ()),
        ("energy_map", {"windows": {"o": {"start": "500eV", "stop": "0.6keV"}}}, ("axes.energy",)),
    ],
)
def test_metadata_read(step: str, parameters: dict[str, Any], keys: tuple[str, ...]) -> None:
    """A radius in px depends on no calibration, one in mrad on the diffraction section and the beam energy alone."""
    found = find(step)
    assert found.metadata(found.Parameters(**parameters)) == keys


def test_a_key_that_is_not_declared_cannot_be_read() -> None:
    """A step cannot depend on metadata that its stage does not declare."""
    metadata = Metadata({"beam": {"energy": Quantity(200, "keV").to_dict()}}, {}, ("diffraction",))
    with pytest.raises(InternalError):
        metadata.quantity("beam.energy")


@pytest.mark.parametrize(
    ("values", "dims", "step", "parameters", "code", "says"),
    [
        (np.zeros((2, 2, 8), "u2"), "y x energy", "virtual_image", {}, Code.STEP_DIMENSIONS, "energy_map"),
        (np.zeros((2, 8, 8), "u2"), "frame ky kx", "sum_spectrum", {}, Code.STEP_DIMENSIONS, "virtual_detector"),
        (np.zeros((8, 8), "u2"), "y x", "virtual_image", {}, Code.STEP_DIMENSIONS, "y, x"),
        (np.zeros((2, 8, 8), "c8"), "frame ky kx", "virtual_image", {}, Code.STEP_DIMENSIONS, "complex64"),
        (np.zeros((0, 8, 8), "u2"), "frame ky kx", "virtual_image", {}, Code.STEP_DIMENSIONS, "empty"),
        (np.full((2, 8, 8), np.nan), "frame ky kx", "virtual_image", {}, Code.STEP_COUNTS, "frame=0, ky=0, kx=0"),
        (-np.eye(8)[None], "frame ky kx", "sum_pattern", {}, Code.STEP_COUNTS, "negative=allow"),
        (-np.eye(8, dtype="i2")[None], "frame ky kx", "sum_pattern", {}, Code.STEP_COUNTS, "frame=0, ky=0, kx=0: -1"),
        (
            np.ones((2, 8, 8), "u2"),
            "frame ky kx",
            "virtual_detector",
            {"outer": "2mrad"},
            Code.METADATA_MISSING,
            "--set diffraction.pixel_size",
        ),
        (
            np.ones((2, 8, 8), "u2"),
            "frame ky kx",
            "virtual_detector",
            {"outer": 2, "center": "9,3"},
            Code.STEP_PARAMETER,
            "(y, x)",
        ),
        (
            np.ones((2, 8, 8), "u2"),
            "frame ky kx",
            "virtual_detector",
            {"inner": 20, "outer": 30},
            Code.STEP_PARAMETER,
            "holds no pixel",
        ),
        (
            np.ones((2, 8), "u2"),
            "x energy",
            "energy_map",
            {"windows": {"o": {"start": 1, "stop": 2}}},
            Code.METADATA_MISSING,
            "axes.energy.scale",
        ),
    ],
)
def test_what_a_step_refuses(
    values: NDArray[Any], dims: str, step: str, parameters: dict[str, Any], code: Code, says: str
) -> None:
    """Each is one error with its cause, its evidence and the next command."""
    with pytest.raises(EmdvcError) as caught:
        run(step, dataset(values, dims), **parameters)
    assert caught.value.code == code
    assert says in str(caught.value)
    assert caught.value.exit_status == 2


def test_negative_counts_can_be_allowed() -> None:
    """Dark-subtracted frames may be summed when the person says so."""
    frames = np.array([[[-3, 5], [2, -1]]], np.int16)
    assert run("virtual_image", dataset(frames, "frame ky kx"), negative="allow")["image"].values.tolist() == [3]


@pytest.mark.parametrize(
    ("step", "parameters", "says"),
    [
        ("virtual_detector", {}, "at least one radius"),
        ("virtual_detector", {"outer": "2px", "detectors": {"a": {"outer": 3}}}, "not both"),
        ("virtual_detector", {"outer": "2 keV"}, "px or 1/angstrom or mrad"),
        ("virtual_detector", {"outter": "2px"}, "outter"),
        ("virtual_detector", {"outer": "2px", "center": "5px"}, "2 numbers"),
        ("radial_profile", {"bins": 0}, "bins"),
        ("radial_profile", {"unit": "furlong"}, "unit"),
        ("energy_map", {"windows": {}}, "at least one window"),
        ("energy_map", {"windows": {"o": {"start": "2keV", "stop": "100eV"}}}, "empty"),
    ],
)
def test_bad_parameters(step: str, parameters: dict[str, Any], says: str) -> None:
    """A parameter that makes no sense is refused before anything is read."""
    with pytest.raises(ValidationError) as caught:
        find(step).Parameters(**parameters)
    assert says in str(caught.value)


def test_an_unknown_step_suggests_the_nearest() -> None:
    """A misspelt step is one error with the right name."""
    with pytest.raises(StepError, match="virtual_detektor") as caught:
        find("virtual_detektor")
    assert "virtual_detector" in (caught.value.hint or "")


def test_every_step_is_documented() -> None:
    """Each step has a summary, a docstring with more than a line, a version, and documented parameters."""
    for name in names():
        step = find(name)
        assert step.name == name
        assert step.summary
        assert len((type(step).__doc__ or "").strip().splitlines()) > 1
        assert step.version >= 1
        for field_name, field in step.Parameters.model_fields.items():
            assert field.description, f"{name}.{field_name}"


@pytest.mark.parametrize("dims", ["ky kx", "frame ky kx", "y x ky kx", "time y x ky kx"])
def test_any_number_of_scan_dimensions(dims: str) -> None:
    """A single pattern, a stack, a scan and a scan in time are all reduced over their detector dimensions."""
    shape = (2, 3, 4, 7, 9)[5 - len(dims.split()) :]
    values = np.arange(math.prod(shape), dtype=np.uint32).reshape(shape)
    opened = dataset(values, dims)
    assert (run("virtual_image", opened)["image"].values == values.sum(axis=(-2, -1))).all()
    assert (run("sum_pattern", opened)["sum"].values == values.reshape(-1, 7, 9).sum(axis=0)).all()
    assert run("radial_profile", opened)["profile"].values.shape[:-1] == shape[:-2]


def test_spectra_need_not_come_last() -> None:
    """A spectrum image stored energy first is reduced the same."""
    values = np.random.default_rng(5).integers(0, 99, (16, 3, 4)).astype(np.uint8)
    first = run("energy_map", dataset(values, "energy y x", energy=(0, 10)), windows={"w": {"start": 20, "stop": 60}})
    assert (first["w"].values == values[2:6].sum(axis=0)).all()
    assert first["w"].dims == ("y", "x")
