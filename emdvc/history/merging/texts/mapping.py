"""Merges YAML and JSON by their keys, keeping people's text: comments, quotes, order, empty lines.

What is to come out is decided on the values (``values``); its text is put together from the lines of the three sides
(``yaml_writing``); then it is read back, and must be that value.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from emdvc.history.merging.contract import Choices, Conflict, Merged, Place, Side, Three
from emdvc.history.merging.texts.json_files import merge_json
from emdvc.history.merging.texts.text_form import Form, formed, read
from emdvc.history.merging.texts.values import (
    SIDES,
    Clash,
    Outcome,
    Path,
    Question,
    Rules,
    Taken,
    ValueMerge,
    conflicts_of,
    equal,
    value_of,
)
from emdvc.history.merging.texts.whole_file import line_merged, whole_conflict
from emdvc.history.merging.texts.yaml_dumping import block_text
from emdvc.history.merging.texts.yaml_nodes import UnusualYamlError, load, parse
from emdvc.history.merging.texts.yaml_writing import Text, Writer
from emdvc.model.quantity import Quantity, is_quantity

__all__ = ["DefaultRules", "Rules", "merge_json", "merge_text", "merge_values", "merge_yaml"]

#: A text above so many lines is read back by the fast parser only.
_READ_TWICE = 500
_QUANTITY = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?(?P<unit>.*)")

#: Gives the conflicts that lie in several values together, from the values of the three sides.
Questions = Callable[[Mapping[Side, Any]], Sequence[Question]]
#: Gives sentences about a merged value, from it and the values of the three sides.
Remarks = Callable[[Any, Mapping[Side, Any]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of YAML file.

    Parameters
    ----------
    rules
        Which values are atoms, which are the same, how members of lists are named.
    questions
        Gives conflicts that lie in several values together.
    remarks
        Gives sentences about what was merged without a conflict.
    """

    rules: Rules
    questions: Questions = lambda sides: ()
    remarks: Remarks = lambda value, sides: ()


class DefaultRules:
    """What holds for any YAML of people: quantities are atoms, lists of names are sets."""

    def atom(self, path: Path, value: Any) -> bool:
        """Say whether a mapping or a list moves as a whole: a quantity does."""
        return is_quantity(value)

    def same(self, path: Path, ours: Any, theirs: Any) -> bool:
        """Say whether two values measure the same, as 300 keV and 0.3 MeV do."""
        one, other = quantity_of(ours), quantity_of(theirs)
        return one is not None and other is not None and one.same(other)

    def names(self, path: Path, members: list[Any]) -> list[Hashable] | None:
        """Return the names of a list's members; None where it holds numbers, or the same name twice."""
        return names_of(members)


def quantity_of(value: Any) -> Quantity | None:
    """Return the quantity that a mapping or a text such as ``20 mrad`` is; None where it is none."""
    from emdvc.errors import MetadataError

    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match is None or not match["unit"].strip():
            return None
    elif not is_quantity(value):
        return None
    try:
        return Quantity.parse(value) if isinstance(value, str) else Quantity.from_dict(value)
    except MetadataError:
        return None


def names_of(members: list[Any]) -> list[Hashable] | None:
    """Return a name for each member: a text is its own, a mapping has ``name``, ``path`` or a single key."""
    names = [_name(member) for member in members]
    if None in names or len(set(names)) < len(names):
        return None
    return list(names)


def _name(member: Any) -> str | None:
    if isinstance(member, str):
        # a list of numbers or quantities is a vector; 01_scan.mib only begins with a number
        match = _QUANTITY.fullmatch(member)
        vector = match is not None and (not match["unit"].strip() or quantity_of(member) is not None)
        return None if vector else member
    if not isinstance(member, dict):
        return None
    for key in ("name", "path"):
        if isinstance(member.get(key), str):
            return str(member[key])
    return str(next(iter(member))) if len(member) == 1 else None


def merge_yaml(three: Three, place: Place, choices: Choices) -> Merged:
    """Merge a YAML file of people, such as params.yaml, by its keys."""
    return merge_text(three, choices, Kind(DefaultRules()))


def merge_values(
    base: Any,
    ours: Any,
    theirs: Any,
    rules: Rules | None = None,
    choices: Choices | None = None,
    questions: Sequence[Question] = (),
) -> tuple[Any, list[Conflict]]:
    """Merge plain values.

    Parameters
    ----------
    base, ours, theirs
        Plain values; :data:`ABSENT` where a side has none.
    rules
        What is known of them.
    choices
        What was chosen.
    questions
        Conflicts that are known already.

    Returns
    -------
    The merged value, with ours where a conflict is open, and the open conflicts.
    """
    merge = ValueMerge(rules or DefaultRules(), Choices() if choices is None else choices, questions)
    outcome = merge.merge((), {Side.BASE: base, Side.OURS: ours, Side.THEIRS: theirs})
    return value_of(outcome), conflicts_of(outcome)


