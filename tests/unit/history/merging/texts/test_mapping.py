"""YAML of people, merged: the exact texts, with comments, quotes, order and empty lines."""

from __future__ import annotations

import io
import itertools
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from ruamel.yaml import YAML

from emdvc.history.merging.contract import ABSENT, NEITHER, Choices, Edited, Merged, Place, Side, Three
from emdvc.history.merging.texts.mapping import merge_json, merge_values, merge_yaml, names_of
from emdvc.history.project import Project

HERE = Place(Project(Path(), Path()))

PARAMS = """\
# The scan: 24 x 24 probe positions.
simulate:
  scan_shape: [24, 24]
  seed: 1

# Rings around the recorded centre.
rings:
  bins: 60
  outer: 40 px  # beyond gold's fourth

pixel_size:
  near: {"220": 26.9, "311": 31.6}
  half_width: 2.3

elements: [O, Si, Cu]
"""


def both_orders(base: str | None, ours: str | None, theirs: str | None, choices: Choices | None = None) -> Merged:
    """Merge in both orders, which must agree, and return what merging theirs into ours gives."""
    sides = [None if side is None else side.encode() for side in (base, ours, theirs)]
    chosen = Choices() if choices is None else choices
    one = merge_yaml(Three(PurePosixPath("params.yaml"), *sides), HERE, chosen)
    other = merge_yaml(Three(PurePosixPath("params.yaml"), sides[0], sides[2], sides[1]), HERE, chosen)
    assert {c.key for c in one.conflicts} == {c.key for c in other.conflicts}
    assert one.notes == other.notes
    if not one.conflicts and not any(isinstance(c, Side) for c in [chosen.rest, *chosen.values()]):
        assert one.content == other.content
    return one


def settled(base: str | None, ours: str | None, theirs: str | None, choices: Choices | None = None) -> str:
    merged = both_orders(base, ours, theirs, choices)
    assert merged.conflicts == () and merged.notes == ()
    assert merged.content is not None
    return merged.content.decode()


def test_edits_of_different_keys_meet_and_nothing_else_changes() -> None:
    ours = PARAMS.replace("bins: 60", "bins: 80  # finer").replace("  seed: 1\n", "  seed: 1\n  noise: 0.1  # ours\n")
    theirs = PARAMS.replace("40 px  # beyond gold's fourth", "41 px  # beyond silver's").replace("26.9", "27.0")
    assert settled(PARAMS, ours, theirs) == (
        PARAMS.replace("bins: 60", "bins: 80  # finer")
        .replace("  seed: 1\n", "  seed: 1\n  noise: 0.1  # ours\n")
        .replace("40 px  # beyond gold's fourth", "41 px  # beyond silver's")
        .replace("26.9", "27.0")
    )


def test_only_the_line_that_both_changed_stands_between_markers() -> None:
    ours = PARAMS.replace("bins: 60", "bins: 80").replace("seed: 1", "seed: 2")
    theirs = PARAMS.replace("bins: 60", "bins: 90")
    merged = both_orders(PARAMS, ours, theirs)
    assert [(c.key, c.base, c.ours, c.theirs) for c in merged.conflicts] == [("rings.bins", 60, 80, 90)]
    between = "<<<<<<< ours\n  bins: 80\n||||||| base\n  bins: 60\n=======\n  bins: 90\n>>>>>>> theirs\n"
    assert merged.content is not None
    assert merged.content.decode() == PARAMS.replace("seed: 1", "seed: 2").replace("  bins: 60\n", between)


@pytest.mark.parametrize(
    ("choice", "line"),
    [
        (Side.OURS, "  bins: 80\n"),
        (Side.THEIRS, "  bins: 90\n"),
        (Side.BASE, "  bins: 60\n"),
        (Edited(85), "  bins: 85\n"),
        (Edited("? a: #b"), "  bins: '? a: #b'\n"),
        (Edited({"from": 1, "to": [2, 3]}), "  bins:\n    from: 1\n    to:\n      - 2\n      - 3\n"),
    ],
)
def test_a_choice_writes_that_value(choice: Any, line: str) -> None:
    ours, theirs = (PARAMS.replace("bins: 60", f"bins: {n}") for n in (80, 90))
    assert settled(PARAMS, ours, theirs, Choices({"rings.bins": choice})) == PARAMS.replace("  bins: 60\n", line)


