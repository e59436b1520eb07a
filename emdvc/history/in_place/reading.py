"""Opening what a run reads: on disk, or where it is, exactly as it is recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from emdvc.errors import Code, DataMissingError, ProjectError, UsageError
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.dataset import Source, locate, open_lazy
from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.project import Project
from emdvc.history.resuming import files
from emdvc.history.snapshot import Snapshot
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index import WorkspaceIndex
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.engine.frames import ArraySource
    from emdvc.history.running import Run


@dataclass(frozen=True, slots=True)
class Reading:
    """How a run reads its input and the other datasets.

    Parameters
    ----------
    opened, sidecar
        The input.
    source
        How another process opens it.
    others
        Opens another dataset by its path.
    state
        Returns of a path what changes with the bytes that are read there: a run goes on from what an earlier one left
        only where it is the same.
    """

    opened: Opened
    sidecar: Sidecar
    source: ArraySource
    others: Callable[[Path], tuple[Opened, Sidecar]]
    state: Callable[[Path], str]


def reading(run: Run, *, options: ReadOptions | None = None, signal: str | None = None) -> Reading:
    """Open the input of a run.

    Parameters
    ----------
    run
        The run. One that reads in place gets what git records in the workspace, whatever lies here: from the cache,
        from those files of the workspace that hold these bytes, else from the remote.
    options
        How to read; by default as the sidecar says.
    signal
        Name of the one array that is meant; by default all.

    Raises
    ------
    DataMissingError, EnvironmentFault
        Its bytes are not to be had.
    FormatError, MetadataError
        It cannot be read.
    ProjectError
        It is to be read in place, and there is no project.
    """
    if not run.in_place:
        return _on_disk(run, options, signal)
    if run.project is None:
        raise ProjectError("--in-place reads what a project records, and this is no project", hint="emdvc init")
    from emdvc.history.lazy.source import RecordedSource

    project = Project.find(run.project.root)  # `project` may be the folder of one of its pipelines
    data, inner = locate(run.source)
    if _lies_here(project, data):
        return replace(_on_disk(run, options, signal), others=lambda path: _recorded_or_here(project, path))
    if inner is not None:
        options = ReadOptions(inner=inner)
    source = RecordedSource(project, _path(project, data), options=options, signal=signal)
    opened, sidecar = source.opened()
    return Reading(
        opened, sidecar, source, lambda path: _recorded_or_here(project, path), lambda path: _state(project, path)
    )


def _on_disk(run: Run, options: ReadOptions | None, signal: str | None) -> Reading:
    try:
        opened, sidecar = open_lazy(run.source, options, signal=signal)
    except DataMissingError as error:
        if error.code != Code.DATA_MISSING or run.project is None:
            raise
        there = f"emdvc run {run.step.name} {run.source} {run.output} --in-place"
        if (stage := run.stage) is not None:
            names = f"-d {stage.input} -o {stage.output} --name {stage.name}"
            there = f"emdvc stage add {stage.step} {names} --in-place --force"
        hint = "; ".join(filter(None, (error.hint, f"or read it where it is: {there}")))
        raise DataMissingError(error.cause, code=error.code, evidence=error.evidence, hint=hint) from error
    source = Source(str(run.source.absolute()), options, signal)
    return Reading(opened, sidecar, source, open_lazy, files)


def _recorded_or_here(project: Project, path: Path) -> tuple[Opened, Sidecar]:
    from emdvc.history.lazy.opening import open_recorded

    data, inner = locate(path)
    if _md5(project, data) is None or _lies_here(project, data):
        return open_lazy(path)
    return open_recorded(project, _path(project, data), options=ReadOptions(inner=inner) if inner else None)


def _lies_here(project: Project, data: Path) -> bool:
    """Say whether a dataset that the cache does not know lies in the workspace, just as it is recorded.

    So it is where ``dvc repro --no-commit`` computed it, or where a stage is computed again in a folder of its own.
    """
    md5 = _md5(project, data)
    if md5 is None:
        return data.exists()  # a result of which dvc.lock does not know yet
    if not data.exists() or object_path(cache_folder(project), md5).is_file():
        return False
    try:
        return WorkspaceIndex(project, Ignored(project.root)).md5(str(_path(project, data))) == md5
    except AskDvcError:
        return False  # links: what is recorded is looked for elsewhere


def _state(project: Project, path: Path) -> str:
    md5 = _md5(project, path)
    return files(path) if md5 is None else f"md5:{md5}"


def _md5(project: Project, data: Path) -> str | None:
    """Return what is recorded of a dataset; None of one that git keeps, or that lies elsewhere."""
    from emdvc.history.lazy.recorded_dataset import record_at

    try:
        path = _path(project, data)
        with Snapshot(project) as now:
            return record_at(now, path).md5
    except (DataMissingError, UsageError):
        return None


def _path(project: Project, data: Path) -> PurePosixPath:
    return project.relative(os.path.abspath(data))  # noqa: PTH100
