"""Merging YAML: held against a model of the values that knows nothing of text."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from emdvc.history.merging.contract import ABSENT, NEITHER, Choices, Merged, Place, Side, Three
from emdvc.history.merging.texts.mapping import merge_yaml
from emdvc.history.project import Project

HERE = Place(Project(Path(), Path()))
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

keys = st.sampled_from(["a", "b", "c", "d", "x y", "2", "e.f", "on"])
words = st.sampled_from(["O", "Si", "Cu", "raw/scan.mib", "# no comment", "a: b", "null", "it's", "", "[x]", "- d"])
named = st.fixed_dictionaries({"name": words, "n": st.integers(0, 2)}, optional={"m": words})
outs = st.dictionaries(words, st.fixed_dictionaries({"cache": st.booleans()}), min_size=1, max_size=1)
leaves = st.one_of(
    st.integers(-3, 3),
    st.booleans(),
    st.none(),
    st.sampled_from([0.5, 1.0, 1e-9]),
    words,
    st.sampled_from(["20 mrad", "0.02 rad", "7mrad"]),
    st.sampled_from(["two\nlines\n", "two\n\nlines"]),
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.lists(words, unique=True, max_size=4),
    st.lists(named, unique_by=lambda entry: entry["name"], max_size=3),
    st.lists(
        st.one_of(words, outs), unique_by=lambda entry: entry if isinstance(entry, str) else min(entry), max_size=3
    ),
    st.sampled_from([{"value": 200, "unit": "kV"}, {"value": 200, "unit": "keV"}, {"value": 0.2, "unit": "MeV"}]),
)
trees = st.recursive(leaves, lambda inner: st.dictionaries(keys, inner, max_size=4), max_leaves=12)
mappings = st.dictionaries(keys, trees, max_size=5)


@st.composite
def edited(draw: st.DrawFn, tree: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping after a few edits: keys set, removed, added, moved to the end, at any depth."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(0, 4))):
        node = tree
        while (below := [v for v in node.values() if isinstance(v, dict) and "value" not in v]) and draw(st.booleans()):
            node = draw(st.sampled_from(below))
        how = draw(st.sampled_from(["set", "add", "remove", "move", "list"]))
        if how == "add" or not node:
            node[draw(keys)] = draw(trees)
        else:
            key = draw(st.sampled_from(sorted(node)))
            value = node.pop(key)
            if how == "set":
                node[key] = draw(leaves)
            elif how == "list" and names(value):
                node[key] = draw(edited_list(value))
            elif how != "remove":
                node[key] = value
    return tree


@st.composite
def edited_list(draw: st.DrawFn, value: list[Any]) -> list[Any]:
    """Return a list with names after a few edits: entries removed, changed within, added."""
    kept = [entry for entry in value if not draw(st.sampled_from([True, False, False, False]))]
    for entry in kept:
        if isinstance(entry, dict) and draw(st.booleans()):
            inside = entry if "n" in entry else entry[min(entry)]
            inside |= {"n": draw(st.integers(0, 2))} if "n" in entry else {"cache": draw(st.booleans())}
            if draw(st.booleans()):
                inside["desc"] = draw(words)
    more = draw(st.lists(st.one_of(words, named, outs), max_size=2))
    for entry in more:
        if names([*kept, entry]) is not None:
            kept.insert(draw(st.integers(0, len(kept))), entry)
    return kept


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str]]:
    """Return the values of three sides and, for each place, whether it is written in lines and what comment it has."""
    base = draw(mappings)
    styles = draw(st.lists(st.sampled_from(["block", "flow", "comment", "trail", "space"]), min_size=1, max_size=9))
    return base, draw(edited(base)), draw(edited(base)), styles


def written(tree: dict[str, Any], styles: list[str]) -> bytes:
    """Return a text of a mapping in which equal places are written alike."""
    return "".join(_lines(tree, "", styles, "")).encode() or b"# nothing\n"


def _lines(tree: dict[str, Any], indent: str, styles: list[str], path: str) -> list[str]:
    lines = []
    for key, value in tree.items():
        here = f"{path}/{key}"
        style = styles[sum(map(ord, here)) % len(styles)]
        lines += {"comment": [f"{indent}# {here}\n"], "space": ["\n"]}.get(style, [])
        trail = f"  # {here} is so" if style == "trail" else ""
        name = json.dumps(key)
        if isinstance(value, dict) and value and style != "flow":
            lines += [f"{indent}{name}:{trail}\n", *_lines(value, indent + "  ", styles, here)]
        elif isinstance(value, list) and value and style in ("block", "comment"):
            deeper = indent if style == "block" else indent + "    "
            lines += [f"{indent}{name}:{trail}\n", *(line for v in value for line in _entry(v, deeper, style))]
        elif isinstance(value, str) and value.endswith("\n") and style == "comment":
            lines += [f"{indent}{name}: |\n", *(f"{indent}   {line}\n" for line in value.splitlines())]
        else:
            lines.append(f"{indent}{name}: {json.dumps(value)}{trail}\n")
    return lines


def _entry(value: Any, indent: str, style: str) -> list[str]:
    if not isinstance(value, dict) or style != "block":
        return [f"{indent}- {json.dumps(value)}  # entry\n"]
    first, *rest = (f"{json.dumps(key)}: {json.dumps(member)}\n" for key, member in value.items())
    return [f"{indent}- {first}", *(f"{indent}  {line}" for line in rest)]


def merged(base: bytes, ours: bytes, theirs: bytes, choices: Choices | None = None) -> Merged:
    return merge_yaml(
        Three(PurePosixPath("params.yaml"), base, ours, theirs), HERE, Choices() if choices is None else choices
    )


def read(content: bytes | None) -> Any:
    assert content is not None
    return YAML(typ="safe", pure=True).load(content.decode()) or {}


# --- the model --------------------------------------------------------------------------------------------------------


def same(one: Any, other: Any) -> bool:
    return repr(_sorted(one)) == repr(_sorted(other))


def _sorted(value: Any) -> Any:
    return ("map", sorted((k, _sorted(v)) for k, v in value.items())) if isinstance(value, dict) else value


MEASURE = {"20 mrad": 1, "0.02 rad": 1, "200 keV": 2, "0.2 MeV": 2}


def measure(value: Any) -> int | None:
    if isinstance(value, dict) and "value" in value:
        value = f"{value['value']} {value['unit']}"
    return MEASURE.get(value) if isinstance(value, str) else None


def names(value: Any) -> list[str] | None:
    if not isinstance(value, list) or not all(isinstance(v, str | dict) for v in value):
        return None
    found = [v if isinstance(v, str) else v["name"] if "name" in v else min(v) for v in value]
    return found if len(set(found)) == len(found) else None


class Members(dict[str, Any]):
    """Members of a list by name, in any order."""


def model(base: Any, ours: Any, theirs: Any, pick: Side, path: tuple[str, ...], found: set[tuple[str, ...]]) -> Any:
    if same(ours, theirs) or same(theirs, base):
        return ours
    if same(ours, base):
        return theirs
    three = [side for side in (base, ours, theirs) if side is not ABSENT]
    if base is None and ours is not ABSENT and theirs is not ABSENT:
        three = [ours, theirs]
    both = ours is not ABSENT and theirs is not ABSENT
    if both and all(isinstance(side, dict) and "value" not in side for side in three):
        old = base if isinstance(base, dict) else {}
        result = {}
        for key in {**old, **ours, **theirs}:
            sides = (side.get(key, ABSENT) for side in (old, ours, theirs))
            value = model(*sides, pick, (*path, key), found)
            if value is not ABSENT:
                result[key] = value
        return result
    if both and all(names(side) is not None for side in three):
        old, mine, others = (dict(zip(names(v), v, strict=True)) if names(v) else {} for v in (base, ours, theirs))
        members = Members()
        for name in {**old, **mine, **others}:
            sides = [side.get(name, ABSENT) for side in (old, mine, others)]
            here = (*path, name)
            if ABSENT not in sides[1:] and all(
                v is ABSENT or (isinstance(v, dict) and list(v) == [name]) for v in sides
            ):
                # a member of a list that is named by its only key is spoken of as that key's value
                inside = [ABSENT if v is ABSENT else v[name] for v in sides]
                members[name] = {name: model(*inside, pick, here, found)}
            elif (value := model(*sides, pick, here, found)) is not ABSENT:
                members[name] = value
        return members
    if both and measure(ours) is not None and measure(ours) == measure(theirs):
        return {"one of": (ours, theirs)}
    found.add(path)
    return {Side.BASE: base, Side.OURS: ours, Side.THEIRS: theirs}[pick]


def agrees(value: Any, expected: Any) -> bool:
    if isinstance(expected, Members):
        return agrees(dict(zip(names(value) or [], value, strict=True)), dict(expected))
    if isinstance(expected, dict) and "one of" in expected:
        return any(same(value, one) for one in expected["one of"])
    if isinstance(expected, dict):
        return (
            isinstance(value, dict)
            and set(value) == set(expected)
            and all(agrees(value[k], v) for k, v in expected.items())
        )
    return same(value, expected)


def key_of(path: tuple[str, ...]) -> str:
    return ".".join(word if re.fullmatch(r"[\w-]+", word) else json.dumps(word) for word in path)


def swapped(content: bytes | None) -> bytes:
    """Return a text with the two sides between its markers exchanged."""
    assert content is not None
    parts = rb"(<<<<<<< ours\n)(.*?)(\|{7} base\n.*?=======\n)(.*?)(>>>>>>> theirs\n)"
    return re.sub(parts, rb"\1\4\3\2\5", content, flags=re.DOTALL)


# --- the properties ---------------------------------------------------------------------------------------------------


@MANY
@given(histories())
def test_what_comes_out_is_what_the_values_say(history: tuple[Any, Any, Any, list[str]]) -> None:
    base, ours, theirs, styles = history
    texts = [written(tree, styles) for tree in (base, ours, theirs)]
    for pick in Side:
        asked: set[tuple[str, ...]] = set()
        expected = model(base, ours, theirs, pick, (), asked)
        done = merged(*texts, Choices(rest=pick))
        assert done.conflicts == ()
        assert agrees(read(done.content), expected), done.content.decode()
    assert {conflict.key for conflict in merged(*texts).conflicts} == {key_of(path) for path in asked}


@MANY
@given(histories())
def test_the_order_of_the_sides_does_not_matter(history: tuple[Any, Any, Any, list[str]]) -> None:
    base, ours, theirs, styles = history
    b, o, t = (written(tree, styles) for tree in (base, ours, theirs))
    one, other = merged(b, o, t), merged(b, t, o)
    assert {c.key for c in one.conflicts} == {c.key for c in other.conflicts}
    assert one.notes == other.notes == ()
    assert one.content == swapped(other.content)
    for mine, yours in ((Side.OURS, Side.THEIRS), (Side.THEIRS, Side.OURS), (Side.BASE, Side.BASE), (NEITHER, NEITHER)):
        assert merged(b, o, t, Choices(rest=mine)).content == merged(b, t, o, Choices(rest=yours)).content


@MANY
@given(histories())
def test_each_conflict_is_answered_on_its_own(history: tuple[Any, Any, Any, list[str]]) -> None:
    base, ours, theirs, styles = history
    texts = [written(tree, styles) for tree in (base, ours, theirs)]
    conflicts = merged(*texts).conflicts
    for conflict in conflicts:
        left = merged(*texts, Choices({conflict.key: Side.THEIRS}))
        assert {c.key for c in left.conflicts} == {c.key for c in conflicts} - {conflict.key}
        assert (b"<<<<<<< ours" in left.content) == bool(left.conflicts)


@MANY
@given(histories())
def test_comments_stay_with_what_stays(history: tuple[Any, Any, Any, list[str]]) -> None:
    base, ours, theirs, styles = history
    texts = [written(tree, styles) for tree in (base, ours, theirs)]
    text = merged(*texts).content.decode()
    lines = [set(side.decode().splitlines()) for side in texts]
    for line in set.intersection(*lines):
        if line.strip().startswith("# /"):
            assert line in text.splitlines()


@MANY
@given(histories())
def test_a_side_that_changed_nothing_has_no_say(history: tuple[Any, Any, Any, list[str]]) -> None:
    base, ours, _, styles = history
    b, o = written(base, styles), written(ours, styles)
    assert merged(b, o, b).content == merged(b, b, o).content == merged(b, o, o).content == o
