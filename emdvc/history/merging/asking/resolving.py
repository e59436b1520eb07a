"""Answering conflicts: the merge is done again with all the answers so far, and what is settled then is staged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import UsageError, suggest
from emdvc.history.merging.asking import editing
from emdvc.history.merging.asking.answering import ANSWERS, EDIT, Answers, Ask, Taken, settled_in
from emdvc.history.merging.asking.asked import ConflictFile, Question
from emdvc.history.merging.asking.selecting import every, files_meant, selected
from emdvc.history.merging.asking.settling import Outcome, write
from emdvc.history.merging.asking.taking_up import merged_with, pointer_of
from emdvc.history.merging.joining.state import underway
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path, sidecar_path

__all__ = ["ANSWERS", "EDIT", "Ask", "Resolved", "Taken", "next_command", "resolve"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What came of some answers.

    Parameters
    ----------
    taken
        The answers.
    settled
        Files in which nothing is open any more: written and staged.
    open
        What is still asked in the workspace.
    notes
        Sentences for the person.
    repro
        Stages that must be computed again.
    next
        The command that goes on, where nothing is open.
    """

    taken: tuple[Taken, ...]
    settled: tuple[PurePosixPath, ...]
    open: tuple[ConflictFile, ...]
    notes: tuple[str, ...] = ()
    repro: tuple[str, ...] = ()
    next: str | None = None


def resolve(
    project: Project,
    path: PurePosixPath,
    how: str,
    key: Sequence[str] | None = None,
    region: Sequence[str] | None = None,
    value: str | None = None,
    *,
    ask: Ask | None = None,
    alone: bool = False,
    dry_run: bool = False,
) -> Resolved:
    """Answer the conflicts of a file, all of them or by key and region; killed at any point, nothing is half done.

    Parameters
    ----------
    project
        The project.
    path
        Of the data, its sidecar, its pointer, any file in conflict, or a conflict file; relative to the project.
    how
        ``ours``, ``theirs``, ``base`` (undoes both changes) or ``edit``.
    key, region
        Which conflicts; by default every one that is open.
    value
        With ``edit``: the value, such as ``300 keV``.
    ask
        With ``edit`` and without a value: asks for it; by default git's editor.
    alone
        Whether to leave the other file of a dataset as it is, also where it would settle by itself now.
    dry_run
        Whether to write nothing.

    Raises
    ------
    UsageError
        Nothing there is in conflict; the answer is none; the value cannot stand there.
    ConflictError
        A person has edited the file, or a part of a conflict cannot be answered alone.
    """
    _check(how, value)
    selections = selected(files_meant(project, path), key, region)
    if how == EDIT and value is not None and sum(len(one.questions) for one in selections) > 1:
        keys = [question.key for one in selections for question in one.questions]
        raise UsageError("one value answers one conflict", evidence=", ".join(keys), hint=f"--key {keys[0]}")
    answers = Answers(project, how, value, ask or _editor(project), one_by_one=bool(key or region))
    # what a sidecar says of the data follows its .dvc file
    for selection in sorted(selections, key=lambda one: pointer_of(one.kept.path) is not None):
        answers.take(selection)
    outcomes, taken, notes = answers.outcomes, answers.taken, answers.notes
    outcomes += [] if alone else _siblings(project, outcomes)
    if not dry_run:
        write(project, outcomes)
    done = {one.kept.path for one in outcomes if not one.merged.conflicts}
    rest = {one.kept.path: one.kept for one in outcomes if one.merged.conflicts}
    still = [rest.get(name, kept) for name, kept in (every(project) | rest).items() if name not in done]
    return Resolved(
        tuple(taken),
        tuple(sorted(done)),
        tuple(sorted((kept for kept in still if kept.open), key=lambda kept: kept.path)),
        tuple(dict.fromkeys([*notes, *(note for one in outcomes for note in one.merged.notes)])),
        tuple(dict.fromkeys(stage for one in outcomes for stage in one.merged.repro)),
        None if any(kept.open for kept in still) else next_command(project),
    )


def settle(project: Project, path: PurePosixPath) -> bool:
    """Write and stage a file of which nothing is to be asked any more; say whether that is so."""
    [kept, *_] = files_meant(project, path)
    merged = merged_with(project, kept, kept.choices())
    if merged.conflicts:
        return False
    write(project, [Outcome(kept.answered({}, merged), merged)])
    return True


def next_command(project: Project) -> str:
    """Return what is to be typed when nothing is open any more."""
    now = underway(project)
    return f"{now.command} --continue" if now is not None else 'git commit -m "..."'


def _check(how: str, value: str | None) -> None:
    if how not in ANSWERS:
        near = suggest(how, ANSWERS)
        hint = f"did you mean {near}?" if near else "ours, theirs, base or edit"
        raise UsageError(f"'{how}' is no answer", evidence=f"known: {', '.join(ANSWERS)}", hint=hint)
    if value is not None and how != EDIT:
        raise UsageError(f"--value goes with edit, not with {how}", hint="edit, or without --value")


def _editor(project: Project) -> Ask:
    def ask(kept: ConflictFile, question: Question, start: str) -> str | None:
        return editing.from_editor(project.git_root, kept, question, start)

    return ask


def _siblings(project: Project, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the other file of each dataset that was settled, where it settles by itself now."""
    done = {one.kept.path for one in outcomes}
    names = [name for one in outcomes if not one.merged.conflicts for name in _other(one.kept.path) if name not in done]
    known = every(project) if names else {}
    found = []
    for kept in (known[name] for name in dict.fromkeys(names) if name in known):
        merged = merged_with(project, kept, kept.choices(), settled_in(outcomes))
        if not merged.conflicts:
            found.append(Outcome(kept.answered({}, merged), merged))
    return found


def _other(path: PurePosixPath) -> list[PurePosixPath]:
    data = data_path(path)
    pair = [data.with_name(f"{data.name}.dvc"), sidecar_path(data)]
    return [name for name in pair if name != path] if path in pair else []
