from __future__ import annotations

import numpy as np
import pytest

from emdvc.errors import FormatError
from emdvc.formats import reshape
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, ReadOptions, Variable
from emdvc.formats.dimensions import FileAxis, settle
from emdvc.formats.region import whole
from emdvc.model import record as rec


def opened(dims, shape, steps=None, more=()):
    record = {}
    described = [
        FileAxis(n, scale=s, unit=u) for n, (s, u) in zip(shape, steps or [(None, "")] * len(shape), strict=True)
    ]
    values = np.arange(np.prod(shape)).reshape(shape).astype("i4")
    return Opened((Variable("a", dims, MemoryArray(values)), *more), settle(dims, described, record), record)


@pytest.mark.parametrize(
    ("dims", "shape", "expected"),
    [
        (("frame", "ky", "kx"), (6, 4, 5), ("y", "x", "ky", "kx")),
        (("frame", "y", "x"), (6, 4, 5), ("y", "x", "ky", "kx")),
        (("y", "x", "ky", "kx"), (6, 1, 4, 5), ("y", "x", "ky", "kx")),
        (("x", "energy"), (6, 7), ("y", "x", "energy")),
    ],
)
def test_frames_become_a_scan(dims, shape, expected):
    source = opened(dims, shape)
    made = reshape.apply(source, ReadOptions(scan_shape=(2, 3)))
    (variable,) = made.variables
    assert variable.dims == expected and variable.array.shape[:2] == (2, 3)
    assert set(made.axes) == set(expected)
    assert made.axes["y"].calibration == "scan.step" and made.axes["y"].size == 2
    first = source.variables[0].array
    np.testing.assert_array_equal(variable.array.read(whole(variable.array)).ravel(), first.read(whole(first)).ravel())


def test_other_arrays_of_the_same_frames_follow():
    more = (Variable("sums", ("frame",), MemoryArray(np.arange(6))),)
    made = reshape.apply(opened(("frame", "ky", "kx"), (6, 4, 5), more=more), ReadOptions(scan_shape=(3, 2)))
    assert made.variables[1].dims == ("y", "x")
    assert made.variables[1].array.shape == (3, 2)


def test_an_image_is_no_scan():
    with pytest.raises(FormatError):
        reshape.apply(opened(("frame", "y", "x", "ky", "kx"), (2, 2, 3, 4, 5)), ReadOptions(scan_shape=(2, 3)))


def test_renaming_moves_calibrations_with_their_axes():
    source = opened(("y", "x"), (4, 5), [(2.0, "1/nm"), (2.0, "1/nm")])
    made = reshape.apply(source, ReadOptions(dims=("ky", "kx")))
    assert rec.quantity(made.record, "diffraction.pixel_size").value == 2.0
    assert made.axes["ky"].scale is None
    back = reshape.apply(made, ReadOptions(dims=("y", "x")))
    assert back.axes["y"].scale.value == 2.0 and back.axes["y"].scale.unit == "1/nm"
    assert rec.quantity(back.record, "diffraction.pixel_size") is None


def test_a_scan_renamed_to_a_stack_loses_its_step():
    source = opened(("y", "x", "energy"), (4, 5, 6), [(2.0, "nm"), (3.0, "nm"), (0.5, "eV")])
    assert source.record["scan"]["step"]["value"] == [2.0, 3.0]
    made = reshape.apply(source, ReadOptions(dims=("x", "y", "energy")))
    assert made.record["scan"]["step"]["value"] == [3.0, 2.0]
    assert made.axes["energy"].scale.value == 0.5


@pytest.mark.parametrize("dims", [("ky",), ("ky", "ky"), ("ky", "kx", "energy")])
def test_dims_that_do_not_fit(dims):
    with pytest.raises(FormatError, match="does not fit"):
        reshape.apply(opened(("y", "x"), (4, 5)), ReadOptions(dims=dims))


def test_signal_leaves_one_array_and_its_axes():
    more = (Variable("image", ("y", "x"), MemoryArray(np.zeros((2, 3)))),)
    made = reshape.apply(opened(("y", "x", "ky", "kx"), (2, 3, 4, 5), more=more), ReadOptions(signal="image"))
    assert [v.name for v in made.variables] == ["image"] and set(made.axes) == {"y", "x"}


def test_options_survive_the_sidecar():
    options = ReadOptions("mrc", (3, 4), "/a", "b", (2, 3), "<u2", 5, ("y", "x"))
    assert ReadOptions.from_dict(options.to_dict()) == options
    assert ReadOptions().to_dict() == {}


@pytest.mark.parametrize("dims", [("frame", "ky", "kx"), ("y", "x", "ky", "kx")])
def test_dims_as_stored_or_as_scanned(dims):
    made = reshape.apply(opened(("y", "x", "energy"), (6, 4, 5)), ReadOptions(dims=dims, scan_shape=(2, 3)))
    assert made.variables[0].dims == ("y", "x", "ky", "kx")
    assert made.variables[0].array.shape == (2, 3, 4, 5)
