from __future__ import annotations

import shutil
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from emdvc.errors import FormatError
from emdvc.formats.readers import mdoc
from emdvc.formats.registry import unit

STACK = (np.arange(4 * 30 * 20) % 251).astype("i2").reshape(4, 30, 20)
MDOC = """PixelSpacing = 5.5
Voltage = 200
ImageFile = a.mrc

[T = SerialEM: a microscope]

[ZValue = 1]
TiltAngle = -20.02
Magnification = 50000
DateTime = 01-Feb-24  03:04:05

[ZValue = 0]
TiltAngle = -40.01
Magnification = 50000
StagePosition = 1.5 -2.5
StageZ = 10
ExposureDose = 2.5
Defocus = -1.5
DateTime = 01-Feb-24  03:03:05

[ZValue = 2]
TiltAngle = 0.5

[ZValue = 3]
TiltAngle = 19.9
"""


def write(path: Path, values: np.ndarray = STACK, voxel: float = 1.0) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(values)
        file.set_image_stack()
        file.voxel_size = voxel
    return path


def test_measured_tilt_series(realdata, opening, values_of):
    opened = opening(realdata / "tilt_HAADF.mrc")
    assert opened.variables[0].dims == ("tilt", "y", "x")
    angles = opened.axes["tilt"].coordinates()
    assert angles == [float(line) for line in (realdata / "tilt_HAADF.rawtlt").read_text().split()]
    assert angles[0] == -76.0 and angles[-1] == 76.0 and opened.axes["tilt"].unit == "deg"
    # FEI's extended header: 3.36 nm, 300 kV, 115000 times; the cell of 1 Å per voxel is a default
    assert opened.axes["x"].scale.to("nm").value == pytest.approx(3.36)
    assert opened.record["beam"]["energy"] == {"value": 300.0, "unit": "keV", "origin": "file"}
    assert opened.record["optics"]["magnification"] == 115000.0
    values = values_of(opened)
    with mrcfile.open(realdata / "serialem_test_000.mrc") as file:  # mrcfile reads only marked files
        np.testing.assert_array_equal(values_of(opening(realdata / "serialem_test_000.mrc")), file.data)
    header = opened.vendor["header"]
    assert (values.min(), values.max()) == (header["dmin"], header["dmax"])
    assert opened.vendor["extended_header"]["ht"] == 300000.0
    assert len(opened.vendor["extended_header"]["a_tilt"]) == 77


def test_measured_serialem_stack(realdata, opening):
    opened = opening(realdata / "serialem_test_000.mrc")
    # two exposures at one angle are no tilt series
    assert opened.variables[0].dims == ("frame", "y", "x")
    assert opened.axes["y"].scale.value == 7.88 and opened.axes["y"].unit == "angstrom"
    record = opened.record
    assert record["beam"]["energy"] == {"value": 300.0, "unit": "keV", "origin": "file"}
    assert record["detector"]["exposure"]["value"] == 0.524 and record["detector"]["name"] == "HAADF"
    assert record["stage"]["position"] == {"value": [-15.99, -8.5543, -123.688], "unit": "um", "origin": "file"}
    assert record["acquired_at"] == "2023-03-31T16:24:15"
    assert "dose" not in record
    assert unit(realdata / "serialem_test_000.mrc")[1].name == "serialem_test_000.mrc.mdoc"
    assert [p.name for p in unit(realdata / "tilt_HAADF.mrc")] == ["tilt_HAADF.mrc", "tilt_HAADF.rawtlt"]


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "f4", "c8"])
def test_every_mode_is_read_as_mrcfile_reads_it(tmp_path, opening, values_of, dtype):
    values = STACK.astype(dtype)
    opened = opening(write(tmp_path / "a.mrc", values, 2.5))
    np.testing.assert_array_equal(values_of(opened), values)
    assert values_of(opened).dtype == np.dtype(dtype)
    assert opened.axes["x"].scale.value == pytest.approx(2.5)
    assert opened.variables[0].dims == ("frame", "y", "x")


def test_a_default_cell_is_no_calibration(tmp_path, opening):
    assert opening(write(tmp_path / "a.mrc")).axes["x"].unit == "px"


