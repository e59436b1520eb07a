"""A recorded file, or a set of files, opened without its reader: by the places of its numbers, found at adding.

Of each array only the blocks are fetched that hold what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from emdvc.errors import EmdvcError
from emdvc.formats.byte_source import ByteSource, LocalFile
from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region, Variable
from emdvc.formats.placement import Placed
from emdvc.history import blocks
from emdvc.history.blocks import Ranges
from emdvc.history.lazy.block_file import BlockFile
from emdvc.history.lazy.recorded_dataset import RecordedDataset
from emdvc.model.sidecar import Sidecar, VariableInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Opens the dataset by its reader, all of it fetched.
OpenWhole = Callable[[], Opened]


def open_placed(dataset: RecordedDataset, options: ReadOptions, open_whole: OpenWhole) -> Opened | None:
    """Open a recorded dataset by the places of its numbers; None where none are known.

    Parameters
    ----------
    dataset
        Its files.
    options
        How to read it; the places are those of the way it was added.
    open_whole
        Opens it by its reader; called when an array is read whose place is not known.

    Raises
    ------
    DataMissingError, EnvironmentFault
        What HDF5 must look at first is not to be had.
    """
    sidecar = dataset.sidecar
    ranges = blocks.parsed(dataset.record.kept, dataset.record.md5)
    if sidecar is None or ranges is None or not ranges.arrays or dataset.path != dataset.record.path:
        return None
    saved = ReadOptions.from_dict(sidecar.source.get("options") or {})
    if replace(options, signal=saved.signal) != saved:
        return None
    infos = dict(sidecar.variables)
    if options.signal is not None and options.signal != saved.signal:
        if options.signal not in infos:
            return None
        infos = {options.signal: infos[options.signal]}
    if not any(name in ranges.arrays for name in infos):
        return None
    files = _Files(dataset, ranges)
    whole = _Whole(open_whole)
    try:
        variables = tuple(
            Variable(name, info.dims, files.array(name, info) or LateArray(whole, name, info), info.unit)
            for name, info in infos.items()
        )
    except BaseException:
        files.close()
        raise

    def close() -> None:
        whole.close()
        files.close()

    return _opened(sidecar, variables, close)


def _opened(sidecar: Sidecar, variables: tuple[Variable, ...], close: Callable[[], None]) -> Opened:
    axes = {dim: sidecar.axes[dim] for variable in variables for dim in variable.dims}
    reader = str(sidecar.source.get("reader") or "")
    # the main array first; the sidecar keeps them by name
    ordered = tuple(sorted(variables, key=lambda variable: variable.name != sidecar.main))
    return Opened(ordered, axes, sidecar.record, dict(sidecar.vendor or {}), reader, close)


class _Files:
    """The files of a dataset, each opened once: whole where it is here or small, else by blocks."""

    def __init__(self, dataset: RecordedDataset, ranges: Ranges) -> None:
        self._dataset, self._ranges = dataset, ranges
        self._open: dict[str, ByteSource] = {}
        self._arrays: list[Placed] = []

    def array(self, name: str, info: VariableInfo) -> LazyArray | None:
        """Return an array by its place; None where that is not known, or is not that of the array."""
        placement = self._ranges.arrays.get(name)
        if placement is None:
            return None
        try:
            placed = Placed(placement, self._source)
        except (EmdvcError, EOFError):
            raise
        except (OSError, ValueError, KeyError, TypeError):
            return None  # written by hand, or by another emdvc
        if placed.array.shape != info.shape or placed.array.dtype.name != info.dtype:
            placed.close()
            return None
        self._arrays.append(placed)
        return placed.array

    def close(self) -> None:
        """Release the files."""
        for placed in self._arrays:
            placed.close()
        for source in self._open.values():
            source.close()
        self._open.clear()

    def _source(self, name: str) -> ByteSource:
        if name not in self._open:
            self._open[name] = self._opened(name)
        return _Shared(self._open[name])

    def _opened(self, name: str) -> ByteSource:
        dataset = self._dataset
        file = dataset.path.name if name == blocks.ALONE else name
        md5 = dataset.files[file]
        here = dataset.arriving.here(md5)
        sums = self._ranges.files.get(name)
        if here is None and sums is not None:
            return BlockFile(dataset.arriving, md5, file, sums, dataset.beside(file))
        return LocalFile(here or dataset.arriving.wait({md5: file}, {md5: dataset.beside(file)})[md5])


class _Shared:
    """A source that several arrays read: closed by who opened it."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.name, self.size, self.grain = source.name, source.size, source.grain
        self.read_into, self.prefetch = source.read_into, source.prefetch

    def close(self) -> None:
        """Do nothing."""


class _Whole:
    """The dataset by its reader, opened when it is asked for."""

    def __init__(self, open_whole: OpenWhole) -> None:
        import threading

        self._open_whole = open_whole
        self._lock = threading.Lock()
        self._opened: Opened | None = None

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open_whole()
            return self._opened.variable(name).array

    def close(self) -> None:
        """Release it."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


class LateArray:
    """An array that only its reader can decode: the first read fetches the files whole.

    Parameters
    ----------
    whole
        The dataset by its reader.
    name
        Of the array.
    info
        What its sidecar says of it.
    """

    def __init__(self, whole: _Whole, name: str, info: VariableInfo) -> None:
        import numpy as np

        from emdvc.formats.binary_array import contiguous_chunks

        self._whole, self._name = whole, name
        self.shape = info.shape
        self.dtype: np.dtype[Any] = np.dtype(info.dtype)
        self.chunks = contiguous_chunks(self.shape, self.dtype.itemsize)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region.

        Raises
        ------
        DataMissingError, EnvironmentFault, FormatError
            The files are not to be had; they cannot be read.
        """
        return self._whole.array(self._name).read(region)
