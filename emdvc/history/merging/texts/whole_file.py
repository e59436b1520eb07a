"""Files that are one atom: taken from a side as a whole, or merged line by line as git does."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from emdvc.history.merging.contract import (
    ABSENT,
    Choices,
    Conflict,
    Edited,
    Merged,
    Neither,
    Side,
    Three,
    markers,
)


def line_merged(three: Three) -> bytes | None:
    """Return a file merged line by line by git; None where that leaves a conflict."""
    from emdvc.history import git

    with tempfile.TemporaryDirectory(prefix="emdvc-merge-") as folder:
        names = []
        for side in (Side.OURS, Side.BASE, Side.THEIRS):
            path = Path(folder) / side
            path.write_bytes(three.side(side) or b"")
            names.append(str(path))
        done = git.run(["merge-file", "-p", *names], Path(folder), accept=tuple(range(256)))
    return done.stdout if done.returncode == 0 else None


def whole_conflict(three: Three, choices: Choices, why: str) -> Merged:
    """Return a file of which both sides cannot be had: what was chosen, else its sides between markers.

    Parameters
    ----------
    three
        The file on the three sides.
    choices
        What was chosen; the conflict's key is empty.
    why
        What the two sides did.
    """
    choice = choices.of("")
    if isinstance(choice, Side):
        return Merged(three.side(choice))
    if isinstance(choice, Neither):
        both = sorted((three.ours or b"", three.theirs or b""))
        return Merged(b"neither-" + hashlib.sha256(b"\0".join(both)).hexdigest()[:8].encode() + b"\n")
    if isinstance(choice, Edited):
        return Merged(_as_bytes(choice.value))
    opening, middle, parting, closing = (line.encode() + b"\n" for line in markers())
    ours, base, theirs = (_lines(three.side(side)) for side in (Side.OURS, Side.BASE, Side.THEIRS))
    content = opening + ours + middle + base + parting + theirs + closing
    told = {side: ABSENT if three.side(side) is None else _size(three.side(side)) for side in Side}
    return Merged(content, (Conflict("", told[Side.BASE], told[Side.OURS], told[Side.THEIRS], why),))


def _lines(content: bytes | None) -> bytes:
    if not content:
        return b""
    return content if content.endswith(b"\n") else content + b"\n"


def _size(content: bytes | None) -> str:
    if b"\0" in (content or b""):
        return f"{len(content or b'')} bytes"
    count = (content or b"").count(b"\n")
    return f"{count} line{'' if count == 1 else 's'}"


def _as_bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    from emdvc.history.merging.texts.yaml_dumping import block_text

    return block_text(value).encode("utf-8")
