"""What is asked about a file that could not be merged: the words of its conflict file."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ProjectError
from emdvc.history import git
from emdvc.history.merging.asking.words import spoken_sides
from emdvc.history.merging.contract import Choice, Choices, Conflict, Merged, Place, Region, Side, Three
from emdvc.history.project import Project

#: Ending of a conflict file, and of the picture beside it.
SUFFIX, PICTURE = ".conflict.yaml", ".conflict.png"


@dataclass(frozen=True, slots=True)
class SideFile:
    """The file on one side.

    Parameters
    ----------
    blob, mode
        Git's object and mode; None where the side has no such file.
    commit
        The side's commit; None where git does not tell.
    name
        What people call the side: a branch.
    last
        Its last commit that touched the file.
    """

    blob: str | None = None
    mode: str | None = None
    commit: str | None = None
    name: str | None = None
    last: git.Commit | None = None

    def __str__(self) -> str:
        """Return ``tilt, Bob, 2026-11-20: Correct the energy``, as far as it is known."""
        parts = [self.name] if self.name else []
        if self.last is not None:
            parts += [self.last.author, self.last.date[:10]]
        text = ", ".join(parts) or (self.commit or "")[:9]
        return f"{text}: {self.last.subject}" if self.last is not None else text


@dataclass(frozen=True, slots=True)
class Question:
    """One conflict as it is kept.

    Parameters
    ----------
    key, why, region
        As :class:`~emdvc.history.merging.contract.Conflict` has them.
    base, ours, theirs
        The values as people read them.
    chosen
        The answer; None while it is open.
    """

    key: str
    why: str
    base: str
    ours: str
    theirs: str
    region: Region | None = None
    chosen: Choice | None = None

    @classmethod
    def of(cls, conflict: Conflict) -> Question:
        """Return what is asked about a conflict."""
        base, ours, theirs = spoken_sides(conflict.base, conflict.ours, conflict.theirs)
        return cls(conflict.key, conflict.why, base, ours, theirs, conflict.region)

    def side(self, side: Side) -> str:
        """Return the value of a side as people read it."""
        return {Side.BASE: self.base, Side.OURS: self.ours, Side.THEIRS: self.theirs}[side]


@dataclass(frozen=True, slots=True)
class ConflictFile:
    """What is asked about one file.

    Parameters
    ----------
    path
        Of the file, relative to the git root.
    sides
        The file on the three sides.
    questions
        Every conflict, answered or open.
    written
        Checksum of what the merge left in the file: another one says that a person has edited it.
    picture
        Name of the picture beside it, or why there is none; empty before one was drawn.
    """

    path: PurePosixPath
    sides: Mapping[Side, SideFile]
    questions: tuple[Question, ...]
    written: str = ""
    picture: str = ""

    @property
    def open(self) -> tuple[Question, ...]:
        """What is not answered yet."""
        return tuple(question for question in self.questions if question.chosen is None)

    @property
    def as_a_whole(self) -> bool:
        """Whether the file as a whole is asked about: it then stands without markers."""
        return any(not question.key for question in self.questions)

    def choices(self) -> Choices:
        """Return the answers so far."""
        return Choices({one.key: one.chosen for one in self.questions if one.chosen is not None})

    def three(self, project: Project) -> Three:
        """Return the file's bytes on the three sides.

        Raises
        ------
        ProjectError
            Git has one of them no more.
        """
        blobs = {side: self.sides[side].blob for side in Side}
        found = git.contents([blob for blob in blobs.values() if blob], project.git_root)
        lost = next((blob for blob in blobs.values() if blob and blob not in found), None)
        if lost is not None:
            raise ProjectError(
                f"a side of {self.path} is not in git any more",
                code=Code.PROJECT_BROKEN,
                evidence=f"object {lost}",
                hint=f"git checkout -m -- {shlex.quote(str(self.path))}",
            )
        return Three(self.path, *(found[blob] if (blob := blobs[side]) else None for side in Side))

    def place(self, project: Project) -> Place:
        """Return where the merge happens."""
        return Place(project, {side: oid for side in Side if (oid := self.sides[side].commit)})

    def answered(self, chosen: Mapping[str, Choice], merged: Merged) -> ConflictFile:
        """Return the conflict file after some answers, and what the merger said to them."""
        open_now = {conflict.key: conflict for conflict in merged.conflicts}
        kept = [
            replace(one, chosen=None if one.key in open_now else chosen.get(one.key, one.chosen))
            for one in self.questions
            if one.key in open_now or chosen.get(one.key, one.chosen) is not None
        ]
        known = {one.key for one in kept}
        new = [Question.of(conflict) for conflict in merged.conflicts if conflict.key not in known]
        return replace(self, questions=(*kept, *new), written=checksum(merged.content))


def place_of(path: PurePosixPath) -> PurePosixPath:
    """Return where the conflict file of a file lies."""
    return path.with_name(path.name + SUFFIX)


def picture_of(path: PurePosixPath) -> PurePosixPath:
    """Return where the picture of a file's conflicts lies."""
    return path.with_name(path.name + PICTURE)


def checksum(content: bytes | None) -> str:
    """Return the checksum of a file's content, whatever its line ends; empty where there is no file."""
    return "" if content is None else hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()
