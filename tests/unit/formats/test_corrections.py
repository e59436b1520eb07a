"""Each row of corrections.yaml has a test here, by its id: what the reader says, and what it is mended to."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emdvc.formats import corrections
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, ReadOptions, Variable
from emdvc.formats.region import whole
from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity

TESTS: dict[str, Callable[..., None]] = {}


def row(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def keep(test: Callable[..., None]) -> Callable[..., None]:
        assert name not in TESTS
        TESTS[name] = test
        return test

    return keep


@pytest.mark.parametrize("name", [entry.id for entry in corrections.table()])
def test_row(name, request, tmp_path, monkeypatch):
    assert name in TESTS, f"the correction {name} has no test"
    wanted = TESTS[name].__code__.co_varnames[: TESTS[name].__code__.co_argcount]
    known: dict[str, Any] = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
    TESTS[name](*(known[arg] if arg in known else request.getfixturevalue(arg) for arg in wanted))


def test_no_test_without_a_row():
    assert set(TESTS) == {entry.id for entry in corrections.table()}


def test_table_is_well_formed():
    from emdvc.formats.registry import readers

    known = {info.name for info in readers()} | {"*"}
    rows = corrections.table()
    assert len({entry.id for entry in rows}) == len(rows)
    for entry in rows:
        assert entry.reader in known, entry.id
        assert entry.do["action"] in corrections.ACTIONS, entry.id
        assert len(entry.fault) > 10 < len(entry.evidence), entry.id
        for key in (entry.do.get("key"), entry.do.get("to") if entry.do["action"] == "move" else None):
            assert key is None or key in rec.BY_KEY, entry.id
    assert {entry.do["action"] for entry in rows} == set(corrections.ACTIONS)  # no action without use


def made(
    dims: str = "y x ky kx",
    record: dict[str, Any] | None = None,
    vendor: dict[str, Any] | None = None,
    **axes: Axis,
) -> Opened:
    """Return what a reader would: one array of 2 samples a side, named dimensions."""
    names = tuple(dims.split())
    found = {}
    for dim in names:
        role = Role.DETECTOR if dim in ("ky", "kx") else Role.SCAN if "ky" in names else Role.IMAGE
        key = {"y": "scan.step", "x": "scan.step", "ky": "diffraction.pixel_size", "kx": "diffraction.pixel_size"}
        found[dim] = axes.get(dim) or Axis(dim, 2, role, calibration=key.get(dim) if role is not Role.IMAGE else None)
    array = MemoryArray(np.zeros(tuple(found[dim].size for dim in names)))
    tree: dict[str, Any] = {}
    for key, value in (record or {}).items():
        rec.put(tree, key, value)
    return Opened((Variable("data", names, array),), found, tree, dict(vendor or {}), "rosettasciio.any@0.15.0")


def mend(opened: Opened, reader: str) -> Opened:
    return corrections.apply(opened, Path("file"), reader)


def value(opened: Opened, key: str) -> Any:
    return rec.get(opened.record, key)


def real(path: Path, reader: str, mended: bool = True) -> Opened:
    pytest.importorskip("rsciio", reason="needs the extra `formats`")
    found = deepcopy_of(read(path, reader, time.tzname))
    return mend(found, reader) if mended else found


@lru_cache
def read(path: Path, reader: str, zone: tuple[str, str]) -> Opened:
    from emdvc.formats.readers.rosettasciio import READERS

    return next(r for r in READERS if r.name == reader).open(path, ReadOptions())


def deepcopy_of(found: Opened) -> Opened:
    return replace(found, axes=dict(found.axes), record=deepcopy(found.record), vendor=deepcopy(found.vendor))


@pytest.fixture
def tokyo(monkeypatch):
    """Move this computer to Tokyo."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system has no tzset")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


VELOX = "fei_SI_EDS-HAADF-4detectors_2frames.emd"


@row("merlin-upside-down")
def merlin(realdata):
    found = real(realdata / "merlin_4x2_6bit.mib", "merlin")
    values = found.variables[0].array.read(whole(found.variables[0].array))
    raw = np.frombuffer((realdata / "merlin_4x2_6bit.mib").read_bytes(), "u1").reshape(8, -1)[:, 384:]
    stored = raw.reshape(2, 4, 256, 256)
    assert np.array_equal(values, stored[:, :, ::-1])
    assert not np.array_equal(values, stored)
    assert value(found, "detector.flip_y") is True


