"""The lines of a YAML text by the entries of its blocks: each with the comments above it, and what stands below all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from emdvc.history.merging.contract import Side
from emdvc.history.merging.texts.values import joined_order
from emdvc.history.merging.texts.yaml_nodes import Node, UnusualYamlError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a mapping or a list, with its lines.

    Parameters
    ----------
    lead
        The comments and empty lines above it.
    body
        Its own lines, to the last one that belongs to its value.
    column
        Where its key or its dash stands.
    key
        How its key is written; empty in a list.
    value
        The node of its value.
    main, trail
        Its first line up to the end of the value (the key, where the value has lines of its own), and what follows the
        value, or that key, in its line.
    one_line
        Whether the value stands in that line.
    key_value
        The key itself.
    lines, start, stop
        The lines it was found in, and its range in them.
    """

    lead: str
    body: str
    column: int
    key: str
    value: Node
    main: str
    trail: str
    one_line: bool
    key_value: Any = None
    lines: list[str] = field(default_factory=list, repr=False)
    start: int = 0
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A mapping or a list in lines: its entries, and what stands below the last one."""

    column: int
    entries: list[Entry]
    tail: str


def block(lines: list[str], node: Node, first: int, stop: int) -> Block:
    """Return the entries of a block that lies within a range of lines.

    Raises
    ------
    UnusualYamlError
        An entry has no line of its own.
    """
    column = node.start[1]
    keys: list[Node | None] = [key for key, _ in node.pairs] or [None] * len(node.members)
    values = [value for _, value in node.pairs] or node.members
    starts = [key.start[0] if key else _dash(lines, value, column) for key, value in zip(keys, values, strict=True)]
    entries, above = [], first
    for index, (key, value, start) in enumerate(zip(keys, values, starts, strict=True)):
        if lines[start][:column].strip(" ") or (key is not None and key.start[1] != column):
            raise UnusualYamlError("an entry that does not begin its line")
        end = value.end[0] + (1 if value.end[1] else 0)
        below = starts[index + 1] if index + 1 < len(starts) else stop
        end = _own(lines, max(end, start + 1), below, column)
        entries.append(_entry(lines, key, value, column, (above, start, end)))
        above = end
    return Block(column, entries, "".join(lines[above:stop]))


def inner(entry: Entry) -> Block:
    """Return the block that an entry's value is."""
    lines, first = entry.lines, entry.start + 1
    if entry.value.start[0] == entry.start:
        # `- name: x`: the key after the dash begins the line once the dash is gone
        line = lines[entry.start]
        lines = [*lines]
        lines[entry.start] = line[: entry.column] + " " + line[entry.column + 1 :]
        first = entry.start
    return block(lines, entry.value, first, entry.stop)


def _dash(lines: list[str], value: Node, column: int) -> int:
    line = value.start[0]
    while lines[line][:column].strip(" ") or lines[line][column : column + 1] != "-":
        line -= 1
        if line < 0:
            raise UnusualYamlError("a list of which the dashes do not stand below each other")
    return line


def _own(lines: list[str], end: int, below: int, column: int) -> int:
    """Return where an entry ends: comments below it that are deeper than its key belong to it."""
    for line in range(below - 1, end - 1, -1):
        text = lines[line]
        if text.strip() and len(text) - len(text.lstrip(" ")) > column:
            return line + 1
    return end


def _entry(lines: list[str], key: Node | None, value: Node, column: int, at: tuple[int, int, int]) -> Entry:
    above, start, end = at
    line = lines[start].rstrip("\n")
    one_line = not value.block and value.start[0] == value.end[0] == start and end == start + 1
    if one_line:
        cut = value.end[1] if value.end[1] > column else line.index(":", key.end[1] if key else 0) + 1
    elif key is None:
        cut = column + 1
    else:
        cut = line.index(":", key.end[1]) + 1
    rest = line[cut:]
    if one_line and rest.strip() and not rest.lstrip().startswith("#"):
        raise UnusualYamlError("something behind a value")
    return Entry(
        lead="".join(lines[above:start]),
        body="".join(lines[start:end]),
        column=column,
        key="" if key is None else line[column : key.end[1]],
        value=value,
        main=line[column:cut],
        trail=rest if one_line or value.block or not value.end[1] else lines[value.end[0]][value.end[1] :].rstrip("\n"),
        one_line=one_line,
        key_value=None if key is None else key.value,
        lines=lines,
        start=start,
        stop=end,
    )


def written(key: str, text: str, value: Node, key_value: Any) -> Entry:
    """Return an entry that has no line of its own on its side: as it is written in one."""
    main = f"{key}: {text}" if key else f"- {text}"
    return Entry("", main + "\n", 0, key, value, main, "", True, key_value)


def shifted(text: str, by: int) -> str:
    """Return lines moved to the right, or to the left as far as they can be."""
    if by == 0:
        return text
    if by > 0:
        return re.sub(r"^(?=[^\n])", " " * by, text, flags=re.MULTILINE)
    return re.sub(rf"^ {{0,{-by}}}", "", text, flags=re.MULTILINE)


# --- comments ---------------------------------------------------------------------------------------------------------


def three(base: T | None, ours: T | None, theirs: T | None, both: Callable[[T | None, T, T], T]) -> T | None:
    """Return which of three to take: what one side changed; where both did, what a function says."""
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    if ours == theirs or theirs == base:
        return ours
    return theirs if ours == base else both(base, ours, theirs)


def merged_lines(texts: dict[Side, str]) -> str:
    """Return comment lines of three sides in one: what either side added, without what either side removed."""

    def both(base: str | None, ours: str, theirs: str) -> str:
        was, mine, others = (_numbered(text) for text in (base or "", ours, theirs))
        gone = {line for line in was if line not in mine or line not in others}
        return "".join(line[0] for line in joined_order(was, mine, others) if line not in gone)

    return three(texts.get(Side.BASE), texts.get(Side.OURS), texts.get(Side.THEIRS), both) or ""


def new_comments(texts: dict[Side, str]) -> str:
    """Return the comments that were written on a side above what has gone since."""
    before = texts.get(Side.BASE, "").splitlines()
    lines = {line for side in (Side.OURS, Side.THEIRS) for line in texts.get(side, "").splitlines()}
    new = sorted(line for line in lines if line.strip() and line not in before)
    return "".join(f"{line}\n" for line in new) if Side.BASE in texts else ""


def _numbered(text: str) -> list[tuple[str, int]]:
    seen: dict[str, int] = {}
    found = []
    for line in text.splitlines(keepends=True):
        seen[line] = seen.get(line, 0) + 1
        found.append((line, seen[line]))
    return found


def merged_trails(texts: dict[Side, str]) -> str:
    """Return what follows a value in its line: both comments, where both sides changed it."""

    def both(base: str | None, ours: str, theirs: str) -> str:
        kept = sorted({text for text in (ours, theirs) if text.strip()})
        return kept[0] + "".join(f" {text.strip()}" for text in kept[1:]) if kept else ""

    return three(texts.get(Side.BASE), texts.get(Side.OURS), texts.get(Side.THEIRS), both) or ""


def smallest(texts: dict[Side, Any]) -> Any:
    """Return what one side changed; where both did, the base's, else the smaller one."""

    def both(base: Any, ours: Any, theirs: Any) -> Any:
        return min(ours, theirs) if base is None else base

    return three(texts.get(Side.BASE), texts.get(Side.OURS), texts.get(Side.THEIRS), both)
