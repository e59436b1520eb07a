"""Zarr stores that two people edited: by chunk, by element, by key of their metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from edited_project import EditedProject, made, noted, painted, written

from emdvc.history.merging.contract import NEITHER, Choices, Edited, Side


@pytest.fixture
def lab(tmp_path: Path) -> EditedProject:
    return EditedProject(tmp_path / "project")


def _reopened(place: Path) -> Any:
    return zarr.open_group(place, mode="r")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"version": 2},
        {"shards": (8, 8), "chunks": (2, 2)},
        {"dtype": "f4", "fill_value": float("nan")},
        {"shape": (7, 9), "chunks": (4, 4)},
        {"dtype": "u2", "compressors": None},
    ],
)
def test_a_chunk_that_both_changed_merges_by_element(lab: EditedProject, options: dict[str, Any]) -> None:
    base = lab.state(made(**options), painted(np.s_[:3, :3], 1))
    ours = lab.state(made(**options), painted(np.s_[:3, :3], 1), painted(np.s_[0, 0], 5))
    theirs = lab.state(made(**options), painted(np.s_[:3, :3], 1), painted(np.s_[1:3, 1:6], 7))
    merged = lab.both_ways(*(lab.pointer(state) for state in (base, ours, theirs)))
    assert merged.conflicts == ()
    expected = zarr.open_array(base / "labels", mode="r")[:]
    expected[0, 0], expected[1:3, 1:6] = 5, 7
    np.testing.assert_array_equal(lab.array(merged.content)[:], expected)


def test_a_merged_chunk_is_what_zarr_would_have_written(lab: EditedProject) -> None:
    base = lab.state(made())
    ours, theirs = lab.state(made(), painted(np.s_[0, 0], 5)), lab.state(made(), painted(np.s_[3, 3], 7))
    merged = lab.both_ways(*(lab.pointer(state) for state in (base, ours, theirs)))
    both = lab.state(made(), painted(np.s_[0, 0], 5), painted(np.s_[3, 3], 7))
    assert merged.content == lab.pointer(both)


def test_a_chunk_of_nothing_but_the_fill_value_is_left_out(lab: EditedProject) -> None:
    full = painted(np.s_[:4, :4], 1)
    base = lab.state(made(), full)
    ours = lab.state(made(), full, painted(np.s_[:2, :4], 0))
    theirs = lab.state(made(), full, painted(np.s_[2:4, :4], 0))
    merged = lab.both_ways(*(lab.pointer(state) for state in (base, ours, theirs)))
    assert merged.content == lab.pointer(lab.state(made()))


def test_an_erased_chunk_and_an_edit_in_it_merge_by_element(lab: EditedProject) -> None:
    base = lab.state(made(), painted(np.s_[0, :2], 1))
    erased = lab.state(made())
    more = lab.state(made(), painted(np.s_[0, :2], 1), painted(np.s_[3, 3], 4))
    merged = lab.both_ways(*(lab.pointer(state) for state in (base, erased, more)))
    values = lab.array(merged.content)[:]
    assert values[0, :2].tolist() == [0, 0]
    assert values[3, 3] == 4


def _disputed(lab: EditedProject) -> list[bytes]:
    base = lab.state(made(dimension_names=("y", "x")))
    ours = lab.state(made(dimension_names=("y", "x")), painted(np.s_[0:2, 0:2], 3), painted(np.s_[6, 6], 3))
    theirs = lab.state(made(dimension_names=("y", "x")), painted(np.s_[1:3, 1:6], 5), painted(np.s_[6, 6], 5))
    return [lab.pointer(state) for state in (base, ours, theirs)]


def test_elements_that_both_changed_are_asked_about_in_regions(lab: EditedProject) -> None:
    merged = lab.both_ways(*_disputed(lab))
    assert [conflict.key for conflict in merged.conflicts] == ["labels[1:2, 1:2]", "labels[6:7, 6:7]"]
    first = merged.conflicts[0]
    assert (first.base, first.ours, first.theirs) == ("0", "3", "5")
    assert first.region is not None
    assert (first.region.variable, first.region.dims, first.region.count) == ("labels", ("y", "x"), 1)
    assert b"<<<<<<< ours\n- md5:" in (merged.content or b"")
    assert b"\n>>>>>>> theirs\n" in (merged.content or b"")


@pytest.mark.parametrize(("choice", "value"), [(Side.OURS, 3), (Side.THEIRS, 5), (Side.BASE, 0)])
def test_a_choice_for_a_region_holds_there_alone(lab: EditedProject, choice: Side, value: int) -> None:
    three = _disputed(lab)
    merged = lab.merge(three, Choices({"labels[1:2, 1:2]": choice}, rest=Side.OURS))
    values = lab.array(merged.content)[:]
    assert values[1, 1] == value
    assert values[6, 6] == 3
    assert values[0, :2].tolist() == [3, 3]
    assert values[2, 1:6].tolist() == [5] * 5


def test_one_open_region_keeps_the_whole_open(lab: EditedProject) -> None:
    merged = lab.merge(_disputed(lab), Choices({"labels[1:2, 1:2]": Side.OURS}))
    assert [conflict.key for conflict in merged.conflicts] == ["labels[6:7, 6:7]"]


def test_an_edited_region_is_taken_from_the_workspace(lab: EditedProject) -> None:
    three = _disputed(lab)
    here = lab.project.root / "scan.zarr"
    lab.state(made()).rename(here)
    painted(np.s_[:], 9)(here)
    merged = lab.merge(three, Choices({"labels[1:2, 1:2]": Edited()}, rest=Side.THEIRS))
    values = lab.array(merged.content)[:]
    assert values[1, 1] == 9
    assert values[6, 6] == 5
    assert values[7, 7] == 0


def test_neither_is_a_dataset_that_can_be_read(lab: EditedProject) -> None:
    base, ours, theirs = _disputed(lab)
    one = lab.merge([base, ours, theirs], Choices(rest=NEITHER))
    other = lab.merge([base, theirs, ours], Choices(rest=NEITHER))
    assert one.content == other.content
    assert lab.array(one.content)[:][1, 1] not in (3, 5)


def test_a_chunk_of_an_array_that_is_not_declared_is_asked_about_as_a_whole(lab: EditedProject) -> None:
    base = lab.state(made())
    ours, theirs = lab.state(made(), painted(np.s_[0, 0], 5)), lab.state(made(), painted(np.s_[5, 5], 7))
    third = lab.state(made(), painted(np.s_[3, 3], 7))
    pointers = [lab.pointer(state, declared=()) for state in (base, ours, theirs, third)]
    assert lab.both_ways(*pointers[:3]).conflicts == ()
    merged = lab.both_ways(pointers[0], pointers[1], pointers[3])
    (conflict,) = merged.conflicts
    assert conflict.key == "labels/c/0/0"
    assert conflict.region is not None
    assert str(conflict.region) == "labels[0:4, 0:4]"
    assert "--mergeable labels" in conflict.why
    chosen = lab.merge([pointers[0], pointers[1], pointers[3]], Choices({"labels/c/0/0": Side.THEIRS}))
    assert chosen.content == pointers[3]


def test_many_chunks_are_asked_about_at_once(lab: EditedProject) -> None:
    small = made(shape=(20, 20), chunks=(2, 2))
    three = [lab.state(small), lab.state(small, painted(np.s_[:], 1)), lab.state(small, painted(np.s_[:], 2))]
    pointers = [lab.pointer(state, declared=()) for state in three]
    (conflict,) = lab.both_ways(*pointers).conflicts
    assert conflict.key == "labels"
    assert "100 chunks" in conflict.why
    assert lab.merge(pointers, Choices({"labels": Side.OURS})).content == pointers[1]


def test_attributes_merge_by_key_and_the_list_of_nodes_follows(lab: EditedProject) -> None:
    first = (made(listed=True), made("mask", listed=True))
    base = lab.state(*first)
    ours = lab.state(*first, noted(listed=True, unit="nm"), noted("mask", listed=True, who="A"))
    theirs = lab.state(*first, noted(listed=True, author="B"))
    merged = lab.both_ways(*(lab.pointer(state) for state in (base, ours, theirs)))
    assert merged.conflicts == ()
    both = lab.state(*first, noted(unit="nm", author="B"), noted("mask", listed=True, who="A"))
    assert _plain(lab.files(merged.content)) == _plain(lab.files(lab.pointer(both)))


def test_nodes_of_both_sides_are_in_the_list(lab: EditedProject) -> None:
    for version in (2, 3):
        first = made(version=version, listed=True)
        ours = lab.state(first, made("mask", version=version, listed=True))
        theirs = lab.state(first, made("peaks", version=version, listed=True))
        merged = lab.both_ways(*(lab.pointer(state) for state in (lab.state(first), ours, theirs)))
        assert merged.conflicts == ()
        place = lab.laid_out(merged.content)
        assert sorted(zarr.open_consolidated(place, zarr_format=version).array_keys()) == ["labels", "mask", "peaks"]


def _plain(files: dict[str, bytes]) -> dict[str, Any]:
    return {name: json.loads(text) if name.endswith("zarr.json") else text for name, text in files.items()}


def test_an_attribute_that_both_set_is_a_conflict_of_its_key(lab: EditedProject) -> None:
    three = [lab.state(made()), lab.state(made(), noted(unit="nm")), lab.state(made(), noted(unit="m"))]
    pointers = [lab.pointer(state) for state in three]
    (conflict,) = lab.both_ways(*pointers).conflicts
    assert conflict.key == "labels/zarr.json:attributes.unit"
    assert (conflict.ours, conflict.theirs) == ("nm", "m")
    assert lab.merge(pointers, Choices({conflict.key: Side.THEIRS})).content == pointers[2]


def test_a_table_that_both_extended_is_taken_as_a_whole(lab: EditedProject) -> None:
    def rows(count: int) -> Any:
        return made("peaks", shape=(count, 2), chunks=(4, 2), dimension_names=("peak", "column"))

    def filled(count: int, value: int) -> Any:
        return painted(np.s_[4:count], value, "peaks")

    base, ours, theirs = (
        lab.pointer(state, ["peaks"])
        for state in (lab.state(rows(4)), lab.state(rows(6), filled(6, 1)), lab.state(rows(7), filled(7, 2)))
    )
    (conflict,) = lab.both_ways(base, ours, theirs).conflicts
    assert conflict.key == "peaks"
    assert (conflict.base, conflict.ours, conflict.theirs) == ("4 x 2 samples", "6 x 2 samples", "7 x 2 samples")
    assert lab.merge([base, ours, theirs], Choices({"peaks": Side.THEIRS})).content == theirs


def test_rows_of_a_table_are_elements(lab: EditedProject) -> None:
    table = made("peaks", shape=(4, 2), chunks=(4, 2), dtype="f4", dimension_names=("peak", "column"))
    base, ours, theirs = (
        lab.pointer(state, ["peaks"])
        for state in (
            lab.state(table),
            lab.state(table, painted(np.s_[0, 0], 1, "peaks"), painted(np.s_[2, 0], 1, "peaks")),
            lab.state(table, painted(np.s_[1], 2, "peaks"), painted(np.s_[2, 1], 2, "peaks")),
        )
    )
    merged = lab.both_ways(base, ours, theirs)
    assert [conflict.key for conflict in merged.conflicts] == ["peaks[2:3, 0:2]"]
    values = lab.array(lab.merge([base, ours, theirs], Choices(rest=Side.OURS)).content, "peaks")[:]
    assert values.tolist() == [[1, 0], [2, 2], [1, 0], [0, 0]]


def test_chunks_of_two_layouts_are_never_mixed(lab: EditedProject) -> None:
    base = lab.state(made())
    ours = lab.state(made(), painted(np.s_[7, 7], 5))
    theirs = lab.state(made(chunks=(2, 2)))
    pointers = [lab.pointer(state) for state in (base, ours, theirs)]
    (conflict,) = lab.both_ways(*pointers).conflicts
    assert conflict.key == "labels"
    for side, pointer in ((Side.OURS, pointers[1]), (Side.THEIRS, pointers[2])):
        assert lab.merge(pointers, Choices({"labels": side})).content == pointer


def test_a_removed_array_that_the_other_side_edited_is_asked_about(lab: EditedProject) -> None:
    mask = made("mask")
    base = lab.state(mask, made())
    ours = lab.state(mask)
    theirs = lab.state(mask, made(), painted(np.s_[0, 0], 5))
    pointers = [lab.pointer(state) for state in (base, ours, theirs)]
    assert [conflict.key for conflict in lab.both_ways(*pointers).conflicts] == ["labels"]
    assert lab.merge(pointers, Choices({"labels": Side.OURS})).content == pointers[1]
    assert lab.merge(pointers, Choices({"labels": Side.THEIRS})).content == pointers[2]


def test_both_add_labels_where_there_were_none(lab: EditedProject) -> None:
    ours, theirs = lab.state(made(), painted(np.s_[0, 0], 5)), lab.state(made(), painted(np.s_[1, 1], 7))
    merged = lab.both_ways(None, lab.pointer(ours), lab.pointer(theirs))
    assert merged.conflicts == ()
    assert lab.array(merged.content)[:2, :2].tolist() == [[5, 0], [0, 7]]


def test_other_files_are_taken_as_a_whole(lab: EditedProject) -> None:
    base = lab.state(written("a.csv", "1"), written("b.json", "{}"))
    ours = lab.state(written("a.csv", "2"), written("b.json", "{}"), written("ours.csv", ""))
    theirs = lab.state(written("a.csv", "3"), written("b.json", "[]"))
    pointers = [lab.pointer(state) for state in (base, ours, theirs)]
    (conflict,) = lab.both_ways(*pointers).conflicts
    assert conflict.key == "a.csv"
    merged = lab.merge(pointers, Choices({"a.csv": Side.THEIRS}))
    assert lab.files(merged.content) == {"a.csv": b"3", "b.json": b"[]", "ours.csv": b""}


def test_a_damaged_chunk_is_named(lab: EditedProject) -> None:
    from emdvc.errors import FormatError

    base, ours = lab.state(made(), painted(np.s_[0, 0], 1)), lab.state(made(), painted(np.s_[0, 0], 2))
    theirs = lab.state(made(), written("labels/c/0/0", "no chunk"))
    with pytest.raises(FormatError, match="labels/c/0/0"):
        lab.merge([lab.pointer(state) for state in (base, ours, theirs)])