@row("blockfile-camera-length")
def blockfile_camera_length(realdata):
    path = realdata / "astar_3x2x144x144.blo"
    assert value(real(path, "blockfile", mended=False), "optics.camera_length") == Quantity(0.2, "mm")
    assert value(real(path, "blockfile"), "optics.camera_length") == Quantity(200.0, "mm")


@row("blockfile-gamma")
def blockfile_gamma(realdata):
    assert value(real(realdata / "astar_3x2x144x144.blo", "blockfile"), "detector.response") == "gamma"
    off = made(vendor={"blockfile_header": {"Note": "Camera gamma : off"}})
    assert value(mend(off, "blockfile"), "detector.response") is None


@row("blockfile-time")
def blockfile_time(realdata, tokyo):
    path = realdata / "astar_3x2x144x144.blo"
    assert value(real(path, "blockfile", mended=False), "acquired_at").startswith("2015-12-02T00:40")
    assert value(real(path, "blockfile"), "acquired_at") == "2015-12-01T15:40:59.812000+00:00"


@row("blockfile-pixel-angle")
def blockfile_pixel_angle(realdata):
    found = real(realdata / "astar_3x2x144x144.blo", "blockfile")
    # 62.26 px/cm on a screen 200 mm away
    assert value(found, "diffraction.pixel_size").same(Quantity(1000 * (10 / 62.26) / 200, "mrad"))
    assert value(found, "diffraction.pixel_size").origin is Origin.DERIVED
    header = {"blockfile_header": {"SDP": 6226, "Camera_length": 0}}
    assert value(mend(made(vendor=header), "blockfile"), "diffraction.pixel_size") is None


@row("velox-time")
def velox_time(realdata, tokyo):
    assert value(real(realdata / VELOX, "velox", mended=False), "acquired_at").startswith("2018-03-16T07:12:15")
    assert value(real(realdata / VELOX, "velox"), "acquired_at") == "2018-03-15T22:12:15+00:00"


@row("velox-stage")
def velox_stage(realdata):
    assert value(real(realdata / VELOX, "velox", mended=False), "stage.position").values[0] == -0.003
    assert value(real(realdata / VELOX, "velox"), "stage.position") == Quantity(
        (-2.71400976, -14.57159456, -197.69817), "um"
    )


@row("velox-convergence")
def velox_convergence():
    vendor = {"Optics": {"BeamConvergence": "0.025010652711104642", "OperatingMode": "2"}}
    assert value(mend(made(vendor=vendor), "velox"), "beam.semi_convergence") == Quantity(25.0106527111046, "mrad")
    vendor["Optics"]["OperatingMode"] = "1"  # parallel illumination
    assert value(mend(made(vendor=vendor), "velox"), "beam.semi_convergence") is None


@row("velox-defocus")
def velox_defocus(realdata):
    assert value(real(realdata / VELOX, "velox"), "beam.defocus").same(Quantity(119.39163060803815, "nm"))


@row("velox-dwell")
def velox_dwell(realdata):
    assert value(real(realdata / VELOX, "velox"), "scan.dwell") == Quantity(0.064, "s")


@row("velox-scan-rotation")
def velox_scan_rotation(realdata):
    assert value(real(realdata / VELOX, "velox"), "scan.rotation") == Quantity(0.0, "deg")
    found = mend(made(vendor={"Scan": {"ScanRotation": "-0.28640853025226942"}}), "velox")
    assert value(found, "scan.rotation").same(Quantity(float(np.degrees(-0.28640853025226942)), "deg"))


@row("velox-mode-stem")
def velox_mode_stem(realdata):
    assert value(real(realdata / VELOX, "velox"), "mode") == "STEM"


@row("velox-mode-tem")
def velox_mode_tem():
    assert value(mend(made("y x", vendor={"Optics": {"OperatingMode": "1"}}), "velox"), "mode") == "TEM"


@row("velox-elevation")
def velox_elevation(realdata):
    assert value(real(realdata / VELOX, "velox", mended=False), "eds.elevation") is None
    assert value(real(realdata / VELOX, "velox"), "eds.elevation").same(Quantity(22.0, "deg"), rtol=1e-5)


