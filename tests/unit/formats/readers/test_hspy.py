from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from emdvc.errors import Code, FormatError

FRAMES = np.arange(2 * 3 * 8 * 6, dtype="u2").reshape(2, 3, 8, 6)


def axis(name, scale, offset, units, navigate, size):
    return {"name": name, "scale": scale, "offset": offset, "units": units, "navigate": navigate, "size": size}


AXES = [
    axis("y", 2.0, 0.0, "nm", True, 2),
    axis("x", 2.0, 0.0, "nm", True, 3),
    axis("ky", 0.1, -0.4, "$A^{-1}$", False, 8),
    axis("kx", 0.1, -0.3, "$A^{-1}$", False, 6),
]


def signal(group, values, axes, signal_type="electron_diffraction"):
    """Lay a signal out as HyperSpy does."""
    if isinstance(group, h5py.Group):
        group.create_dataset("data", data=values)
    else:
        group.create_array("data", data=values)
    for i, known in enumerate(axes):
        held = group.create_group(f"axis-{i}")
        for key, value in known.items():
            held.attrs[key] = value
    metadata = group.create_group("metadata")
    metadata.create_group("Signal").attrs["signal_type"] = signal_type
    general = metadata.create_group("General")
    general.attrs["title"] = "scan"
    general.attrs["_list_empty_notes"] = "_None_"
    metadata.create_group("Acquisition_instrument").create_group("TEM").attrs["beam_energy"] = 300.0
    group.create_group("original_metadata")


def write(path: Path, layout: str, signals=(("scan", FRAMES, AXES),)) -> Path:
    if layout == "hspy":
        with h5py.File(path, "w") as file:
            file.attrs["file_format"] = "HyperSpy"
            for name, values, axes in signals:
                signal(file.create_group(f"Experiments/{name}"), values, axes)
        return path
    root = zarr.create_group(path, zarr_format=2 if layout == "zspy 2" else 3)
    root.attrs["file_format"] = "ZSpy"
    for name, values, axes in signals:
        signal(root.create_group(f"Experiments/{name}"), values, axes)
    return path


@pytest.mark.parametrize("layout", ["hspy", "zspy 2", "zspy 3"])
def test_axes_calibration_and_metadata(tmp_path, opening, values_of, layout):
    opened = opening(write(tmp_path / f"a.{layout[:4]}", layout))
    (scan,) = opened.variables
    assert scan.dims == ("y", "x", "ky", "kx")
    np.testing.assert_array_equal(values_of(opened), FRAMES)
    assert opened.record["scan"]["step"] == {"value": [2.0, 2.0], "unit": "nm", "origin": "file"}
    assert opened.record["diffraction"]["pixel_size"] == {"value": 0.1, "unit": "1/angstrom", "origin": "file"}
    assert opened.record["diffraction"]["center"]["value"] == pytest.approx([4, 3])
    assert opened.record["beam"]["energy"] == {"value": 300.0, "unit": "keV", "origin": "file"}
    assert opened.vendor["metadata"]["General"] == {"title": "scan", "notes": []}
    assert opened.reader.startswith("hspy@")


def test_an_uneven_axis_keeps_its_values(tmp_path, opening):
    path = write(tmp_path / "a.hspy", "hspy", [("s", np.zeros((3, 4, 5)), [AXES[0], *AXES[2:]])])
    with h5py.File(path, "r+") as file:
        group = file["Experiments/s"]
        del group["axis-0"]
        held = group.create_group("axis-0")
        held.attrs.update({"name": "tilt", "navigate": True, "units": "deg", "size": 3})
        held.create_dataset("axis", data=[-60.0, 0.0, 50.0])
    opened = opening(path)
    assert opened.variables[0].dims == ("tilt", "ky", "kx")
    assert opened.axes["tilt"].coordinates() == [-60.0, 0.0, 50.0]


def test_measured_spectrum_image(realdata, opening, values_of):
    opened = opening(realdata / "SiO2_EDS_Spectrum_Image.hspy")
    (spectra,) = opened.variables
    assert spectra.dims == ("y", "x", "energy")
    assert spectra.array.shape == (128, 128, 2048)
    # total counts, and the lines' windows, by exspy 0.3.2 on hyperspy 2.5.0
    values = values_of(opened)
    assert values.dtype == np.dtype("u4")
    assert int(values.sum(dtype="i8")) == 823_049
    energy = opened.axes["energy"]
    assert energy.scale.unit == "keV" and energy.scale.value == pytest.approx(0.01)
    assert opened.record["scan"]["step"]["unit"] == "um"
    assert opened.record["scan"]["step"]["value"] == pytest.approx([0.008552446] * 2)
    assert opened.record["beam"]["energy"]["value"] == 200.0


def test_measured_image_is_an_image_not_a_scan(realdata, opening):
    opened = opening(realdata / "SiO2_HAADF_Image.hspy")
    assert opened.variables[0].dims == ("y", "x")
    assert {str(axis.role) for axis in opened.axes.values()} == {"image"}
    assert opened.axes["x"].scale.unit == "um" and opened.axes["x"].scale.value == pytest.approx(0.008552446)
    assert "scan" not in opened.record


def test_several_signals_need_a_choice(tmp_path, opening):
    other = [axis("y", 1.0, 0.0, "nm", False, 5), axis("x", 1.0, 0.0, "nm", False, 7)]
    path = write(tmp_path / "a.hspy", "hspy", [("scan", FRAMES, AXES), ("image", np.zeros((5, 7)), other)])
    with pytest.raises(FormatError) as caught:
        opening(path)
    assert caught.value.code == Code.FORMAT_AMBIGUOUS
    assert opening(path, signal="image").variables[0].dims == ("y", "x")


def test_a_signal_without_data_or_axes_is_an_error(tmp_path, opening):
    path = write(tmp_path / "a.hspy", "hspy")
    with h5py.File(path, "r+") as file:
        del file["Experiments/scan/axis-2"]
    with pytest.raises(FormatError, match="lacks axis 2"):
        opening(path)
    with h5py.File(path, "r+") as file:
        del file["Experiments/scan/data"]
    with pytest.raises(FormatError, match="has no data"):
        opening(path)


def test_a_truncated_file_is_an_error(tmp_path, opening):
    path = write(tmp_path / "a.hspy", "hspy")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(FormatError, match="truncated"):
        opening(path)