def test_a_single_section_is_an_image(tmp_path, opening):
    assert opening(write(tmp_path / "a.mrc", STACK[0][None])).variables[0].dims == ("y", "x")


def test_big_endian(tmp_path, opening, values_of):
    path = write(tmp_path / "a.mrc")
    with mrcfile.open(path) as file:
        header, data = file.header.copy(), file.data.copy()
    header = header.byteswap().view(header.dtype.newbyteorder())
    path.write_bytes(header.tobytes() + data.astype(">i2").tobytes())
    np.testing.assert_array_equal(values_of(opening(path)), STACK)


def test_imod_bytes_are_unsigned(tmp_path, opening, values_of):
    path = write(tmp_path / "a.st", (STACK - 128).astype("i1"))
    held = bytearray(path.read_bytes())
    assert values_of(opening(path)).dtype == np.dtype("i1")
    held[152:160] = (1146047817).to_bytes(4, "little") + bytes(4)
    path.write_bytes(held)
    assert values_of(opening(path)).dtype == np.dtype("u1")


def test_mdoc_gives_pixel_tilt_and_record(tmp_path, opening):
    path = write(tmp_path / "a.mrc", voxel=9.0)
    (tmp_path / "a.mrc.mdoc").write_text(MDOC, encoding="utf-8")
    opened = opening(path)
    assert opened.variables[0].dims == ("tilt", "y", "x")
    assert opened.axes["tilt"].coordinates() == [-40.01, -20.02, 0.5, 19.9]
    assert opened.axes["x"].scale.value == 5.5
    assert opened.record["beam"]["defocus"] == {"value": -1500.0, "unit": "nm", "origin": "file"}
    assert opened.record["dose"] == {"value": 2.5, "unit": "e/angstrom^2", "origin": "file"}
    assert opened.record["acquired_at"] == "2024-02-01T03:03:05"
    assert opened.vendor["mdoc"]["titles"] == ["SerialEM: a microscope"]


def test_rawtlt_wins_over_mdoc(tmp_path, opening):
    path = write(tmp_path / "a.st")
    (tmp_path / "a.st.mdoc").write_text(MDOC, encoding="utf-8")
    (tmp_path / "a.rawtlt").write_text("  -60.0\n -20.5\n 1.0\n 30\n", encoding="utf-8")
    assert opening(path).axes["tilt"].coordinates() == [-60.0, -20.5, 1.0, 30.0]
    assert {p.name for p in unit(path)} == {"a.st", "a.st.mdoc", "a.rawtlt"}


@pytest.mark.parametrize(("text", "evidence"), [("-60\n0\n60\n", "lists 3 angles, the stack has 4"), ("a b", "'a'")])
def test_a_foreign_rawtlt_is_an_error(tmp_path, opening, text, evidence):
    path = write(tmp_path / "a.mrc")
    (tmp_path / "a.rawtlt").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        opening(path)
    assert evidence in str(caught.value)


def test_truncated(tmp_path, realdata, opening):
    path = tmp_path / "tilt.mrc"
    shutil.copyfile(realdata / "tilt_HAADF.mrc", path)
    with path.open("r+b") as file:
        file.truncate(9_000_000)
    with pytest.raises(FormatError, match="truncated") as caught:
        opening(path)
    assert "10224640 bytes" in str(caught.value)
    with path.open("r+b") as file:
        file.truncate(500)
    with pytest.raises(FormatError, match="truncated"):
        opening(path)


def test_of_another_kind(tmp_path, opening):
    (tmp_path / "a.mrc").write_bytes(b"\xff" * 5000)
    with pytest.raises(FormatError, match="no MRC file"):
        opening(tmp_path / "a.mrc")


def test_mdoc_values():
    notes = mdoc.parse("A = 1\nB = 1.5 -2\nC = two words\nD =\n[T = x]\n[ZValue = 0]\nTiltAngle = 3\n")
    assert notes.head == {"A": 1, "B": [1.5, -2], "C": "two words", "D": ""}
    assert notes.angles == (3.0,) and notes.pixel is None
    assert mdoc.parse("[ZValue = 0]\nTiltAngle = 3\n[ZValue = 1]\n").angles == ()
