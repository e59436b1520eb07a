"""``emdvc status``: where we are, what changed, what would be recomputed and why, what is not shared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import EmdvcError
from emdvc.history import changes, dvc, dvc_pipeline, dvc_remote, git, pictures, rerun
from emdvc.history.changes import Changes, FileChange
from emdvc.history.git import Commit
from emdvc.history.journal import recover
from emdvc.history.pictures import Outdated
from emdvc.history.project import Project
from emdvc.history.rerun import Rerun


@dataclass(frozen=True, slots=True)
class Where:
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


@dataclass(frozen=True, slots=True)
class Shared:
    """What the remote for data lacks.

    Parameters
    ----------
    remote, url
        The default remote; None where none is set.
    lacking
        Datasets that are here and not there.
    lost
        Datasets that are neither here nor there.
    problem
        Why it could not be asked; None when it was.
    """

    remote: str | None
    url: str | None
    lacking: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
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
    """

    where: Where
    changes: Changes
    raw_problems: tuple[FileChange, ...]
    reruns: tuple[Rerun, ...]
    shared: Shared | None
    absent: tuple[str, ...] = ()
    pictures: tuple[Outdated, ...] = ()
    undone: str | None = None

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        shared = self.shared is not None and bool(self.shared.lacking or self.shared.lost or self.shared.problem)
        here = self.changes or self.raw_problems or self.reruns or self.pictures
        return bool(here or shared or self.where.ahead or self.where.behind)


def status(project: Project, *, ask_remote: bool = True) -> Status:
    """Return the state of the project.

    Parameters
    ----------
    ask_remote
        Whether to ask the remote what it has.

    Raises
    ------
    ProjectError
        dvc.yaml or another of the project's files is damaged.
    EnvironmentFault
        Another DVC works in the project.
    """
    undone = recover(project)
    states = dvc_pipeline.states(project)
    problems = [
        FileChange(path, how)
        for state in states
        if state.source
        for path, how in state.changed_outs.items()
        if how == "modified"
    ]
    reruns = rerun.would_run(project, states)
    redrawn = {would_run.stage for would_run in reruns}
    return Status(
        where(project),
        changes.since_commit(project),
        tuple(problems),
        tuple(reruns),
        shared(project) if ask_remote else None,
        tuple(rerun.absent(states)),
        tuple(picture for picture in pictures.outdated(project) if picture.stage not in redrawn),
        undone,
    )


def where(project: Project) -> Where:
    """Return branch, last commit, and how far the branch is from the one that it follows."""
    root = project.git_root
    ahead, behind = git.ahead_behind(root) or (0, 0)
    return Where(git.branch(root), git.head(root), git.upstream(root), ahead, behind)


def shared(project: Project) -> Shared:
    """Return what the default remote lacks; a remote that does not answer is said, not an error."""
    remote = dvc_remote.default_remote(project)
    if remote is None:
        return Shared(None, None)
    try:
        lacking = dvc_remote.not_on_remote(project)
    except EmdvcError as error:
        return Shared(remote.name, remote.url, problem=": ".join(filter(None, (error.cause, error.evidence))))
    tracked = [out.path for out in dvc.outs(project)]
    return Shared(
        remote.name,
        remote.url,
        _datasets([path for path, how in lacking.items() if how == "new"], tracked),
        _datasets([path for path, how in lacking.items() if how == "missing"], tracked),
    )


def _datasets(paths: list[str], tracked: list[PurePosixPath]) -> tuple[str, ...]:
    """Return the datasets that files belong to, each once."""
    found: dict[str, Any] = {}
    for text in paths:
        path = PurePosixPath(text)
        found[str(next((out for out in tracked if out == path or out in path.parents), path))] = None
    return tuple(found)