@row("velox-gain")
def velox_gain():
    found = made("y x", {"detector.counts_per_electron": 24.4, "beam.energy": Quantity(200, "keV")})
    assert mend(found, "velox").record == {"beam": {"energy": Quantity(200, "keV").to_dict()}}


@row("velox-eels-axes")
def velox_eels_axes():
    axes = {
        "x_eels": Axis("x_eels", 16, Role.SCAN, Quantity(2.0, "nm")),
        "y_eels": Axis("y_eels", 20, Role.SCAN, Quantity(3.0, "nm")),
        "energy": Axis("energy", 5, Role.SPECTRUM),
    }
    found = mend(made("x_eels y_eels energy", **axes), "velox")
    assert found.variables[0].dims == ("y_eels", "x_eels", "energy")
    assert [found.axes[dim].size for dim in found.variables[0].dims] == [16, 20, 5]
    assert found.axes["x_eels"].scale == Quantity(2.0, "nm")
    right = mend(made("y x"), "velox")
    assert right.variables[0].dims == ("y", "x")
    assert "corrections" not in right.vendor


@row("tia-offset")
def tia_offset():
    axis = Axis("x", 64, Role.IMAGE, Quantity(6.28183, "nm"), Quantity(-2.0101856e-07, "nm"))
    found = mend(made("y x", y=Axis("y", 2, Role.IMAGE), x=axis), "tia")
    assert found.axes["x"].offset == Quantity(-201.01856, "nm")
    assert found.axes["x"].extent()[0] == pytest.approx(-32 * 6.28183, rel=1e-4)  # zero in the middle
    assert found.axes["y"].offset is None


@row("tia-center")
def tia_center():
    found = made("ky kx", {"diffraction.center": Quantity((3.2e10, 3.2e10), "px")})
    assert value(mend(found, "tia"), "diffraction.center") == Quantity((32.0, 32.0), "px")
    sound = made("ky kx", {"diffraction.center": Quantity((32.0, 32.0), "px")})
    assert value(mend(sound, "tia"), "diffraction.center") == Quantity((32.0, 32.0), "px")


@row("tia-dwell")
def tia_dwell():
    found = mend(made(record={"detector.exposure": Quantity(5e-6, "s"), "mode": "STEM"}), "tia")
    assert found.record == {"mode": "STEM", "scan": {"dwell": Quantity(5e-6, "s").to_dict()}}
    camera = mend(made("y x", {"detector.exposure": Quantity(0.1, "s"), "mode": "TEM"}), "tia")
    assert value(camera, "detector.exposure") == Quantity(0.1, "s")


@row("tia-point-list")
def tia_point_list():
    assert value(mend(made(record={"scan.step": Quantity((1e9, 1e9), "nm")}), "tia"), "scan.step") is None
    assert value(mend(made(record={"scan.step": Quantity((2.0, 2.0), "nm")}), "tia"), "scan.step") is not None


@row("bruker-stage")
def bruker_stage():
    # 67358.85 um, which HyperSpy's tree takes for mm
    found = made(record={"stage.position": Quantity((67358850.0, 62116440.0, 38818150.0), "um")})
    assert value(mend(found, "bruker"), "stage.position") == Quantity((67358.85, 62116.44, 38818.15), "um")


@row("bruker-x-step")
def bruker_x_step():
    found = made("y x energy", {"scan.step": Quantity((0.4169, 0.4169), "um")})
    own = Axis("x_ch_0", 2, Role.IMAGE, Quantity(414.5, "nm"))
    overview = Axis("x_ch_1", 9, Role.IMAGE, Quantity(1.0, "nm"))
    found.axes = {
        **{dim: Axis(dim, 2, Role.SCAN, calibration="scan.step") for dim in ("y", "x")},
        "energy": found.axes["energy"], "x_ch_0": own, "x_ch_1": overview,
    }  # fmt: skip
    image, wide = MemoryArray(np.zeros((2, 2))), MemoryArray(np.zeros((2, 9)))
    found.variables += (Variable("ch_1", ("y", "x_ch_1"), wide), Variable("ch_0", ("y", "x_ch_0"), image))
    mended = mend(found, "bruker")
    assert value(mended, "scan.step").same(Quantity((0.4169, 0.4145), "um"))
    assert mended.variable("ch_0").dims == ("y", "x")
    assert set(mended.axes) == {"y", "x", "energy", "x_ch_1"}


