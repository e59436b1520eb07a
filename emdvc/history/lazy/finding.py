"""Which recorded dataset a person means by a path, a revision and a repository; None for what simply lies there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

from emdvc.errors import UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions
from emdvc.formats.registry import split_inner
from emdvc.history.cache_place import cache_folder
from emdvc.history.dvc_manifest import manifest
from emdvc.history.lazy.source import RecordedSource
from emdvc.history.project import Project
from emdvc.history.recorded import LOCK, Recorded, recorded_by
from emdvc.history.snapshot import Snapshot, split_revision


def recorded_source(
    path: str,
    revision: str | None = None,
    repo: str | None = None,
    remote: str | None = None,
    options: ReadOptions | None = None,
    signal: str | None = None,
) -> RecordedSource | None:
    """Return the recorded dataset that is meant; None where it is to be read as it lies in the workspace.

    Parameters
    ----------
    path
        Of the dataset, as :func:`emdvc.open_dataset` takes it; may end in ``@REVISION``.
    revision
        Any name of a commit that git knows.
    repo
        Folder or URL of a git repository; `path` is then relative to its project.
    remote
        Remote to ask for what is not here.
    options
        How to read.
    signal
        Name of the one array that is meant.

    Raises
    ------
    UsageError, ProjectError
        Two revisions are named; there is no such revision; the path lies in no project, or the repository holds none.
    DataMissingError
        No such dataset is recorded there.
    EnvironmentFault
        The repository cannot be cloned.
    """
    if repo is None:
        path, named = split_revision(path) if revision is None else (path, None)
    else:
        path, named = _split(path)
    if named is not None and revision is not None:
        raise UsageError(f"two revisions are named: {named} and {revision}", hint="leave one of them out")
    revision = revision or named
    file, inner = split_inner(path)
    if inner is not None:
        options = replace(options or ReadOptions(), inner=inner)
    if repo is not None:
        from emdvc.history.lazy.kept_clone import project_at

        project = project_at(repo, revision)
        if revision is None and not (Path(repo).expanduser() / ".dvc").is_dir():
            revision = "HEAD"  # of a clone only the history is here
        inside = project.relative(file) if file.is_absolute() else PurePosixPath(file.as_posix())
        return RecordedSource(project, inside, revision, remote=remote, options=options, signal=signal)
    file = sidecars.data_of(file)
    asked = revision is not None or remote is not None
    found = Project.find(file.parent) if asked else Project.find_or_none(file.parent)
    if found is None:
        return None
    where = found.relative(file)
    if not asked:
        record = _record(found, where)
        if record is None or (file.exists() and not _partly_here(found, record)):
            return None
    return RecordedSource(found, where, revision, remote=remote, options=options, signal=signal)


def _split(path: str) -> tuple[str, str | None]:
    """Return the path and the revision of ``PATH@REV`` in another repository, where no file can tell."""
    at = path.find("@")
    return (path[:at], path[at + 1 :]) if 0 < at < len(path) - 1 else (path, None)


def _record(project: Project, path: PurePosixPath) -> Recorded | None:
    """Return what the workspace records of a dataset, from the few files that may name it."""
    pointers = [PurePosixPath(f"{place}.dvc") for place in (path, *path.parents) if place.name]
    with Snapshot(project) as now:
        for files in (pointers, [folder / LOCK for folder in path.parents]):
            known = recorded_by(now, [file for file in files if project.path(file).is_file()])
            for place in (path, *path.parents):
                record = known.get(place)
                if record is not None and record.md5 and (place == path or record.is_directory):
                    return record
    return None


def _partly_here(project: Project, record: Recorded) -> bool:
    """Say whether files of a dataset that lies in the workspace are missing, which Zarr would read as empty."""
    if not record.is_directory or not project.path(record.path).is_dir():
        return False
    files = manifest(cache_folder(project), record.md5)
    if files is None or all(project.path(record.path / name).exists() for name in files):
        return False
    from emdvc.history.partial import part_of

    return part_of(project, record.path) is not None  # else somebody changed it: it is what it is
