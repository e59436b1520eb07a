from __future__ import annotations

import datetime as dt
import json
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.formats import sidecar as sidecars
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, ReadOptions, Variable
from emdvc.formats.describe import describe, plain
from emdvc.formats.digest import array_digest
from emdvc.formats.dimensions import FileAxis, settle
from emdvc.model.sidecar import Sidecar


def opened(dims=("y", "x", "ky", "kx"), record=None, vendor=None):
    shape = tuple(range(2, 2 + len(dims)))
    record = record if record is not None else {}
    axes = settle(dims, [FileAxis(n) for n in shape], record)
    return Opened(
        (Variable("data", dims, MemoryArray(np.zeros(shape, ">u2")), "counts"),), axes, record, vendor or {}, "npy@2"
    )


def test_keys_that_steps_read_are_always_there():
    sidecar = describe(opened(), options=ReadOptions(), files=[], digests={})
    assert sidecar.record == {
        "beam": {"energy": None},
        "scan": {"step": None, "shape": [2, 3]},
        "diffraction": {"pixel_size": None, "center": None},
        "detector": {"shape": [4, 5]},
    }
    image = describe(opened(("y", "x")), options=ReadOptions(), files=[], digests={})
    assert image.record == {"beam": {"energy": None}}
    spectra = describe(opened(("y", "x", "energy")), options=ReadOptions(), files=[], digests={})
    assert spectra.record == {"beam": {"energy": None}, "scan": {"step": None, "shape": [2, 3]}}


def test_what_is_known_replaces_the_nulls_and_source_is_kept():
    record = {"beam": {"energy": {"value": np.float64(200), "unit": "keV", "origin": "file"}}, "title": np.str_("a")}
    files = [{"path": "a.npy", "sha256": "0" * 64, "size": 3}]
    options = ReadOptions(scan_shape=(2, 3))
    sidecar = describe(opened(record=record), options=options, files=files, digests={"data": "sha256-units:ab"})
    assert sidecar.record["beam"]["energy"] == {"value": 200.0, "unit": "keV", "origin": "file"}
    assert type(sidecar.record["beam"]["energy"]["value"]) is float and type(sidecar.record["title"]) is str
    assert sidecar.source == {"reader": "npy@2", "files": files, "options": {"scan_shape": [2, 3]}}
    info = sidecar.variables["data"]
    assert (info.dims, info.shape, info.dtype) == (("y", "x", "ky", "kx"), (2, 3, 4, 5), "uint16")
    assert (info.digest, info.unit, sidecar.main, sidecar.kind) == ("sha256-units:ab", "counts", "data", "raw")
    assert round_trip(sidecar) == sidecar.to_dict()


def test_a_quantity_that_is_no_number_is_unknown():
    record = {"beam": {"energy": {"value": float("nan"), "unit": "keV", "origin": "file"}}}
    assert describe(opened(record=record), options=ReadOptions(), files=[], digests={}).record["beam"] == {
        "energy": None
    }


def test_calibrated_axes_hold_no_scale():
    one = opened()
    from emdvc.model.quantity import Quantity
    from emdvc.model.sidecar import calibrate

    one.record["scan"] = {"step": Quantity((2.0, 2.0), "nm").to_dict()}
    one.axes = {dim: calibrate(axis, one.record) for dim, axis in one.axes.items()}
    assert one.axes["y"].scale is not None
    sidecar = describe(one, options=ReadOptions(), files=[], digests={})
    assert sidecar.axes["y"].scale is None and sidecar.axes["y"].calibration == "scan.step"


def round_trip(sidecar: Sidecar):
    text = sidecars.dump_yaml(sidecar.to_dict())
    again = sidecars.parse(text)
    assert sidecars.dump_yaml(again.to_dict()) == text
    return again.to_dict()


BIG = np.arange(100, dtype="u2")
CASES = [
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.float32(0.5), 0.5),
    (float("nan"), "nan"),
    (np.float64("-inf"), "-inf"),
    (b"text\0\0", "text"),
    (np.bytes_(b"2\xc2\xb5m"), "2µm"),
    (b"\xff\xfe", "ÿþ"),
    (np.array([1, 2, 3]), [1, 2, 3]),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array([b"a"], dtype=object), ["a"]),
    (BIG, {"shape": [100], "dtype": "uint16", "sha256": array_digest(BIG).split(":")[1]}),
    ((1, (2, None)), [1, [2, None]]),
    ({1: {"a": np.array(7)}}, {"1": {"a": 7}}),
    (dt.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
    (PurePosixPath("a/b"), "a/b"),
    (np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])[0], {"a": 1, "b": 2.5}),
    (1 + 2j, "(1+2j)"),
]


@pytest.mark.parametrize(("value", "expected"), CASES, ids=[repr(value)[:30] for value, _ in CASES])
def test_vendor_values_become_plain(value, expected):
    found = plain(value)
    assert found == expected and type(found) is type(expected)
    json.dumps(found, allow_nan=False)


def test_long_values_are_cut_and_say_so():
    text = plain("a" * 5000)
    assert len(text) < 2100 and "(5000 characters, sha256 " in text
    assert plain(bytes(range(256)) * 4).startswith("1024 bytes, sha256 ")
    assert plain(list(range(1000)))["shape"] == [1000]
    assert plain(["a"] * 65) == ["a"] * 65


texts = st.text()
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | texts.map(str.encode)
    | st.binary(max_size=100).map(b"\xff".__add__),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5))
def test_any_vendor_tree_survives_yaml_and_json(tree):
    sidecar = describe(opened(vendor=tree), options=ReadOptions(), files=[], digests={})
    json.dumps(sidecar.vendor, allow_nan=False)
    assert round_trip(sidecar) == sidecar.to_dict()
