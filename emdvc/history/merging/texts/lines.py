"""Merging what emdvc knows no keys of: a text line by line, as git does, anything else as a whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from emdvc.history import git
from emdvc.history.merging.contract import (
    ABSENT,
    Choice,
    Choices,
    Conflict,
    Edited,
    Merged,
    Place,
    Side,
    Three,
    markers,
)
from emdvc.history.merging.texts.whole_file import whole_conflict

#: No text holds a line that begins with so many of git's signs.
_SIZE = 61
#: Bytes that git looks at to tell a text from anything else.
_LOOKED_AT = 8000


#: The sides of a place where both changed the same lines.
_Asked = dict[Side, bytes]


def merge_lines(three: Three, place: Place, choices: Choices) -> Merged:
    """Return a file merged line by line; one that is no text, or that a side has not, is asked about as a whole.

    The keys of conflicts count the places that are asked about, from the top: ``place 2``.
    """
    sides = (three.base or b"", three.ours, three.theirs)
    if any(side is None or b"\0" in side[:_LOOKED_AT] for side in sides):
        return merge_whole(three, place, choices)
    opened, middle, closed, end = (mark.encode() for mark in markers())
    content, conflicts, count = b"", [], 0
    for part in _parts(three, place):
        if isinstance(part, bytes):
            content += part
            continue
        count += 1
        choice = choices.of(f"place {count}")
        if choice is not None:
            content += _chosen(part, choice)
            continue
        base, ours, theirs = (part[side] for side in Side)
        content += opened + b"\n" + ours + middle + b"\n" + base + closed + b"\n" + theirs + end + b"\n"
        conflicts.append(_conflict(f"place {count}", part))
    return Merged(content, tuple(conflicts))


def merge_whole(three: Three, place: Place, choices: Choices) -> Merged:
    """Return one side's file, as it was chosen."""
    del place
    return whole_conflict(three, choices, _why(three))


def _why(three: Three) -> str:
    base = three.base is not None
    if three.ours is None:
        return "theirs changed it, ours removed it" if base else "theirs alone has it at this place"
    if three.theirs is None:
        return "ours changed it, theirs removed it" if base else "ours alone has it at this place"
    return "both sides changed it" if base else "both sides added it, each another one"


def _chosen(sides: _Asked, choice: Choice) -> bytes:
    if isinstance(choice, Side):
        return sides[choice]
    if isinstance(choice, Edited):
        text = str(choice.value or "").encode()
        return text if not text or text.endswith(b"\n") else text + b"\n"
    return b"".join(sorted({sides[Side.OURS], sides[Side.THEIRS]}))


def _conflict(key: str, sides: _Asked) -> Conflict:
    base, ours, theirs = (sides[side].decode("utf-8", "replace") or ABSENT for side in Side)
    return Conflict(key, base, ours, theirs, "both sides changed the same lines")


def _parts(three: Three, place: Place) -> Iterator[bytes | _Asked]:
    """Yield what git merged, and what it asks about, in the file's order."""
    opened, middle, closed, end = markers(_SIZE)
    begins = {opened.encode(): Side.OURS, middle.encode(): Side.BASE, closed.encode(): Side.THEIRS}
    found: _Asked = {}
    at: Side | None = None
    settled: list[bytes] = []
    for line in _merged(three, place).splitlines(keepends=True):
        mark = line.rstrip(b"\r\n")
        if mark in begins:
            at = begins[mark]
            found[at] = b""
        elif mark == end.encode():
            yield b"".join(settled)
            yield found
            settled, found, at = [], {}, None
        elif at is not None:
            found[at] += line
        else:
            settled.append(line)
    yield b"".join(settled)


def _merged(three: Three, place: Place) -> bytes:
    """Return what git makes of the three sides, with its longest markers around what it asks about."""
    with tempfile.TemporaryDirectory() as folder:
        names = [Path(folder, str(side)) for side in (Side.OURS, Side.BASE, Side.THEIRS)]
        for name in names:
            name.write_bytes(three.side(Side(name.name)) or b"")
        labels = [word for side in (Side.OURS, Side.BASE, Side.THEIRS) for word in ("-L", str(side))]
        asked = ["merge-file", "-p", "--diff3", f"--marker-size={_SIZE}", *labels, *map(os.fspath, names)]
        # the status is the number of places that are asked about
        return git.run(asked, place.project.git_root, accept=tuple(range(128))).stdout
