"""Opening a dataset as it was recorded, at any revision, with nothing pulled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from emdvc.errors import FormatError
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.history.lazy.recorded_dataset import RecordedDataset, record_at, recorded_dataset, sidecar_of
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.model.sidecar import Sidecar


def open_recorded(
    project: Project,
    path: PurePosixPath,
    revision: str | None = None,
    *,
    remote: str | None = None,
    options: ReadOptions | None = None,
    signal: str | None = None,
) -> tuple[Opened, Sidecar]:
    """Open a dataset as it was recorded, with its sidecar's calibration and record of that revision.

    Only its metadata are fetched; of its numbers what is read later. ``Opened.close`` releases everything.

    Parameters
    ----------
    project
        The project.
    path
        Of the dataset, relative to the project.
    revision
        Any name of a commit that git knows; None for what the workspace records.
    remote
        Remote to ask for what is not here; by default the one that the record names, else the default one.
    options
        How to read; by default as the sidecar says.
    signal
        Name of the one array that is meant; by default all that share their axes.

    Raises
    ------
    UsageError, DataMissingError
        There is no such revision; no such dataset is recorded there; its metadata are not to be had, or corrupt.
    EnvironmentFault
        The remote did not answer.
    FormatError, MetadataError
        It cannot be read; its sidecar is damaged.
    """
    return opened(dataset_at(project, path, revision, remote=remote), options, signal)


def dataset_at(
    project: Project, path: PurePosixPath, revision: str | None = None, *, remote: str | None = None
) -> RecordedDataset:
    """Return the files of a dataset as they are recorded at a revision.

    Raises
    ------
    UsageError, DataMissingError, EnvironmentFault, MetadataError
        As :func:`open_recorded`.
    """
    path = data_path(path)
    with Snapshot(project, revision) as snapshot:
        record = record_at(snapshot, path)
        sidecar = sidecar_of(snapshot, path)
    return recorded_dataset(project, path, record, revision, remote=remote, sidecar=sidecar)


def opened(
    dataset: RecordedDataset, options: ReadOptions | None = None, signal: str | None = None
) -> tuple[Opened, Sidecar]:
    """Open a recorded dataset, with the calibration and the record of its sidecar where it has one.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError, MetadataError
        As :func:`open_recorded`.
    """
    from emdvc.formats.dataset import with_sidecar

    sidecar = dataset.sidecar
    options = options or ReadOptions.from_dict((sidecar.source.get("options") or {}) if sidecar is not None else {})
    if signal is not None:
        options = replace(options, signal=signal)
    found = open_files(dataset, options)
    if sidecar is not None and options.signal is None and options.inner is None:
        absent = [name for name in sidecar.variables if name not in {variable.name for variable in found.variables}]
        if absent:
            found.close()
            raise FormatError(
                f"{dataset.name} lacks an array that its sidecar speaks of",
                evidence=f"{absent[0]} is not in it",
                hint="emdvc verify --bytes",
            )
    return with_sidecar(found, sidecar, options, dataset.name)


def open_files(dataset: RecordedDataset, options: ReadOptions) -> Opened:
    """Open a recorded dataset by its files alone, without what its sidecar says; ``close`` releases everything.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        As :func:`open_recorded`.
    """
    if dataset.is_store:
        from emdvc.history.lazy.stores import open_store

        return open_store(dataset, options)
    from emdvc.history.lazy.single_file import open_single_file

    return open_single_file(dataset, options)
