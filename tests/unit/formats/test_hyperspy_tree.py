"""HyperSpy's metadata tree, with the units that it implies, becomes the acquisition record."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdvc.formats.hyperspy_tree import LEAVES, ORIGINAL_LEAVES, exact, iso_time, to_record
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity


def _tree(path: str, value: object) -> dict[str, object]:
    parts = path.split(".")
    parts = ["Acquisition_instrument", "TEM", *parts[1:]] if parts[0] == "T" else parts
    tree: dict[str, object] = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        tree = {part: tree}
    return tree


def test_every_leaf_is_a_field_and_only_once():
    keys = [leaf.key for leaf in (*LEAVES, *ORIGINAL_LEAVES)]
    assert set(keys) <= set(rec.BY_KEY)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if not leaf.joined], ids=lambda leaf: leaf.key)
def test_every_path_of_a_leaf_is_read(leaf):
    kind = rec.BY_KEY[leaf.key].kind
    value = {"quantity": 2.5, "pair": 2.5, "number": 2.5, "list": ["Si", "O"]}.get(kind, "a text")
    for path in leaf.paths:
        found = rec.get(to_record(_tree(path, value)), leaf.key)
        expected = Quantity(2.5 * float(leaf.factor), rec.BY_KEY[leaf.key].unit) if kind == "quantity" else value
        assert found == expected


@pytest.mark.parametrize(
    ("path", "value", "key", "shown"),
    [
        ("T.beam_energy", 200.0, "beam.energy", "200 keV"),
        ("T.camera_length", 115.0, "optics.camera_length", "115 mm"),
        ("T.convergence_angle", 1.2, "beam.semi_convergence", "1.2 mrad"),
        ("T.beam_current", 0.05, "beam.current", "0.05 nA"),
        ("Sample.thickness", 5e-8, "sample.thickness", "50 nm"),
        ("T.Stage.tilt_alpha", -30.1, "stage.tilt_alpha", "-30.1°"),
        ("T.dwell_time", 1e-05, "scan.dwell", "1e-05 s"),
    ],
)
def test_implied_units(path, value, key, shown):
    assert str(rec.get(to_record(_tree(path, value)), key)) == shown


def test_stage_position_is_in_mm_and_is_one_value():
    stage = {"x": 0.1472, "y": -0.255, "z": 0.0211}
    found = to_record({"Acquisition_instrument": {"TEM": {"Stage": stage}}})
    assert rec.get(found, "stage.position") == Quantity((147.2, -255.0, 21.1), "um")  # exact: no 147.20000000000002
    assert rec.get(to_record({"Acquisition_instrument": {"TEM": {"Stage": {"x": 0.1}}}}), "stage.position") is None


def test_sem_branch_and_its_mode():
    found = to_record({"Acquisition_instrument": {"SEM": {"beam_energy": 20}}})
    assert str(rec.get(found, "beam.energy")) == "20 keV"
    assert found["mode"] == "SEM"
    assert "mode" not in to_record({"Acquisition_instrument": {"TEM": {"beam_energy": 20}}})


def test_values_that_say_nothing_are_left_out():
    tree = {
        "General": {"title": " ", "authors": "", "date": "yesterday"},
        "Sample": {"elements": []},
        "Acquisition_instrument": {"TEM": {"beam_energy": "unknown", "beam_current": float("nan"), "microscope": {}}},
    }
    assert to_record(tree) == {}
    assert to_record({}) == {}


def test_texts_of_numbers_as_velox_writes_them():
    found = to_record(_tree("T.Detector.EDS.live_time", "0.024868"))
    assert rec.get(found, "eds.live_time") == Quantity(0.024868, "s")


def test_original_tree_gives_the_serial_number():
    assert to_record({}, {"Instrument": {"InstrumentId": "6308"}}) == {"instrument": {"serial": "6308"}}


@pytest.mark.parametrize(
    ("date", "time", "zone", "text"),
    [
        ("2021-05-07", "16:51:10.905800928", "UTC", "2021-05-07T16:51:10.905800928+00:00"),
        ("2018-03-15", "22:12:15", "+09:00", "2018-03-15T22:12:15+09:00"),
        ("2018-03-15", "22:12:15", "UTC-5", "2018-03-15T22:12:15-05:00"),
        ("2018-03-15", "22:12:15", "CET", "2018-03-15T22:12:15"),  # an abbreviation is no offset
        ("2018-07-15", "22:12:15", "Europe/Berlin", "2018-07-15T22:12:15+02:00"),
        ("2018-01-15", "22:12:15", "Europe/Berlin", "2018-01-15T22:12:15+01:00"),
        ("2018-01-15", "22:12:15", "Europe/Atlantis", "2018-01-15T22:12:15"),
        ("2018-01-15", None, "UTC", "2018-01-15"),
        ("15/01/2018", "22:12:15", "UTC", None),
    ],
)
def test_times(date, time, zone, text):
    pytest.importorskip(
        "tzdata" if zone == "Europe/Berlin" and not Path("/usr/share/zoneinfo").exists() else "zoneinfo"
    )
    assert iso_time(date, time, zone) == text


def test_exact_products():
    import numpy as np

    assert exact(0.1, "1e3") == 100.0
    assert exact(np.float32(22.3)) == 22.3  # not 22.299999237060547
    assert exact(np.int64(3)) == 3
    assert exact(True) is None
    assert exact("nan") is None


def test_measured_hspy_file(realdata):
    import h5py

    def tree(group):
        found = dict(group.attrs.items())
        found.update({key: tree(node) for key, node in group.items() if isinstance(node, h5py.Group)})
        return found

    with h5py.File(realdata / "SiO2_EDS_Spectrum_Image.hspy", "r") as file:
        found = to_record(tree(next(iter(file["Experiments"].values()))["metadata"]))
    rec.check(found)
    assert str(rec.get(found, "beam.energy")) == "200 keV"
