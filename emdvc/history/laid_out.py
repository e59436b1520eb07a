"""A dataset as it was at a revision, laid out in a folder of its own from the cache, to be opened by any reader.

Of a Zarr store the metadata and the small arrays (coordinates) are laid out at once, its chunk files when a region of
them is read: what differs between two revisions is then all that is looked up, and all that is fetched. Files are hard
links to the cache where the disk can, else symbolic links or copies; they are opened for reading only, and removed at
the end.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region, Variable
from emdvc.formats.zarr_keys import keys_of
from emdvc.history.objects import Objects
from emdvc.history.recorded import Recorded
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
#: Samples of a line of coordinates whose files are laid out at once: a reader asks for them when it opens the store.
_SMALL = 1 << 16


@dataclass
class LaidOut:
    """The files of a dataset at a revision.

    Parameters
    ----------
    objects
        Where their bytes come from.
    record
        What DVC recorded.
    name
        What messages call it, with its revision.
    files
        Relative path -> md5 of a directory's files; of a single file its name alone.
    folder
        Where they are laid out.
    laid
        Those that are there by now.
    """

    objects: Objects
    record: Recorded
    name: str
    files: Mapping[str, str]
    folder: Path
    laid: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> Path:
        """The dataset, under its own name."""
        return self.folder / self.record.path.name

    @property
    def store(self) -> bool:
        """Whether it is a Zarr store."""
        return any(name in self.files for name in _METADATA)

    def ensure(self, names: Iterable[str] | None = None) -> None:
        """Lay out files, fetching those that are not here; None: all.

        Raises
        ------
        DataMissingError, EnvironmentFault
            As :meth:`emdvc.history.objects.Objects.ensure`.
        """
        with self._lock:
            wanted = [n for n in (self.files if names is None else names) if n in self.files and n not in self.laid]
            if not wanted:
                return
            root = self.objects.project.path(self.record.path)
            directory = self.record.is_directory
            self.objects.ensure(
                {self.files[name]: name for name in wanted},
                self.name,
                remote=self.record.remote,
                beside={self.files[name]: root / name if directory else root for name in wanted},
            )
            for name in wanted:
                target = self.path / name if directory else self.path
                target.parent.mkdir(parents=True, exist_ok=True)
                _link(self.objects.path(self.files[name]), target)
            self.laid.update(wanted)

    def prepare(self) -> None:
        """Lay out what a reader looks at when it opens the dataset."""
        if not self.store:
            self.ensure()
            return
        self.path.mkdir(exist_ok=True)
        self.ensure([name for name in self.files if PurePosixPath(name).name in _METADATA])
        small = {folder for folder in self._arrays() if self._is_small(folder)}
        self.ensure([name for name in self.files if any(name.startswith(f"{folder}/") for folder in small)])

    def _arrays(self) -> set[str]:
        return {str(PurePosixPath(name).parent) for name in self.files if name.endswith(("/zarr.json", "/.zarray"))}

    def _is_small(self, folder: str) -> bool:
        for name in ("zarr.json", ".zarray"):
            path = self.path / folder / name
            if path.is_file():
                try:
                    shape = json.loads(path.read_bytes()).get("shape")
                except (ValueError, AttributeError):
                    return False
                return isinstance(shape, list) and len(shape) <= 1 and prod(int(n) for n in shape) <= _SMALL
        return False


class LaidOutArray:
    """An array of a laid out dataset: before a region is read its chunk files are seen to."""

    def __init__(self, array: LazyArray, files: LaidOut) -> None:
        self._array, self._files = array, files
        self.keys = keys_of(array) if files.store else None
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.chunks: tuple[int, ...] = array.chunks

    def prefetch(self, regions: Iterable[Region]) -> None:
        """Lay out the chunk files of some regions together: fetched at the same time, where they are not here."""
        if self._files.store:
            keys = self.keys
            names = None if keys is None else {name for region in regions for name in keys.keys(region)}
            self._files.ensure(names)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region.

        Raises
        ------
        DataMissingError, FormatError
            Its bytes are not to be had; they are damaged.
        """
        if self._files.store:
            self._files.ensure(None if self.keys is None else self.keys.keys(region))
        return self._array.read(region)


@contextmanager
def laid_out(objects: Objects, record: Recorded, revision: str | None) -> Iterator[LaidOut]:
    """Yield the files of a dataset as they are recorded at a revision, in a folder that is removed at the end.

    Parameters
    ----------
    objects
        Objects of the project.
    record
        What DVC recorded at that revision.
    revision
        Its name, for messages; None for the workspace.

    Raises
    ------
    DataMissingError, EnvironmentFault
        The list of a directory's files is not to be had.
    """
    name = f"{record.path}@{revision}" if revision else str(record.path)
    if record.is_directory:
        files = objects.manifest(record.md5, name, remote=record.remote)
    else:
        files = {record.path.name: record.md5}
    place = objects.project.journal_dir / "look"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    found = LaidOut(objects, record, name, files, folder)
    try:
        yield found
    finally:
        _remove(found)


@contextmanager
def opened(files: LaidOut, sidecar: Sidecar) -> Iterator[Opened]:
    """Yield a laid out dataset, open; its arrays fetch what is read of them.

    Parameters
    ----------
    files
        The dataset.
    sidecar
        What was known of it then: how it is to be read.

    Raises
    ------
    FormatError, DataMissingError
        It cannot be read; its bytes are not to be had.
    """
    from emdvc.formats import registry

    files.prepare()
    found = registry.open_file(files.path, ReadOptions.from_dict(sidecar.source.get("options") or {}))
    try:
        found.variables = tuple(Variable(v.name, v.dims, LaidOutArray(v.array, files), v.unit) for v in found.variables)
        yield found
    finally:
        found.close()


def _link(source: Path, target: Path) -> None:
    for how in (os.link, os.symlink):
        try:
            how(source, target)
            return
        except OSError:
            continue
    shutil.copyfile(source, target)


def _remove(files: LaidOut) -> None:
    if os.name == "nt":
        # there a read-only file cannot be removed, and a hard link shares that mark with the cache's own file
        for name in files.laid:
            target = files.path / name if files.record.is_directory else files.path
            with suppress(OSError):
                target.chmod(0o666)
                target.unlink()
                files.objects.path(files.files[name]).chmod(0o444)
    shutil.rmtree(files.folder, ignore_errors=True)
