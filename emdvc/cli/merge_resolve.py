"""The answers of ``emdvc merge``: ``--resolve`` by command, ``--tool`` one by one on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from emdvc.history.merging.asking.asked import ConflictFile, Question
    from emdvc.history.project import Project


def resolve(
    project: Project,
    path: str,
    answer: Sequence[str],
    *,
    keys: Sequence[str] = (),
    regions: Sequence[str] = (),
    value: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Answer the conflicts of a file, and say what was taken and what is still open.

    Parameters
    ----------
    project
        The project.
    path
        As it was typed: the data, its sidecar, its pointer, any file in conflict, or a conflict file.
    answer
        One word: ours, theirs, base or edit.
    keys, regions, value
        Which conflicts, and with ``edit`` the value.
    dry_run, json
        As everywhere.
    """
    from emdvc.errors import UsageError
    from emdvc.history.merging.asking import resolving
    from emdvc.render import conflict

    if len(answer) != 1:
        raise UsageError(
            "which side is to be taken?" if not answer else "one answer at a time",
            evidence=f"after --resolve {path}" + (f": {' '.join(answer)}" if answer else ""),
            hint=f"emdvc merge --resolve {path} ours, theirs, base or edit",
        )
    ask = None if sys.stdin.isatty() or value is not None else _no_editor
    where = project.relative(path)
    done = resolving.resolve(project, where, answer[0], keys, regions, value, ask=ask, dry_run=dry_run)
    if json:
        output.as_json("merge_resolve", conflict.as_dict(done, dry_run=dry_run))
        return
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    for line in conflict.resolved(done, project):
        output.say(line)


def _no_editor(kept: ConflictFile, question: Question, start: str) -> str | None:
    from emdvc.errors import UsageError

    del start
    raise UsageError(
        "an editor needs a terminal",
        evidence=f"{question.key or kept.path} is to be written by hand",
        hint="give the value: --value '...'",
    )


def tool(project: Project, path: str) -> None:
    """Ask about each conflict of a file on the terminal, for ``git mergetool -t emdvc``; exit 0 when all is settled.

    Parameters
    ----------
    project
        The project.
    path
        The file, as git names it.
    """
    from emdvc.history.merging.asking.resolving import settle
    from emdvc.history.merging.asking.selecting import files_meant
    from emdvc.render import conflict

    where = project.relative(path)
    if settle(project, where):
        return
    [kept, *_] = files_meant(project, where)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for line in conflict.asked(kept, project):
            output.say(line)
        output.note("nothing was asked: this is no terminal")
        raise typer.Exit(1)
    try:
        settled = _ask_each(project, where)
    except (EOFError, KeyboardInterrupt):
        output.say("")
        settled = False
    if not settled:
        raise typer.Exit(1)


#: What is typed -> the answer it stands for.
_LETTERS = {"o": "ours", "t": "theirs", "b": "base", "e": "edit", "s": "skip"}


def _ask_each(project: Project, path: PurePosixPath) -> bool:
    """Ask about what is open in a file, one by one; say whether nothing is left."""
    from emdvc.errors import EmdvcError
    from emdvc.history.merging.asking import resolving
    from emdvc.history.merging.asking.selecting import files_meant
    from emdvc.render import conflict

    skipped: set[str] = set()
    while True:
        [kept, *_] = files_meant(project, path)
        rest = [question for question in kept.open if question.key not in skipped]
        if not rest:
            break
        question = rest[0]
        for line in conflict.question(kept, question, project):
            output.say(line)
        word = _answer()
        if word == "skip":
            skipped.add(question.key)
            continue
        keys, regions = ([], [question.key]) if question.region is not None else ([question.key], [])
        chosen = (keys, regions) if question.key else (None, None)
        try:
            # the other file of a dataset is git's to ask for
            done = resolving.resolve(project, path, word, *chosen, alone=True)
        except EmdvcError as error:
            output.say(str(error))
            continue
        for taken in done.taken:
            output.say(f"  {taken}")
        for note in done.notes:
            output.say(f"  {note}")
        if kept.path in done.settled:
            return True
        if not done.taken:
            skipped.add(question.key)
    return not skipped


def _answer() -> str:
    while True:
        typed = input("  o ours, t theirs, b base, e edit, s skip: ").strip().lower()
        for letter, word in _LETTERS.items():
            if typed in (letter, word):
                return word