# --- texts ------------------------------------------------------------------------------------------------------------


def merge_text(three: Three, choices: Choices, kind: Kind) -> Merged:
    """Merge a YAML file by its keys.

    Parameters
    ----------
    three
        The file on the three sides.
    choices
        What was chosen.
    kind
        What is known of it.
    """
    sides = {side: content for side in SIDES if (content := three.side(side)) is not None}
    ours, theirs = three.ours, three.theirs
    if ours == theirs or theirs == three.base:
        return Merged(ours)
    if ours == three.base:
        return Merged(theirs)
    if ours is None or theirs is None:
        return whole_conflict(three, choices, "one side removed the file, the other changed it")
    try:
        with _all_kept():
            forms = {side: read(content) for side, content in sides.items()}
            return _merged(three, forms, choices, kind)
    except UnusualYamlError as error:
        return _by_lines(three, choices, kind, str(error))


@contextmanager
def _all_kept() -> Iterator[None]:
    """Keep Python from looking for garbage: the trees of texts have none, and looking takes as long as reading."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _merged(three: Three, forms: dict[Side, tuple[str, Form]], choices: Choices, kind: Kind) -> Merged:
    texts = {side: Text(text, parse(text)) for side, (text, _) in forms.items()}
    values = {side: {} if text.root is None else text.root.value for side, text in texts.items()}
    outcome = _outcome(values, choices, kind)
    notes: tuple[str, ...] = ()
    text = _checked(Writer(texts, kind.rules), outcome)
    if text is None and not conflicts_of(outcome) and _holds(lines := line_merged(three), value_of(outcome)):
        return Merged(lines, notes=tuple(kind.remarks(value_of(outcome), values)))
    if text is None:
        # better without comments than with another value
        texts = {side: Text(made, parse(made)) for side, value in values.items() for made in [block_text(value)]}
        text = _checked(Writer(texts, kind.rules), outcome)
        notes = ("written anew, without its comments: its text could not be merged line by line",)
    if text is None:
        raise UnusualYamlError("a text that cannot be merged by its lines")
    conflicts = tuple(conflicts_of(outcome))
    if not conflicts:
        notes += tuple(kind.remarks(value_of(outcome), values))
    return Merged(formed(text, {side: form for side, (_, form) in forms.items()}), conflicts, notes)


def _outcome(values: Mapping[Side, Any], choices: Choices, kind: Kind) -> Outcome:
    # where both added the file, they added every key of it
    sides = {Side.BASE: {}, **values}
    return ValueMerge(kind.rules, choices, kind.questions(sides)).merge((), sides)


def _checked(writer: Writer, outcome: Outcome) -> str | None:
    """Return the text of what comes out; None where it does not read back as that."""
    if isinstance(outcome, Clash) or (isinstance(outcome, Taken) and not isinstance(outcome.value, dict)):
        raise UnusualYamlError("a file that holds no mapping")
    open_ones = conflicts_of(outcome)
    try:
        for side in (Side.OURS, Side.THEIRS) if open_ones else (Side.OURS,):
            text = Writer(writer.texts, writer.rules, side).file(outcome)
            if not _reads_as(text, value_of(outcome, side)):
                return None
        return writer.file(outcome) if open_ones else text
    except UnusualYamlError:
        return None


def _reads_as(text: str, value: Any) -> bool:
    root = parse(text)
    found = {} if root is None else root.value
    if not equal(found, value):
        return False
    return text.count("\n") > _READ_TWICE or equal(load(text) or {}, value)


def _holds(content: bytes | None, value: Any) -> bool:
    """Say whether a file as git merged it reads as a value."""
    try:
        return content is not None and equal(load(content.decode("utf-8")), value)
    except (UnusualYamlError, UnicodeDecodeError):
        return False


# --- what is not merged by its keys -----------------------------------------------------------------------------------


def _by_lines(three: Three, choices: Choices, kind: Kind, reason: str) -> Merged:
    """Merge a file as git does, where that is clean and gives the value that its keys give."""
    merged = line_merged(three)
    if merged is not None:
        try:
            values = {
                side: load(content.decode("utf-8")) for side in SIDES if (content := three.side(side)) is not None
            }
            values = {side: {} if value is None else value for side, value in values.items()}
            outcome = _outcome(values, Choices(), kind)
            if not conflicts_of(outcome) and _holds(merged, value_of(outcome)):
                return Merged(merged, notes=tuple(kind.remarks(value_of(outcome), values)))
        except (UnusualYamlError, UnicodeDecodeError):
            pass
    return whole_conflict(three, choices, f"both sides changed a file that cannot be merged by its keys: {reason}")