def test_neither_is_the_same_whichever_side_is_ours() -> None:
    text = settled("a: 1\n", "a: 2\n", "a: 3\n", Choices(rest=NEITHER))
    assert YAML(typ="safe").load(text)["a"].startswith("neither-")


def test_a_key_is_removed_with_the_comment_above_it() -> None:
    ours = PARAMS.replace("# Rings around the recorded centre.\nrings:\n  bins: 60\n", "")
    ours = ours.replace("  outer: 40 px  # beyond gold's fourth\n\n", "")
    theirs = PARAMS.replace("2.3", "2.5")
    assert settled(PARAMS, ours, theirs) == ours.replace("2.3", "2.5")


def test_removed_on_one_side_and_changed_on_the_other_is_asked() -> None:
    merged = both_orders("a: 1\nb: 1\n", "b: 1\n", "a: 2\nb: 1\n")
    (conflict,) = merged.conflicts
    assert (conflict.key, conflict.base, conflict.ours, conflict.theirs) == ("a", 1, ABSENT, 2)
    assert merged.content == b"<<<<<<< ours\n||||||| base\na: 1\n=======\na: 2\n>>>>>>> theirs\nb: 1\n"
    assert settled("a: 1\nb: 1\n", "b: 1\n", "a: 2\nb: 1\n", Choices(rest=Side.OURS)) == "b: 1\n"


def test_new_keys_stand_after_their_neighbour_and_sorted_where_both_add() -> None:
    assert settled("a: 1\nd: 1\n", "a: 1\nc: 1\nd: 1\n", "a: 1\nb: 1\nd: 1\n") == "a: 1\nb: 1\nc: 1\nd: 1\n"
    assert settled("a: 1\nd: 1\n", "a: 1\nz: 1\nb: 1\nd: 1\n", "a: 1\nd: 2\n") == "a: 1\nz: 1\nb: 1\nd: 2\n"


def test_keys_in_another_order_keep_it() -> None:
    assert settled("a: 1\nb: 1\nc: 1\n", "c: 1\na: 1\nb: 1\n", "a: 1\nb: 2\nc: 1\n") == "c: 1\na: 1\nb: 2\n"


def test_a_block_that_was_indented_anew_is_no_change() -> None:
    ours = "r:\n    a: 1\n    b:\n        c: 1\n"
    assert settled("r:\n  a: 1\n  b:\n    c: 1\n", ours, "r:\n  a: 1\n  b:\n    c: 2\n") == ours.replace("c: 1", "c: 2")


def test_comments_that_both_changed_are_both_kept() -> None:
    assert settled("# one\na: 1 # x\n", "# two\na: 1 # y\n", "# three\na: 1 # z\n") == "# three\n# two\na: 1 # y # z\n"
    assert settled("a: 1 # x\n", "a: 2 # x\n", "a: 1 # why\n") == "a: 2 # why\n"


def test_the_same_change_on_both_sides_is_none() -> None:
    assert settled("a: 1\nb: 1\n", "a: 2\nb: 1\n", "a: 2\nb: 3\n") == "a: 2\nb: 3\n"


# --- values that are one ----------------------------------------------------------------------------------------------


def test_two_spellings_of_one_measure_are_no_conflict() -> None:
    assert settled("e: 200 keV\n", "e: 300 keV\n", "e: 0.3 MeV\n") == "e: 0.3 MeV\n"
    base = "e: {value: 200, unit: keV}\n"
    ours = "e: {value: 300, unit: keV}\n"
    assert settled(base, ours, "e: {value: 0.3, unit: MeV}\n") == "e: {value: 0.3, unit: MeV}\n"


def test_a_quantity_is_never_blended() -> None:
    (conflict,) = both_orders(
        "e: {value: 200, unit: kV}\n", "e: {value: 300, unit: kV}\n", "e: {value: 200, unit: keV}\n"
    ).conflicts
    assert conflict.key == "e"
    assert conflict.theirs == {"value": 200, "unit": "keV"}


