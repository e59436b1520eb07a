"""Merges JSON by its keys: zarr.json, settings."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from emdvc.history.merging.contract import ABSENT, Choices, Conflict, Merged, Place, Side, Three, markers
from emdvc.history.merging.texts.values import (
    SIDES,
    Clash,
    Joined,
    Outcome,
    Path,
    Question,
    Taken,
    ValueMerge,
    conflicts_of,
    dotted,
    equal,
)
from emdvc.history.merging.texts.whole_file import whole_conflict

#: What of a Zarr node's description a person writes; all else describes the chunks, and is one thing.
_PEOPLES = ("attributes", "consolidated_metadata")


class JsonRules:
    """Lists are atoms, mappings are not."""

    def atom(self, path: Path, value: Any) -> bool:
        """Say whether a value moves as a whole."""
        return isinstance(value, list)

    def same(self, path: Path, ours: Any, theirs: Any) -> bool:
        """Say whether two values say the same: only equal ones do."""
        return False

    def names(self, path: Path, members: list[Any]) -> list[Hashable] | None:
        """Return no names."""
        return None


def merge_json(three: Three, place: Place, choices: Choices) -> Merged:
    """Merge a JSON file by its keys; what describes the chunks of a Zarr array is one atom."""
    if three.ours == three.theirs or three.theirs == three.base:
        return Merged(three.ours)
    if three.ours == three.base:
        return Merged(three.theirs)
    if three.ours is None or three.theirs is None:
        return whole_conflict(three, choices, "one side removed the file, the other changed it")
    try:
        values = {side: _load(content) for side in SIDES if (content := three.side(side)) is not None}
    except ValueError as error:
        return whole_conflict(three, choices, f"both sides changed a file that is no JSON: {error}")
    sides = {Side.BASE: {}, **values}
    if not all(isinstance(value, dict) for value in sides.values()):
        return whole_conflict(three, choices, "both sides changed a file that holds no mapping")
    outcome = ValueMerge(JsonRules(), choices, _questions(sides)).merge((), sides)
    texts = {side: content.decode("utf-8") for side in SIDES if (content := three.side(side)) is not None}
    return Merged(_text(outcome, sides, texts).encode("utf-8"), tuple(conflicts_of(outcome)))


def _load(content: bytes) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice in a mapping")
        return dict(pairs)

    return json.loads(content.decode("utf-8"), object_pairs_hook=once)


# --- Zarr -------------------------------------------------------------------------------------------------------------


def _questions(sides: Mapping[Side, Any]) -> list[Question]:
    """Return a conflict for each Zarr node of which both sides changed the description of the chunks differently."""
    found = []
    for path in sorted(set(_nodes((), sides[Side.OURS])) | set(_nodes((), sides[Side.THEIRS])), key=str):
        nodes = [_at(sides[side], path) for side in SIDES]
        parts = [{k: v for k, v in node.items() if k not in _PEOPLES} for node in nodes if isinstance(node, dict)]
        if len(parts) < 3 or equal(parts[1], parts[2]) or equal(parts[0], parts[1]) or equal(parts[0], parts[2]):
            continue
        keys = sorted({key for part in parts for key in part})
        differ = [
            key for key in keys if not all(equal(part.get(key, ABSENT), parts[0].get(key, ABSENT)) for part in parts)
        ]
        key = dotted((*path, "array"))
        conflict = Conflict(key, parts[0], parts[1], parts[2], "both sides changed what describes the array's chunks")
        found.append(Question(conflict, frozenset((*path, key) for key in differ)))
    return found


def _nodes(path: Path, value: Any) -> Iterator[Path]:
    if not isinstance(value, dict):
        return
    if "zarr_format" in value:
        yield path
    inside = value.get("consolidated_metadata")
    if isinstance(inside, dict) and isinstance(inside.get("metadata"), dict):
        for name, node in inside["metadata"].items():
            yield from _nodes((*path, "consolidated_metadata", "metadata", name), node)


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name, ABSENT) if isinstance(value, dict) else ABSENT
    return value


# --- text -------------------------------------------------------------------------------------------------------------


def _text(outcome: Outcome, sides: Mapping[Side, Any], texts: Mapping[Side, str]) -> str:
    """Return the merged file, indented as the base's (else the smaller text), each conflict between markers."""
    like = texts.get(Side.BASE) or min(texts[Side.OURS], texts[Side.THEIRS])
    match = re.match(r"\s*\{\n( +)", like)
    indent = len(match[1]) if match else 2 if conflicts_of(outcome) else None
    separators = (",", ": ") if indent else (", ", ": ") if '": ' in like else (",", ":")
    clashes: list[Clash] = []
    tree = _tree(outcome, clashes)
    ascii_only = all(text.isascii() for text in texts.values())
    text = json.dumps(tree, indent=indent, separators=separators, ensure_ascii=ascii_only)
    lines = []
    for line in text.split("\n"):
        found = re.fullmatch(r'( *)("(?:[^"\\]|\\.)*": )"\\u0000(\d+)"(,?)', line)
        lines += [line] if found is None else _marked(clashes[int(found[3])], found, indent or 2)
    return "\n".join(lines) + ("\n" if like.endswith("\n") else "")


def _tree(outcome: Outcome, clashes: list[Clash]) -> Any:
    if isinstance(outcome, Taken):
        return outcome.value
    if isinstance(outcome, Joined):
        return {name: _tree(member, clashes) for name, member in outcome.members.items() if member != Taken(ABSENT)}
    clashes.append(outcome)
    return f"\0{len(clashes) - 1}"


def _marked(clash: Clash, found: re.Match[str], indent: int) -> list[str]:
    lines = []
    opening, middle, parting, closing = markers()
    for marker, side in ((opening, Side.OURS), (middle, Side.BASE), (parting, Side.THEIRS)):
        lines.append(marker)
        if clash.sides[side] is not ABSENT:
            value = json.dumps(clash.sides[side], indent=indent).replace("\n", "\n" + found[1])
            lines.append(f"{found[1]}{found[2]}{value}{found[4]}")
    return [*lines, closing]
