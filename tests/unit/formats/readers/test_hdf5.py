from __future__ import annotations

import h5py
import numpy as np
import pytest

from emdvc.errors import Code, FormatError

FPD = "fpd_merlin_2x2x256x256.hdf5"


def test_measured_merlin_scan_by_path(realdata, opening, values_of):
    opened = opening(f"{realdata / FPD}::fpd_expt/fpd_data/data")
    (frames,) = opened.variables
    # the axis of one colour is left out, the scan of 2 x 2 is not
    assert frames.dims == ("y", "x", "ky", "kx")
    assert frames.array.shape == (2, 2, 256, 256)
    assert frames.array.dtype == np.dtype("u2") and frames.unit == "counts"
    values = values_of(opened)
    assert values.sum(axis=(2, 3)).tolist() == [[821833, 822375], [821384, 823283]]
    with h5py.File(realdata / FPD) as file:
        np.testing.assert_array_equal(values.sum(axis=(2, 3)), file["fpd_expt/fpd_sum_im/data"][..., 0])
        np.testing.assert_array_equal(values.sum(axis=(0, 1)), file["fpd_expt/fpd_sum_dif/data"][0])
    assert "scan" not in opened.record and "diffraction" not in opened.record  # `?/m` is no unit


def test_measured_ebsd_patterns_by_path(realdata, opening):
    path = realdata / "ebsd_ni_3x3x60x60.h5"
    with pytest.raises(FormatError) as caught:
        opening(path)
    assert caught.value.code == Code.FORMAT_AMBIGUOUS
    assert "/Scan 1/EBSD/Data/patterns (9, 60, 60) uint8" in str(caught.value)
    opened = opening(f"{path}::/Scan 1/EBSD/Data/patterns")
    assert opened.variables[0].dims == ("frame", "ky", "kx")
    scan = opening(f"{path}::/Scan 1/EBSD/Data/patterns", scan_shape=(3, 3))
    assert scan.variables[0].dims == ("y", "x", "ky", "kx")
    assert scan.variables[0].array.shape == (3, 3, 60, 60)
    region = (slice(1, 3), slice(1, 2), slice(0, 60), slice(0, 60))
    with h5py.File(path) as file:
        expected = file["Scan 1/EBSD/Data/patterns"][()].reshape(3, 3, 60, 60)[1:3, 1:2]
    np.testing.assert_array_equal(scan.variables[0].array.read(region), expected)


def test_a_wrong_path_suggests_the_nearest(tmp_path, opening):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/frames"] = np.zeros((2, 3, 4, 5))
        file["entry/title"] = "scan"
    with pytest.raises(FormatError) as caught:
        opening(f"{tmp_path / 'a.h5'}::/entry/data/frame")
    assert caught.value.code == Code.NOT_FOUND
    assert "did you mean 'a.h5::/entry/data/frames'?" in str(caught.value)
    with pytest.raises(FormatError, match="no dataset of numbers at /entry/title"):
        opening(f"{tmp_path / 'a.h5'}::/entry/title")


def test_the_only_dataset_needs_no_path(tmp_path, opening, values_of):
    values = np.arange(24.0).reshape(2, 3, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data"] = values
    np.testing.assert_array_equal(values_of(opening(tmp_path / "a.h5")), values)


def test_nexus_axes_are_taken(tmp_path, opening):
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        group = file.create_group("entry/data")
        group.attrs["signal"] = "counts"
        group.attrs["axes"] = ["y", "x", "energy"]
        group["counts"] = np.zeros((2, 3, 4), "u2")
        for name, unit, step in (("y", "nm", 2.0), ("x", "nm", 2.0), ("energy", "eV", 0.5)):
            group[name] = step * np.arange({"y": 2, "x": 3, "energy": 4}[name])
            group[name].attrs["units"] = unit
    opened = opening(f"{tmp_path / 'a.nxs'}::/entry/data")
    assert opened.variables[0].dims == ("y", "x", "energy")
    assert opened.axes["energy"].scale.value == 0.5 and opened.axes["energy"].unit == "eV"
    assert opened.record["scan"]["step"]["value"] == [2.0, 2.0]


def test_a_truncated_file_and_a_file_of_another_kind(tmp_path, opening):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.random.default_rng(0).random((50, 50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError) as caught:
        opening(path)
    assert caught.value.code == Code.FORMAT_BROKEN and "truncated" in str(caught.value)
    path.write_bytes(b"this is not HDF5")
    with pytest.raises(FormatError):
        opening(path)


def test_a_damaged_chunk_is_an_error_when_it_is_read(tmp_path, opening, values_of):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", data=np.random.default_rng(0).random((64, 64)), chunks=(64, 64), compression=1
        )
        file.flush()
        place, size = data.id.get_chunk_info(0).byte_offset, data.id.get_chunk_info(0).size
    held = bytearray(path.read_bytes())
    held[place + 10 : place + size - 10] = bytes(size - 20)
    path.write_bytes(held)
    with pytest.raises(FormatError, match="cannot be read at"):
        values_of(opening(path))
