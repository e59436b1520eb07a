"""``emdvc merge --continue`` and ``--abort``: to the end, or back, also of a merge that git itself began."""

from __future__ import annotations

from pathlib import Path

from emdvc.errors import Code, ConflictError, UsageError
from emdvc.history import git, git_undo
from emdvc.history.journal import Journal, recover, transaction
from emdvc.history.lock import writing
from emdvc.history.merging.asking.unmerged import unmerged
from emdvc.history.merging.drivers.unresolved import refuse_unresolved
from emdvc.history.merging.joining import data, state
from emdvc.history.merging.joining.applying import conflict_files
from emdvc.history.merging.joining.merge_branch import Joined, skipped, stages_to_run
from emdvc.history.merging.joining.state import Underway
from emdvc.history.merging.joining.trial import STATE_FILES
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot


def go_on(
    project: Project, message: str | None = None, *, with_data: bool = True, progress: Progress = silent
) -> Joined:
    """Commit a merge whose conflicts are resolved, and put its data into the workspace.

    Parameters
    ----------
    message
        Of the merge commit; None: that of the merge.
    with_data
        Whether to place data.
    progress
        Shows the bytes that are fetched.

    Raises
    ------
    UsageError
        No merge is underway.
    ConflictError
        Something is not resolved yet.
    EnvironmentFault
        Git or a hook refused the commit; the merge is as before.
    """
    recover(project)
    found = _found(project)
    _refuse_unresolved(project)
    _refuse_others(found, "--continue")
    root = project.git_root
    ours, branch = git.git(["rev-parse", "HEAD"], root), git.branch(root)
    with transaction(project, "emdvc merge --continue") as journal:
        _remove_conflict_files(project, journal)
        changed = git.git(["diff", "--cached", "--name-only", "-z", "--no-renames", ours], root).split("\0")[:-1]
        with Snapshot(project, ours) as old, Snapshot(project) as new:
            change = data.changes(project, old, new, changed)
        # before the commit: whoever looks after a kill is told of the data, too
        _note(project, journal, change)
    with writing(project, "emdvc merge --continue"):
        text = None if message is None else message.encode()
        said = ["--no-edit", "--cleanup=strip"] if text is None else ["--file=-"]
        git.run(["commit", "--quiet", *said], root, stdin=text)
        git_undo.git_path(state.KEPT, root).unlink(missing_ok=True)
    placed = data.place(project, change, progress) if with_data else skipped(project, change)
    return Joined(found.name, branch, "merged", git.head(root), data=placed, repro=stages_to_run(project))


def abort(project: Project, *, with_data: bool = True, progress: Progress = silent) -> Joined:
    """Go back to before a merge: files, index and data; edits that the merge did not touch stay.

    Parameters
    ----------
    with_data
        Whether to put the data of before back.
    progress
        Shows the bytes that are fetched.

    Raises
    ------
    UsageError
        No merge is underway.
    EnvironmentFault
        Git refused, since a merged file was edited since; nothing was changed.
    """
    recover(project)
    found = _found(project)
    _refuse_others(found, "--abort")
    root = project.git_root
    with transaction(project, "emdvc merge --abort") as journal:
        changed = [change.path for change in git.changes(root) if not change.untracked]
        with Snapshot(project) as old, Snapshot(project, "HEAD") as new:
            change = data.changes(project, old, new, changed)
        journal.will_rewrite(root / path for path in changed if not (root / path).is_dir())
        _remove_conflict_files(project, journal)
        journal.will_rewrite(git_undo.git_path(name, root) for name in (*STATE_FILES, state.KEPT))
        git.run(["merge", "--abort"], root)
        git_undo.git_path(state.KEPT, root).unlink(missing_ok=True)
        _note(project, journal, change)
    placed = data.place(project, change, progress) if with_data else skipped(project, change)
    return Joined(found.name, git.branch(root), "aborted", git.head(root), data=placed)


def _note(project: Project, journal: Journal, change: data.DataChange) -> None:
    file = state.to_place_file(project)
    journal.will_rewrite([file])
    file.write_text(data.note(change), encoding="utf-8") if change else file.unlink(missing_ok=True)


def _found(project: Project) -> Underway:
    found = state.underway(project)
    if found is None:
        raise UsageError("no merge is underway", hint="emdvc merge BRANCH")
    return found


def _refuse_others(found: Underway, option: str) -> None:
    if found.what != "merge":
        raise UsageError(
            f"a {found.what} is underway, which is git's to end",
            code=Code.MERGE_UNDERWAY,
            evidence=found.doing,
            hint=f"{found.command} {option}",
        )


def _refuse_unresolved(project: Project) -> None:
    """Refuse while something is not resolved, also where `git add` was told that it is."""
    open_now = sorted(unmerged(project))
    if open_now:
        raise ConflictError(
            f"{len(open_now)} file{'s are' if len(open_now) != 1 else ' is'} not resolved yet",
            code=Code.MERGE_CONFLICT,
            evidence=", ".join(map(str, open_now[:5])),
            hint=f"emdvc merge --resolve {open_now[0]} ours|theirs|base|edit, or edit it and: git add {open_now[0]}",
        )
    refuse_unresolved(project)


def _remove_conflict_files(project: Project, journal: Journal) -> None:
    """Remove conflict files and pictures, also from the index, where `git add .` has put them."""
    files: list[Path] = conflict_files(project)
    journal.will_change_index()
    names = [file.relative_to(project.git_root).as_posix() for file in files]
    if names:
        git.run(["rm", "--cached", "--quiet", "--ignore-unmatch", "--", *names], project.git_root)
    journal.will_rewrite(files)
    for file in files:
        file.unlink()
