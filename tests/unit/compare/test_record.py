from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.compare.record import compare_records
from emdvc.compare.verdict import Verdict
from emdvc.model import record as rec


def quantity(value: Any, unit: str, origin: str = "file") -> dict[str, Any]:
    return {"value": value, "unit": unit, "origin": origin}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"beam": {"energy": quantity(0.2, "MeV")}}, {"beam": {"energy": quantity(200, "keV")}}),
        ({"beam": {"energy": quantity(200, "kV")}}, {"beam": {"energy": quantity(200.0, "keV")}}),
        ({"scan": {"step": quantity([1, 1], "nm")}}, {"scan": {"step": quantity([10.0, 10.0], "Å")}}),
        ({"beam": {"energy": None}}, {"beam": {}}),
        ({"title": None}, {}),
        ({"optics": {"magnification": 20000}}, {"optics": {"magnification": 20000.0}}),
        ({"sample": {"elements": ["Au"]}}, {"sample": {"elements": ["Au"]}}),
    ],
)
def test_what_measures_the_same_is_no_difference(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert compare_records(before, after) == ()


def one(key: str, value: Any) -> dict[str, Any]:
    """Return a record that holds one value."""
    tree: dict[str, Any] = {}
    rec.put(tree, key, value)
    return tree


@pytest.mark.parametrize(
    ("key", "before", "after", "delta", "percent", "verdict"),
    [
        ("dose", quantity(10, "e/angstrom^2"), quantity(15, "e/angstrom^2"), (5,), (50.0,), "metadata"),
        (
            "diffraction.pixel_size",
            quantity(2.0, "1/nm"),
            quantity(0.22, "1/angstrom"),
            (0.02,),
            (10.0,),
            "calibration",
        ),
        ("scan.step", quantity([1.0, 2.0], "nm"), quantity([1.0, 1.0], "nm"), (0.0, -1.0), (0.0, -50.0), "calibration"),
        ("stage.tilt_alpha", quantity(0.0, "deg"), quantity(1.0, "deg"), (1.0,), (None,), "metadata"),
        ("optics.magnification", 100, 200, (100,), (100.0,), "metadata"),
        ("operator", "A", "B", None, None, "metadata"),
        ("sample.elements", ["Au"], ["Au", "C"], None, None, "metadata"),
        ("detector.flip_y", False, True, None, None, "calibration"),
        ("beam.energy", None, quantity(80, "keV"), None, None, "calibration"),
        ("diffraction.center", quantity([1, 1], "px"), None, None, None, "calibration"),
    ],
)
def test_differences(key: str, before: Any, after: Any, delta: Any, percent: Any, verdict: str) -> None:
    (change,) = compare_records(one(key, before), one(key, after))
    assert (change.key, str(change.verdict)) == (key, verdict)
    assert change.delta == (delta and pytest.approx(delta))
    assert change.percent == (percent and (percent if None in percent else pytest.approx(percent)))


def test_another_origin_alone_is_metadata_even_of_a_calibration() -> None:
    (change,) = compare_records(
        {"beam": {"energy": quantity(200, "keV", "file")}}, {"beam": {"energy": quantity(0.2, "MeV", "user")}}
    )
    assert change.origin_only and change.verdict is Verdict.METADATA


def test_units_that_measure_different_things_have_no_delta() -> None:
    (change,) = compare_records(
        one("diffraction.pixel_size", quantity(0.02, "1/angstrom")), one("diffraction.pixel_size", quantity(1, "mrad"))
    )
    assert change.delta is None and change.verdict is Verdict.CALIBRATION


def test_volatile_keys_are_left_out() -> None:
    before, after = {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}
    assert [c.key for c in compare_records(before, after, volatile=["a.b"])] == ["a.c"]
    assert compare_records(before, after, volatile=["a"]) == ()


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_infinity=False),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
    st.builds(quantity, st.sampled_from([0, 1.0, 2, float("nan")]), st.sampled_from(["nm", "Å", "keV", "", "vendor"])),
    st.builds(lambda text: {"value": text}, st.text(max_size=2)),
)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), max_leaves=8)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), TREES, max_size=3)


@given(MAPPINGS)
def test_a_tree_is_identical_to_itself(tree: dict[str, Any]) -> None:
    assert compare_records(tree, tree) == ()


@given(MAPPINGS, MAPPINGS)
def test_both_directions_find_the_same_keys(a: dict[str, Any], b: dict[str, Any]) -> None:
    there, back = compare_records(a, b), compare_records(b, a)
    assert [c.key for c in there] == [c.key for c in back]
    assert [c.verdict for c in there] == [c.verdict for c in back]


def test_entries_of_a_list_are_known_by_their_names() -> None:
    before = {"detectors": [{"name": "HAADF", "gain": 1.0}, {"name": "BF", "gain": 3.0}]}
    after = {"detectors": [{"name": "BF", "gain": 3.0}, {"name": "DF"}, {"name": "HAADF", "gain": 2.0}]}
    assert [(c.key, c.before, c.after) for c in compare_records(before, after)] == [
        ("detectors[DF]", None, "DF"),
        ("detectors[HAADF].gain", 1.0, 2.0),
    ]
    twice = {"detectors": [{"name": "A", "gain": 1.0}, {"name": "A", "gain": 2.0}]}
    assert [c.key for c in compare_records(twice, {})] == ["detectors"], "names that tell nothing apart"