def test_lists_of_names_are_sets_and_vectors_are_atoms() -> None:
    assert settled("l: [O, Si, Cu]\n", "l: [O, Si, Cu, Au]\n", "l: [O, Al, Cu]\n") == "l: [O, Al, Cu, Au]\n"
    assert (
        settled("l:\n- O\n- Si # sand\n", "l:\n- O\n- Si # sand\n- Au\n", "l:\n- Si # sand\n")
        == "l:\n- Si # sand\n- Au\n"
    )
    assert settled("l: []\n", "l: [b]\n", "l: [a]\n") == "l: [a, b]\n"
    for vector in ("[1, 2]", "[1 mrad, 2 mrad]", "[a, a]"):
        ours, theirs = vector.replace("]", ", x]"), vector.replace("]", ", y]")
        assert [c.key for c in both_orders(f"v: {vector}\n", f"v: {ours}\n", f"v: {theirs}\n").conflicts] == ["v"]


def test_members_with_names_merge_within() -> None:
    base = "l:\n  - name: a\n    v: 1\n    w: 1\n  # the other\n  - name: b\n    v: 1\n"
    ours = base.replace("w: 1", "w: 2").replace("name: b\n    v: 1", "name: b\n    v: 2")
    theirs = base.replace("name: a\n    v: 1", "name: a\n    v: 3  # new")
    assert settled(base, ours, theirs) == ours.replace("name: a\n    v: 1", "name: a\n    v: 3  # new")
    merged = both_orders(base, ours, base.replace("name: b\n    v: 1", "name: b\n    v: 5"))
    assert [c.key for c in merged.conflicts] == ["l.b.v"]


@pytest.mark.parametrize(
    ("members", "names"),
    [
        (["a", "b"], ["a", "b"]),
        ([{"name": "a", "v": 1}, {"path": "b"}, {"c": 1}], ["a", "b", "c"]),
        (["a", "a"], None),
        ([1, 2], None),
        (["a", True], None),
        ([{"v": 1, "w": 2}], None),
        (["450eV", "610eV"], None),
        (["01_scan.mib", "2theta"], ["01_scan.mib", "2theta"]),
        (["1", "2"], None),
        ([], []),
    ],
)
def test_members_are_named(members: list[Any], names: list[str] | None) -> None:
    assert names_of(members) == names


def test_what_stands_on_one_line_stays_on_one_line() -> None:
    base = "m: { a: 1, 'b': [x, y] }  # c\n"
    theirs = base.replace("y]", "y, z]")
    assert settled(base, base.replace("a: 1", "a: 2"), theirs) == "m: { a: 2, 'b': [x, y, z] }  # c\n"
    base = "l: [\n  x,  \n  y,\n]\n"
    assert settled(base, base.replace("y,", "y,\n  z,"), base.replace("x", "w")) == "l: [\n  w,\n  y,\n  z,\n]\n"


def test_a_value_that_one_side_took_out_of_its_brackets() -> None:
    base, ours = "m: {a: 1, b: 1}\n", "m:\n  a: 1\n  # why\n  b: 1\n"
    assert settled(base, ours, "m: {a: 1, b: 2, c: [1, 2]}\n") == "m:\n  a: 1\n  # why\n  b: 2\n  c: [1, 2]\n"
    assert settled("s: {}\n", "s:\n  a: 1\n", "s:\n  b: 1\n") == "s:\n  a: 1\n  b: 1\n"
    assert settled("s:\n", "s:\n  a: 1\n", "s:\n  b: 1\n") == "s:\n  a: 1\n  b: 1\n"
    assert settled("s:\n  a: 1\n  b: 1\n", "s:\n  a: 1\n", "s:\n  b: 1\n") == "s: {}\n"


def test_long_texts_are_atoms() -> None:
    base = "t: |\n  one\n\n  two\n\n# below\na: 1\n"
    assert settled(base, base.replace("two", "three"), base.replace("a: 1", "a: 2")) == (
        "t: |\n  one\n\n  three\n\n# below\na: 2\n"
    )
    assert [c.key for c in both_orders(base, base.replace("two", "x"), base.replace("one", "y")).conflicts] == ["t"]


