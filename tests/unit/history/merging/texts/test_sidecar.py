"""Sidecars, merged: quantities and axes as wholes, what the data say as one group, what is true only together."""

from __future__ import annotations

import copy
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from emdvc.errors import MetadataError
from emdvc.formats.sidecar import dump_yaml, load_yaml
from emdvc.history.merging.contract import NEITHER, Choices, Edited, Merged, Place, Side, Three
from emdvc.history.merging.texts.sidecar import merge_sidecar
from emdvc.history.project import Project
from emdvc.model import record

HERE = Place(Project(Path(), Path()))
PATH = PurePosixPath("raw/scan01.zarr.em.yaml")


def q(value: Any, unit: str, origin: str = "file") -> dict[str, Any]:
    return {"value": value, "unit": unit, "origin": origin}


BASE: dict[str, Any] = {
    "schema_version": 1,
    "title": "gold on carbon",
    "axes": {
        "y": {"size": 64, "role": "scan", "calibration": "scan.step"},
        "ky": {"size": 128, "role": "detector", "calibration": "diffraction.pixel_size"},
        "energy": {"size": 10, "role": "spectrum", "scale": q(10.0, "eV"), "offset": q(0.0, "eV")},
    },
    "beam": {"energy": q(200.0, "keV"), "current": q(1.0, "nA")},
    "data": {"main": "counts", "variables": {"counts": {"dims": ["y"], "shape": [64], "dtype": "u2", "digest": "d1"}}},
    "detector": {"shape": [128, 128], "dark": {"file": "dark.mib", "applied": False}},
    "diffraction": {"center": q([64, 64], "px"), "pixel_size": q(0.01, "1/angstrom")},
    "sample": {"elements": ["Au", "C"]},
    "scan": {"shape": [64, 64], "step": q([1.0, 1.0], "nm")},
    "source": {"reader": "zarr", "files": [{"path": "a", "sha256": "1"}]},
    "statistics": {"counts": {"max": 7}},
}


def edited(**values: Any) -> dict[str, Any]:
    """Return the base after keys were set: ``beam__energy=...``; None removes one."""
    result = copy.deepcopy(BASE)
    for key, value in values.items():
        *above, last = key.split("__")
        node = result
        for name in above:
            node = node.setdefault(name, {})
        if value is None:
            del node[last]
        else:
            node[last] = value
    return result


def merge(ours: Any, theirs: Any, choices: Choices | None = None, base: Any = BASE) -> Merged:
    contents = [None if side is None else dump_yaml(side).encode() for side in (base, ours, theirs)]
    chosen = Choices() if choices is None else choices
    one = merge_sidecar(Three(PATH, *contents), HERE, chosen)
    other = merge_sidecar(Three(PATH, contents[0], contents[2], contents[1]), HERE, chosen)
    assert {c.key for c in one.conflicts} == {c.key for c in other.conflicts}
    if not one.conflicts and choices is None:
        assert one.content == other.content
    return one


def value(merged: Merged) -> dict[str, Any]:
    assert merged.conflicts == ()
    assert merged.content is not None
    text = merged.content.decode()
    found: dict[str, Any] = load_yaml(text, "it")
    assert text == dump_yaml(found)
    return found


def keys(merged: Merged) -> list[str]:
    return sorted(conflict.key for conflict in merged.conflicts)


def test_edits_of_different_keys_meet() -> None:
    ours = edited(beam__energy=q(300.0, "keV", "user"), title="gold", sample__elements=["Au", "C", "O"])
    theirs = edited(beam__current=None, sample__elements=["C"], notes="bent")
    both = edited(
        beam__energy=q(300.0, "keV", "user"),
        title="gold",
        beam__current=None,
        notes="bent",
        sample__elements=["C", "O"],
    )
    assert value(merge(ours, theirs)) == both


