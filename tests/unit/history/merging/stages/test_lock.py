"""Merging dvc.lock: entries whole or not at all, the same in both orders, as DVC writes them."""

from __future__ import annotations

import io
import time
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from emdvc.errors import MetadataError
from emdvc.history.merging.contract import Choices, Merged, Place, Three
from emdvc.history.merging.stages.lock import merge_lock
from emdvc.history.project import Project

PLACE = Place(Project(Path("/nowhere"), Path("/nowhere")))
Stages = dict[str, dict[str, Any]]


def entry(
    deps: dict[str, str], outs: dict[str, str], params: dict[str, Any] | None = None, cmd: str = "run"
) -> dict[str, Any]:
    """Return an entry with the keys in DVC's order."""
    said: dict[str, Any] = {"cmd": cmd}
    if deps:
        said["deps"] = [{"path": path, "hash": "md5", "md5": md5, "size": 5} for path, md5 in sorted(deps.items())]
    if params:
        said["params"] = {"params.yaml": params}
    said["outs"] = [{"path": path, "hash": "md5", "md5": md5, "size": 7} for path, md5 in sorted(outs.items())]
    return said


def text(stages: Stages, **more: Any) -> bytes:
    """Return a dvc.lock as DVC writes it."""
    return str(dumps_yaml(OrderedDict([("schema", "2.0"), ("stages", stages), *more.items()]))).encode()


def merged(base: bytes | None, ours: bytes | None, theirs: bytes | None, *, path: str = "dvc.lock") -> Merged:
    """Return what comes of a merge, after a look at the other order: the bytes and what is to be run are the same."""
    here = merge_lock(Three(PurePosixPath(path), base, ours, theirs), PLACE, Choices())
    there = merge_lock(Three(PurePosixPath(path), base, theirs, ours), PLACE, Choices())
    assert (here.content, here.repro, here.conflicts) == (there.content, there.repro, ())
    assert len(here.notes) == len(there.notes)
    return here


def loaded(content: bytes | None) -> dict[str, Any]:
    assert content is not None
    said: dict[str, Any] = YAML(typ="safe").load(io.BytesIO(content))
    return said


RINGS = {"rings": entry({"raw.zarr": "a0"}, {"rings.zarr": "r0"}, {"rings": {"width": 1, "inner": 2}})}


def rings(raw: str = "a0", out: str = "r0", **values: Any) -> Stages:
    return {"rings": entry({"raw.zarr": raw}, {"rings.zarr": out}, {"rings": {"width": 1, "inner": 2, **values}})}


def test_different_stages_are_both_kept_as_dvc_writes_them() -> None:
    vdet = {"vdet": entry({"raw.zarr": "a0"}, {"vdet.zarr": "v0"})}
    com = {"com": entry({"raw.zarr": "a0"}, {"com.zarr": "c0"})}
    found = merged(text(RINGS), text(RINGS | vdet), text(RINGS | com))
    # new ones by name, after those that were there
    assert found.content == text(RINGS | com | vdet)
    assert found.notes == found.repro == ()


def test_a_new_stage_comes_after_those_it_reads_from() -> None:
    before = {"z_first": entry({"raw.zarr": "a0"}, {"first.zarr": "f0"})}
    after = {"a_second": entry({"first.zarr": "f0"}, {"second.zarr": "s0"})}
    found = merged(None, text(before | after), text(before))
    assert list(loaded(found.content)["stages"]) == ["z_first", "a_second"]


def test_one_sides_inputs_keep_its_entry() -> None:
    # theirs only ran again what was there, with another result; ours changed the width
    found = merged(text(RINGS), text(rings(width=3, out="r3")), text(rings(out="r1")))
    assert found.content == text(rings(width=3, out="r3"))
    # the merged inputs are theirs: the parameter that ours changed they have, too
    found = merged(text(RINGS), text(rings(width=3, out="r3")), text(rings(width=3, inner=4, out="r34")))
    assert found.content == text(rings(width=3, inner=4, out="r34"))
    assert found.notes == ()


