from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from emdvc.errors import Code, FormatError
from emdvc.formats.readers.zarr import missing_chunks
from emdvc.model.quantity import Quantity

SCAN = np.random.default_rng(0).integers(0, 50, (4, 5, 16, 12)).astype("u2")


def write(path: Path, version: int, *, consolidate: bool = False, record: dict | None = None) -> Path:
    group = zarr.create_group(path, zarr_format=version)
    if record:
        group.attrs["emdvc"] = {"record": record}
    steps = {"y": (2.0, 0.0, "nm"), "x": (3.0, 0.0, "nm"), "ky": (0.01, -0.08, "1/Å"), "kx": (0.01, -0.05, "1/Å")}

    def array(name, values, dims, attributes, **options):
        named = {"dimension_names": dims} if version == 3 else {}
        made = group.create_array(name, data=values, attributes=attributes, **named, **options)
        if version == 2:
            made.attrs["_ARRAY_DIMENSIONS"] = list(dims)

    array("frames", SCAN, ("y", "x", "ky", "kx"), {"units": "counts"}, chunks=(2, 2, 16, 12))
    for dim, (scale, offset, unit) in steps.items():
        size = SCAN.shape[list(steps).index(dim)]
        array(dim, offset + scale * np.arange(size), (dim,), {"units": unit})
    if consolidate:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            zarr.consolidate_metadata(path)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_a_group_with_coordinates_is_read_with_its_calibration(tmp_path, opening, values_of, version):
    energy = Quantity(200.0, "keV").to_dict()
    opened = opening(write(tmp_path / "a.zarr", version, record={"beam": {"energy": energy}}))
    (frames,) = opened.variables
    assert (frames.name, frames.dims, frames.unit) == ("frames", ("y", "x", "ky", "kx"), "counts")
    assert frames.array.chunks == (2, 2, 16, 12)
    np.testing.assert_array_equal(values_of(opened), SCAN)
    assert opened.record["scan"]["step"] == {"value": [2.0, 3.0], "unit": "nm", "origin": "file"}
    assert opened.record["diffraction"]["pixel_size"]["value"] == pytest.approx(0.01)
    assert opened.record["diffraction"]["pixel_size"]["unit"] == "1/angstrom"
    assert opened.record["diffraction"]["center"]["value"] == pytest.approx([8, 5])
    assert opened.record["beam"]["energy"] == energy
    assert {axis.calibration for axis in opened.axes.values()} == {"scan.step", "diffraction.pixel_size"}
    assert opened.reader.startswith("zarr@")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(
    ("shape", "dims", "roles"),
    [
        ((2, 3, 4, 5), ("y", "x", "ky", "kx"), ("scan", "scan", "detector", "detector")),
        ((3, 4, 5), ("frame", "ky", "kx"), ("stack", "detector", "detector")),
        ((4, 5), ("y", "x"), ("image", "image")),
        ((9,), ("energy",), ("spectrum",)),
    ],
)
def test_a_bare_array_is_understood_by_its_number_of_axes(tmp_path, opening, values_of, version, shape, dims, roles):
    values = np.arange(np.prod(shape)).reshape(shape).astype("i4")
    zarr.create_array(tmp_path / "bare.zarr", data=values, zarr_format=version)
    opened = opening(tmp_path / "bare.zarr")
    assert opened.variables[0].name == "bare"
    assert opened.variables[0].dims == dims
    assert tuple(str(opened.axes[dim].role) for dim in dims) == roles
    np.testing.assert_array_equal(values_of(opened), values)


def test_uneven_coordinates_are_kept_as_values(tmp_path, opening):
    group = zarr.create_group(tmp_path / "t.zarr")
    group.create_array("stack", data=np.zeros((3, 4, 5)), dimension_names=("tilt", "y", "x"))
    group.create_array(
        "tilt", data=np.array([-60.0, -10.0, 55.0]), dimension_names=("tilt",), attributes={"units": "°"}
    )
    axis = opening(tmp_path / "t.zarr").axes["tilt"]
    assert axis.values == Quantity((-60.0, -10.0, 55.0), "deg")
    assert axis.scale is None


