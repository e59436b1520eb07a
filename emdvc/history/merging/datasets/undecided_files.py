"""Files of a dataset that both sides changed: where their bytes come from, and what is taken as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emdvc.history.merging.contract import ABSENT, Choice, Conflict, Edited, Region, Side
from emdvc.history.merging.datasets.manifests import Entry, neither


@dataclass(frozen=True, slots=True)
class Bytes:
    """Where bytes come from and go to.

    Parameters
    ----------
    read
        Gives the bytes of an md5.
    keep
        Keeps bytes in DVC's cache and gives their md5.
    now
        Gives the bytes of a file of the dataset as they lie in the workspace; None where there is no such file.
    """

    read: Callable[[str], bytes]
    keep: Callable[[bytes], str]
    now: Callable[[str], bytes | None]


@dataclass(slots=True)
class Settled:
    """What came of some files.

    Parameters
    ----------
    files
        Name -> md5 of what is decided; None where the file is to go.
    conflicts
        What is open.
    """

    files: dict[str, str | None] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)

    def take(self, other: Settled) -> None:
        """Take in what came of other files."""
        self.files.update(other.files)
        self.conflicts.extend(other.conflicts)


def file_conflict(name: str, entry: Entry, what: str, region: Region | None = None) -> Conflict:
    """Return the conflict of a file as a whole.

    Parameters
    ----------
    name
        Of the file in its dataset.
    entry
        Its three md5s.
    what
        What both changed, in words.
    region
        Where in an array.
    """
    gone = entry.ours is None or entry.theirs is None
    did = "one side removed, the other changed" if gone and entry.base is not None else "both changed"
    if entry.base is None:
        did = "both added"
    base, ours, theirs = (_spoken(md5) for md5 in (entry.base, entry.ours, entry.theirs))
    return Conflict(name, base, ours, theirs, f"{did} {what}", region)


def _spoken(md5: str | None) -> Any:
    return ABSENT if md5 is None else f"md5 {md5[:10]}"


def chosen_file(name: str, entry: Entry, choice: Choice, files: Bytes) -> str | None:
    """Return the md5 of a file as it was chosen; None where it is to go."""
    match choice:
        case Side.OURS:
            return entry.ours
        case Side.THEIRS:
            return entry.theirs
        case Side.BASE:
            return entry.base
        case Edited():
            content = files.now(name)
            return None if content is None else files.keep(content)
        case _:
            return neither(entry)
