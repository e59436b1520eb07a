"""Conflicts for people: what is asked, what was answered, what is still open, with units and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.history.merging.asking.asked import ConflictFile, Question, picture_of
from emdvc.history.merging.contract import Edited, Side
from emdvc.render import columns as text

if TYPE_CHECKING:
    from emdvc.history.merging.asking.resolving import Resolved, Taken
    from emdvc.history.project import Project

#: Conflicts of one file that are listed; the rest is counted.
_MOST = 12
_WHOLE = "the file as a whole"


def resolved(done: Resolved, project: Project) -> list[str]:
    """Return what some answers came to, for a reader."""
    lines = []
    several = len({taken.path for taken in done.taken}) > 1
    for taken in done.taken:
        lines.append(f"{_named(taken.path, project)}  {taken}" if several else str(taken))
    lines += [f"settled: {_named(path, project)}" for path in done.settled]
    lines += list(done.notes)
    if done.repro:
        lines.append(f"to be computed again: dvc repro {' '.join(map(shlex.quote, done.repro))}")
    answered = {taken.path for taken in done.taken}
    for kept in done.open:
        if kept.path in answered:
            lines += still_open(kept, project)
    others = [kept for kept in done.open if kept.path not in answered]
    if others:
        names = [f"{_named(kept.path, project)} ({len(kept.open)})" for kept in others[:_MOST]]
        more = f" and {len(others) - _MOST} more files" if len(others) > _MOST else ""
        lines.append(f"{'also ' if len(others) < len(done.open) else ''}still open: {', '.join(names)}{more}")
    if done.next is not None:
        lines.append(f"next: {done.next}")
    return lines


def still_open(kept: ConflictFile, project: Project) -> list[str]:
    """Return what is open in a file: a table of the three sides, and the command that answers."""
    path = _named(kept.path, project)
    lines = [f"still open: {path}", *table(kept.open)]
    return [*lines, f"  emdvc merge --resolve {shlex.quote(path)} ours|theirs"]


def table(questions: Sequence[Question]) -> list[str]:
    """Return conflicts as a table: key, base, ours, theirs side by side."""
    rows = [("", *map(str, Side))]
    rows += [(one.key or _WHOLE, *(text.shortened(one.side(side)) for side in Side)) for one in questions[:_MOST]]
    more = len(questions) - _MOST
    return [*text.columns(rows), *([f"  and {more} more"] if more > 0 else [])]


def question(kept: ConflictFile, one: Question, project: Project) -> list[str]:
    """Return one conflict as it is asked about on a terminal."""
    lines = ["", f"{_named(kept.path, project)}: {one.key or _WHOLE}", f"  {one.why}"]
    rows = [(str(side), text.shortened(one.side(side)), _who(kept, side)) for side in Side]
    lines += text.columns(rows)
    picture = project.git_root / picture_of(kept.path)
    if one.region is not None and picture.is_file():
        lines.append(f"  picture: {_named(picture_of(kept.path), project)}")
    return lines


def asked(kept: ConflictFile, project: Project) -> list[str]:
    """Return all that is open in a file, with the commands that answer."""
    from emdvc.history.merging.asking.conflict_text import commands, typed

    lines = [line for one in kept.open for line in question(kept, one, project)]
    return [*lines, "", *commands(kept, typed(kept.path, project))]


def as_dict(done: Resolved, *, dry_run: bool = False) -> dict[str, Any]:
    """Return what some answers came to as plain values, for ``--json``."""
    return {
        "dry_run": dry_run,
        "taken": [_taken(taken) for taken in done.taken],
        "settled": [str(path) for path in done.settled],
        "open": [file_as_dict(kept) for kept in done.open],
        "notes": list(done.notes),
        "repro": list(done.repro),
        "next": done.next,
    }


def file_as_dict(kept: ConflictFile) -> dict[str, Any]:
    """Return what is asked about a file as plain values."""
    return {
        "path": str(kept.path),
        "sides": {str(side): str(kept.sides[side]) or None for side in (Side.OURS, Side.THEIRS)},
        "conflicts": [_question(one) for one in kept.questions],
    }


def _question(one: Question) -> dict[str, Any]:
    chosen = "edit" if isinstance(one.chosen, Edited) else str(one.chosen) if one.chosen else None
    return {
        "key": one.key,
        "why": one.why,
        "base": one.base,
        "ours": one.ours,
        "theirs": one.theirs,
        "region": str(one.region) if one.region is not None else None,
        "chosen": chosen,
    }


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "path": str(taken.path),
        "key": taken.key,
        "how": taken.how,
        "value": taken.value,
        "was": taken.was,
    }


def _who(kept: ConflictFile, side: Side) -> str:
    told = str(kept.sides[side]) if side is not Side.BASE else ""
    return text.shortened(told)


def _named(path: PurePosixPath, project: Project) -> str:
    """Return a path (relative to the git root) as the project speaks of it."""
    return str(path.relative_to(project.prefix) if path.is_relative_to(project.prefix) else path)
