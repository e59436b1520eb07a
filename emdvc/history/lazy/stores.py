"""A recorded Zarr store, opened for a look: its metadata at once, its chunks as they are read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from weakref import finalize

from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region, Variable
from emdvc.formats.zarr_keys import keys_of, pieces
from emdvc.history.lazy.recorded_dataset import RecordedDataset
from emdvc.history.lazy.store_files import RecordedFiles

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
#: Samples of a line of coordinates that is fetched at once: a reader asks for it when it opens the store.
_SMALL = 1 << 16


class RecordedArray:
    """An array of a recorded store, whose files can be sent for before they are read."""

    def __init__(self, array: LazyArray, files: RecordedFiles) -> None:
        self._array, self._files = array, files
        self.keys = keys_of(array)
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.chunks: tuple[int, ...] = array.chunks

    def prefetch(self, regions: Iterable[Region]) -> None:
        """Begin to fetch the files of some regions together."""
        if self.keys is not None:
            stored = self.keys.stored
            indices = dict.fromkeys(index for region in regions for index, _, _ in pieces(region, stored))
            self._files.start(self.keys.key(index) for index in indices)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region, waiting for what it needs.

        Raises
        ------
        DataMissingError, EnvironmentFault, FormatError
            Its bytes are not to be had; they are damaged.
        """
        return self._array.read(region)


def open_store(dataset: RecordedDataset, options: ReadOptions) -> Opened:
    """Open a recorded Zarr store; its ``close`` releases everything.

    Its metadata are laid out in a folder of their own, where every reader of Zarr finds them; whatever the list of its
    files names is there or raises an error, so that no variable can be left out.

    Parameters
    ----------
    dataset
        The store.
    options
        How to read it.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        Its metadata are not to be had, or damaged.
    """
    from emdvc.formats import registry

    files = RecordedFiles(dataset)
    metadata = files.fetch(name for name in dataset.files if PurePosixPath(name).name in _METADATA)
    small = _small(metadata)
    files.start(name for name in dataset.files if _below(name, small))
    place = dataset.project.journal_dir / "look"
    place.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=place))
    # when the last array is forgotten, for who does not close
    remove = finalize(files, shutil.rmtree, folder, ignore_errors=True)
    try:
        top = folder / dataset.path.name
        top.mkdir()
        for name, path in metadata.items():
            target = top / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        found = registry.open_file(top, replace(options, store=files))
        found.variables = tuple(
            Variable(v.name, v.dims, RecordedArray(v.array, files), v.unit) for v in found.variables
        )
    except BaseException:
        remove()
        raise
    release = found.close

    def close() -> None:
        release()
        remove()

    found.close = close
    return found


def _small(metadata: Mapping[str, Path]) -> set[str]:
    """Return the folders of arrays that hold one short line of numbers."""
    found = set()
    for name, path in metadata.items():
        if PurePosixPath(name).name in ("zarr.json", ".zarray"):
            try:
                shape = json.loads(path.read_bytes()).get("shape")
            except (ValueError, AttributeError):
                continue  # the reader says it
            if isinstance(shape, list) and len(shape) <= 1 and prod(int(n) for n in shape) <= _SMALL:
                found.add(str(PurePosixPath(name).parent))
    return found


def _below(name: str, folders: set[str]) -> bool:
    return any(str(parent) in folders for parent in PurePosixPath(name).parents)
