from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from emdvc.errors import Code, FormatError

FRAMES = np.arange(2 * 3 * 8 * 6, dtype="u2").reshape(2, 3, 8, 6)


def vector(group, number, values, name, units):
    group.create_dataset(f"dim{number}", data=values)
    group[f"dim{number}"].attrs.update({"name": name, "units": units})


def ncem(path: Path, *, short: bool = False) -> Path:
    """Write EMD 1.0 as NCEM specifies it: dim1 is the slowest; `short`: the first two coordinates only."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = FRAMES
        for number, (size, scale, offset, name, units) in enumerate(
            ((2, 1.5, 0.0, "y", "[n_m]"), (3, 1.5, 0.0, "x", "[n_m]"), (8, 0.2, -0.8, "ky", "[n_m^-1]"),
             (6, 0.2, -0.6, "kx", "[n_m^-1]")), start=1,
        ):  # fmt: skip
            vector(group, number, offset + scale * np.arange(2 if short else size), name, units)
        file.create_group("microscope").attrs["name"] = "TEAM 1"
    return path


@pytest.mark.parametrize("short", [False, True])
def test_ncem(tmp_path, opening, values_of, short):
    opened = opening(ncem(tmp_path / "a.emd", short=short))
    assert opened.reader.startswith("emd1@")
    (scan,) = opened.variables
    assert (scan.name, scan.dims) == ("scan", ("y", "x", "ky", "kx"))
    np.testing.assert_array_equal(values_of(opened), FRAMES)
    assert opened.record["scan"]["step"]["value"] == pytest.approx([1.5, 1.5])
    assert opened.record["diffraction"]["pixel_size"]["value"] == pytest.approx(0.2)
    assert opened.record["diffraction"]["pixel_size"]["unit"] == "1/nm"
    assert opened.record["diffraction"]["center"]["value"] == pytest.approx([4, 3])
    assert opened.vendor["microscope"] == {"@": {"name": "TEAM 1"}}


def test_py4dstem_calls_the_slow_axes_x(tmp_path, opening, values_of):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"emd_group_type": "file", "version_major": 1, "version_minor": 0})
        file.create_group("datacube_root").attrs["emd_group_type"] = "root"
        group = file.create_group("datacube_root/datacube")
        group.attrs.update({"emd_group_type": "array", "python_class": "DataCube"})
        group["data"] = FRAMES
        group["data"].attrs["units"] = "pixel intensity"
        for number, (name, units, step) in enumerate(
            (("Rx", "nm", 0.4), ("Ry", "nm", 0.4), ("Qx", "A^-1", 0.02), ("Qy", "A^-1", 0.02))
        ):
            vector(group, number, [0.0, step], name, units)
        file.create_group("datacube_root/metadatabundle").attrs["emd_group_type"] = "metadata"
    opened = opening(path)
    assert opened.variables[0].dims == ("y", "x", "ky", "kx")
    assert opened.variables[0].name == "datacube"
    np.testing.assert_array_equal(values_of(opened), FRAMES)
    assert opened.record["scan"]["step"] == {"value": [0.4, 0.4], "unit": "nm", "origin": "file"}
    assert opened.record["diffraction"]["pixel_size"] == {"value": 0.02, "unit": "1/angstrom", "origin": "file"}
    assert "center" not in opened.record["diffraction"]


def test_measured_file_with_several_groups(realdata, opening, values_of):
    path = realdata / "fpd_merlin_2x2x256x256.hdf5"
    with pytest.raises(FormatError) as caught:
        opening(path)
    assert caught.value.code == Code.FORMAT_AMBIGUOUS and "fpd_data (2, 2, 256, 256) uint16" in str(caught.value)
    opened = opening(path, signal="fpd_data")
    assert opened.reader.startswith("emd1@")
    assert values_of(opened).sum(axis=(2, 3)).tolist() == [[821833, 822375], [821384, 823283]]


def test_truncated(tmp_path, opening):
    path = ncem(tmp_path / "a.emd")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(FormatError, match="truncated"):
        opening(path)
