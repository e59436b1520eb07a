"""The three-way merge of plain values: what is to come out, before anything is said about text.

Both orders of the sides give the same: where one of two values must be taken, it is the smaller one.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from emdvc.history.merging.contract import ABSENT, Choice, Choices, Conflict, Edited, Neither, Side

#: Where a value stands: the keys of mappings and the names of members, from the outside in.
Path = tuple[Hashable, ...]
#: A value on each of the three sides; ABSENT where there is none.
Sides = Mapping[Side, Any]

N = TypeVar("N", bound=Hashable)

SIDES = (Side.BASE, Side.OURS, Side.THEIRS)


class Rules(Protocol):
    """What is known of a kind of file beyond YAML."""

    def atom(self, path: Path, value: Any) -> bool:
        """Say whether a mapping or a list moves as a whole."""

    def same(self, path: Path, ours: Any, theirs: Any) -> bool:
        """Say whether two values that are spelt in different ways say the same."""

    def names(self, path: Path, members: list[Any]) -> list[Hashable] | None:
        """Return a name for each member of a list, all different; None where the list moves as a whole."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A value that is settled; ABSENT where it goes."""

    value: Any


@dataclass(frozen=True, slots=True)
class Clash:
    """What is still to be chosen."""

    conflict: Conflict
    sides: Sides


@dataclass(frozen=True, slots=True)
class Joined:
    """A mapping or a list that is merged member by member: names with what comes of each (also of those that go)."""

    members: dict[Hashable, Outcome]
    mapping: bool


Outcome = Taken | Clash | Joined


@dataclass(slots=True)
class Question:
    """What stands at several places of a file and makes sense only together: one conflict for all of them.

    Parameters
    ----------
    conflict
        The conflict.
    paths
        Where it stands.
    """

    conflict: Conflict
    paths: frozenset[Path]


@dataclass(slots=True)
class ValueMerge:
    """A merge of values under way.

    Parameters
    ----------
    rules
        What is known of the kind of file.
    choices
        What was chosen.
    questions
        Conflicts that are known before the values are looked at one by one.
    """

    rules: Rules
    choices: Choices
    questions: Sequence[Question] = ()
    _above: set[Path] = field(init=False)
    _only_key: set[Path] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Note every place that must be looked into because a question lies below."""
        self._above = {path[:end] for question in self.questions for path in question.paths for end in range(len(path))}

    def merge(self, path: Path, sides: Sides) -> Outcome:
        """Return what comes of the values at a place."""
        for question in self.questions:
            if path in question.paths:
                return self._asked(question.conflict, sides, path)
        base, ours, theirs = (sides[side] for side in SIDES)
        if path not in self._above:
            if equal(ours, theirs) or equal(theirs, base):
                return Taken(ours)
            if equal(ours, base):
                return Taken(theirs)
        joined = self._joined(path, sides)
        if joined is not None:
            return joined
        if ours is not ABSENT and theirs is not ABSENT and self.rules.same(path, ours, theirs):
            return Taken(min(ours, theirs, key=canonical))
        return self._asked(Conflict(self._name(path), base, ours, theirs, _why(base, ours, theirs)), sides, path)

    def _name(self, path: Path) -> str:
        """Return a place as it is spoken of: a member of a list that is named by its only key is that key's value."""
        return dotted(tuple(name for end, name in enumerate(path) if path[:end] not in self._only_key))

    def _joined(self, path: Path, sides: Sides) -> Joined | None:
        """Return the values merged member by member; None where they are not of that kind."""
        present = {side: value for side, value in sides.items() if value is not ABSENT}
        if sides[Side.BASE] is None and len(present) == 3:
            # `stages:` with nothing below it is a mapping or a list that is still empty
            del present[Side.BASE]
        changed = (Side.OURS in present and Side.THEIRS in present) or path in self._above
        if not changed or any(self.rules.atom(path, value) for value in present.values()):
            return None
        if all(isinstance(value, dict) for value in present.values()):
            named: dict[Side, dict[Hashable, Any]] = present
        elif all(isinstance(value, list) for value in present.values()):
            names = {side: self.rules.names(path, value) for side, value in present.items()}
            if any(found is None for found in names.values()):
                return None
            named = {side: dict(zip(names[side] or [], value, strict=True)) for side, value in present.items()}
        else:
            return None
        keys = {side: list(named.get(side, ())) for side in SIDES}
        mapping = all(isinstance(value, dict) for value in present.values())
        members = {}
        for key in joined_order(keys[Side.BASE], keys[Side.OURS], keys[Side.THEIRS]):
            at = {side: named.get(side, {}).get(key, ABSENT) for side in SIDES}
            if all(value is ABSENT or (isinstance(value, dict) and list(value) == [key]) for value in at.values()):
                self._only_key.update([] if mapping else [(*path, key)])
            members[key] = self.merge((*path, key), at)
        return Joined(members, mapping)

    def _asked(self, conflict: Conflict, sides: Sides, path: Path) -> Outcome:
        choice = self.choices.of(conflict.key)
        if choice is None:
            return Clash(conflict, sides)
        return Taken(chosen(choice, sides, self._name(path), conflict))


