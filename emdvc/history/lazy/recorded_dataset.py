"""A dataset as DVC recorded it at a revision: which files it has, and where their bytes come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emdvc.errors import Code, DataMissingError, suggest
from emdvc.history import dvc_manifest
from emdvc.history.lazy.arriving import Arriving
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot, sidecar_path
from emdvc.model.sidecar import Sidecar

_ROOTS = ("zarr.json", ".zarray", ".zgroup")


@dataclass(frozen=True)
class RecordedDataset:
    """The files of a dataset at a revision, none of which need be here.

    Parameters
    ----------
    project
        The project.
    path
        Of the dataset, relative to the project.
    record
        What DVC recorded: of the dataset, or of a directory that holds it.
    revision
        Its name, for messages; None for the workspace.
    files
        Path in the dataset -> md5 of a directory's files; of a single file its name alone.
    directory
        Whether the dataset is a directory.
    arriving
        Brings their bytes.
    sidecar
        What was known of it then, resolved; None where it has no sidecar.
    """

    project: Project
    path: PurePosixPath
    record: Recorded
    revision: str | None
    files: Mapping[str, str]
    directory: bool
    arriving: Arriving
    sidecar: Sidecar | None = None

    @property
    def name(self) -> str:
        """What messages call it, with its revision."""
        return shown(self.path, self.revision)

    @property
    def is_store(self) -> bool:
        """Whether it is a Zarr store."""
        return self.directory and any(name in self.files for name in _ROOTS)

    def beside(self, file: str) -> Path:
        """Return where a file of it lies in the workspace, if it does."""
        root = self.project.path(self.path)
        return root / file if self.directory else root


def shown(path: PurePosixPath, revision: str | None) -> str:
    """Return what messages call a dataset at a revision."""
    return f"{path}@{revision}" if revision else str(path)


def record_at(snapshot: Snapshot, path: PurePosixPath) -> Recorded:
    """Return what is recorded of a dataset at a revision, or of the directory that was added with it inside.

    Raises
    ------
    DataMissingError
        Nothing is recorded there.
    MetadataError
        A ``.dvc`` file or dvc.lock is no YAML.
    """
    known = snapshot.once("recorded", recorded)
    for place in (path, *path.parents):
        record = known.get(place)
        if record is not None and record.md5 and (place == path or record.is_directory):
            return record
    at = f" at {snapshot.revision}" if snapshot.revision else ""
    near = suggest(str(path), [str(other) for other in known])
    raise DataMissingError(
        f"no data {path} is recorded{at}",
        code=Code.NOT_FOUND,
        evidence=f"neither a .dvc file nor dvc.lock{at} names it",
        hint=f"did you mean {near}?" if near else "emdvc log",
    )


def recorded_dataset(
    project: Project,
    path: PurePosixPath,
    record: Recorded,
    revision: str | None,
    *,
    remote: str | None = None,
    sidecar: Sidecar | None = None,
) -> RecordedDataset:
    """Return the files of a dataset as they are recorded; the list of a directory's files is fetched.

    Parameters
    ----------
    project
        The project.
    path
        Of the dataset, relative to the project.
    record
        What DVC recorded of it, or of a directory that holds it.
    revision
        Its name, for messages; None for the workspace.
    remote
        Remote to ask; by default the one that the record names, else the default one.
    sidecar
        What was known of it.

    Raises
    ------
    DataMissingError, EnvironmentFault
        The list of a directory's files is not to be had, or corrupt; it does not name the dataset.
    """
    said = shown(path, revision)
    arriving = Arriving(project, said, remote or record.remote)
    if not record.is_directory:
        return RecordedDataset(project, path, record, revision, {path.name: record.md5}, False, arriving, sidecar)
    lies = arriving.wait({record.md5: "the list of its files"})[record.md5]
    files = dvc_manifest.parsed_list(lies.read_bytes())
    if files is None:
        raise DataMissingError(
            f"the list of the files of {said} is corrupt",
            code=Code.DATA_CORRUPT,
            evidence=str(lies),
            hint="emdvc verify --bytes --repair puts a good copy back where there is one",
        )
    directory = True
    if path != record.path:
        part = path.relative_to(record.path).as_posix()
        directory = part not in files
        files = (
            {name[len(part) + 1 :]: md5 for name, md5 in files.items() if name.startswith(f"{part}/")}
            if directory
            else {path.name: files[part]}
        )
    if not files:
        raise DataMissingError(
            f"no data {said} is recorded",
            code=Code.NOT_FOUND,
            evidence=f"{record.where} records {record.path}, which holds no such file",
            hint="emdvc log",
        )
    return RecordedDataset(project, path, record, revision, files, directory, arriving, sidecar)


def sidecar_of(snapshot: Snapshot, path: PurePosixPath) -> Sidecar | None:
    """Return the sidecar of a dataset, resolved; None where it has none.

    Raises
    ------
    MetadataError
        It is damaged.
    """
    return snapshot.sidecar(path) if snapshot.text(sidecar_path(path)) is not None else None
