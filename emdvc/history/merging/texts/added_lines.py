"""Merging .gitignore and .gitattributes, to whose ends DVC and emdvc add lines.

Two people who each put a scan under version control both write there, which git alone takes for a conflict.
"""

from __future__ import annotations

from emdvc.history.merging.contract import Choices, Merged, Place, Three
from emdvc.history.merging.texts.lines import merge_lines


def merge_ignored(three: Three, place: Place, choices: Choices) -> Merged:
    """Return the lines of both sides: those of the base in its order, without what a side took out; then the new ones.

    Where a line says what is *not* to be ignored the order counts, and the file is merged line by line.
    """
    base, ours, theirs = (_lines(content) for content in (three.base, three.ours, three.theirs))
    if None in (three.ours, three.theirs) or any(line.startswith("!") for line in (*base, *ours, *theirs)):
        return merge_lines(three, place, choices)
    kept = [line for line in base if line in ours and line in theirs]
    return _joined(kept, {*ours, *theirs} - {*base})


def merge_attributes(three: Three, place: Place, choices: Choices) -> Merged:
    """Return the lines of both sides where both only added some, and for different patterns.

    The last line that fits a file counts; so anything else is merged line by line.
    """
    base, ours, theirs = (_lines(content) for content in (three.base, three.ours, three.theirs))
    here, there = set(ours[len(base) :]), set(theirs[len(base) :])
    patterns = {line.split()[0] for line in here - there if line.split()}
    shared = patterns & {line.split()[0] for line in there - here if line.split()}
    appended = ours[: len(base)] == base == theirs[: len(base)]
    if None in (three.ours, three.theirs) or shared or not appended:
        return merge_lines(three, place, choices)
    return _joined(base, here | there)


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode("utf-8", "surrogateescape").splitlines()


def _joined(before: list[str], since: set[str]) -> Merged:
    lines = [*before, *sorted(line for line in since if line.strip())]
    return Merged("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