def test_a_quantity_is_never_blended() -> None:
    base = edited(beam__energy=q(200.0, "kV"))
    done = merge(edited(beam__energy=q(300.0, "kV")), edited(beam__energy=q(200.0, "keV")), base=base)
    assert keys(done) == ["beam.energy"]
    assert done.content is not None
    assert (
        "<<<<<<< ours\n  energy: {value: 300.0, unit: kV, origin: file}\n"
        "||||||| base\n  energy: {value: 200.0, unit: kV, origin: file}\n"
        "=======\n  energy: {value: 200.0, unit: keV, origin: file}\n>>>>>>> theirs\n"
    ) in done.content.decode()
    chosen = merge(
        edited(beam__energy=q(300.0, "kV")),
        edited(beam__energy=q(200.0, "keV")),
        Choices({"beam.energy": Edited(q(300.0, "keV", "user"))}),
        base=base,
    )
    assert value(chosen)["beam"]["energy"] == q(300.0, "keV", "user")


def test_two_values_that_measure_the_same_are_no_conflict() -> None:
    done = merge(edited(beam__energy=q(300.0, "keV")), edited(beam__energy=q(0.3, "MeV", "user")))
    assert record.quantity(value(done), "beam.energy").same(record.quantity({"e": q(300.0, "keV")}, "e"))  # type: ignore[union-attr,arg-type]


def test_an_axis_is_one_atom() -> None:
    ours = edited(axes__energy=BASE["axes"]["energy"] | {"scale": q(11.0, "eV")})
    theirs = edited(axes__energy=BASE["axes"]["energy"] | {"offset": q(5.0, "eV")})
    assert keys(merge(ours, theirs)) == ["axes.energy"]
    same = edited(axes__energy=BASE["axes"]["energy"] | {"scale": q(0.011, "keV")})
    assert merge(ours, same).conflicts == ()


def test_reference_files_are_atoms_and_vectors_too() -> None:
    ours = edited(detector__dark={"file": "dark.mib", "applied": True}, diffraction__center=q([64, 60], "px"))
    theirs = edited(detector__dark={"file": "new.mib", "applied": False}, diffraction__center=q([60, 64], "px"))
    assert keys(merge(ours, theirs)) == ["detector.dark", "diffraction.center"]


def test_the_reasons_of_both_are_kept() -> None:
    one, other = ({"reason": word, "previous_digest": None} for word in ("drift", "gain"))
    source = BASE["source"]
    done = merge(edited(source=source | {"replaced": [one]}), edited(source=source | {"replaced": [other]}))
    assert value(done)["source"] == source | {"replaced": [one, other]}


def test_what_the_data_say_comes_from_one_side() -> None:
    ours = edited(data__variables__counts__digest="d2", source__files=[{"path": "a", "sha256": "2"}])
    theirs = edited(title="other")
    assert value(merge(ours, theirs)) == edited(
        data__variables__counts__digest="d2", source__files=[{"path": "a", "sha256": "2"}], title="other"
    )