def test_inputs_that_nobody_computed_with_drop_the_entry() -> None:
    found = merge_lock(
        Three(PurePosixPath("dvc.lock"), text(RINGS), text(rings(width=3, out="r3")), text(rings("a1", "r1"))),
        PLACE,
        Choices(),
    )
    assert found.content is None  # nothing else stood in it
    assert found.repro == ("rings",)
    assert found.notes == (
        "stage rings: computed on both sides with different inputs (params rings.width here, raw.zarr there): "
        "dvc repro rings",
    )


def test_one_input_changed_differently_by_both_drops_the_entry() -> None:
    found = merged(text(RINGS), text(rings(width=3, out="r3")), text(rings(width=4, out="r4")))
    assert found.notes == (
        "stage rings: computed on both sides with different inputs (params rings.width on both sides): dvc repro rings",
    )


def test_an_entry_is_never_blended() -> None:
    two = entry({"raw.zarr": "a0"}, {"one.zarr": "o0", "two.zarr": "t0"})
    one_here = entry({"raw.zarr": "a1"}, {"one.zarr": "o1", "two.zarr": "t0"})
    two_there = entry({"raw.zarr": "a1"}, {"one.zarr": "o0", "two.zarr": "t1"})
    found = merged(text({"both": two}), text({"both": one_here}), text({"both": two_there}))
    assert found.content is None
    assert found.notes == (
        "stage both: the same inputs gave different results on the two sides (one.zarr, two.zarr): not reproducible: "
        "dvc repro both",
    )


def test_added_on_both_sides() -> None:
    other = {"com": entry({"raw.zarr": "a0"}, {"com.zarr": "c0"})}
    assert merged(text(other), text(other | RINGS), text(other | RINGS)).content == text(other | RINGS)
    found = merged(text(other), text(other | RINGS), text(other | rings(width=9, out="r9")))
    assert found.content == text(other)
    assert found.notes == (
        "stage rings: computed on both sides for the first time, with different inputs (params rings.width): "
        "dvc repro rings",
    )


def test_added_on_both_sides_with_inputs_of_their_own() -> None:
    here, there = (
        {"fit": entry({"raw.zarr": "a0", dep: "x"}, {"fit.zarr": dep})} for dep in ("mask.zarr", "dark.zarr")
    )
    said = merged(None, text(here), text(there)).notes
    assert said[0].startswith(
        "stage fit: computed on both sides for the first time, with different inputs (mask.zarr, dark.zarr)"
    )


def test_removed_and_changed() -> None:
    com = {"com": entry({"raw.zarr": "a0"}, {"com.zarr": "c0"})}
    assert merged(text(RINGS | com), text(com), text(RINGS | com)).content == text(com)
    assert merged(text(RINGS | com), text(com), text(com | rings(out="r2"))).content == text(com)
    assert merged(text(RINGS | com), text(com), text(com)).content == text(com)
    # DVC removes the file with its last stage
    assert merged(text(RINGS), None, text(RINGS)).content is None
    assert merged(text(RINGS), None, text(rings(out="r2") | com)).content == text(com)


def test_the_same_in_another_spelling_is_the_same() -> None:
    spelt = text(rings(out="r9")).replace(b"cmd: run", b"cmd: 'run'")
    found = merged(text(RINGS), text(rings(out="r9")), spelt)
    assert found.content == text(rings(out="r9"))
    # 1.0 is not 1: DVC would not run for it, but it is not what was written
    assert merged(text(RINGS), text(rings(width=1.0)), text(rings(inner=5))).repro == ("rings",)


def test_a_quantity_is_one_value() -> None:
    def with_energy(value: float, unit: str) -> Stages:
        return {"dose": entry({}, {"dose.zarr": f"{value}{unit}"}, {"energy": {"value": value, "unit": unit}})}

    found = merged(text(with_energy(200, "kV")), text(with_energy(300, "kV")), text(with_energy(200, "keV")))
    assert found.notes == (
        "stage dose: computed on both sides with different inputs (params energy on both sides): dvc repro dose",
    )


