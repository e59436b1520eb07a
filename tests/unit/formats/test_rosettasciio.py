"""Files of instruments through RosettaSciIO: arrays, axes, record; memory, warnings and errors."""

from __future__ import annotations

import builtins
import importlib
import logging
import struct
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from emdvc.errors import Code, FormatError
from emdvc.formats import corrections, registry
from emdvc.formats.contract import ReadOptions
from emdvc.formats.readers.rosettasciio_specs import BY_NAME, SPECS
from emdvc.formats.region import whole
from emdvc.model import record as rec
from emdvc.model.axis import Role
from emdvc.model.quantity import Quantity

pytest.importorskip("rsciio", reason="needs the extra `formats`")

from emdvc.formats.readers.rosettasciio import PIECE, READERS, RosettaReader, pieces


def reader_of(name) -> RosettaReader:
    return next(reader for reader in READERS if reader.name == name)


def opened(path, name, **options):
    reader = reader_of(name)
    assert reader.claims(path)
    return corrections.apply(reader.open(path, ReadOptions(**options)), path, name)


def values_of(found, name=None):
    variable = found.variable(name)
    values = variable.array.read(whole(variable.array))
    assert values.shape == variable.array.shape
    assert values.dtype == variable.array.dtype
    assert values.dtype.isnative
    assert values.flags.c_contiguous
    assert [found.axes[dim].size for dim in variable.dims] == list(values.shape)
    return values


def shown(found, key):
    return str(rec.get(found.record, key))


# --- measured files: totals of RosettaSciIO 0.15.0 = LiberTEM 0.16.0 where both read them


def test_merlin(realdata):
    found = opened(realdata / "merlin_4x2_6bit.mib", "merlin")
    values = values_of(found)
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert values.shape == (2, 4, 256, 256)
    assert values.dtype == np.uint8
    assert values.sum(dtype="i8") == 3_623_664
    assert {dim: axis.calibration for dim, axis in found.axes.items()} == {
        "y": "scan.step", "x": "scan.step", "ky": "diffraction.pixel_size", "kx": "diffraction.pixel_size",
    }  # fmt: skip
    assert shown(found, "acquired_at") == "2021-05-07T16:51:10.905800928+00:00"
    assert shown(found, "detector.threshold") == "40 keV"
    assert shown(found, "detector.exposure") == "0.1 s"
    assert rec.get(found.record, "detector.bit_depth") == 6
    assert rec.get(found.record, "detector.saturation") == 63 == values.max()
    assert found.reader.startswith("rosettasciio.quantumdetector@")
    assert found.vendor["hdr_file"]["Gain"] == "SLGM"


def test_merlin_set_from_either_file(realdata):
    mib, hdr = realdata / "merlin_4x2_6bit.mib", realdata / "merlin_4x2_6bit.hdr"
    assert reader_of("merlin").unit(mib) == (mib, hdr)
    assert reader_of("merlin").unit(hdr) == (hdr, mib)


def test_merlin_says_nothing_of_this_machine(realdata, tmp_path):
    from ruamel.yaml import YAML

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for suffix in ("mib", "hdr"):
            source = realdata / f"merlin_4x2_6bit.{suffix}"
            (tmp_path / name / source.name).write_bytes(source.read_bytes())
    trees = [opened(tmp_path / name / "merlin_4x2_6bit.mib", "merlin") for name in ("a", "b")]
    assert trees[0].vendor == trees[1].vendor
    assert trees[0].record == trees[1].record
    with (tmp_path / "vendor.yaml").open("w") as file:
        YAML(typ="safe").dump(trees[0].vendor, file)
    assert str(tmp_path) not in (tmp_path / "vendor.yaml").read_text()


def test_blockfile(realdata):
    found = opened(realdata / "astar_3x2x144x144.blo", "blockfile")
    values = values_of(found)
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert values.shape == (3, 2, 144, 144)
    assert values.sum(dtype="i8") == 5_164_570
    assert shown(found, "beam.energy") == "200 keV"
    assert shown(found, "scan.step") == "(12.8, 12.8) nm"
    assert shown(found, "scan.rotation") == "25°"


