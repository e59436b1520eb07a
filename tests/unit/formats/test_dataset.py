from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from emdvc.errors import DataMissingError, FormatError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.dataset import open_dataset, open_lazy
from emdvc.formats.region import whole
from emdvc.formats.results import Result, ResultVariable, write_result
from emdvc.formats.xarray_backend import EmdvcBackend
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity

from .conftest import SCAN


def correct(path: Path, key: str, value) -> None:
    """Correct a sidecar as a person does, in its text."""
    sidecar = sidecars.read(path)
    section, name = key.split(".")
    sidecar.record.setdefault(section, {})[name] = value
    sidecars.write(path, sidecar)


def test_without_a_sidecar_the_files_own_calibration_holds(scan):
    opened, sidecar = open_lazy(scan)
    assert opened.axes["y"].scale == Quantity(2.0, "nm")
    assert opened.axes["kx"].unit == "1/nm"
    assert sidecar.record["scan"]["shape"] == [4, 5]
    opened.close()


def test_a_correction_in_the_sidecar_holds_at_once(scan, added):
    added(scan)
    correct(scan, "scan.step", {"value": [3.0, 3.5], "unit": "nm", "origin": "user"})
    correct(scan, "diffraction.center", {"value": [8.0, 6.0], "unit": "px", "origin": "calibrated"})
    opened, sidecar = open_lazy(scan)
    assert opened.axes["x"].coordinates() == [0.0, 3.5, 7.0, 10.5, 14.0]
    assert opened.axes["ky"].coordinates()[8] == 0.0
    assert opened.record == sidecar.record
    np.testing.assert_array_equal(opened.variables[0].array.read(whole(opened.variables[0].array)), SCAN)
    opened.close()


@pytest.mark.parametrize("suffix", ["", ".em.yaml", ".dvc", "::frames"])
def test_data_sidecar_pointer_and_inner_path_open_the_same(scan, added, suffix):
    added(scan)
    correct(scan, "scan.step", {"value": [7.0, 7.0], "unit": "nm", "origin": "user"})
    opened, _ = open_lazy(f"{scan}{suffix}")
    assert opened.axes["y"].scale.value == 7.0
    opened.close()


def test_the_options_of_adding_are_kept(tmp_path, added):
    path = tmp_path / "frames.raw"
    path.write_bytes(b"1234" + SCAN.tobytes())
    added(path, shape=(20, 16, 12), dtype="<u2", offset=4, scan_shape=(4, 5))
    opened, sidecar = open_lazy(path)
    assert opened.variables[0].dims == ("y", "x", "ky", "kx")
    assert sidecar.source["options"] == {"shape": [20, 16, 12], "dtype": "<u2", "offset": 4, "scan_shape": [4, 5]}
    np.testing.assert_array_equal(opened.variables[0].array.read(whole(opened.variables[0].array)), SCAN)
    opened.close()


def test_a_file_that_is_not_the_sidecars_is_refused(tmp_path, added):
    path = tmp_path / "a.npy"
    np.save(path, SCAN)
    added(path)
    np.save(path, SCAN[:3])
    with pytest.raises(FormatError, match="not the file that its sidecar speaks of") as caught:
        open_lazy(path)
    assert "'y': 3" in str(caught.value) and "'y': 4" in str(caught.value)


def test_another_array_of_the_same_file_has_no_sidecar(tmp_path, added):
    import h5py

    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = SCAN, np.zeros((3, 4))
    added(path, inner="/a")
    opened, sidecar = open_lazy(path)
    assert opened.variables[0].name == "a" and sidecar.source["options"] == {"inner": "/a"}
    opened.close()
    opened, _ = open_lazy(f"{path}::/b")
    assert opened.variables[0].dims == ("y", "x")
    opened.close()


def test_missing_data_with_a_sidecar(scan, added):
    added(scan)
    shutil.rmtree(scan)
    with pytest.raises(FormatError, match="does not exist"):
        open_lazy(scan)
    scan.with_name("scan.zarr.dvc").write_text("outs: []\n", encoding="utf-8")
    with pytest.raises(DataMissingError, match="not here"):
        open_lazy(scan)


def test_a_result_inherits_the_calibration_of_its_input(scan, added, tmp_path):
    added(scan)
    profile = Axis("k", 3, Role.SPECTRUM, scale=Quantity(0.5, "1/nm"), offset=Quantity(0.25, "1/nm"))
    axes = {"k": profile}
    axes |= {dim: Axis(dim, n, Role.SCAN, calibration="scan.step") for dim, n in (("y", 4), ("x", 5))}
    values = np.arange(60.0).reshape(4, 5, 3)
    maps = ResultVariable("sum", ("y", "x"), values.sum(axis=2), "counts")
    profiles = ResultVariable("profile", ("y", "x", "k"), values)
    result = Result((profiles, maps), axes, frozenset({"k"}), {"step": "radial_profile"})
    write_result(tmp_path / "r.zarr", result, source=scan)
    correct(scan, "scan.step", {"value": [9.0, 9.0], "unit": "nm", "origin": "user"})
    with open_dataset(tmp_path / "r.zarr") as dataset:
        assert list(dataset) == ["profile", "sum"]
        np.testing.assert_array_equal(dataset["y"], [0, 9, 18, 27])
        np.testing.assert_array_equal(dataset["k"], [0.25, 0.75, 1.25])
        assert dataset["k"].attrs["units"] == "1/nm"
        np.testing.assert_array_equal(dataset["profile"], values)


