"""The answers to the conflicts of single files: each is checked, and the file is merged again with all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError, UsageError
from emdvc.history import git
from emdvc.history.merging.asking import conflict_file, editing, regions_seen
from emdvc.history.merging.asking.asked import ConflictFile, Question, checksum
from emdvc.history.merging.asking.selecting import Selection, cut_refused, every
from emdvc.history.merging.asking.settling import Outcome
from emdvc.history.merging.asking.side_data import keep_workspace
from emdvc.history.merging.asking.taking_up import merged_with, pointer_of
from emdvc.history.merging.asking.unmerged import has_markers, unmerged
from emdvc.history.merging.asking.words import spoken
from emdvc.history.merging.contract import Choice, Choices, Conflict, Edited, Merged, Side
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path

#: The word for an answer of one's own.
EDIT = "edit"
ANSWERS = ("ours", "theirs", "base", EDIT)
#: The key of a sidecar's conflict about what it says of the data.
DERIVED = "data"

#: Asks a person for a value: file, conflict, what stands there at first -> what was written; None for nothing.
Ask = Callable[[ConflictFile, Question, str], str | None]


@dataclass(frozen=True, slots=True)
class Taken:
    """One answer.

    Parameters
    ----------
    path
        Of the file, relative to the git root.
    key
        Of the conflict; empty for the file as a whole.
    how
        ``ours``, ``theirs``, ``base`` or ``edit``.
    value, was
        What stands there now, and in the last commit in common, as people read them.
    """

    path: PurePosixPath
    key: str
    how: str
    value: str
    was: str

    def __str__(self) -> str:
        """Return ``beam.energy: 300 keV (theirs), was 200 keV``."""
        how = "edited" if self.how == EDIT else self.how
        return f"{self.key or 'the whole file'}: {self.value} ({how}), was {self.was}"


class Answers:
    """The answers of one command, file by file."""

    def __init__(self, project: Project, how: str, value: str | None, ask: Ask, *, one_by_one: bool) -> None:
        self.project, self.how, self.value, self.ask, self.one_by_one = project, how, value, ask, one_by_one
        self.outcomes: list[Outcome] = []
        self.taken: list[Taken] = []
        self.notes: list[str] = []

    def take(self, selection: Selection) -> None:
        """Answer what is meant in a file."""
        kept = selection.kept
        _look_for_edits(self.project, kept, self.notes, self.one_by_one)
        if self.how == EDIT and kept.as_a_whole:
            self.outcomes.append(_as_it_lies(self.project, kept))
            told = "not there" if self.outcomes[-1].merged.content is None else "as it lies in the workspace"
            self.taken.append(Taken(kept.path, "", EDIT, told, kept.questions[0].base))
            return
        meant = {question.key for question in selection.questions}
        chosen: dict[str, Choice] = {name: one for name, one in kept.choices().items() if name not in meant}
        asked = {conflict.key: conflict for conflict in self._merged(kept, chosen).conflicts}
        for question in selection.questions:
            choice = self._choice(kept, question, asked.get(question.key))
            if choice is not None:
                chosen[question.key] = choice
                value = question.side(choice) if isinstance(choice, Side) else _told(question, choice)
                self.taken.append(Taken(kept.path, question.key, self.how, value, question.base))
        merged = self._merged(kept, chosen)
        known = {question.key for question in kept.questions}
        parts = tuple(one for one in selection.questions if one.key not in known and one.key in chosen)
        for question in parts:
            _check_cut(question, merged)
        whole = replace(kept, questions=kept.questions + parts)
        self.outcomes.append(Outcome(whole.answered(chosen, merged), merged))

    def _merged(self, kept: ConflictFile, chosen: Mapping[str, Choice]) -> Merged:
        return merged_with(self.project, kept, Choices(chosen), settled_in(self.outcomes))

    def _choice(self, kept: ConflictFile, question: Question, conflict: Conflict | None) -> Choice | None:
        if conflict is None and question.region is None:
            return None  # it has settled by itself
        pointer = pointer_of(kept.path)
        if question.key == DERIVED and pointer is not None and pointer in self._open():
            self.notes.append(f"{kept.path} follows {pointer}: what it says of the data is settled with that file")
            return None
        if self.how != EDIT:
            return Side(self.how)
        return _own_answer(self.project, kept, question, conflict, self.value, self.ask, self.notes)

    def _open(self) -> set[PurePosixPath]:
        done = {one.kept.path for one in self.outcomes if not one.merged.conflicts}
        return {name for name in every(self.project) if name not in done}


def _told(question: Question, choice: Choice) -> str:
    if question.region is not None:
        return "as it lies in the workspace"
    return spoken(choice.value) if isinstance(choice, Edited) else ""


def settled_in(outcomes: Sequence[Outcome]) -> dict[PurePosixPath, bytes]:
    """Return what the files hold that are settled by some answers."""
    return {
        one.kept.path: one.merged.content
        for one in outcomes
        if not one.merged.conflicts and one.merged.content is not None
    }


def _own_answer(
    project: Project,
    kept: ConflictFile,
    question: Question,
    conflict: Conflict | None,
    value: str | None,
    ask: Ask,
    notes: list[str],
) -> Edited | None:
    if question.region is not None:
        if value is not None:
            raise UsageError(
                f"a region has no single value: {question.key}",
                hint=f"edit {data_path(kept.path)} itself, then answer edit without --value",
            )
        keep_workspace(project, kept)
        return Edited()
    assert conflict is not None
    start = conflict.ours if isinstance(conflict.ours, str) else question.ours
    text = value if value is not None else ask(kept, question, start)
    if text is None:
        notes.append(f"{question.key} is still open: nothing was written")
        return None
    return editing.edited(kept, conflict, text)


def _check_cut(question: Question, merged: Merged) -> None:
    assert question.region is not None
    for conflict in merged.conflicts:
        region = conflict.region
        same = region is not None and region.variable == question.region.variable
        if region is not None and same and regions_seen.common(region.slices, question.region.slices):
            raise cut_refused(question)


def _as_it_lies(project: Project, kept: ConflictFile) -> Outcome:
    """Return a file that is asked about as a whole, as it lies in the workspace now."""
    content = conflict_file.content_of(project, kept.path)
    if has_markers(content):
        raise ConflictError(
            f"{kept.path} still holds git's markers",
            code=Code.MERGE_CONFLICT,
            evidence="lines that begin with <<<<<<< and >>>>>>>",
            hint="edit them away first, or answer ours or theirs",
        )
    return Outcome(kept.answered({"": Edited()}, Merged(content)), Merged(content))


def _look_for_edits(project: Project, kept: ConflictFile, notes: list[str], one_by_one: bool) -> None:
    """Refuse to undo what a person has edited in the file, or keep it where all of the file is answered."""
    content = conflict_file.content_of(project, kept.path)
    if content is None or not kept.written or checksum(content) == kept.written or kept.as_a_whole:
        return
    if not has_markers(content) and kept.path not in unmerged(project):
        return  # it is settled, and is asked about again
    if one_by_one:
        raise ConflictError(
            f"{kept.path} was edited by hand since the merge",
            code=Code.MERGE_CONFLICT,
            evidence="answering a single conflict writes the file anew, and would undo that",
            hint=f"edit the rest, too, and git add {kept.path}; or begin again: git checkout -m -- {kept.path}",
        )
    blob = git.run(["hash-object", "-w", "--stdin"], project.git_root, stdin=content).stdout.decode().strip()
    notes.append(f"{kept.path} was edited by hand before; that is kept: git cat-file -p {blob[:12]}")
