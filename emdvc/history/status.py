"""``emdvc status``: where we are, what changed, what would be recomputed and why, what is not shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emdvc.errors import EmdvcError
from emdvc.history import edited, rerun
from emdvc.history.change import Changes, FileChange
from emdvc.history.git import Commit
from emdvc.history.journal import recover
from emdvc.history.locking import uses_locks
from emdvc.history.merging.joining import state as merge_state
from emdvc.history.merging.joining.state import Underway
from emdvc.history.project import Project
from emdvc.history.rerun import Rerun
from emdvc.history.workspace import project_state
from emdvc.history.workspace.git_state import Branch, GitState
from emdvc.history.workspace.hashing import Note
from emdvc.history.workspace.parsed_texts import ParsedTexts
from emdvc.history.workspace.project_state import Shared
from emdvc.history.workspace.stage_state import StageState, absent

if TYPE_CHECKING:
    from emdvc.history.in_place.checking import SourceChange
    from emdvc.history.locking.looking import Locks
    from emdvc.history.merging.asking.asked import ConflictFile
    from emdvc.history.partial import Part
    from emdvc.history.pictures import Outdated
    from emdvc.history.programs.notebooks import Outputs

__all__ = ["Shared", "Status", "Where", "status"]

#: Seconds that a remote has to tell of locks.
_PATIENCE = 2.0


class Where(NamedTuple):
    """The state of git.

    Parameters
    ----------
    branch
        None on a detached HEAD.
    commit
        None before the first.
    upstream, ahead, behind
        The branch that is followed, as last fetched.
    """

    branch: str | None
    commit: Commit | None
    upstream: str | None
    ahead: int
    behind: int


class Status(NamedTuple):
    """The answer.

    Parameters
    ----------
    where
        Branch and commit.
    changes
        What differs from the last commit.
    raw_problems
        Raw data that is not what was recorded.
    reruns
        Stages that ``dvc repro`` would run.
    shared
        What is not on the remote; None when it was not asked.
    absent
        Data that is recorded but was not fetched.
    pictures
        Pictures of results whose scale bar shows an older calibration than the record.
    undone
        A killed command that was taken back just now.
    parts
        Datasets that are partly here.
    sources
        Data that was recorded where it lies, and has changed there since; nothing when the remote was not asked.
    underway
        A merge (or a rebase, ...) that is not finished.
    to_place
        Data that a merge, which was killed then, had still to put into the workspace.
    locks
        Who holds what; None where the project uses no locks.
    notebooks
        Notebooks of stages that hold outputs in the workspace.
    edited
        Edited data that people changed since it was recorded.
    conflicts
        What a merge asks about.
    """

    where: Where
    changes: Changes
    raw_problems: tuple[FileChange, ...]
    reruns: tuple[Rerun, ...]
    shared: Shared | None
    absent: tuple[str, ...] = ()
    pictures: tuple[Outdated, ...] = ()
    undone: str | None = None
    parts: tuple[Part, ...] = ()
    sources: tuple[SourceChange, ...] = ()
    underway: Underway | None = None
    to_place: tuple[str, ...] = ()
    locks: Locks | None = None
    notebooks: tuple[Outputs, ...] = ()
    edited: tuple[FileChange, ...] = ()
    conflicts: tuple[ConflictFile, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        asked = (self.shared, *self.shared.others) if self.shared is not None else ()
        shared = any(one.lacking or one.lost or one.problem for one in asked)
        here = self.changes or self.raw_problems or self.reruns or self.pictures or self.sources or self.underway
        return bool(
            here or self.conflicts or self.to_place or self.edited or shared or self.where.ahead or self.where.behind
        )


def status(project: Project, *, ask_remote: bool = True, note: Note | None = None) -> Status:
    """Return the state of the project.

    Parameters
    ----------
    ask_remote
        Whether to ask the remote what it has.
    note
        Told the number and the bytes of files that are about to be read: at the first time, and of what has changed.

    Raises
    ------
    ProjectError
        dvc.yaml or another of the project's files is damaged.
    EnvironmentFault
        Another DVC works in the project.
    """
    undone = recover(project)
    texts = ParsedTexts(project)
    with GitState(project, texts.load) as asked:
        try:
            found = project_state.look(project, asked, texts, note)
        except EmdvcError:
            in_conflict = _in_conflict(project, asked, undone)
            if in_conflict is None:
                raise
            return in_conflict
        branch = asked.branch()
    conflicts = _conflicts(project, branch)
    parts = _parts(project, found.states)
    unlike = {path for state in found.states for path in state.changed_outs}
    to_place = _to_place(project, unlike)
    said_elsewhere = {*(str(part.path) for part in parts), *to_place}
    modified = [
        FileChange(path, how)
        for state in found.states
        if state.source
        for path, how in state.changed_outs.items()
        if how == "modified" and path not in said_elsewhere
    ]
    by_hand = tuple(change for change in modified if edited.of(project.path(change.path)) is not None)
    answer = Status(
        Where(branch.name, branch.commit, branch.upstream, branch.ahead, branch.behind),
        _changes(project, branch, texts),
        tuple(change for change in modified if change not in by_hand),
        reruns := tuple(rerun.would_run(project, found.states, texts.read)),
        found.shared() if ask_remote else None,
        tuple(path for path in absent(found.states) if path not in said_elsewhere),
        _pictures(project, found.states, {would_run.stage for would_run in reruns}, texts),
        undone,
        parts,
        _sources(project, found.states) if ask_remote else (),
        merge_state.underway(project),
        to_place,
        _locks(project, ask_remote),
        _notebooks(project, found.states),
        by_hand,
        conflicts,
    )
    texts.save()
    return answer


def _in_conflict(project: Project, asked: GitState, undone: str | None) -> Status | None:
    """Return the state of a project whose pipeline or pointers hold conflicts: DVC reads none of it. None without."""
    from emdvc.history.merging.asking import conflict_file

    branch = asked.branch()
    unmerged = tuple(change.path for change in branch.changes if change.unmerged)
    conflicts = tuple(conflict_file.all_in(project))
    if not (unmerged or conflicts):
        return None
    where = Where(branch.name, branch.commit, branch.upstream, branch.ahead, branch.behind)
    underway = merge_state.underway(project)
    return Status(
        where, Changes(unmerged=unmerged), (), (), None, undone=undone, underway=underway, conflicts=conflicts
    )


def _conflicts(project: Project, branch: Branch) -> tuple[ConflictFile, ...]:
    """Return what is asked about; only where git merges something, for a project is mostly not merged."""
    if merge_state.underway(project) is None and not any(change.unmerged for change in branch.changes):
        return ()
    from emdvc.history.merging.asking import conflict_file

    return tuple(conflict_file.all_in(project))


def _to_place(project: Project, unlike: set[str]) -> tuple[str, ...]:
    """Return the data that a killed merge had still to put here."""
    if not merge_state.to_place(project):
        return ()
    from emdvc.history.merging.joining.data import still_to_place

    return still_to_place(project, unlike)


def _notebooks(project: Project, states: list[StageState]) -> tuple[Outputs, ...]:
    if not any(dep.endswith(".ipynb") for state in states for dep in state.deps):
        return ()
    from emdvc.history.programs.notebooks import with_outputs

    return tuple(with_outputs(project))


def _locks(project: Project, ask: bool) -> Locks | None:
    """Return who holds what: asked with little patience, for a status is to come at once."""
    if not uses_locks(project):
        return None
    from emdvc.history.locking.looking import look

    return look(project, _PATIENCE, ask=ask)


def _sources(project: Project, states: list[StageState]) -> tuple[SourceChange, ...]:
    """Return the data that changed where it was recorded; only data that is not here can be such."""
    if not any(state.source and state.changed_outs for state in states):
        return ()
    from emdvc.history.in_place.checking import changed_sources

    return tuple(changed_sources(project))


def _parts(project: Project, states: list[StageState]) -> tuple[Part, ...]:
    """Return which of the datasets that are not here as they are recorded are here in part."""
    unlike = {path for state in states for path in state.changed_outs}
    if not unlike:
        return ()
    from emdvc.history.partial import parts
    from emdvc.history.recorded import recorded
    from emdvc.history.snapshot import Snapshot

    with Snapshot(project) as now:
        return tuple(parts(project, [entry for path, entry in recorded(now).items() if str(path) in unlike]))


def _changes(project: Project, branch: Branch, texts: ParsedTexts) -> Changes:
    if not branch.changes:
        return Changes()
    # imported where there is something for it to do: a project is clean most of the time
    from emdvc.history.changes import since_commit

    return since_commit(project, branch, texts.yaml)


def _pictures(
    project: Project, states: list[StageState], redrawn: set[str], texts: ParsedTexts
) -> tuple[Outdated, ...]:
    """Return the pictures of an older calibration that no rerun of a stage is going to draw anew."""
    if all(state.source for state in states):
        return ()
    from emdvc.history.pictures import outdated

    return tuple(picture for picture in outdated(project, texts) if picture.stage not in redrawn)