def chosen(choice: Choice, sides: Sides, name: str, conflict: Conflict) -> Any:
    """Return the value that a choice gives at one place of a conflict."""
    if isinstance(choice, Neither):
        text = "\0".join(sorted(canonical(sides[side]) for side in (Side.OURS, Side.THEIRS)))
        return "neither-" + hashlib.sha256(text.encode()).hexdigest()[:8]
    if isinstance(choice, Edited):
        if conflict.key == name:
            return choice.value
        # of a conflict about several places the answer is a mapping of them
        return choice.value.get(name, ABSENT) if isinstance(choice.value, dict) else choice.value
    return sides[choice]


def value_of(outcome: Outcome, assumed: Side = Side.OURS) -> Any:
    """Return the value that comes out, of what is still open that of one side."""
    if isinstance(outcome, Taken):
        return outcome.value
    if isinstance(outcome, Clash):
        return outcome.sides[assumed]
    found = {name: value_of(member, assumed) for name, member in outcome.members.items()}
    found = {name: value for name, value in found.items() if value is not ABSENT}
    return found if outcome.mapping else list(found.values())


def conflicts_of(outcome: Outcome) -> list[Conflict]:
    """Return what is still open, each conflict once."""
    if isinstance(outcome, Clash):
        return [outcome.conflict]
    if isinstance(outcome, Taken):
        return []
    found = [conflict for member in outcome.members.values() for conflict in conflicts_of(member)]
    return list({conflict.key: conflict for conflict in found}.values())


def _why(base: Any, ours: Any, theirs: Any) -> str:
    if ours is ABSENT or theirs is ABSENT:
        return "one side removed it, the other changed it"
    return (
        "both sides added it, with different values" if base is ABSENT else "both sides changed it to different values"
    )


# --- which values are one ---------------------------------------------------------------------------------------------


def equal(one: Any, other: Any) -> bool:
    """Say whether two plain values are the same; 1, 1.0 and true are three, and the order of keys does not count."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(key in other and equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def canonical(value: Any) -> str:
    """Return a text of a value by which two are ordered."""
    if value is ABSENT:
        return ""
    return json.dumps(_sortable(value), sort_keys=True, default=str, ensure_ascii=False)


def _sortable(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{key} {type(key).__name__}": _sortable(member) for key, member in value.items()}
    return [_sortable(member) for member in value] if isinstance(value, list) else value


# --- names and order --------------------------------------------------------------------------------------------------

_SIMPLE = re.compile(r"[^\s.\"'\[\]{},:#]+")


def dotted(path: Path) -> str:
    """Return a place as it is spoken of: ``rings.width``.

    A name that is empty or holds a dot, a space, quotes, brackets, a comma, a colon or a # stands in double quotes, as
    JSON writes it: ``stages.vdet.deps."raw/scan01.mib"``.
    """
    words = (str(name) for name in path)
    return ".".join(word if _SIMPLE.fullmatch(word) else json.dumps(word, ensure_ascii=False) for word in words)


def joined_order(base: Sequence[N], ours: Sequence[N], theirs: Sequence[N]) -> list[N]:
    """Return all names of three sequences in one order, whichever side is ours.

    The base's order, or that of the one side which changed it; new names after the one they follow on their side; where
    both add at one place, sorted.
    """
    spine = _spine(base, ours, theirs)
    at = {name: index for index, name in enumerate(spine)}
    added: dict[int, tuple[list[N], list[N]]] = {}
    places: dict[N, int] = {}
    for side in (ours, theirs):
        place = -1
        for name in side:
            place = at.get(name, place)
            if name not in at:
                places[name] = min(place, places.get(name, place))
    for index, side in enumerate((ours, theirs)):
        for name in side:
            if name not in at:
                added.setdefault(places[name], ([], []))[index].append(name)
    order: list[N] = []
    for place in range(-1, len(spine)):
        if place >= 0:
            order.append(spine[place])
        mine, other = added.get(place, ([], []))
        if not mine or not other or mine == other:
            order += mine or other
        else:
            order += sorted(dict.fromkeys([*mine, *other]), key=lambda name: (str(name), type(name).__name__))
    return order


def _spine(base: Sequence[N], ours: Sequence[N], theirs: Sequence[N]) -> list[N]:
    """Return the base's names in the base's order, or in that of the one side that put them into another."""
    moved = [side for side in (ours, theirs) if _common(side, base) != _common(base, side)]
    if len(moved) != 1 and not (moved and _common(moved[0], base) == _common(moved[1], base)):
        return list(base)
    order = _common(moved[0], base)
    for index, name in enumerate(base):
        if name not in order:
            order.insert(order.index(base[index - 1]) + 1 if index else 0, name)
    return order


def _common(names: Iterable[N], others: Iterable[N]) -> list[N]:
    among = set(others)
    return [name for name in names if name in among]