def test_dataset_has_named_calibrated_dimensions_and_the_record(scan, added):
    added(scan)
    correct(scan, "beam.energy", {"value": 200.0, "unit": "keV", "origin": "user"})
    with open_dataset(scan, chunks=None) as dataset:
        frames = dataset["frames"]
        assert frames.dims == ("y", "x", "ky", "kx") and frames.attrs == {"units": "counts"}
        assert {dim: dataset[dim].attrs["units"] for dim in dataset.dims} == {
            "y": "nm",
            "x": "nm",
            "ky": "1/nm",
            "kx": "1/nm",
        }
        assert dataset.attrs["beam"] == {"energy": {"value": 200.0, "unit": "keV", "origin": "user"}}
        json.dumps(dataset.attrs, allow_nan=False)
        assert dataset.chunks == {}
        np.testing.assert_array_equal(frames.sel(y=4, x=2), SCAN[2, 1])
    with open_dataset(scan, chunks={}) as dataset:
        assert dataset["frames"].chunks[0] == (1, 1, 1, 1)
        assert int(dataset["frames"].sum()) == int(SCAN.sum())


def test_uncalibrated_dimensions_are_in_px(tmp_path):
    np.save(tmp_path / "a.npy", SCAN)
    with open_dataset(tmp_path / "a.npy") as dataset:
        assert {dataset[dim].attrs["units"] for dim in dataset.dims} == {"px"}
        np.testing.assert_array_equal(dataset["ky"], np.arange(16))
    with open_dataset(tmp_path / "a.npy", dims=("time", "frame", "y", "x")) as dataset:
        assert dataset["a"].dims == ("time", "frame", "y", "x")


KEYS = [
    np.s_[0],
    np.s_[..., 3],
    np.s_[1:3, ::2],
    np.s_[::-1],
    np.s_[3:0:-2, 4, 2:2],
    np.s_[-1, -2, 5, 6],
    np.s_[:, [3, 0, 3]],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_reads_what_numpy_gives(scan, key):
    with open_dataset(scan) as dataset:
        np.testing.assert_array_equal(dataset["frames"][key], SCAN[key])


def test_only_what_is_indexed_is_read(tmp_path, monkeypatch):
    from emdvc.formats.arrays import BinaryArray

    np.save(tmp_path / "a.npy", SCAN)
    asked = []
    read = BinaryArray.read
    monkeypatch.setattr(BinaryArray, "read", lambda self, region: asked.append(region) or read(self, region))
    with open_dataset(tmp_path / "a.npy") as dataset:
        assert asked == []
        dataset["a"][2, 3].load()
    assert asked == [(slice(2, 3), slice(3, 4), slice(0, 16), slice(0, 12))]


def test_a_lazy_dataset_goes_to_another_process(scan):
    with open_dataset(scan, chunks=None) as dataset:
        sent = pickle.loads(pickle.dumps(dataset["frames"].variable._data))
        np.testing.assert_array_equal(sent.get_duck_array(), SCAN)


def test_xarray_opens_by_engine(realdata):
    with xr.open_dataset(realdata / "SiO2_HAADF_Image.hspy", engine=EmdvcBackend) as dataset:
        assert dataset["HAADF Image"].dims == ("y", "x") and dataset["x"].attrs["units"] == "um"
    path = f"{realdata / 'fpd_merlin_2x2x256x256.hdf5'}::/fpd_expt/fpd_data/data"
    with xr.open_dataset(path, engine=EmdvcBackend, drop_variables="nothing") as dataset:
        sums = dataset["fpd_data"].sum(("ky", "kx"))
        assert sums.values.tolist() == [[821833, 822375], [821384, 823283]]
    with xr.open_dataset(realdata / "arina", engine=EmdvcBackend) as dataset:
        assert dataset["data"].shape == (4, 4, 192, 192)


def test_guess_leaves_other_engines_their_files(tmp_path, scan, added):
    backend = EmdvcBackend()
    assert backend.guess_can_open("a.mib") and backend.guess_can_open(Path("a.dm4"))
    assert backend.guess_can_open("f.h5::/a")
    assert not backend.guess_can_open("a.nc") and not backend.guess_can_open("a.h5") and not backend.guess_can_open(3)
    assert not backend.guess_can_open(scan)
    added(scan)
    assert backend.guess_can_open(scan)


def test_signal_picks_one_array(tmp_path):
    group = zarr.create_group(tmp_path / "two.zarr")
    group.create_array("big", data=np.zeros((4, 8, 8)))
    group.create_array("small", data=np.ones((3, 2, 2)))
    with open_dataset(tmp_path / "two.zarr", signal="small") as dataset:
        assert list(dataset) == ["small"] and float(dataset["small"].sum()) == 12