def test_dm4_diffraction_pattern(realdata):
    found = opened(realdata / "bi_polycryst.dm4", "digitalmicrograph")
    assert found.variables[0].name == "diffraction"
    assert found.variables[0].dims == ("ky", "kx")
    assert values_of(found).sum(dtype="i8") == -6_126_727
    assert shown(found, "beam.energy") == "90 keV"
    assert shown(found, "optics.camera_length") == "1000 mm"
    assert rec.get(found.record, "diffraction.pixel_size") is None  # its scale of 8 has no unit


def test_dm3_spectrum_image(realdata):
    found = opened(realdata / "eels_si_49x6x1024.dm3", "digitalmicrograph")
    assert found.variables[0].name == "eels"
    assert found.variables[0].dims == ("y", "x", "energy")
    assert found.variables[0].unit == "counts"
    values = values_of(found)
    assert values.shape == (49, 6, 1024)
    energy = found.axes["energy"]
    assert (energy.role, energy.scale, energy.offset) == (Role.SPECTRUM, Quantity(0.5, "eV"), Quantity(350.0, "eV"))
    # Ti L2,3 at 456 eV stands out of the falling background
    mean = values.mean(axis=(0, 1))
    edge = int((460 - 350) / 0.5)
    assert mean[edge] > 1.2 * mean[edge - 30]
    assert shown(found, "eels.collection_angle") == "33 mrad"