def test_shards_and_an_array_inside_a_group(tmp_path, opening, values_of):
    group = zarr.create_group(tmp_path / "s.zarr")
    made = group.create_array("deep/frames", shape=SCAN.shape, dtype="u2", chunks=(1, 1, 16, 12), shards=(2, 5, 16, 12))
    made[...] = SCAN
    assert missing_chunks(tmp_path / "s.zarr") == []
    for path in (tmp_path / "s.zarr", f"{tmp_path / 's.zarr'}::/deep/frames", f"{tmp_path / 's.zarr'}::deep"):
        np.testing.assert_array_equal(values_of(opening(path)), SCAN)


def test_arrays_with_axes_of_their_own_need_a_signal(tmp_path, opening):
    group = zarr.create_group(tmp_path / "two.zarr")
    group.create_array("big", data=np.zeros((4, 8, 8)))
    group.create_array("small", data=np.zeros((3, 2, 2)))
    with pytest.raises(FormatError) as caught:
        opening(tmp_path / "two.zarr")
    assert caught.value.code == Code.FORMAT_AMBIGUOUS
    assert "--signal 'big'" in str(caught.value) and "small (3, 2, 2)" in str(caught.value)
    assert opening(tmp_path / "two.zarr", signal="small").variables[0].array.shape == (3, 2, 2)
    with pytest.raises(FormatError, match="no signal 'smal'") as caught:
        opening(tmp_path / "two.zarr", signal="smal")
    assert "did you mean --signal 'small'?" in str(caught.value)


@pytest.mark.parametrize("version", [2, 3])
def test_a_missing_chunk_is_listed_not_an_error(tmp_path, opening, values_of, version):
    path = write(tmp_path / "a.zarr", version)
    assert missing_chunks(path) == []
    key = "frames/c/1/2/0/0" if version == 3 else "frames/1.2.0.0"
    (path / key).unlink()
    assert missing_chunks(path) == [key]
    assert missing_chunks(path, "frames") == [key]
    assert not values_of(opening(path))[2:4, 4:].any()  # Zarr's rule: the fill value


@pytest.mark.parametrize("version", [2, 3])
def test_metadata_that_are_gone_are_an_error_never_a_variable_less(tmp_path, opening, version):
    path = write(tmp_path / "a.zarr", version)
    (path / "frames" / ("zarr.json" if version == 3 else ".zarray")).unlink()
    with pytest.raises(FormatError, match="incomplete") as caught:
        opening(path)
    assert "frames" in str(caught.value)


@pytest.mark.parametrize("version", [2, 3])
def test_consolidated_metadata_must_be_true(tmp_path, opening, version):
    path = write(tmp_path / "a.zarr", version, consolidate=True)
    opening(path)
    shutil.rmtree(path / "frames")
    with pytest.raises(FormatError, match="incomplete") as caught:
        opening(path)
    assert "list 'frames'" in str(caught.value)


def test_damaged_metadata_are_an_error(tmp_path, opening):
    path = write(tmp_path / "a.zarr", 3)
    (path / "frames" / "zarr.json").write_text("{", encoding="utf-8")
    with pytest.raises(FormatError):
        opening(path)
    (path / "frames" / "zarr.json").write_text(json.dumps({"zarr_format": 3, "node_type": "array"}), encoding="utf-8")
    with pytest.raises(FormatError):
        opening(path)


def test_a_truncated_chunk_is_an_error_when_it_is_read(tmp_path, opening, values_of):
    path = write(tmp_path / "a.zarr", 3)
    chunk = path / "frames/c/1/2/0/0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    opened = opening(path)
    with pytest.raises(FormatError, match=r"a\.zarr cannot be read"):
        values_of(opened)


def test_an_inner_path_that_is_not_there(tmp_path, opening):
    path = write(tmp_path / "a.zarr", 3)
    with pytest.raises(FormatError, match="cannot be read as Zarr"):
        opening(f"{path}::/nothing")


def test_an_empty_group_holds_nothing(tmp_path, opening):
    zarr.create_group(tmp_path / "e.zarr")
    with pytest.raises(FormatError, match="no array of numbers"):
        opening(tmp_path / "e.zarr")