def test_data_that_both_changed_are_one_conflict() -> None:
    ours = edited(data__variables__counts__digest="d2", title="mine")
    theirs = edited(statistics__counts__max=9, source__reader="hdf5", beam__current=q(2.0, "nA"))
    done = merge(ours, theirs)
    assert keys(done) == ["data"]
    (conflict,) = done.conflicts
    assert (conflict.base, conflict.ours) == ({"counts": "d1"}, {"counts": "d2"})
    assert "scan01.zarr.dvc" in conflict.why
    assert done.content is not None
    assert done.content.count(b"<<<<<<<") == 3
    expected = edited(data__variables__counts__digest="d2", title="mine", beam__current=q(2.0, "nA"))
    assert value(merge(ours, theirs, Choices({"data": Side.OURS}))) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "asked"),
    [
        ({"scan__step": q([2.0, 2.0], "nm")}, {"scan__shape": [32, 128]}, "scan.shape+scan.step"),
        (
            {"diffraction__center": q([60, 60], "px")},
            {"detector__shape": [64, 64]},
            "detector.shape+diffraction.center",
        ),
        ({"diffraction__center": q([60, 60], "px")}, {"detector__flip_y": True}, "detector.flip_y+diffraction.center"),
        ({"diffraction__flip": True}, {"diffraction__rotation": q(3, "deg")}, "diffraction.flip+diffraction.rotation"),
        ({"dose": q(50, "e/angstrom^2", "derived")}, {"beam__current": q(2.0, "nA")}, "beam.current+dose"),
        (
            {"axes__ky": {"size": 128, "role": "detector", "scale": q(2.0, "mrad")}},
            {"diffraction__pixel_size": q(0.02, "1/angstrom")},
            "axes.ky+diffraction.pixel_size",
        ),
    ],
)
def test_what_is_true_only_together_is_asked_together(ours: Any, theirs: Any, asked: str) -> None:
    mine, yours = edited(**ours), edited(**theirs)
    assert keys(merge(mine, yours)) == [asked]
    assert value(merge(mine, yours, Choices({asked: Side.OURS}))) == mine
    assert value(merge(mine, yours, Choices({asked: Side.THEIRS}))) == yours
    assert value(merge(mine, yours, Choices({asked: Side.BASE}))) == BASE


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"diffraction__pixel_size": q(0.02, "1/angstrom")}, {"diffraction__center": q([60, 60], "px")}),
        ({"dose": q(50, "e/angstrom^2", "user")}, {"beam__current": q(2.0, "nA")}),
        ({"scan__step": q([10.0, 10.0], "angstrom")}, {"scan__shape": [32, 128]}),
    ],
)
def test_what_is_true_apart_is_not_asked(ours: Any, theirs: Any) -> None:
    assert value(merge(edited(**ours), edited(**theirs))) == edited(**ours, **theirs)


def test_data_of_another_shape_ask_about_what_is_counted_along_it() -> None:
    ours = edited(scan__step=q([2.0, 2.0], "nm"))
    new = {"scan__shape": [32, 64], "axes__y": {"size": 32, "role": "scan", "calibration": "scan.step"}}
    theirs = edited(**new, data__variables__counts__shape=[32], data__variables__counts__digest="d2")
    assert keys(merge(ours, theirs)) == ["scan.step"]
    chosen = value(merge(ours, theirs, Choices({"scan.step": Side.OURS})))
    assert chosen == theirs | {"scan": {"shape": [32, 64], "step": q([2.0, 2.0], "nm")}}


def test_an_answer_to_several_keys_names_them() -> None:
    ours, theirs = edited(scan__step=q([2.0, 2.0], "nm")), edited(scan__shape=[32, 128])
    answer = {"scan.shape": [32, 32], "scan.step": q([2.0, 1.0], "nm", "user")}
    done = merge(ours, theirs, Choices({"scan.shape+scan.step": Edited(answer)}))
    assert value(done)["scan"] == {"shape": [32, 32], "step": q([2.0, 1.0], "nm", "user")}


def test_both_added_the_sidecar() -> None:
    assert keys(merge(edited(title="a"), edited(title="b"), base=None)) == ["title"]
    assert value(merge(edited(title="a"), BASE | {"title": "a", "notes": "n"}, base=None))["notes"] == "n"


def test_a_base_that_is_neither_side_can_be_merged_from() -> None:
    base = merge(edited(title="a"), edited(title="b"), Choices(rest=NEITHER)).content
    assert base is not None
    contents = (dump_yaml(edited(title=word)).encode() for word in ("a", "b"))
    assert keys(merge_sidecar(Three(PATH, base, *contents), HERE, Choices())) == ["title"]


def test_a_newer_schema_is_an_error() -> None:
    with pytest.raises(MetadataError, match="newer emdvc"):
        merge(edited(schema_version=99), edited(title="x"))
    with pytest.raises(MetadataError, match="not an emdvc sidecar"):
        merge({"a": 1}, edited(title="x"))


def test_a_sidecar_that_one_side_removed() -> None:
    done = merge(None, edited(title="x"))
    assert keys(done) == [""]
    assert merge(None, edited(title="x"), Choices(rest=Side.OURS)).content is None
