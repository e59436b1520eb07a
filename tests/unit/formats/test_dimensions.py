from __future__ import annotations

import pytest

from emdvc.formats.dimensions import FileAxis, even, name_dimensions, role_of, settle
from emdvc.model.axis import Role
from emdvc.model.quantity import Quantity


def axes(*described):
    """Axes from `(name, unit, navigate)`."""
    return [FileAxis(4 + i, name, unit=unit, navigate=navigate) for i, (name, unit, navigate) in enumerate(described)]


N, S = True, False


@pytest.mark.parametrize(
    ("described", "signal_type", "expected"),
    [
        # nothing is known but the number of axes
        ([("", "", None)] * 4, "", ("y", "x", "ky", "kx")),
        ([("", "", None)] * 3, "", ("frame", "ky", "kx")),
        ([("", "", None)] * 2, "", ("y", "x")),
        ([("", "", None)], "", ("energy",)),
        ([("", "", None)] * 5, "", ("frame", "y", "x", "ky", "kx")),
        ([("", "", None), ("", "", None), ("", "eV", None)], "", ("y", "x", "energy")),
        # names as instruments and programs give them
        (
            [("scanY", "", None), ("scanX", "", None), ("detY", "", None), ("detX", "", None)],
            "",
            ("y", "x", "ky", "kx"),
        ),
        ([("scan_y", "", None), ("scan_x", "", None), ("Energy loss", "eV", None)], "", ("y", "x", "energy")),
        ([("x", "1/nm", None), ("y", "1/nm", None)], "", ("kx", "ky")),
        # HyperSpy's signals
        ([("y", "nm", N), ("x", "nm", N), ("z", "keV", S)], "EDS_TEM", ("y", "x", "energy")),
        ([("", "", N), ("", "", N), ("", "", S), ("", "", S)], "", ("y", "x", "ky", "kx")),
        ([("", "nm", N), ("", "1/nm", S), ("", "1/nm", S)], "", ("x", "ky", "kx")),
        ([("", "deg", N), ("y", "nm", S), ("x", "nm", S)], "", ("tilt", "y", "x")),
        ([("", "s", N), ("", "", S), ("", "", S)], "electron_diffraction", ("time", "ky", "kx")),
        ([("", "", N), ("y", "nm", S), ("x", "nm", S)], "", ("frame", "y", "x")),
        ([("", "", N), ("", "eV", S)], "EELS", ("x", "energy")),
        ([("y", "nm", N), ("x", "nm", N), ("", "1/Å", S)], "", ("y", "x", "k")),
        ([("", "s", S)], "", ("time",)),
        ([("y", "um", S), ("x", "um", S)], "", ("y", "x")),
    ],
)
def test_dimensions_are_named(described, signal_type, expected):
    assert name_dimensions(axes(*described), signal_type) == expected


def test_no_name_is_given_twice():
    assert name_dimensions(axes(("", "", N), ("", "", N), ("y", "nm", S), ("x", "nm", S))) == (
        "frame",
        "frame_1",
        "y",
        "x",
    )


def test_positions_alone_are_an_image_and_a_scan_beside_patterns():
    assert role_of("y", ("y", "x")) is Role.IMAGE
    assert role_of("y", ("y", "x", "ky", "kx")) is Role.SCAN
    assert role_of("x", ("x", "energy")) is Role.SCAN


def test_calibrations_go_to_the_record_and_nowhere_else():
    record = {}
    described = [
        FileAxis(4, scale=2.0, unit="nm"),
        FileAxis(5, scale=-0.003, unit="µm"),
        FileAxis(8, scale=0.1, offset=-0.4, unit="nm^-1"),
        FileAxis(8, scale=0.2, offset=-0.6, unit="1/nm"),
    ]
    found = settle(("y", "x", "ky", "kx"), described, record)
    assert record["scan"]["step"] == {"value": [2.0, 3.0], "unit": "nm", "origin": "file"}
    assert record["diffraction"]["pixel_size"] == {"value": [0.1, 0.2], "unit": "1/nm", "origin": "file"}
    assert record["diffraction"]["center"] == {"value": [4.0, 3.0], "unit": "px", "origin": "file"}
    assert all(axis.scale is None and axis.offset is None and axis.calibration for axis in found.values())


def test_a_record_that_knows_is_not_overwritten():
    record = {"scan": {"step": Quantity((9.0, 9.0), "nm").to_dict()}}
    settle(("y", "x", "energy"), [FileAxis(3, scale=1.0, unit="nm")] * 2 + [FileAxis(4)], record)
    assert record["scan"]["step"]["value"] == [9.0, 9.0]


@pytest.mark.parametrize("unit", ["", "px", "?/m", "s", "counts"])
def test_a_unit_that_cannot_calibrate_leaves_the_axis_uncalibrated(unit):
    record = {}
    found = settle(("y", "x", "ky", "kx"), [FileAxis(3, scale=2.0, unit=unit)] * 4, record)
    assert record == {}
    assert found["ky"].calibration == "diffraction.pixel_size"


def test_other_axes_keep_their_own_scale_and_unknown_units():
    found = settle(
        ("time", "y", "x"), [FileAxis(3, scale=0.5, unit="shots"), *[FileAxis(4, scale=3.0, unit="Å")] * 2], {}
    )
    assert found["time"].scale == Quantity(0.5, "shots")
    assert found["y"].scale == Quantity(3.0, "angstrom") and found["y"].role is Role.IMAGE
    assert found["y"].coordinates() == [0.0, 3.0, 6.0, 9.0]


def test_a_zero_offset_is_no_centre():
    record = {}
    settle(("ky", "kx"), [FileAxis(8, scale=0.1, unit="1/nm")] * 2, record)
    assert "center" not in record["diffraction"]


def test_coordinates_are_even_to_the_rounding_of_a_file():
    import numpy as np

    assert even([0.1 + 0.25 * i for i in range(9)], "nm").scale == pytest.approx(0.25)
    single = np.arange(2048, dtype="f4") * np.float32(0.01) + np.float32(5.0)
    assert even(single.tolist(), "keV").values is None
    assert even([0.0, 1.0, 2.1], "deg").values == (0.0, 1.0, 2.1)
    assert even([1.0, 1.0, 1.0], "deg").values == (1.0, 1.0, 1.0)
    assert even([3.0], "deg").offset == 3.0