def test_what_was_computed_from_another_output_is_named_downstream() -> None:
    chain = {
        "vdet": entry({"raw.zarr": "a0"}, {"vdet.zarr": "v0"}, {"outer": 1}),
        "mask": entry({"vdet.zarr": "v0"}, {"mask.zarr": "m0"}, {"level": 1}),
        "table": entry({"mask.zarr": "m0"}, {"table.csv": "t0"}),
    }
    ours = chain | {"vdet": entry({"raw.zarr": "a0"}, {"vdet.zarr": "v1"}, {"outer": 2})}
    theirs = chain | {"area": entry({"vdet.zarr": "v0"}, {"area.csv": "r0"})}
    found = merged(text(chain), text(ours), text(theirs))
    assert found.content == text(ours | {"area": theirs["area"]})
    # mask, table and area are kept: DVC sees that they are out of date; what ends the pipeline brings the rest along
    assert found.repro == ("area", "table")
    assert found.notes == (
        "out of date in the merged dvc.lock: area (computed from another vdet.zarr), "
        "mask (computed from another vdet.zarr), table (reads what mask writes): dvc repro area table",
    )
    dropped = chain | {"vdet": entry({"raw.zarr": "a1"}, {"vdet.zarr": "v2"}, {"outer": 1})}
    assert merged(text(chain), text(ours), text(dropped)).repro == ("table",)


def test_stages_of_a_template_and_of_a_folder() -> None:
    def made(size: int, out: str) -> Stages:
        return {
            f"crop@{name}": entry({"raw.zarr": "a0"}, {f"{name}.zarr": out}, {"size": size}) for name in ("a", "b-1")
        }

    found = merged(text(made(1, "0")), text(made(2, "2")), text(made(3, "3") | {"crop@a": made(1, "0")["crop@a"]}))
    assert list(loaded(found.content)["stages"]) == ["crop@a"]
    assert found.repro == ("crop@b-1",)
    found = merged(text(RINGS), text(rings(width=3)), text(rings("a1")), path="analysis/dvc.lock")
    assert found.repro == ("rings",)
    assert found.notes[0].endswith(": dvc repro analysis/dvc.yaml:rings")


def test_datasets_are_merged_by_name() -> None:
    def listed(**versions: str) -> list[dict[str, str]]:
        return [{"name": name, "type": "url", "url": "s3://b/x", "rev": rev} for name, rev in versions.items()]

    base = text(RINGS, datasets=listed(one="1", two="1", three="1"))
    ours = text(RINGS, datasets=listed(one="2", two="2", three="1", five="1"))
    theirs = text(rings(out="r2"), datasets=listed(one="1", two="3", three="1", four="1"))
    found = merged(base, ours, theirs)
    assert found.content == text(rings(out="r2"), datasets=listed(one="2", three="1", five="1", four="1"))
    assert found.notes == ("two of dvc.lock: changed on both sides, dropped",)


def test_another_layout_is_parsed_and_written_as_dvc_does() -> None:
    plain = text(RINGS)
    com = entry({"raw.zarr": "a0"}, {"com.zarr": "c0"})
    foreign = [
        text(RINGS | {"com": com}).replace(b"\n", b"\r\n"),
        b"# by hand\n" + text(RINGS | {"com": com}),
        text(RINGS | {"com": com}).rstrip(b"\n"),
        text({"com": com} | RINGS).replace(b"  com:", b"  'com':"),
    ]
    for one in foreign:
        content = merged(plain, text(rings(out="r2")), one).content
        assert loaded(content)["stages"] == rings(out="r2") | {"com": com}
        assert content == text(rings(out="r2") | {"com": com})
    # a name that is a number to YAML, and a path that has to stand between quotation marks
    odd = {"1": entry({"a: b #c.zarr": "a0"}, {"é y.zarr": "o0"})}
    assert loaded(merged(plain, text(RINGS | odd), text(rings(out="r2"))).content)["stages"] == rings(out="r2") | odd
    aliased = (
        text(RINGS | {"com": com}).replace(b"width: 1", b"width: &id001 [1, 2]").replace(b"inner: 2", b"inner: *id001")
    )
    found = loaded(merged(plain, aliased, text(RINGS | {"vdet": com})).content)["stages"]
    assert found["rings"]["params"]["params.yaml"]["rings"] == {"width": [1, 2], "inner": [1, 2]}
    assert set(found) == {"rings", "com", "vdet"}