def test_keys_are_told_with_quotes_where_they_need_them() -> None:
    base = "a b:\n  c.d:\n    '': 1\n"
    keys = [c.key for c in both_orders(base, base.replace("1", "2"), base.replace("1", "3")).conflicts]
    assert keys == ['"a b"."c.d".""']


# --- whole files ------------------------------------------------------------------------------------------------------


def test_both_added_the_file() -> None:
    assert settled(None, "a: 1\nb: 2\n", "# head\n\na: 1\nc: 3\n") == "# head\n\na: 1\nb: 2\nc: 3\n"
    assert [c.key for c in both_orders(None, "a: 1\nb: 1\n", "a: 2\nb: 1\n").conflicts] == ["a"]
    assert settled("# only\n", "# only\na: 1\n", "# only\nb: 1\n") == "# only\na: 1\nb: 1\n"
    assert settled("{}\n", "a: 1\n", "b: 1\n") == "a: 1\nb: 1\n"


def test_a_file_that_one_side_removed() -> None:
    merged = both_orders("a: 1\n", None, "a: 2\n")
    assert merged.content == b"<<<<<<< ours\n||||||| base\na: 1\n=======\na: 2\n>>>>>>> theirs\n"
    assert [(c.key, c.ours) for c in merged.conflicts] == [("", ABSENT)]
    assert both_orders("a: 1\n", None, "a: 2\n", Choices(rest=Side.OURS)).content is None
    assert both_orders("a: 1\n", None, "a: 2\n", Choices(rest=Side.THEIRS)).content == b"a: 2\n"
    assert both_orders("a: 1\n", None, "a: 1\n").content is None


def test_line_ends_and_marks_of_the_file_stay() -> None:
    assert settled("a: 1\r\nb: 1\r\n", "a: 2\r\nb: 1\r\n", "a: 1\r\nb: 2\r\n") == "a: 2\r\nb: 2\r\n"
    assert settled("a: 1\nb: 1", "a: 2\nb: 1", "a: 1\nb: 2\n") == "a: 2\nb: 2\n"
    assert settled("\ufeffa: 1\nb: 1", "\ufeffa: 2\nb: 1", "\ufeffa: 1\nb: 2") == "\ufeffa: 2\nb: 2"
    assert settled("---\na: 1\nb: 1\n", "---\na: 2\nb: 1\n", "---\na: 1\nb: 2\n") == "---\na: 2\nb: 2\n"


@pytest.mark.parametrize(
    "text",
    ["x: &a 1\ny: *a\nz: {}\n\n\n\nq: {}\n", "x: !!str 1\nz: {}\n\n\n\nq: {}\n", "? x\n: 1\nz: {}\n\n\n\nq: {}\n"],
)
def test_unusual_yaml_is_merged_as_git_does_where_that_is_right(text: str) -> None:
    ours, theirs = text.replace("z: {}", "z: 1"), text.replace("q: {}", "q: 2")
    assert settled(text, ours, theirs) == text.replace("z: {}", "z: 1").replace("q: {}", "q: 2")


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        # git's lines are clean, but the anchor's new value would reach what the other side wrote
        ("x: &a 1\n\n\n\ny: 2\n", "x: &a 5\n\n\n\ny: 2\n", "x: &a 1\n\n\n\ny: *a\n"),
        ("a: 1\na: 2\n\n\n\nb: 1\n", "a: 1\na: 3\n\n\n\nb: 1\n", "a: 1\na: 2\n\n\n\nb: 2\n"),
        ("a: 1\n---\nb: 1\n", "a: 2\n---\nb: 1\n", "a: 1\n---\nb: 2\n"),
        ("a: 1\n", "a: [1\n", "a: 2\n"),
        ("a: 1\n", "<<<<<<< HEAD\na: 2\n", "a: 3\n"),
        ("- a\n- 1\n", "- b\n- 1\n", "- c\n- 1\n"),
    ],
)
def test_unusual_yaml_is_asked_about_as_a_whole_elsewhere(base: str, ours: str, theirs: str) -> None:
    merged = both_orders(base, ours, theirs)
    assert [c.key for c in merged.conflicts] == [""]
    assert both_orders(base, ours, theirs, Choices({"": Side.OURS})).content == ours.encode()
    neither = both_orders(base, ours, theirs, Choices(rest=NEITHER)).content
    assert neither is not None and neither.startswith(b"neither-")