@row("tvips-pixel-size")
def tvips_pixel_size():
    found = mend(made("frame ky kx", vendor={"tvips_header": {"pixelsize": 15500}}), "tvips")
    assert value(found, "detector.pixel_pitch") == Quantity(15.5, "um")


@row("tvips-scale")
def tvips_scale():
    record = {"diffraction.pixel_size": Quantity(15500.0, "1/nm"), "diffraction.center": Quantity((-2.0, 0.0), "px")}
    assert mend(made("frame ky kx", record), "tvips").record == {}
    axis = Axis("x", 2, Role.IMAGE, Quantity(15500.0, "nm"), Quantity(0.0, "nm"))
    assert mend(made("frame y x", x=axis), "tvips").axes["x"].scale is None


@row("tvips-time")
def tvips_time(tokyo):
    found = made("frame ky kx", {"acquired_at": "1993-06-18T19:34:56+00:00"})  # the clock in Tokyo, called UTC
    assert value(mend(found, "tvips"), "acquired_at") == "1993-06-18T10:34:56+00:00"


@row("tvips-frame-time")
def tvips_frame_time():
    axis = Axis("time", 2, Role.STACK, Quantity(0.001, "s"), Quantity(740399696.5, "s"))
    assert mend(made("time ky kx", time=axis), "tvips").axes["time"].extent() == (0.0, 0.001)


@row("tvips-magnification")
def tvips_magnification():
    assert mend(made("time ky kx", {"optics.magnification": 80}), "tvips").record == {}
    assert value(mend(made("time y x", {"optics.magnification": 80}), "tvips"), "optics.magnification") == 80


@row("empad-center")
def empad_center():
    assert mend(made(record={"diffraction.center": Quantity((64.0, 64.0), "px")}), "empad").record == {}


@row("empad-series")
def empad_series():
    found = mend(made("time ky kx", time=Axis("time", 2, Role.STACK, Quantity(1.0, "ms"))), "empad")
    assert found.variables[0].dims == ("frame", "ky", "kx")
    assert list(found.axes) == ["frame", "ky", "kx"]
    assert found.axes["frame"] == Axis("frame", 2, Role.STACK)


# the keys of EMPAD's XML hold dots: as one key, or as the branches that some versions of the reader make of them
@row("empad-beam-energy")
def empad_beam_energy():
    for measured in ({"source.get_voltage": "300000.0"}, {"source": {"get_voltage": "300000.0"}}):
        found = mend(made(vendor={"root": {"iom_measurements": measured}}), "empad")
        assert value(found, "beam.energy") == Quantity(300.0, "keV")


@row("empad-camera-length")
def empad_camera_length():
    measured = {"optics.get_cameralength": "0.7225", "optics.get_cameralengths": "[0.0293]"}
    found = mend(made(vendor={"root": {"iom_measurements": measured}}), "empad")
    assert value(found, "optics.camera_length") == Quantity(722.5, "mm")


@row("empad-high-voltage")
def empad_high_voltage():
    found = mend(made(vendor={"root": {"iom_measurements": {"high_voltage": "300000.0"}}}), "empad")
    assert value(found, "beam.energy") == Quantity(300.0, "keV")


@row("empad-nominal-camera-length")
def empad_nominal_camera_length():
    found = mend(made(vendor={"root": {"iom_measurements": {"nominal_camera_length": "0.369"}}}), "empad")
    assert value(found, "optics.camera_length") == Quantity(369.0, "mm")


@row("pantarhei-camera-length")
def pantarhei_camera_length():
    found = mend(made("y x", {"optics.camera_length": Quantity(0.02, "mm")}), "pantarhei")
    assert value(found, "optics.camera_length") == Quantity(20.0, "mm")


@row("pantarhei-dwell")
def pantarhei_dwell():
    found = mend(made("y x", vendor={"scan_generator.dwell_time": 1.5e-05}), "pantarhei")
    assert value(found, "scan.dwell") == Quantity(1.5e-05, "s")