@pytest.mark.parametrize(
    "damaged",
    [
        b"schema: '2.0'\nstages:\n<<<<<<< ours\n  a:\n    cmd: x\n",
        b"rings:\n  cmd: by DVC 1\n",
        b"[1, 2]\n",
        text(RINGS).replace(b"      width: 1", b"   width: ]"),
    ],
)
def test_what_is_no_dvc_lock_is_an_error(damaged: bytes) -> None:
    with pytest.raises(MetadataError):
        merged(text(RINGS), text(rings(width=3)), damaged)


_ENTRIES = st.builds(
    lambda raw, out, width: entry({"raw.zarr": raw}, {"a.zarr": out, "b.zarr": out * 2}, {"width": width}),
    st.sampled_from("xy"),
    st.sampled_from("12"),
    st.sampled_from([1, 2]),
)
_LOCKS = st.dictionaries(st.sampled_from(["one", "two", "crop@a", "crop@b"]), _ENTRIES)


@settings(deadline=None, max_examples=50)
@given(_LOCKS, _LOCKS, _LOCKS)
def test_every_entry_is_one_sides_whole(base: Stages, ours: Stages, theirs: Stages) -> None:
    found = merged(*(text(stages) if stages else None for stages in (base, ours, theirs)))
    stages = loaded(found.content)["stages"] if found.content is not None else {}
    for name in {*base, *ours, *theirs}:
        was, here, there = (side.get(name) for side in (base, ours, theirs))
        if here == there or there == was:
            assert stages.get(name) == here
        elif here == was:
            assert stages.get(name) == there
        else:
            assert stages.get(name) in (None, here, there)
            # who is dropped is named
            assert (name in stages) != any(f"stage {name}: " in note for note in found.notes)
    if found.content is not None:
        assert found.content == text(stages)


def test_three_hundred_stages_take_no_time() -> None:
    inputs = {"PREVIOUS.zarr": "PREVIOUS", "raw.zarr": "RAW"}
    pattern = text({"stageNUMBER": entry(inputs, {"NUMBER.zarr": "OUT", "NUMBER.png": "p"}, {"a": {"b": "WIDTH"}})})
    head, _, block = pattern.decode().partition("stages:\n")

    def many(**other: str) -> bytes:
        blocks = []
        for number in range(300):
            said = {"PREVIOUS": str(number - 1), "NUMBER": str(number), "RAW": "a0", "OUT": str(number), "WIDTH": "1"}
            filled = block
            for name, value in {**said, **(other if number == 100 else {})}.items():
                filled = filled.replace(name, value)
            blocks.append(filled)
        return f"{head}stages:\n{''.join(blocks)}".encode()

    three = Three(PurePosixPath("dvc.lock"), many(), many(WIDTH="2", OUT="x"), many(RAW="a1", OUT="y"))
    # what parses YAML is imported first
    merge_lock(Three(three.path, text(RINGS), text(rings(out="r2")), text(rings(out="r3"))), PLACE, Choices())
    started = time.process_time()
    found = merge_lock(three, PLACE, Choices())
    assert time.process_time() - started < 0.3
    assert found.repro == ("stage299",)
    assert found.content is not None
    assert found.content.count(b"\n  stage") == 299