def test_velox_spectrum_image(realdata):
    found = opened(realdata / "fei_SI_EDS-HAADF-4detectors_2frames.emd", "velox")
    assert [v.name for v in found.variables] == ["eds", "eds_2", "eds_3", "eds_4", "eds_5", "haadf"]
    cube, haadf = values_of(found), values_of(found, "haadf")
    assert found.variables[0].dims == ("y", "x", "energy")
    assert cube.shape == (16, 16, 4096)
    # every count of the map is in one of the four detectors' spectra
    assert cube.sum(dtype="i8") == sum(values_of(found, f"eds_{n}").sum(dtype="i8") for n in (2, 3, 4, 5)) == 3_562_739
    assert found.variable("haadf").dims == ("y", "x")  # the same probe positions as the map
    assert haadf.sum(dtype="i8") == 6_434_358
    assert found.axes["y"].calibration == "scan.step"
    assert rec.quantity(found.record, "scan.step").same(Quantity((1.23400962874542, 1.23400962874542), "nm"), 1e-12)
    assert found.axes["energy"].scale == Quantity(0.005, "keV")
    assert shown(found, "beam.energy") == "200 keV"
    assert shown(found, "instrument.model") == "Talos"
    found.close()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("merlin", "merlin_4x2_6bit.mib"),
        ("blockfile", "astar_3x2x144x144.blo"),
        ("digitalmicrograph", "eels_si_49x6x1024.dm3"),
        ("velox", "fei_SI_EDS-HAADF-4detectors_2frames.emd"),
    ],
)
def test_regions_equal_the_whole(realdata, name, file):
    found = opened(realdata / file, name)
    array = found.variables[0].array
    values = array.read(whole(array))
    region = tuple(slice(n // 3, max(n // 3 + 1, n - 1)) for n in array.shape)
    part = array.read(region)
    assert np.array_equal(part, values[region])
    part[...] = 0  # memory of its own
    assert np.array_equal(array.read(whole(array)), values)


# --- files written here


def mib(tmp_path, frames=6, line=3, kind="U16", depth=12, pause=0.0, cut=0):
    """Write a Merlin file with a pause before each line, and return it with its frames as they are stored."""
    rng = np.random.default_rng(3)
    data = rng.integers(0, 4000, (frames, 8, 8), dtype=np.uint16)
    path, seconds, parts = tmp_path / "scan.mib", 0.0, []
    for index in range(frames):
        seconds += 0.001 + (pause if index and index % line == 0 else 0.0)
        head = (
            f"MQ1,{index + 1:06d},00384,01,0008,0008,{kind},   1x1,01,2024-07-02 11:46:{seconds:09.6f},0.001000,0,0,0,"
            + ",".join(["1.200000E+1", *["0.000000E+0"] * 7])
            + f",3RX,MQ1A,2024-07-02T11:46:{seconds:09.6f}000Z,1000000ns,{depth},"
        )
        parts.append(head.encode().ljust(384) + data[index].astype(">u2").tobytes())
    raw = b"".join(parts)
    path.write_bytes(raw[: len(raw) - cut])
    return path, data


def test_merlin_scan_from_the_pauses(tmp_path):
    path, data = mib(tmp_path, pause=0.01)
    found = opened(path, "merlin")
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert np.array_equal(values_of(found), data.reshape(2, 3, 8, 8)[:, :, ::-1])
    assert rec.get(found.record, "detector.saturation") == 4095
    assert shown(found, "scan.dwell") == "0.001 s"


@pytest.mark.parametrize(("frames", "line", "pause"), [(6, 3, 0.0), (7, 2, 0.01)])
def test_merlin_without_regular_lines_is_a_stack(tmp_path, frames, line, pause):
    path, data = mib(tmp_path, frames=frames, line=line, pause=pause)
    found = opened(path, "merlin")
    assert found.variables[0].dims == ("frame", "ky", "kx")
    assert np.array_equal(values_of(found), data[:, ::-1])
    assert rec.get(found.record, "scan.dwell") is None


def test_merlin_lines_from_the_trigger(tmp_path):
    path, _ = mib(tmp_path)
    path.with_suffix(".hdr").write_text(
        "HDR,\t\nCounter Depth (number):\t12\nThresholds (keV):\t1.5E+1,5.11E+2\nActive Counters:\tCounter 1\n"
        "Frames in Acquisition (Number):\t6\nFrames per Trigger (Number):\t2\nEnd\t\n"
    )
    found = opened(path, "merlin")
    assert found.variables[0].array.shape == (3, 2, 8, 8)
    assert shown(found, "detector.threshold") == "511 keV"  # that of the counter in use


def test_merlin_interrupted_scan_keeps_whole_lines(tmp_path):
    path, data = mib(tmp_path, frames=8)
    path.with_suffix(".hdr").write_text(
        "HDR,\t\nFrames in Acquisition (Number):\t9\nFrames per Trigger (Number):\t3\nEnd\t\n"
    )
    found = opened(path, "merlin")
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert np.array_equal(values_of(found), data[:6, ::-1].reshape(2, 3, 8, 8))
    assert any("incomplete: its 2 frames" in note for note in found.vendor["reader_warnings"])


def test_merlin_given_scan_shape_is_left_to_the_person(tmp_path):
    path, data = mib(tmp_path, pause=0.01)
    found = registry.open_file(path, ReadOptions(scan_shape=(3, 2)))
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert np.array_equal(values_of(found), data.reshape(3, 2, 8, 8)[:, :, ::-1])


def test_merlin_packed_raw_is_refused(tmp_path):
    path, _ = mib(tmp_path, kind="R64")
    with pytest.raises(FormatError, match="packed RAW") as error:
        reader_of("merlin").open(path, ReadOptions())
    assert "LiberTEM" in error.value.hint


def test_merlin_without_one_frame(tmp_path):
    path, _ = mib(tmp_path, frames=1, cut=10)
    with pytest.raises(FormatError, match="truncated"):
        reader_of("merlin").open(path, ReadOptions())


def test_blockfile_round_trip(tmp_path):
    blockfile = pytest.importorskip("rsciio.blockfile")
    data = np.random.default_rng(1).integers(0, 256, (3, 5, 8, 8), dtype=np.uint8)
    axes = [
        {"size": n, "name": name, "scale": scale, "offset": 0.0, "units": unit, "navigate": unit == "nm"}
        for n, name, scale, unit in zip(
            data.shape, ("y", "x", "dy", "dx"), (2.0, 1.5, 0.02, 0.02), ("nm", "nm", "cm", "cm"), strict=True
        )
    ]
    signal = {"data": data, "axes": axes, "metadata": {}, "original_metadata": {}, "attributes": {"_lazy": False}}
    path = tmp_path / "scan.blo"
    blockfile.file_writer(str(path), signal, show_progressbar=False)
    found = opened(path, "blockfile")
    assert np.array_equal(values_of(found), data)
    assert shown(found, "scan.step") == "(2, 1.5) nm"
    assert rec.get(found.record, "diffraction.pixel_size") is None  # the camera length is not known


def test_blockfile_truncated(realdata, tmp_path):
    whole_file = (realdata / "astar_3x2x144x144.blo").read_bytes()
    path = tmp_path / "cut.blo"
    path.write_bytes(whole_file[:60000])
    found = registry.open_file(path)
    with pytest.raises(FormatError, match=r"cut\.blo cannot be read at \[0:3"):
        values_of(found)
    path.write_bytes(whole_file[:100])
    with pytest.raises(FormatError, match=r"cut\.blo cannot be read"):
        reader_of("blockfile").open(path, ReadOptions())


def empad(tmp_path, scan=(2, 3), series=None):
    """Write EMPAD's pair: frames of 130 x 128 float32, of which the last two rows are a footer."""
    count = series or scan[0] * scan[1]
    rows = np.arange(count * 130 * 128, dtype="<f4").reshape(count, 130, 128)
    name = f"series_x{series}.raw" if series else f"scan_x{scan[1]}_y{scan[0]}.raw"
    (tmp_path / name).write_bytes(rows.tobytes())
    root = ET.Element("root", name="acquisition_1")
    ET.SubElement(root, "timestamp", isoformat="2019-06-06T13:30:00.164675")
    ET.SubElement(root, "raw_file", filename=name)
    measured = ET.SubElement(root, "iom_measurements")
    if series:
        ET.SubElement(ET.SubElement(root, "scan_parameters"), "series_count").text = str(series)
    else:
        ET.SubElement(root, "pix_x").text = str(scan[1])
        ET.SubElement(root, "pix_y").text = str(scan[0])
        ET.SubElement(measured, "optics.get_full_scan_field_of_view").text = "[6e-09, 9e-09]"
    ET.SubElement(measured, "source.get_voltage").text = "300000.0"
    ET.SubElement(measured, "optics.get_cameralength").text = "0.7225"
    ET.SubElement(measured, "calibrated_pixelsize").text = "2e-10"
    path = tmp_path / "acquisition.xml"
    ET.ElementTree(root).write(path)
    return path, rows[:, :128]


def test_empad_scan(tmp_path):
    path, frames = empad(tmp_path)
    found = opened(path, "empad")
    assert [p.name for p in reader_of("empad").unit(path)] == ["acquisition.xml", "scan_x3_y2.raw"]
    assert found.variables[0].dims == ("y", "x", "ky", "kx")
    assert np.array_equal(values_of(found), frames.reshape(2, 3, 128, 128))
    assert shown(found, "scan.step") == "(3, 3) nm"
    assert shown(found, "diffraction.pixel_size") == "0.2 1/nm"
    assert shown(found, "beam.energy") == "300 keV"
    assert shown(found, "optics.camera_length") == "722.5 mm"
    assert shown(found, "acquired_at") == "2019-06-06T13:30:00.164675"


def test_empad_series(tmp_path):
    path, frames = empad(tmp_path, series=4)
    found = opened(path, "empad")
    assert found.variables[0].dims == ("frame", "ky", "kx")
    assert np.array_equal(values_of(found), frames)


def test_empad_without_its_raw_file(tmp_path):
    path, _ = empad(tmp_path)
    (tmp_path / "scan_x3_y2.raw").unlink()
    with pytest.raises(FormatError, match=r"the \.raw file of .*acquisition\.xml is missing"):
        registry.open_file(path)


def test_empad_truncated(tmp_path):
    path, _ = empad(tmp_path)
    raw = tmp_path / "scan_x3_y2.raw"
    raw.write_bytes(raw.read_bytes()[:-1000])
    found = registry.open_file(path)
    with pytest.raises(FormatError, match="cannot be read at"):
        values_of(found)


def tvips(tmp_path, frames=4, mode=2, split=None):
    """Write a TVIPS recording, version 2: a header of 256 bytes, before each frame one of 60 bytes."""
    data = np.arange(frames * 15, dtype="<u2").reshape(frames, 3, 5)
    header = struct.pack("<13I", 256, 2, 5, 3, 16, 0, 0, 1, 1, 15500, 200, 80, 60).ljust(256, b" ")
    parts = [
        struct.pack("<4IfII5fIff", i, 740399696 + i, 500, 0, 0.0, 80, mode, 1.0, 2.0, 3.0, 4.0, 5.0, i, 0.0, 0.0)
        + data[i].tobytes()
        for i in range(frames)
    ]
    cut = split or frames
    (tmp_path / "rec_000.tvips").write_bytes(header + b"".join(parts[:cut]))
    if split:
        (tmp_path / "rec_001.tvips").write_bytes(b"".join(parts[cut:]))
    return tmp_path / "rec_000.tvips", data


@pytest.mark.parametrize("split", [None, 3])
def test_tvips_diffraction(tmp_path, split):
    path, data = tvips(tmp_path, split=split)
    found = opened(path, "tvips")
    assert len(reader_of("tvips").unit(path)) == (2 if split else 1)
    assert found.variables[0].dims == ("time", "ky", "kx")
    assert np.array_equal(values_of(found), data)
    assert shown(found, "beam.energy") == "200 keV"
    assert shown(found, "stage.tilt_alpha") == "4°"


def test_tvips_images(tmp_path):
    path, data = tvips(tmp_path, mode=1)
    found = opened(path, "tvips")
    assert found.variables[0].dims == ("time", "y", "x")
    assert np.array_equal(values_of(found), data)
    assert found.axes["y"].scale is None


def ser(path, data, step=2e-9):
    """Write a TIA .ser, version 528: a series of images, each with its calibration in m and its time."""
    count, ny, nx = data.shape
    dimension = struct.pack("<IddIII", count, 0.0, 1.0, 0, 0, 0)
    first = 30 + len(dimension) + 8 * count
    size = 50 + 4 * nx * ny
    offsets = [first + i * (size + 8) for i in range(count)]
    head = struct.pack("<3H6I", 0x4949, 0x0197, 528, 16674, 16722, count, count, 30 + len(dimension), 1)
    parts = [
        struct.pack("<ddIddIHII", 0.0, step, nx // 2, 0.0, step, ny // 2, 6, nx, ny)
        + frame[::-1].astype("<i4").tobytes()  # rows from the bottom up
        + struct.pack("<HHI", 16722, 0, 1456165201)
        for frame in data
    ]
    path.write_bytes(
        head + dimension + struct.pack(f"<{2 * count}I", *offsets, *(o + size for o in offsets)) + b"".join(parts)
    )


def test_tia_images(tmp_path):
    data = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    path = tmp_path / "stack_1.ser"
    ser(path, data)
    found = opened(path, "tia")
    assert found.variables[0].dims == ("frame", "y", "x")
    assert np.array_equal(values_of(found), data)
    assert found.axes["x"].scale.same(Quantity(2.0, "nm"))
    assert found.axes["x"].offset.same(Quantity(-4.0, "nm"))  # the middle is the zero: 2 px of 2 nm
    assert found.axes["y"].offset.same(Quantity(-2.0, "nm"))
    assert reader_of("tia").unit(path) == (path,)


def test_ripple(tmp_path):
    data = np.arange(24, dtype="<u2").reshape(2, 3, 4)
    (tmp_path / "map.raw").write_bytes(data.tobytes())
    lines = {
        "key": "value", "width": 3, "height": 2, "depth": 4, "offset": 0, "data-length": 2, "data-type": "unsigned",
        "byte-order": "little-endian", "record-by": "vector", "depth-name": "Energy", "depth-units": "eV",
        "depth-scale": 10.0, "depth-origin": 0, "width-units": "nm", "width-scale": 2.0, "height-units": "nm",
        "height-scale": 2.0, "signal": "EDS_TEM", "beam-energy": 300.0,
    }  # fmt: skip
    path = tmp_path / "map.rpl"
    path.write_text("".join(f"{key}\t{value}\n" for key, value in lines.items()))
    found = opened(path, "ripple")
    assert found.variables[0].dims == ("y", "x", "energy")
    assert np.array_equal(values_of(found), data)
    assert found.axes["energy"].scale == Quantity(10.0, "eV")
    assert shown(found, "scan.step") == "(2, 2) nm"
    assert shown(found, "beam.energy") == "300 keV"


def test_msa(tmp_path):
    path = tmp_path / "spectrum.msa"
    path.write_text(
        "#FORMAT      : EMSA/MAS Spectral Data File\n#VERSION     : 1.0\n#TITLE       : oxide\n#NPOINTS     : 4\n"
        "#NCOLUMNS    : 1\n#XUNITS      : eV\n#DATATYPE    : Y\n#XPERCHAN    : 10\n#OFFSET      : 200\n"
        "#SIGNALTYPE  : EDS\n#BEAMKV   -kV: 120.0\n#THICKNESS-nm: 50.0\n#SPECTRUM    : from here\n"
        "1.\n2.\n3.\n5.\n#ENDOFDATA   :\n"
    )
    found = opened(path, "msa")
    assert found.variables[0].dims == ("energy",)
    assert values_of(found).tolist() == [1.0, 2.0, 3.0, 5.0]
    assert found.axes["energy"].offset == Quantity(200.0, "eV")
    assert shown(found, "beam.energy") == "120 keV"
    assert shown(found, "sample.thickness") == "50 nm"


# --- the rest of the contract


@pytest.mark.parametrize("name", ["velox", "digitalmicrograph", "merlin"])
def test_close_lets_the_file_go(realdata, tmp_path, name):
    from pathlib import Path

    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("this system does not list a process's open files")
    source = next(p for p in sorted(realdata.iterdir()) if p.is_file() and reader_of(name).claims(p))
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes())

    def held():
        return sum(1 for link in folder.iterdir() if link.is_symlink() and str(path.resolve()) == _target(link))

    found = registry.open_file(path)
    values_of(found)
    found.close()
    assert held() == 0


def _target(link):
    try:
        return str(link.readlink())
    except OSError:
        return ""


def test_nothing_of_the_package_reaches_the_terminal(tmp_path, capfd):
    path, _ = mib(tmp_path)  # without .hdr: the plugin logs a warning, by its own handler to stdout
    handlers = list(logging.getLogger("rsciio").handlers)
    found = opened(path, "merlin")
    assert capfd.readouterr() == ("", "")
    assert any("hdr" in note for note in found.vendor["reader_warnings"])
    assert logging.getLogger("rsciio").handlers == handlers


def test_missing_package_names_the_extra(realdata, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "rsciio":
            raise ModuleNotFoundError(f"No module named {name!r}", name="rsciio")
        return real(name, *args, **kwargs)

    for module in [name for name in sys.modules if name.split(".")[0] == "rsciio"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(importlib, "import_module", lambda name, *_: without(name))
    with pytest.raises(FormatError) as error:
        reader_of("blockfile").open(realdata / "astar_3x2x144x144.blo", ReadOptions())
    assert error.value.code == Code.READER_MISSING
    assert "emdvc[formats]" in error.value.hint


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_foreign_files_are_refused(tmp_path, spec):
    reader = reader_of(spec.name)
    for content in (b"", b"\0", b"not a file of a microscope " * 400):
        path = tmp_path / f"foreign{spec.extensions[0]}"
        path.write_bytes(content)
        assert not reader.claims(path)
        with pytest.raises(FormatError):
            values_of(reader.open(path, ReadOptions()))
    assert not reader.claims(tmp_path / f"absent{spec.extensions[0]}")


def test_table_is_import_free():
    import subprocess

    code = (
        "import sys, emdvc.formats.readers.rosettasciio_specs\n"
        "print([m for m in ('rsciio', 'numpy', 'h5py', 'dask') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_one_module_names_the_package():
    from pathlib import Path

    import emdvc

    package = Path(emdvc.__file__).parent
    naming = [
        p.name for p in package.rglob("*.py") if "import rsciio" in (t := p.read_text("utf-8")) or '"rsciio.{' in t
    ]
    naming += [p.name for p in package.rglob("*.py") if 'f"rsciio.' in p.read_text("utf-8")]
    assert sorted(set(naming)) == ["rosettasciio.py"]


def test_specs_are_consistent():
    assert len(BY_NAME) == len(SPECS) == len(READERS)
    for spec in SPECS:
        assert all(extension == extension.lower() and extension[0] == "." for extension in spec.extensions)
        assert set(spec.main) <= set(spec.extensions)


def test_pieces_are_whole_frames_of_bounded_size():
    assert pieces((256, 256, 256, 256), 2, 2) == (1, 64, 256, 256)
    assert pieces((4, 4, 4096, 4096), 4, 2) == (1, 1, 4096, 4096)  # one frame is never cut
    assert pieces((1024,), 4, 0) == (1024,)
    assert np.prod(pieces((500, 400, 2048), 4, 2)) * 4 <= PIECE
