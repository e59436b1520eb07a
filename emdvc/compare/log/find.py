"""The history of a dataset as a person asks for it: by a path, a path at a revision, a date, a number of commits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from emdvc.compare.log.facts import Places
from emdvc.compare.log.gather import History, Log, LogEntry, Range, locks_of
from emdvc.errors import Code, DataMissingError, UsageError, suggest
from emdvc.history import git
from emdvc.history.batch import Batch
from emdvc.history.commits import touching
from emdvc.history.project import Project
from emdvc.history.recorded import LOCK, recorded
from emdvc.history.snapshot import Snapshot, data_path, split_revision


def find(word: str, *, limit: int | None = None, since: str | None = None, everything: bool = False) -> Log:
    """Return the history of a dataset.

    Parameters
    ----------
    word
        ``PATH`` or ``PATH@REV``: the dataset, its sidecar, its ``.dvc`` file, or a file inside it. It need not be there
        any more.
    limit
        At most so many commits.
    since
        Only later commits; a date as git understands it.
    everything
        All branches and tags, not the current one alone.

    Raises
    ------
    ProjectError
        The path is in no project.
    UsageError
        There is no such revision, or a revision and all branches are asked for.
    DataMissingError
        Nothing of that name was ever recorded; the nearest name is suggested.
    EnvironmentFault
        Git failed.
    """
    text, revision = split_revision(word)
    if everything and revision is not None:
        raise UsageError(
            "a revision and all branches cannot both be asked for",
            evidence=f"--all, and {word}",
            hint=f"emdvc log {text} --all",
        )
    project = Project.find(_folder(text))
    path = project.relative(text)
    first = git.resolve(revision or "HEAD", project.git_root) if revision or git.head(project.git_root) else None
    with Batch(project.git_root) as batch:
        places = _places(project, batch, path, first, revision)
        uncommitted = revision is None and places.at(None).differs(places.at(first) if first else places.at(EMPTY))
        if first is None:
            return Log(places.data, revision, uncommitted=uncommitted)
        wanted = Range(None if everything else first, since)
        found, more = _taken(History(project, batch).entries(places, wanted), limit)
    return Log(places.data, revision, found, more, uncommitted)


#: A revision without any file.
EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def _taken(entries: Iterator[LogEntry], limit: int | None) -> tuple[tuple[LogEntry, ...], bool]:
    if limit is None:
        return tuple(entries), False
    found = tuple(islice(entries, limit + 1))
    return found[:limit], len(found) > limit


def _folder(text: str) -> Path:
    """Return the nearest folder above a path that exists: what was removed has a history, too."""
    path = Path(text).absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path.cwd())


def _places(project: Project, batch: Batch, path: PurePosixPath, first: str | None, revision: str | None) -> Places:
    """Return where the dataset is recorded that a path means.

    Raises
    ------
    DataMissingError
        None was ever recorded under that name.
    """
    data = data_path(path)
    start = Snapshot(project, first, batch=batch)
    files = start.files()
    candidates = [one for one in (data, *data.parents) if one.name]
    revisions = [first, None] if revision is None else [first]
    for one in candidates:  # a file inside a dataset's directory means the dataset
        places = Places(project, one, batch, locks_of(files, one))
        if any(places.at(at).there for at in revisions):
            return places
    for one in candidates if first is not None else []:
        places = Places(project, one, batch, locks_of(files, one))
        start_at = first if revision is not None else None
        if next(touching(places.beside, project.git_root, start_at, walk=["-1"]), None) is not None:
            return places
    raise _unknown(project, path, start, revision)


def _unknown(project: Project, path: PurePosixPath, start: Snapshot, revision: str | None) -> DataMissingError:
    """Return the error that says that nothing of that name was ever recorded."""
    known = sorted({*start.datasets(), *(one for one, found in recorded(start).items() if found.where.name != LOCK)})
    below = [one for one in known if one.is_relative_to(path)]
    if below:
        return DataMissingError(
            f"{path} is a folder, not a dataset",
            code=Code.NOT_FOUND,
            evidence=f"{len(below)} dataset{'s' if len(below) > 1 else ''} in it",
            hint=f"emdvc log {below[0]}",
        )
    near = suggest(str(path), list(map(str, known)))
    at = f" at {revision}" if revision else ""
    return DataMissingError(
        f"no dataset {path} was ever recorded{at}",
        code=Code.NOT_FOUND,
        evidence=f"no commit{at and ' up to there'} has {path.name}.em.yaml or {path.name}.dvc",
        hint=f"did you mean {near}?" if near else f"emdvc add {path}" if project.path(path).exists() else None,
    )