def test_values_count_more_than_comments() -> None:
    merged = both_orders("{a: 1, b: 1}\n", "{a: 2, b: 1}\n", "{a: 1, b: 2}\n")
    assert merged.content == b"a: 2\nb: 2\n"
    assert "without its comments" in merged.notes[0]


def test_every_small_edit_of_a_real_file_reads_back() -> None:
    """Each pair of lines is removed or changed on either side: what is read is what the values say."""
    lines = PARAMS.splitlines(keepends=True)
    texts = [PARAMS]
    for index, line in enumerate(lines):
        if line.startswith("  "):
            texts.append("".join(lines[:index] + lines[index + 1 :]))
            texts.append("".join([*lines[:index], "  # new\n", *lines[index:]]))
    # every fifth pair is enough to meet each line from either side
    for ours, theirs in itertools.islice(itertools.combinations(texts, 2), 0, None, 5):
        values = [YAML(typ="safe").load(io.StringIO(text)) for text in (PARAMS, ours, theirs)]
        expected, conflicts = merge_values(*values)
        merged = both_orders(PARAMS, ours, theirs)
        assert not conflicts and not merged.conflicts and not merged.notes
        assert merged.content is not None
        assert YAML(typ="safe").load(merged.content.decode()) == expected
        assert merged.content.count(b"# new") == (ours + theirs).count("# new")


# --- JSON -------------------------------------------------------------------------------------------------------------


def json(base: str, ours: str, theirs: str, choices: Choices | None = None) -> Merged:
    sides = (side.encode() for side in (base, ours, theirs))
    return merge_json(Three(PurePosixPath("x.json"), *sides), HERE, Choices() if choices is None else choices)


def test_json_merges_by_key_in_its_own_layout() -> None:
    base = '{\n    "a": 1,\n    "b": {\n        "c": 1\n    }\n}\n'
    ours, theirs = base.replace('"a": 1', '"a": 2'), base.replace('"c": 1', '"c": 1,\n        "d": "Å"')
    assert json(base, ours, theirs).content == theirs.replace('"a": 1', '"a": 2').encode()
    assert json('{"a":1,"b":2}', '{"a":2,"b":2}', '{"a":1,"b":3}').content == b'{"a":2,"b":3}'


def test_a_conflict_in_json_stands_between_markers() -> None:
    merged = json('{\n  "a": 1,\n  "b": 1\n}', '{\n  "a": 2,\n  "b": 1\n}', '{\n  "a": 3,\n  "b": 4\n}')
    assert [c.key for c in merged.conflicts] == ["a"]
    assert merged.content == (
        b'{\n<<<<<<< ours\n  "a": 2,\n||||||| base\n  "a": 1,\n=======\n  "a": 3,\n>>>>>>> theirs\n  "b": 4\n}'
    )
    chosen = json('{"a": 1}', '{"a": 2}', '{"a": 3}', Choices({"a": Side.THEIRS}))
    assert chosen.content == b'{"a": 3}'


def test_what_describes_the_chunks_of_an_array_is_one_atom() -> None:
    base = '{"zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "uint8", "attributes": {"a": 1}}'
    ours = base.replace("[4]", "[8]").replace('"a": 1', '"a": 1, "b": 2')
    theirs = base.replace("uint8", "int8").replace('"a": 1', '"a": 3')
    merged = json(base, ours, theirs)
    assert [c.key for c in merged.conflicts] == ["array"]
    chosen = json(base, ours, theirs, Choices({"array": Side.OURS})).content
    assert chosen == ours.replace('"a": 1', '"a": 3').encode()
