"""The words of a merge: three sides of a file, what is chosen, what comes of it, what must be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Protocol

from emdvc.history.project import Project


class Side(StrEnum):
    """Whose version: that of the last commit in common, the one here, the one that is merged in."""

    BASE = "base"
    OURS = "ours"
    THEIRS = "theirs"


class Absent:
    """The type of :data:`ABSENT`."""

    def __repr__(self) -> str:
        """Return how it reads in a message."""
        return "not there"


#: Stands for a value on a side that has none: null is a value.
ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Three:
    """A file on the three sides.

    Parameters
    ----------
    path
        Relative to the git root.
    base, ours, theirs
        Its bytes; None where a side has no such file.
    """

    path: PurePosixPath
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None

    def side(self, side: Side) -> bytes | None:
        """Return the bytes of one side."""
        return {Side.BASE: self.base, Side.OURS: self.ours, Side.THEIRS: self.theirs}[side]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a merge happens: what a merger may look at beside its own file.

    Parameters
    ----------
    project
        The project.
    commits
        The commits that are merged; a side is missing where git does not tell which one it is.
    settled
        Other files that are settled in the same step, and not written yet.
    """

    project: Project
    commits: Mapping[Side, str] = field(default_factory=dict)
    settled: Mapping[PurePosixPath, bytes] = field(default_factory=dict)

    def blob(self, side: Side, path: PurePosixPath) -> bytes | None:
        """Return another file (relative to the git root) on a side; None where it is not there, or not known."""
        from emdvc.history import git

        commit = self.commits.get(side)
        return None if commit is None else git.show(commit, path.as_posix(), self.project.git_root)


@dataclass(frozen=True, slots=True)
class Edited:
    """A person's own answer to a conflict: neither side's value.

    Parameters
    ----------
    value
        What it is to be: a plain value of YAML; of a region of an array None, for what lies in the workspace.
    """

    value: Any = None


class Neither:
    """The type of :data:`NEITHER`."""


#: The answer to every conflict where git merges two bases for a base of its own (criss-cross): a value that is none of
#: the sides', so that nobody's change is taken for the old state. The same for both orders of the sides.
NEITHER = Neither()

#: What was chosen for one conflict. BASE undoes both changes.
Choice = Side | Edited | Neither


class Choices(dict[str, Choice]):
    """Conflict's key -> what was chosen.

    Parameters
    ----------
    rest
        What holds for every conflict that is not named; None: it is asked about.
    """

    def __init__(self, chosen: Mapping[str, Choice] | None = None, *, rest: Choice | None = None) -> None:
        super().__init__(chosen or {})
        self.rest = rest

    def of(self, key: str) -> Choice | None:
        """Return what was chosen for a conflict; None where it is open."""
        return self.get(key, self.rest)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of an array that both sides changed.

    Parameters
    ----------
    variable
        Name of the array.
    slices
        ``(start, stop)`` along each dimension.
    dims
        Names of its dimensions; empty where unknown.
    count
        Samples in it that both sides changed to different values.
    """

    variable: str
    slices: tuple[tuple[int, int], ...]
    dims: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        """Return ``labels[0:16, 32:48]``."""
        return f"{self.variable}[{', '.join(f'{start}:{stop}' for start, stop in self.slices)}]"


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that both sides changed and that cannot be both.

    Parameters
    ----------
    key
        What ``--key`` names: a dotted key (``beam.energy``, ``stages.vdet.cmd``), a region (``labels[0:16, 32:48]``), a
        file of a dataset (``c.0.1``); empty for the file as a whole. Unique in its file; the same in either order.
    base, ours, theirs
        The values: plain values of YAML (a quantity as its mapping), :data:`ABSENT`, or words where the thing is no
        value (``12 of 256 labels changed``).
    why
        One sentence in the user's words: what the two sides did.
    region
        Where in an array.
    """

    key: str
    base: Any
    ours: Any
    theirs: Any
    why: str
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a file.

    Parameters
    ----------
    content
        Its bytes: merged; where conflicts are open, with git's markers around each of them, so that nothing reads it as
        settled. None: the file is to go.
    conflicts
        What is open.
    notes
        Sentences for the person (what was dropped, what was united).
    repro
        Stages that must be computed again, as DVC addresses them from the folder of the pipeline.
    """

    content: bytes | None
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    repro: tuple[str, ...] = ()


class Merger(Protocol):
    """Merges one kind of file.

    Both sides changed the file, or one removed what the other changed. A merger writes nothing but objects of DVC's
    cache. It raises an EmdvcError where a side cannot be read at all (no YAML, a list that is nowhere).
    """

    def __call__(self, three: Three, place: Place, choices: Choices) -> Merged:
        """Return what comes of the file."""


#: git's markers, as ``git merge-file --diff3`` writes them; the length is git's %L.
def markers(size: int = 7) -> tuple[str, str, str, str]:
    """Return the lines that open ours, base, theirs, and close a conflict."""
    return "<" * size + " ours", "|" * size + " base", "=" * size, ">" * size + " theirs"
