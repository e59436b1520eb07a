"""The text of a merged YAML file, put together from the lines of its three sides."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from emdvc.history.merging.contract import ABSENT, Side, markers
from emdvc.history.merging.texts.values import (
    SIDES,
    Clash,
    Joined,
    Outcome,
    Path,
    Rules,
    Taken,
    conflicts_of,
    equal,
    joined_order,
    value_of,
)
from emdvc.history.merging.texts.yaml_blocks import (
    Block,
    Entry,
    block,
    inner,
    merged_lines,
    merged_trails,
    new_comments,
    shifted,
    smallest,
    three,
    written,
)
from emdvc.history.merging.texts.yaml_dumping import block_text, flow_text
from emdvc.history.merging.texts.yaml_nodes import Node, UnusualYamlError

_UNSAFE_WITHIN_BRACKETS = frozenset(",[]{}#\n")


@dataclass(frozen=True, slots=True)
class Text:
    """One side's text, with LF line ends, and the tree of what it holds (None: no value)."""

    text: str
    root: Node | None


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes what comes out of a merge.

    Parameters
    ----------
    texts
        The sides that have the file.
    rules
        What names the members of lists.
    assumed
        The side that is taken where a conflict is open; None: markers are written.
    """

    texts: dict[Side, Text]
    rules: Rules
    assumed: Side | None = None

    # --- the file -----------------------------------------------------------------------------------------------------

    def file(self, outcome: Outcome) -> str:
        """Return the text of the whole file."""
        joined = self._expanded((), outcome, {side: _value(text) for side, text in self.texts.items()})
        heads, blocks = {}, {}
        # the comments of a file that holds nothing else may stand above the first key elsewhere
        bare = any(found.root is None or not found.root.pairs for found in self.texts.values())
        for side, found in self.texts.items():
            heads[side], blocks[side] = _root(found, bare)
        text = self._members((), joined, blocks, 0)
        return merged_lines(heads) + (text or "{}\n") + merged_lines({s: b.tail for s, b in blocks.items()})

    def _members(self, path: Path, joined: Joined, blocks: dict[Side, Block], column: int) -> str:
        """Return the text of every member of a block."""
        named = {side: self._named(path, found, joined.mapping) for side, found in blocks.items()}
        parts = []
        for name, outcome in joined.members.items():
            entries = {side: found[name] for side, found in named.items() if name in found}
            parts.append(self._entry((*path, name), outcome, entries, column))
        return "".join(parts)

    def _named(self, path: Path, found: Block, mapping: bool) -> dict[Hashable, Entry]:
        if mapping:
            return {entry.key_value: entry for entry in found.entries}
        names = self.rules.names(path, [entry.value.value for entry in found.entries]) or []
        return dict(zip(names, found.entries, strict=True))

    # --- an entry -----------------------------------------------------------------------------------------------------

    def _entry(self, path: Path, outcome: Outcome, entries: dict[Side, Entry], column: int) -> str:
        # comments are indented as their entry is
        leads = {side: shifted(entry.lead, column - entry.column) for side, entry in entries.items()}
        body = self._body(path, outcome, entries, column)
        return merged_lines(leads) + body if body else new_comments(leads)

    def _body(self, path: Path, outcome: Outcome, entries: dict[Side, Entry], column: int) -> str:
        outcome = self._settled(outcome)
        if isinstance(outcome, Clash):
            bodies = {side: shifted(entry.body, column - entry.column) for side, entry in entries.items()}
            return _between_markers(bodies)
        if isinstance(outcome, Taken):
            return self._taken(path, outcome.value, entries, column)
        if any(entry.value.block for entry in entries.values()):
            return self._block(path, outcome, entries, column)
        if self.assumed is None and conflicts_of(outcome):
            return self._marked(lambda one: one._body(path, outcome, entries, column))
        text = self._flow(path, outcome, {side: entry.value for side, entry in entries.items()})
        main = _prefix(entries) + text
        return " " * column + main + merged_trails({side: entry.trail for side, entry in entries.items()}) + "\n"

    def _settled(self, outcome: Outcome) -> Outcome:
        """Return what comes out, of an open conflict the side that is assumed."""
        if isinstance(outcome, Clash) and self.assumed is not None:
            return Taken(outcome.sides[self.assumed])
        return outcome

    def _marked(self, text_of: Callable[[Writer], str]) -> str:
        return _between_markers({side: text_of(replace(self, assumed=side)) for side in SIDES})

    def _taken(self, path: Path, value: Any, entries: dict[Side, Entry], column: int) -> str:
        """Return the lines of a value that is settled, from the sides that hold it."""
        if value is ABSENT:
            return ""
        bodies = {side: shifted(entry.body, column - entry.column) for side, entry in entries.items()}
        holding = [side for side in SIDES if side in entries and equal(entries[side].value.value, value)]
        if not holding:
            return _anew(entries, value, column)
        changed = [s for s in (Side.OURS, Side.THEIRS) if s in bodies and bodies[s] != bodies.get(Side.BASE)]
        if len({bodies[side] for side in changed}) > 1:
            # both changed its lines, if only a comment in them
            nodes = [entry.value for entry in entries.values()]
            if all(node.kind == "map" for node in nodes) and any(node.block for node in nodes):
                values = {side: entry.value.value for side, entry in entries.items()}
                return self._block(path, self._expanded(path, Taken(value), values), entries, column)
            if all(entry.one_line for entry in entries.values()):
                main = _preferred({side: entries[side].main for side in holding})
                trail = merged_trails({side: entry.trail for side, entry in entries.items()})
                return " " * column + main + trail + "\n"
        return _preferred({side: bodies[side] for side in holding})

    def _expanded(self, path: Path, outcome: Outcome, values: dict[Side, Any]) -> Joined:
        """Return a settled mapping as one of which each member is settled."""
        if isinstance(outcome, Joined):
            return outcome
        if isinstance(outcome, Clash):
            raise UnusualYamlError("a file that both sides changed as a whole")
        value = outcome.value
        if not isinstance(value, dict):
            raise UnusualYamlError("a file that holds no mapping")
        keys = {side: list(found) if isinstance(found, dict) else [] for side, found in values.items()}
        order = joined_order(*(keys.get(side, []) for side in SIDES))
        order += [key for key in value if key not in order]
        return Joined({key: Taken(value.get(key, ABSENT)) for key in order}, mapping=True)

    # --- a block ------------------------------------------------------------------------------------------------------

    def _block(self, path: Path, joined: Joined, entries: dict[Side, Entry], column: int) -> str:
        """Return the lines of an entry of which the value has lines of its own on a side."""
        inside = {side: inner(entry) for side, entry in entries.items() if entry.value.block}
        deeper = smallest({side: found.column - entries[side].column for side, found in inside.items()})
        blocks = {
            side: inside.get(side) or self._as_block(side, entry.value, column + deeper)
            for side, entry in entries.items()
        }
        text = self._members(path, joined, blocks, column + deeper)
        below = {side: shifted(found.tail, column + deeper - found.column) for side, found in blocks.items()}
        text += merged_lines({side: below[side] for side in inside})
        settled = self.assumed is not None or not conflicts_of(joined)
        if settled and not value_of(joined, self.assumed or Side.OURS):
            return " " * column + _prefix(entries) + ("{}" if joined.mapping else "[]") + "\n"
        behind_dash = [s for s, e in entries.items() if s in inside and e.value.start[0] == e.start]
        if behind_dash:
            if self.assumed is None and conflicts_of(joined):
                return self._marked(lambda one: one._block(path, joined, entries, column))
            return _with_dash(text, column)
        heads = {side: entries[side] for side in inside}
        main = _preferred({side: entry.main for side, entry in heads.items()})
        return " " * column + main + merged_trails({s: e.trail for s, e in heads.items()}) + "\n" + text

    def _as_block(self, side: Side, node: Node, column: int) -> Block:
        """Return what one side wrote within brackets as entries with a line each."""
        found = []
        for key, value in node.pairs:
            name = self._raw(side, key) or flow_text(key.value)
            found.append(written(name, self._raw(side, value) or flow_text(value.value), value, key.value))
        for member in node.members:
            found.append(written("", self._raw(side, member) or flow_text(member.value), member, None))
        return Block(column, found, "")

    # --- within brackets ----------------------------------------------------------------------------------------------

    def _flow(self, path: Path, outcome: Outcome, nodes: dict[Side, Node]) -> str:
        assert not isinstance(outcome, Clash), "an open conflict stands between markers, or a side is assumed"
        if isinstance(outcome, Taken):
            raws = {s: self._raw(s, n) for s, n in nodes.items() if equal(n.value, outcome.value)}
            usable = {side: raw for side, raw in raws.items() if raw}
            return _preferred(usable) if usable else flow_text(outcome.value)
        parts = []
        named = {side: self._named_nodes(path, node, outcome.mapping) for side, node in nodes.items()}
        for name, member in outcome.members.items():
            at = {side: found[name] for side, found in named.items() if name in found}
            settled = self._settled(member)
            if isinstance(settled, Taken) and settled.value is ABSENT:
                continue
            text = self._flow((*path, name), settled, {side: value for side, (_, value) in at.items()})
            if outcome.mapping:
                keys = {side: self._raw(side, key) for side, (key, _) in at.items() if key is not None}
                text = f"{_preferred({s: k for s, k in keys.items() if k}) or flow_text(name)}: {text}"
            parts.append(text)
        return self._bracketed(parts, nodes, outcome.mapping)

    def _named_nodes(self, path: Path, node: Node, mapping: bool) -> dict[Hashable, tuple[Node | None, Node]]:
        if mapping:
            return {key.value: (key, value) for key, value in node.pairs}
        names = self.rules.names(path, [member.value for member in node.members]) or []
        return {name: (None, member) for name, member in zip(names, node.members, strict=True)}

    def _bracketed(self, parts: list[str], nodes: dict[Side, Node], mapping: bool) -> str:
        """Return members within brackets, with spaces and lines as the list had them."""
        written = {s: self.texts[s].text[n.start[2] : n.end[2]] for s, n in nodes.items() if n.flow and n.end > n.start}
        like = _preferred({s: text for s, text in written.items() if text[:1] in "[{" and len(text) > 2})
        opening, closing = "{}" if mapping else "[]"
        if not parts:
            return opening + closing
        if "\n" not in like:
            space = " " if like[1:2] == " " else ""
            return opening + space + ", ".join(parts) + space + closing
        side = min(side for side, text in written.items() if text == like)
        node = nodes[side]
        first = (node.members or [key for key, _ in node.pairs])[0]
        if first.start[0] == node.start[0]:
            return opening + ", ".join(parts) + closing
        line = "\n" + " " * first.start[1]
        comma = "," if like[:-1].rstrip().endswith(",") else ""
        last = "\n" + " " * (node.end[1] - 1) if "\n" in like[len(like[:-1].rstrip()) :] else ""
        return opening + line + f",{line}".join(parts) + comma + last + closing

    def _raw(self, side: Side, node: Node) -> str:
        """Return how a side wrote a value; empty where that cannot stand within brackets on one line."""
        raw = self.texts[side].text[node.start[2] : node.end[2]]
        if node.block or "\n" in raw or raw[:1] in ("|", ">"):
            return ""
        if node.kind == "scalar" and raw[:1] not in ("'", '"'):
            return "" if _UNSAFE_WITHIN_BRACKETS & set(raw) or ": " in raw or raw.endswith(":") else raw
        return "" if node.kind != "scalar" and "#" in raw else raw


def _between_markers(texts: dict[Side, str]) -> str:
    opening, middle, parting, closing = markers()
    ours, base, theirs = (texts.get(side, "") for side in (Side.OURS, Side.BASE, Side.THEIRS))
    return f"{opening}\n{ours}{middle}\n{base}{parting}\n{theirs}{closing}\n"


# --- small texts ------------------------------------------------------------------------------------------------------


def _value(text: Text) -> Any:
    return {} if text.root is None else text.root.value


def _root(text: Text, bare: bool) -> tuple[str, Block]:
    """Return the comments at the head of a file, up to an empty line (`bare`: all of them), and its entries."""
    lines = text.text.splitlines(keepends=True)
    root = text.root
    if root is None:
        return text.text, Block(0, [], "")
    if root.kind != "map":
        raise UnusualYamlError("a file that holds no mapping")
    if root.flow:
        if root.pairs or root.start[1] or lines[root.end[0]][root.end[1] :].strip():
            raise UnusualYamlError("a file that is written within brackets")
        return "".join(lines[: root.start[0]]), Block(0, [], "".join(lines[root.end[0] + 1 :]))
    found = block(lines, root, 0, len(lines))
    lead = found.entries[0].lead.splitlines(keepends=True)
    ends = [number + 1 for number, line in enumerate(lead) if not line.strip() or line.startswith("---")]
    head = len(lead) if bare else max(ends, default=0)
    found.entries[0] = replace(found.entries[0], lead="".join(lead[head:]))
    return "".join(lead[:head]), found


def _prefix(entries: dict[Side, Entry]) -> str:
    key = _preferred({side: entry.key for side, entry in entries.items()})
    return f"{key}: " if key else "- "


def _preferred(texts: dict[Side, str]) -> str:
    """Return how a value is written: as the side that changed its spelling does, else the base, else the smaller."""
    return three(texts.get(Side.BASE), texts.get(Side.OURS), texts.get(Side.THEIRS), lambda _, o, t: min(o, t)) or (
        texts.get(Side.BASE) or ""
    )


def _with_dash(text: str, column: int) -> str:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            lines[number] = line[:column] + "-" + line[column + 1 :]
            break
    return "".join(lines)


def _anew(entries: dict[Side, Entry], value: Any, column: int) -> str:
    """Return the lines of a value that no side has."""
    trail = merged_trails({side: entry.trail for side, entry in entries.items() if entry.one_line})
    prefix = _prefix(entries)
    if prefix != "- " and isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        return " " * column + prefix.rstrip() + "\n" + shifted(block_text(value), column + 2)
    return " " * column + prefix + flow_text(value) + trail + "\n"
