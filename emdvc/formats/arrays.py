"""Arrays that stay in their file: HDF5, Zarr, plain binary, dask, memory.

Each is a :class:`emdvc.formats.contract.LazyArray`. Views on one (reshaped, flipped, joined) are in
:mod:`emdvc.formats.views` and may be imported from here too.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.formats.binary_array import BinaryArray, contiguous_chunks
from emdvc.formats.byte_source import ByteSource
from emdvc.formats.contract import Region
from emdvc.formats.region import extent
from emdvc.formats.strides import Placement, packed_strides, strided
from emdvc.formats.views import Flipped, Guarded, Joined, Reshaped, Squeezed, Transposed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "HDF5_LOCK",
    "BinaryArray",
    "DaskArray",
    "Flipped",
    "Guarded",
    "Hdf5Array",
    "Joined",
    "MemoryArray",
    "Reshaped",
    "Squeezed",
    "Transposed",
    "ZarrArray",
    "contiguous_chunks",
]

#: Chunks of one read whose places in an HDF5 file are looked up, so that they are fetched together, at most.
_LOOKED_UP = 4096
#: One HDF5 library serves all files of a process, and it is not thread safe: one lock for all of them.
HDF5_LOCK = threading.RLock()


class MemoryArray:
    """An array in memory."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values
        self.shape: tuple[int, ...] = values.shape
        self.dtype: np.dtype[Any] = values.dtype.newbyteorder("=")
        self.chunks = contiguous_chunks(self.shape, self.dtype.itemsize)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region: a read-only view where it lies in one piece, else a copy."""
        values = np.ascontiguousarray(self._values[region], self.dtype)
        if np.may_share_memory(values, self._values):
            values = values.view()
            values.flags.writeable = False
        return values


class Hdf5Array:
    """A dataset of an open HDF5 file.

    Parameters
    ----------
    dataset
        Of h5py.
    source
        The file's bytes, where they are fetched as they are needed.
    """

    def __init__(self, dataset: Any, source: ByteSource | None = None) -> None:
        self._dataset = dataset
        self._source = source
        self.shape: tuple[int, ...] = tuple(int(n) for n in dataset.shape)
        self.dtype: np.dtype[Any] = dataset.dtype.newbyteorder("=")
        self.chunks: tuple[int, ...] = (
            tuple(int(n) for n in dataset.chunks)
            if dataset.chunks
            else contiguous_chunks(self.shape, self.dtype.itemsize)
        )

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region; reads of all HDF5 files of the process take turns."""
        values = np.empty(extent(region), self.dtype)
        if values.size:
            if self._source is not None:
                self._source.prefetch(self._spans(region))
            with HDF5_LOCK:
                self._dataset.read_direct(values, region if region else ())
        return values

    def begin(self, regions: Iterable[Region]) -> None:
        """Begin to fetch some regions, where they are not here."""
        if self._source is not None:
            self._source.prefetch([span for region in regions for span in self._spans(region)])

    def placement(self) -> Placement:
        """Return where the numbers lie: in the file itself, where they follow one another, else by the dataset's name.

        Numbers in chunks are found by HDF5 alone.
        """
        with HDF5_LOCK:
            file, name = self._dataset.file.filename, self._dataset.name
            offset = self._dataset.id.get_offset() if not self._dataset.chunks and not self._dataset.external else None
            stored = self._dataset.dtype
        if offset is None or stored.kind not in "iuf":
            return [{"file": file, "dataset": name}]
        return strided(file, stored, offset, self.shape, packed_strides(self.shape, stored.itemsize))

    def _spans(self, region: Region) -> list[tuple[int, int]]:
        """Return where the chunks of a region lie in the file; none where there are too many to look up."""
        if not self._dataset.chunks:
            return []
        ranges = [
            range(part.start // n * n, part.stop, n) for part, n in zip(region, self._dataset.chunks, strict=True)
        ]
        if math.prod(len(one) for one in ranges) > _LOOKED_UP:
            return []
        spans = []
        with HDF5_LOCK:
            for place in itertools.product(*ranges):
                info = self._dataset.id.get_chunk_info_by_coord(place)
                if info.byte_offset is not None:  # else it was never written
                    spans.append((info.byte_offset, info.byte_offset + info.size))
        return spans


class ZarrArray:
    """An array of a Zarr store. A chunk that is not there reads as the fill value, as Zarr has it.

    In a folder, its chunk files are read directly, where their form is known (:mod:`emdvc.formats.zarr_layout`).
    """

    def __init__(self, array: Any) -> None:
        from emdvc.formats.zarr_layout import chunks_of

        self._array = array
        self._direct = chunks_of(array)
        #: How the chunk files are named; None where that is not known.
        self.keys = self._direct.keys if self._direct is not None else None
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        # the inner chunk of a shard can be read alone
        self.chunks: tuple[int, ...] = tuple(max(1, int(n)) for n in array.chunks)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        if self._direct is not None:
            values = np.empty(extent(region), self.dtype)
            self._direct.read_into(region, values)
            return values
        values = np.asarray(self._array[region] if region else self._array[()])
        return np.ascontiguousarray(values, self.dtype).reshape(extent(region))


class DaskArray:
    """A dask array, computed in the calling thread."""

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.dtype: np.dtype[Any] = np.dtype(array.dtype).newbyteorder("=")
        self.chunks: tuple[int, ...] = tuple(max(1, int(n)) for n in array.chunksize)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        # a graph may hand out a view of the very memory it was made from
        values = self._array[region].compute(scheduler="synchronous")
        return np.array(values, self.dtype, order="C", copy=True).reshape(extent(region))

    def placement(self) -> Placement | None:
        """Return where the numbers lie, where every block is a view on a mapped file; else None."""
        from emdvc.formats.mapped import placement_of

        return placement_of(self._array) if self._array is not None else None
