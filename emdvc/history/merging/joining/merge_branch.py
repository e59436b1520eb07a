"""``emdvc merge BRANCH``: another line of work into this one; all of it, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import EmdvcError, EnvironmentFault
from emdvc.history import git
from emdvc.history.change import Changes
from emdvc.history.changes import compared
from emdvc.history.journal import Journal, transaction
from emdvc.history.merging.asking.settling import ask_about_rest
from emdvc.history.merging.joining import applying, data, state, trial
from emdvc.history.merging.joining.branches import Sides, find, incoming, join_notes
from emdvc.history.merging.joining.data import DataChange, Placed
from emdvc.history.merging.joining.trial import Outcome, Told
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot

_NOTHING = Changes()
_UNTOUCHED = Placed()


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of a merge.

    Parameters
    ----------
    branch, into
        What was merged, and the branch it went into; None on a detached HEAD.
    how
        ``merged``, ``fast-forward``, ``already`` (all of it was here), ``conflicts``.
    commit
        What is checked out now; None in a dry run that would make a commit.
    commits
        The commits that came in, the last first.
    changes
        What differs here from before.
    told
        What was merged key by key, and what is asked: by file.
    unmerged
        The files in conflict.
    repro
        Stages to compute again.
    data
        What was done about the data.
    complaints
        Why a driver could not do its work.
    dry_run
        Whether nothing was changed.
    """

    branch: str
    into: str | None
    how: str
    commit: git.Commit | None
    commits: tuple[git.Commit, ...] = ()
    changes: Changes = _NOTHING
    told: tuple[Told, ...] = ()
    unmerged: tuple[str, ...] = ()
    repro: tuple[str, ...] = ()
    data: Placed = _UNTOUCHED
    complaints: tuple[str, ...] = ()
    dry_run: bool = False


def merge(
    project: Project,
    branch: str,
    message: str | None = None,
    *,
    with_data: bool = True,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Joined:
    """Merge another line of work into the workspace.

    Parameters
    ----------
    branch
        A branch here or on a remote, a tag, a commit.
    message
        Of the merge commit; None: as git words it.
    with_data
        Whether to fetch changed datasets and put them into the workspace.
    dry_run
        Only try it, and say what would come of it.
    progress
        Shows the bytes that are fetched.

    Raises
    ------
    UsageError
        There is no such branch; a merge is underway; what is not saved is in the way. Nothing was changed.
    EnvironmentFault
        Git or a hook refused; nothing was changed.
    """
    with transaction(project, f"emdvc merge {branch}") as journal:
        state.refuse_underway(project)
        sides = find(project, branch)
        if sides.merged_already:
            return Joined(sides.branch, sides.into, "already", git.head(project.git_root), dry_run=dry_run)
        joined, change = _join(project, journal, sides, message or sides.message, dry_run)
    if dry_run:
        return joined
    with suppress(EnvironmentFault):  # who computed what: good to have, no more
        join_notes(project, sides)
    placed = data.place(project, change, progress) if with_data else skipped(project, change)
    if joined.unmerged:
        ask_about_rest(project)
        return replace(joined, data=placed)
    # also what each side had computed rightly may be out of date now that both have changed what it comes from
    return replace(joined, data=placed, repro=tuple(dict.fromkeys((*joined.repro, *stages_to_run(project)))))


def skipped(project: Project, change: DataChange) -> Placed:
    """Return what is said of data that is not to be placed."""
    state.to_place_file(project).unlink(missing_ok=True)
    return Placed(left=tuple(str(path) for path in (*(entry.path for entry in change.come), *change.left)))


def _join(project: Project, journal: Journal, sides: Sides, message: str, dry_run: bool) -> tuple[Joined, DataChange]:
    start = sides.theirs if sides.fast_forward else sides.ours
    with trial.worktree(project, journal, start) as there:
        if sides.fast_forward:
            outcome = trial.forward(project, sides, there)
        else:
            outcome = trial.merge(project, sides, there, message, commit=not dry_run)
        applying.refuse_overwriting(project, outcome)
        with Snapshot(project, sides.ours) as old, Snapshot(there) as new:
            change = data.changes(project, old, new, outcome.changed)
            data.refuse_edited(project, change)
            changes = compared(_how(project, outcome), old, new)._replace(unmerged=outcome.unmerged)
        repro = _repro(outcome.told)
        joined = Joined(
            sides.branch,
            sides.into,
            "conflicts" if outcome.unmerged else "fast-forward" if sides.fast_forward else "merged",
            git.commit_of(outcome.commit, project.git_root) if outcome.commit else None,
            tuple(incoming(project, sides)),
            changes,
            _all_told(outcome),
            outcome.unmerged,
            repro,
            complaints=outcome.complaints,
            dry_run=dry_run,
        )
        if not dry_run:
            applying.apply(project, journal, sides, outcome, repro)
            note = state.to_place_file(project)
            journal.will_rewrite([note])
            note.write_text(data.note(change), encoding="utf-8") if change else note.unlink(missing_ok=True)
    return joined, change


def _how(project: Project, outcome: Outcome) -> dict[str, str]:
    """Return the merged files (relative to the project) -> added, modified or removed."""
    found = {}
    before = set(git.tracked(project.git_root))
    for path, mode in outcome.changed.items():
        inside = PurePosixPath(path)
        if path not in outcome.unmerged and inside.is_relative_to(project.prefix):
            how = "removed" if not mode else "modified" if path in before else "added"
            found[str(inside.relative_to(project.prefix))] = how
    return found


def _all_told(outcome: Outcome) -> tuple[Told, ...]:
    """Return what the drivers said, and that there is a conflict where no driver was asked."""
    told = {one.path: one for one in outcome.told}
    for path in outcome.unmerged:
        if path not in told or not told[path].conflicts:
            asked = {"key": "", "base": None, "ours": None, "theirs": None, "why": _why(outcome.entries[path])}
            told[path] = replace(told.get(path, Told(path)), conflicts=(asked,))
    return tuple(told[path] for path in sorted(told))


def _why(entries: Sequence[str]) -> str:
    """Return what the two sides did to a file, told by the sides that git's index holds of it."""
    stages = {entry.split()[2] for entry in entries}
    if "2" not in stages:
        return "removed here, changed there"
    if "3" not in stages:
        return "changed here, removed there"
    return "changed by both sides in the same place" if "1" in stages else "added by both sides, not the same"


def _repro(told: Sequence[Told]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stage for one in told for stage in one.repro))


def stages_to_run(project: Project) -> tuple[str, ...]:
    """Return the stages whose results are not up to date; none where that cannot be told now."""
    from emdvc.history import rerun
    from emdvc.history.recorded import LOCK
    from emdvc.history.workspace import project_state
    from emdvc.history.workspace.git_state import GitState
    from emdvc.history.workspace.parsed_texts import ParsedTexts

    if not git.tracked(project.root, [LOCK, f"*/{LOCK}", "dvc.yaml", "*/dvc.yaml"]):
        return ()
    texts = ParsedTexts(project)
    with suppress(EmdvcError), GitState(project, texts.load) as asked:
        states = project_state.look(project, asked, texts).states
        return tuple(one.stage for one in rerun.would_run(project, states, texts.read))
    return ()
