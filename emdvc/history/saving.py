"""``emdvc save``: everything that changed in one commit, data pushed before the history that speaks of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError, EnvironmentFault, UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.history import adding_edited, dvc_pipeline, dvc_remote, git, notes, partial, raw_guard, rerun, run_records
from emdvc.history.collecting.after_push import use_cache
from emdvc.history.git import Commit
from emdvc.history.journal import recover
from emdvc.history.lock import writing
from emdvc.history.locking.looking import heard
from emdvc.history.locking.refusing import refuse_locked, tell
from emdvc.history.locking.touching import relative
from emdvc.history.merging.drivers.unresolved import refuse_unfinished
from emdvc.history.programs import notebooks
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.storage.settings import default_name, remote_settings
from emdvc.history.transfer import pushing
from emdvc.history.transfer.lost import LostError
from emdvc.history.workspace.stage_state import StageState


@dataclass(frozen=True, slots=True)
class Saved:
    """What was done.

    Parameters
    ----------
    commit
        The commit; None when there was nothing to commit.
    files
        Number of files in it.
    sent
        Number of data files that were pushed; None when data was not pushed.
    pushed_to
        Where the history was pushed; None when it was not.
    stale
        Stages whose results are not up to date.
    notes
        Why something was not pushed.
    """

    commit: Commit | None
    files: int
    sent: int | None
    pushed_to: str | None
    stale: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def save(
    project: Project,
    message: str | None,
    *,
    push: bool = True,
    dry_run: bool = False,
    ignore_locks: str | None = None,
    progress: Progress = silent,
) -> Saved:
    """Commit all changes, then push data, then history.

    Parameters
    ----------
    message
        Of the commit; None only when there is nothing to commit.
    push
        Whether to push.
    dry_run
        Only check, and note what would be committed.
    ignore_locks
        The reason for which locks of others are not heeded; it goes into the commit's message, and they are told.
    progress
        Shows the bytes that are pushed.

    Raises
    ------
    ConflictError
        Raw data is not what was recorded, a merge is not finished, or somebody else has locked what changed.
    UsageError
        Data lies in the project that is under no version control; a message lacks.
    MetadataError
        A changed sidecar is damaged or holds an impossible unit.
    EnvironmentFault
        A push failed; the commit stays.
    """
    recover(project)
    refuse_unfinished(project)
    edited = adding_edited.changed(project)
    if edited:  # before anything of them is recorded
        pointers = [path.with_name(f"{path.name}.dvc") for path in edited]
        refuse_locked(project, [*edited, *pointers], ignoring=ignore_locks)
    by_hand = adding_edited.record(project, edited, dry_run=dry_run, progress=progress)
    with writing(project, "emdvc save"):
        bare = notebooks.stripped_lines(project, dry_run=dry_run)
        states = dvc_pipeline.states(project)
        changes = [change for change in git.changes(project.git_root) if _inside(project, change.path)]
        partial.refuse_shrunk(project)
        raw_guard.refuse_changed_raw(project, states, changes)
        raw_guard.refuse_unversioned(project, changes)
        raw_guard.check_sidecars(project, changes)
        paths = [*relative(project, [change.path for change in changes]), *(_by_hand(states) if dry_run else ())]
        locks = refuse_locked(project, paths, ignoring=ignore_locks, committed=push)
        stale = tuple(one.stage for one in rerun.would_run(project, states))
        if dry_run:
            would = tuple(f"would commit {change.path}" for change in changes)
            return Saved(None, 0, None, None, stale, (*by_hand, *bare, *would, *locks.notes))
        commit = _commit(project, message and locks.message(message)) if changes else None
        tell(project, locks)
        said = [*by_hand, *bare, *locks.notes, *_attach_runs(project)]
        use_cache(project)
        sent, pushed_to, about = _push(project, commit, progress) if push else (None, None, [])
    heard(project, locks.told)  # the notes are printed now
    return Saved(commit, len(changes) if commit else 0, sent, pushed_to, stale, (*said, *about))


def _by_hand(states: list[StageState]) -> Iterator[PurePosixPath]:
    """Yield the data that would be recorded anew, and its pointers; a dry run leaves those as they are."""
    for name in (name for state in states if state.source for name in state.changed_outs):
        yield from (PurePosixPath(name), PurePosixPath(f"{name}.dvc"))


def _inside(project: Project, path: str) -> bool:
    return PurePosixPath(path).is_relative_to(project.prefix)


def _commit(project: Project, message: str | None) -> Commit:
    if not message or not message.strip():
        raise UsageError("a commit needs a message", hint='emdvc save -m "what changed and why"')
    root = project.git_root
    index = root / git.git(["rev-parse", "--git-path", "index"], root)
    before = index.read_bytes() if index.exists() else None
    try:
        git.run(["add", "--all", "--", "."], project.root)
        # in a larger repository only what belongs to the project
        where = [] if project.root == root else ["--", "."]
        git.run(["commit", "--quiet", "--file=-", *where], project.root, stdin=message.encode())
    except EmdvcError:
        _restore(index, before)
        raise
    made = git.head(root)
    assert made is not None
    return made


def _attach_runs(project: Project) -> list[str]:
    try:
        run_records.attach(project)
    except EmdvcError as error:  # who ran what is worth less than the commit, which stands
        return [f"who computed the results was not noted: {error.evidence or error.cause}"]
    return []


def _restore(index: Path, before: bytes | None) -> None:
    if before is None:
        index.unlink(missing_ok=True)
    else:
        index.write_bytes(before)


def _push(project: Project, commit: Commit | None, progress: Progress) -> tuple[int | None, str | None, list[str]]:
    said: list[str] = []
    sent: int | None = None
    try:
        if default_name(project) is None:
            said.append("data was not pushed: there is no remote (emdvc remote add NAME URL)")
        else:
            sent = _push_data(project, progress, said)
        pushed_to = _push_history(project, said)
    except EmdvcError as error:
        done = f"committed as {commit.short}; " if commit is not None else ""
        raise EnvironmentFault(
            error.cause,
            code=error.code,
            evidence=done + (error.evidence or ""),
            hint=error.hint if "emdvc save" in (error.hint or "") else _again(error.hint),
        ) from error
    _remember(project)
    return sent, pushed_to, said


def _again(hint: str | None) -> str:
    return f"{hint}; then emdvc save pushes again" if hint else "once it is mended, emdvc save pushes again"


def _push_data(project: Project, progress: Progress, said: list[str]) -> int | None:
    """Push the data of the workspace and of commits that were not pushed; return how many files were sent."""
    revisions = _unshared(project)
    if pushing.keeps_versions(remote_settings(project)):
        return dvc_remote.push(project)  # such a remote takes no other revisions
    try:
        pushed = pushing.push(project, revisions, progress=progress)
    except LostError as error:
        if not all("@" in name for name in error.absent):
            raise
        # of an earlier commit, and gone for good: that must not keep back what came after it
        said.append(f"not on the remote: {error.cause} ({error.evidence})")
        return None
    return pushed.sent + (dvc_remote.push(project, revisions) if pushed.foreign else 0)


def _unshared(project: Project) -> list[str]:
    """Return the commits whose data may not be on the remote yet: those that no git remote has, since the last save."""
    root = project.git_root
    if git.head(root) is None:
        return []
    marker = project.journal_dir / "shared"
    known = marker.read_text(encoding="utf-8").split() if marker.exists() else []
    known = [oid for oid in known if git.commit_of(oid, root) is not None]
    return git.git(["rev-list", "HEAD", "--not", "--remotes", *known], root).split()


def _remember(project: Project) -> None:
    head = git.head(project.git_root)
    if head is not None:
        sidecars.write_text(project.journal_dir / "shared", head.oid + "\n")


def _push_history(project: Project, said: list[str]) -> str | None:
    root = project.git_root
    branch, upstream = git.branch(root), git.upstream(root)
    if branch is None:
        said.append("history was not pushed: no branch is checked out (git switch -c NAME)")
        return None
    if git.head(root) is None:
        return None
    if upstream is None and "origin" not in git.remotes(root):
        said.append("history was not pushed: there is no git remote (git remote add origin URL)")
        return None
    try:
        git.push(root, *([] if upstream else ["--set-upstream", "origin", branch]))
    except EnvironmentFault as error:
        if any(word in (error.evidence or "") for word in ("rejected", "failed to push")):
            raise EnvironmentFault(
                "others have pushed meanwhile",
                code=error.code,
                evidence=error.evidence,
                hint="git pull --rebase, dvc checkout, then emdvc save",
            ) from error
        raise
    upstream = git.upstream(root)
    refused = notes.share(root, git.config(f"branch.{branch}.remote", root) or "origin")
    if refused is not None:
        said.append(f"what is noted of the commits was not pushed: {refused}")
    return upstream
