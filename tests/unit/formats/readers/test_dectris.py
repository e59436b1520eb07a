from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from emdvc.errors import FormatError
from emdvc.formats.registry import find, main_file, unit


@pytest.fixture
def measured(realdata: Path, tmp_path: Path) -> Path:
    """A copy of the measured ARINA set that may be changed."""
    folder = tmp_path / "arina"
    folder.mkdir()
    for path in (realdata / "arina").iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


def master(folder: Path, frames: list[np.ndarray], *, triggers: int = 1, images: int = 1) -> Path:
    """Write a set as the detector does: a master with external links to compressed data files."""
    import hdf5plugin

    for number, part in enumerate(frames, start=1):
        with h5py.File(folder / f"run_data_{number:06d}.h5", "w") as file:
            file.create_dataset(
                "entry/data/data", data=part, chunks=(1, *part.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4")
            )
    with h5py.File(folder / "run_master.h5", "w") as file:
        held = file.create_group("entry/instrument/detector/detectorSpecific")
        held["ntrigger"], held["nimages"], held["photon_energy"] = triggers, images, 8040.0
        group = file.create_group("entry/data")
        for number in range(1, len(frames) + 1):
            group[f"data_{number:06d}"] = h5py.ExternalLink(f"run_data_{number:06d}.h5", "/entry/data/data")
    return folder / "run_master.h5"


@pytest.mark.parametrize("name", ["", "test_00_master.h5", "test_00_data_000001.h5"])
def test_measured_set_by_folder_by_master_and_by_part(realdata, opening, values_of, name):
    opened = opening(realdata / "arina" / name)
    (frames,) = opened.variables
    assert frames.dims == ("y", "x", "ky", "kx") and frames.array.shape == (4, 4, 192, 192)
    assert frames.array.dtype == np.dtype("u4")
    assert not values_of(opened).any()  # the frames of this published set are zeroed
    record = opened.record
    assert record["beam"]["energy"] == {"value": 300.0, "unit": "keV", "origin": "file"}
    assert record["detector"]["exposure"]["value"] == pytest.approx(99.5e-6)
    assert record["detector"]["threshold"] == {"value": 17.5, "unit": "keV", "origin": "file"}
    assert record["detector"]["pixel_pitch"] == {"value": 100.0, "unit": "um", "origin": "file"}
    assert record["detector"]["mask"]["applied"] is True and record["detector"]["gain"]["applied"] is False
    assert record["optics"]["camera_length"] == {"value": 115.0, "unit": "mm", "origin": "file"}
    assert record["acquired_at"] == "2025-05-03T01:51:00.302+02:00"


def test_the_set_is_one_unit(realdata):
    folder = realdata / "arina"
    names = {"test_00_master.h5", "test_00_data_000001.h5", "test_00.h5"}
    files = unit(folder / "test_00_master.h5")
    assert files[0].name == "test_00_master.h5" and {p.name for p in files} == names
    part = unit(folder / "test_00_data_000001.h5")
    assert part[0].name == "test_00_data_000001.h5" and {p.name for p in part} == names
    assert main_file(folder).name == "test_00_master.h5"


def test_data_files_follow_one_another(tmp_path, opening, values_of):
    frames = np.random.default_rng(0).integers(0, 9, (6, 16, 16)).astype("u2")
    path = master(tmp_path, [frames[:4], frames[4:]], triggers=2, images=3)
    opened = opening(path)
    assert opened.variables[0].dims == ("y", "x", "ky", "kx")
    np.testing.assert_array_equal(values_of(opened), frames.reshape(2, 3, 16, 16))
    assert "beam" not in opened.record  # 8 keV is an X-ray's energy
    turned = opening(path, scan_shape=(3, 2))
    np.testing.assert_array_equal(values_of(turned), frames.reshape(3, 2, 16, 16))


def test_an_unknown_scan_shape_is_a_stack(tmp_path, opening):
    path = master(tmp_path, [np.zeros((6, 8, 8), "u2")], triggers=6)
    assert opening(path).variables[0].dims == ("frame", "ky", "kx")


def test_a_renamed_set_is_still_found(tmp_path, opening, values_of):
    frames = np.ones((2, 8, 8), "u2")
    path = master(tmp_path, [frames])
    (tmp_path / "run_data_000001.h5").rename(tmp_path / "gold_data_000001.h5")
    path = path.rename(tmp_path / "gold_master.h5")
    np.testing.assert_array_equal(values_of(opening(path)), frames)
    assert {p.name for p in unit(path)} == {"gold_master.h5", "gold_data_000001.h5"}


def test_a_link_cannot_lead_out_of_the_folder(tmp_path, opening):
    (tmp_path / "set").mkdir()
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["entry/data/data"] = np.ones((1, 4, 4), "u2")
    path = master(tmp_path / "set", [np.ones((1, 4, 4), "u2")])
    with h5py.File(path, "r+") as file:
        del file["entry/data/data_000001"]
        file["entry/data/data_000001"] = h5py.ExternalLink("../secret.h5", "/entry/data/data")
    with pytest.raises(FormatError, match="not there"):
        opening(path)


def test_a_missing_data_file_is_named(measured, opening):
    (measured / "test_00_data_000001.h5").unlink()
    with pytest.raises(FormatError, match="data file that is not there") as caught:
        opening(measured / "test_00_master.h5")
    assert "test_00_data_000001.h5 is missing" in str(caught.value)


def test_a_truncated_data_file_is_an_error(measured, opening):
    path = measured / "test_00_data_000001.h5"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(FormatError, match="truncated"):
        opening(measured)


def test_a_truncated_master_is_an_error(measured, opening):
    path = measured / "test_00_master.h5"
    path.write_bytes(path.read_bytes()[:200000])
    with pytest.raises(FormatError, match="truncated"):
        opening(path)


def test_what_is_no_master_is_not_claimed(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["entry/data/data"] = np.zeros((3, 4, 4))
    assert find(tmp_path / "x.h5").name == "hdf5"
