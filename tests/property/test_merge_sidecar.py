"""Merging sidecars: each value is one side's whole value, in either order."""

from __future__ import annotations

import copy
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.formats.sidecar import dump_yaml, load_yaml
from emdvc.history.merging.contract import Choices, Merged, Place, Side, Three
from emdvc.history.merging.texts.sidecar import merge_sidecar
from emdvc.history.project import Project
from emdvc.model.quantity import Quantity
from emdvc.model.record import leaves

HERE = Place(Project(Path(), Path()))

energies = [
    {"value": value, "unit": unit, "origin": origin}
    for value, unit in ((200.0, "keV"), (0.2, "MeV"), (300.0, "keV"), (300.0, "kV"))
    for origin in ("file", "user")
]
lengths = [
    {"value": [n, n], "unit": unit, "origin": "user"} for n, unit in ((1.0, "nm"), (2.0, "nm"), (10.0, "angstrom"))
]
VALUES: dict[str, list[Any]] = {
    "beam.energy": energies,
    "scan.step": lengths,
    "scan.shape": [[64, 64], [32, 128]],
    "scan.rotation": [{"value": n, "unit": "deg", "origin": "derived"} for n in (1, 2)],
    "diffraction.center": [{"value": [n, 64], "unit": "px", "origin": "calibrated"} for n in (60, 61)],
    "diffraction.flip": [True, False],
    "diffraction.rotation": [{"value": n, "unit": "deg", "origin": "user"} for n in (1, 2)],
    "detector.flip_y": [True, False],
    "sample.elements": [["Au"], ["Au", "C"], ["C", "O"], []],
    "title": ["a", "b"],
    "axes.energy": [{"size": 4, "role": "spectrum", "scale": scale} for scale in energies[:3]],
    "data.main": ["counts", "sum"],
    "statistics.counts": [{"max": 1}, {"max": 2}],
    "source.reader": ["zarr", "hdf5"],
}
#: Keys of which one side must not be met by the other side's other one.
APART = [{"scan.shape", "scan.step"}, {"diffraction.flip", "diffraction.rotation", "detector.flip_y"}]
DATA = {"data.main", "statistics.counts", "source.reader"}


@st.composite
def sidecars(draw: st.DrawFn, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return values by dotted key; after a few edits of others, where they are given."""
    if base is None:
        chosen = {key: draw(st.sampled_from([None, *values])) for key, values in VALUES.items()}
        return {key: value for key, value in chosen.items() if value is not None}
    changed = copy.deepcopy(base)
    for key in draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=4)):
        changed[key] = draw(st.sampled_from(VALUES[key]))
        if draw(st.integers(0, 5)) == 0:
            del changed[key]
    return changed


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    base = draw(sidecars())
    return [base, draw(sidecars(base)), draw(sidecars(base))]


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"schema_version": 1}
    for key, value in flat.items():
        *above, last = key.split(".")
        node = result
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
    return result


def flat(content: bytes | None) -> dict[str, Any]:
    assert content is not None
    found = load_yaml(content.decode(), "it")

    def at(key: str) -> Any:
        node = found
        for name in key.split("."):
            node = node.get(name) if isinstance(node, dict) else None
        return node

    return {key: value for key in VALUES if (value := at(key)) is not None}


def same_measure(one: Any, other: Any) -> bool:
    """Say whether two quantities, or the scales of two axes, measure the same."""
    pair = (value.get("scale", value) for value in (one, other))
    first, second = (Quantity.from_dict(value) for value in pair)
    return first.same(second)


def merge(base: Any, ours: Any, theirs: Any, choices: Choices) -> Merged:
    contents = (dump_yaml(nested(side)).encode() for side in (base, ours, theirs))
    return merge_sidecar(Three(PurePosixPath("x.zarr.em.yaml"), *contents), HERE, choices)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_every_value_is_whole_and_one_sides(history: list[dict[str, Any]]) -> None:
    base, ours, theirs = history
    for mine, yours in ((Side.OURS, Side.THEIRS), (Side.THEIRS, Side.OURS), (Side.BASE, Side.BASE)):
        done = merge(base, ours, theirs, Choices(rest=mine))
        assert done.conflicts == ()
        assert done.content == merge(base, theirs, ours, Choices(rest=yours)).content
        found = flat(done.content)
        for key in set(VALUES) - {"sample.elements"}:
            assert found.get(key) in [side.get(key) for side in history]
            # what the data say is one group: the base's state undoes all of it
            if ours.get(key) == theirs.get(key) and not (mine is Side.BASE and key in DATA):
                assert found.get(key) == ours.get(key)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_what_belongs_together_comes_from_one_side(history: list[dict[str, Any]]) -> None:
    base, ours, theirs = history
    named = {key for conflict in merge(base, ours, theirs, Choices()).conflicts for key in conflict.key.split("+")}
    # a section that one side removed is asked about as a whole
    asked = {key for key in VALUES if key in named or key.split(".")[0] in named}
    found = flat(merge(base, ours, theirs, Choices(rest=Side.OURS)).content)
    data = [{key: side.get(key) for key in DATA} for side in (found, *history)]
    assert data[0] in data[1:]
    for key in set(VALUES) - DATA - {"sample.elements"}:
        mine, yours, was = (side.get(key) for side in (ours, theirs, base))
        if key not in asked and mine != yours:
            # nothing but one side's change, or two that measure the same, is taken without a question
            assert was in (mine, yours) or same_measure(mine, yours)
    for group in APART:
        sides = [{key: side.get(key) for key in group} for side in (found, base, ours, theirs)]
        changed = [{k for k in group if k in asked or side[k] != sides[1][k]} for side in sides[2:]]
        if asked & group:
            assert changed[0] and changed[1]
            assert {key: sides[0][key] for key in asked & group} == {key: sides[2][key] for key in asked & group}


def test_the_values_are_valid() -> None:
    assert dict(leaves(nested({key: values[0] for key, values in VALUES.items() if key.split(".")[0] != "axes"})))
