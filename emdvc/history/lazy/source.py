"""A recorded dataset and how it is opened, as a value: other processes open it again and read the remote themselves."""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.history.lazy.opening import opened
from emdvc.history.lazy.recorded_dataset import record_at, recorded_dataset, sidecar_of
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.model.sidecar import Sidecar


class RecordedSource:
    """The counterpart of :class:`emdvc.formats.dataset.Source` for data that need not be here.

    What is recorded, and the sidecar, are read when it is made and go with it: every process that opens it sees the
    same bytes, whatever happens to the workspace or to a branch meanwhile. It must see the project's folder, where the
    settings of the remote and the cache are.

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
    UsageError, DataMissingError, MetadataError
        There is no such revision; no such dataset is recorded there; its sidecar is damaged.
    """

    def __init__(
        self,
        project: Project,
        path: PurePosixPath,
        revision: str | None = None,
        *,
        remote: str | None = None,
        options: ReadOptions | None = None,
        signal: str | None = None,
    ) -> None:
        self.project, self.path, self.revision, self.remote = project, data_path(path), revision, remote
        self.options, self.signal = options, signal
        with Snapshot(project, revision) as snapshot:
            #: The commit that the revision names; None for the workspace.
            self.oid = snapshot.oid
            self.record: Recorded = record_at(snapshot, self.path)
            self.sidecar: Sidecar | None = sidecar_of(snapshot, self.path)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._open: tuple[Opened, Sidecar] | None = None

    def opened(self) -> tuple[Opened, Sidecar]:
        """Return the open dataset and its sidecar; it is opened once in each process.

        Raises
        ------
        DataMissingError, EnvironmentFault, FormatError
            As :func:`emdvc.history.lazy.opening.open_recorded`.
        """
        with self._lock:
            if self._open is None:
                dataset = recorded_dataset(
                    self.project, self.path, self.record, self.revision, remote=self.remote, sidecar=self.sidecar
                )
                self._open = opened(dataset, self.options, self.signal)
            return self._open

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""
        return self.opened()[0].variable(name).array

    def close(self) -> None:
        """Release its files."""
        with self._lock:
            if self._open is not None:
                self._open[0].close()
                self._open = None

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        """Return what tells it from any other: its bytes, and how they are read."""
        options = self.options.to_dict() if self.options is not None else None
        sidecar = self.sidecar.to_dict() if self.sidecar is not None else None
        return str(self.project.root), str(self.path), self.record.md5, options, self.signal, repr(sidecar)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_open")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()
