"""The last commit that changed a dataset, found at once: on the way of ``emdvc inspect``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emdvc.compare.log.facts import Facts, Places
from emdvc.compare.log.gather import History, LogEntry, Range, locks_of
from emdvc.errors import EmdvcError
from emdvc.history import git
from emdvc.history.batch import Batch
from emdvc.history.commits import touching
from emdvc.history.project import Project


@dataclass(frozen=True, slots=True)
class LastChange:
    """When a dataset changed last.

    Parameters
    ----------
    entry
        The commit; None where none has the dataset yet.
    uncommitted
        Whether the workspace differs from the last commit.
    """

    entry: LogEntry | None
    uncommitted: bool = False


def last_change(data: Path, revision: str | None = None) -> LastChange | None:
    """Return when a dataset changed last; None outside a project, and where git cannot tell.

    Parameters
    ----------
    data
        The dataset, absolute or relative to the current folder.
    revision
        Up to this revision; None: the workspace.
    """
    project = Project.find_or_none(data.parent)
    if project is None:
        return None
    try:
        with Batch(project.git_root) as batch:
            path = project.relative(data)
            places = Places(project, path, batch, locks_of([], path))
            start = git.resolve(revision, project.git_root) if revision else "HEAD"
            recorded = places.at(start)
            uncommitted = revision is None and places.at(None).differs(recorded)
            entry = _last(project, batch, places, start, recorded) if recorded.there else None
            return LastChange(entry, uncommitted)
    except EmdvcError:
        # the data sheet is the answer; that git or a dvc.lock is broken is told by the commands that need them
        return None


def _last(project: Project, batch: Batch, places: Places, start: str, recorded: Facts) -> LogEntry | None:
    history = History(project, batch)
    # the sidecar says what the numbers are: its last change is the last one, unless other bytes came after it
    latest = next(touching(places.beside, project.git_root, start, walk=["-1"]), None)
    change = places.change(latest) if latest is not None else None
    if latest is not None and change is not None and change[1].md5 == recorded.md5:
        return history.entry(places, latest, *change)
    return next(history.entries(places, Range(start), why=False), None)
