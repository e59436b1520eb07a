from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from emdvc.errors import FormatError
from emdvc.formats.arrays import BinaryArray
from emdvc.formats.readers.tiff import READER, PagedArray

STACK = (np.arange(5 * 30 * 20) % 251).astype("u2").reshape(5, 30, 20)


def test_measured_ring_pattern(realdata, opening, values_of):
    opened = opening(realdata / "au_xgrating_20cm.tif")
    assert opened.variables[0].dims == ("y", "x") and opened.axes["y"].unit == "px"
    values = values_of(opened)
    assert values.dtype == np.dtype("f4")
    np.testing.assert_array_equal(values, tifffile.imread(realdata / "au_xgrating_20cm.tif"))
    assert opened.record["acquired_at"] == "2019-03-29T17:02:55"
    pattern = opening(realdata / "au_xgrating_20cm.tif", dims=("ky", "kx"))
    assert {axis.calibration for axis in pattern.axes.values()} == {"diffraction.pixel_size"}


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_imagej_stack_with_calibration(tmp_path, opening, values_of, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, STACK, imagej=True, resolution=(1 / 0.25, 1 / 0.5), compression=compression,
        metadata={"axes": "TYX", "unit": "nm", "finterval": 0.2},
    )  # fmt: skip
    opened = opening(path)
    assert opened.variables[0].dims == ("time", "y", "x")
    assert opened.axes["x"].scale.value == pytest.approx(0.25) and opened.axes["x"].unit == "nm"
    assert opened.axes["y"].scale.value == pytest.approx(0.5)
    assert opened.axes["time"].scale.value == pytest.approx(0.2) and opened.axes["time"].unit == "s"
    np.testing.assert_array_equal(values_of(opened), STACK)
    assert opened.vendor["imagej"]["unit"] == "nm"


def test_micrometres_as_imagej_escapes_them(tmp_path, opening):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], imagej=True, resolution=(10, 10), metadata={"unit": "\\u00B5m"})
    assert opening(tmp_path / "a.tif").axes["x"].unit == "um"


def test_ome_physical_size(tmp_path, opening):
    metadata = {
        "axes": "YX",
        "PhysicalSizeX": 1.5,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 2.5,
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", STACK[0], metadata=metadata)
    axes = opening(tmp_path / "a.ome.tif").axes
    assert (axes["y"].scale.value, axes["x"].scale.value, axes["x"].unit) == (2.5, 1.5, "nm")


@pytest.mark.parametrize(("density", "expected"), [(300, None), (1e6, 10.0)])
def test_dots_per_cm_count_only_where_they_can_be_a_microscopes(tmp_path, opening, density, expected):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], resolution=(density, density), resolutionunit="CENTIMETER")
    scale = opening(tmp_path / "a.tif").axes["x"].scale
    assert (scale.value if scale else None) == expected


def test_plain_stacks_are_read_by_position_and_compressed_ones_by_page(tmp_path):
    for name, compression, kind in (("a.tif", None, BinaryArray), ("b.tif", "zlib", PagedArray)):
        tifffile.imwrite(tmp_path / name, STACK, compression=compression, photometric="minisblack")
        from emdvc.formats.contract import ReadOptions

        opened = READER.open(tmp_path / name, ReadOptions())
        assert type(opened.variables[0].array) is kind
        part = opened.variables[0].array.read((slice(1, 4), slice(3, 9), slice(0, 20)))
        np.testing.assert_array_equal(part, STACK[1:4, 3:9])
        opened.close()


def test_a_colour_image_keeps_its_channels(tmp_path, opening, values_of):
    image = np.random.default_rng(0).integers(0, 255, (8, 9, 3)).astype("u1")
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb")
    np.testing.assert_array_equal(values_of(opening(tmp_path / "a.tif")), image)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kept", [0.95, 0.5, 0.02])
def test_a_truncated_file_is_an_error(tmp_path, opening, values_of, compression, kept, big):
    # a cut compressed stack loses its last pages: tifffile logs that, and gives the rest
    path = tmp_path / "a.tif"
    frames = np.random.default_rng(0).random((4, 64, 64))
    tifffile.imwrite(path, frames, compression=compression, photometric="minisblack", bigtiff=big)
    np.testing.assert_array_equal(values_of(opening(path)), frames)
    held = path.read_bytes()
    path.write_bytes(held[: int(len(held) * kept)])
    with pytest.raises(FormatError):
        values_of(opening(path))


def test_a_file_of_another_kind_is_an_error(tmp_path: Path, opening):
    (tmp_path / "a.tif").write_text("no image at all", encoding="utf-8")
    with pytest.raises(FormatError, match="no TIFF"):
        opening(tmp_path / "a.tif")