@row("msa-thickness")
def msa_thickness():
    found = mend(made("energy", {"sample.thickness": Quantity(5e10, "nm")}), "msa")
    assert value(found, "sample.thickness") == Quantity(50.0, "nm")


@row("msa-dwell")
def msa_dwell():
    assert mend(made("energy", {"scan.dwell": Quantity(100.0, "s")}), "msa").record == {}


@row("no-beam-current")
def no_beam_current(realdata):
    path = realdata / "bi_polycryst.dm4"
    assert value(real(path, "digitalmicrograph", mended=False), "beam.current") == Quantity(0.0, "nA")
    assert value(real(path, "digitalmicrograph"), "beam.current") is None
    measured = made(record={"beam.current": Quantity(0.05, "nA")})
    assert value(mend(measured, "jeol"), "beam.current") == Quantity(0.05, "nA")
    own = made(record={"beam.current": Quantity(0.0, "nA")})
    assert value(mend(own, "zarr"), "beam.current") is not None  # not a reader of RosettaSciIO


@row("no-magnification")
def no_magnification():
    assert mend(made("y x", {"optics.magnification": 0.0}), "velox").record == {}


@row("digitalmicrograph-gain")
def digitalmicrograph_gain(realdata):
    path = realdata / "bi_polycryst.dm4"
    assert value(real(path, "digitalmicrograph", mended=False), "detector.counts_per_electron") == 1.0
    assert value(real(path, "digitalmicrograph"), "detector.counts_per_electron") is None


@row("digitalmicrograph-electrons")
def digitalmicrograph_electrons():
    brightness = {"Units": "e-", "Scale": 0.125}
    vendor = {"ImageList": {"TagGroup0": {"ImageData": {"Calibrations": {"Brightness": brightness}}}}}
    found = made("y x", {"detector.counts_per_electron": 0.125}, vendor)
    assert value(mend(found, "digitalmicrograph"), "detector.counts_per_electron") == 8.0
    brightness["Units"] = "Counts"
    found = made("y x", {"detector.counts_per_electron": 0.125}, vendor)
    assert value(mend(found, "digitalmicrograph"), "detector.counts_per_electron") is None


@row("no-camera-length")
def no_camera_length():
    assert mend(made("y x", {"optics.camera_length": Quantity(0.0, "mm")}), "jeol").record == {}


@row("no-collection-angle")
def no_collection_angle():
    assert mend(made("energy", {"eels.collection_angle": Quantity(0.0, "mrad")}), "msa").record == {}


@row("digitalmicrograph-no-name")
def digitalmicrograph_no_name(realdata):
    assert value(real(realdata / "bi_polycryst.dm4", "digitalmicrograph"), "instrument.model") is None
    named = made("y x", {"instrument.model": "FEI Titan"})
    assert value(mend(named, "digitalmicrograph"), "instrument.model") == "FEI Titan"


# --- how the table is applied


def test_what_was_mended_is_named():
    found = mend(made("y x", {"beam.current": Quantity(0.0, "nA")}), "digitalmicrograph")
    assert found.vendor["corrections"] == ["no-beam-current"]
    assert "corrections" not in mend(made("y x"), "digitalmicrograph").vendor


def test_a_fixed_version_is_left_alone(monkeypatch):
    rows = tuple(replace(entry, fixed_in="0.16.0") for entry in corrections.table() if entry.id == "merlin-upside-down")
    monkeypatch.setattr(corrections, "table", lambda: rows)
    for version, mended in (("0.15.0", True), ("0.15.9", True), ("0.16.0", None), ("1.2", None)):
        found = made()
        found.reader = f"rosettasciio.quantumdetector@{version}"
        assert value(mend(found, "merlin"), "detector.flip_y") is mended


def test_paths_of_the_vendor_tree():
    tree = {"a": {"b.c": 1, "b": {"d": 2}}, "list": [1], "n": {"2": {"x": 5}, "1": {"y": 4}}}
    assert corrections.at(tree, "a.b.c") == 1
    assert corrections.at(tree, "a.b.d") == 2
    assert corrections.at(tree, "n.*.x") == 5
    assert corrections.at(tree, "n.*.z") is None
    assert corrections.at(tree, "list.0") is None
