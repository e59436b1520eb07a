"""Arrays that stay in their file: HDF5, Zarr, plain binary, dask, memory.

Each is a :class:`emdvc.formats.contract.LazyArray`. Views on one (reshaped, flipped, joined) are in
:mod:`emdvc.formats.views` and may be imported from here too.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.errors import FormatError
from emdvc.formats.contract import Region
from emdvc.formats.region import extent
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

#: Bytes that a piece of an unchunked array holds, about.
PIECE = 64 << 10
#: One HDF5 library serves all files of a process, and it is not thread safe: one lock for all of them.
HDF5_LOCK = threading.RLock()


def contiguous_chunks(shape: tuple[int, ...], itemsize: int, piece: int = PIECE) -> tuple[int, ...]:
    """Return the pieces of an array without chunks: the fewest trailing axes that hold about `piece` bytes."""
    chunks = [1] * len(shape)
    held = itemsize
    for axis in range(len(shape) - 1, -1, -1):
        # the two fastest axes belong together (a frame), unless they are far too large
        room = max(1, (4 << 20 if axis >= len(shape) - 2 else piece) // max(held, 1))
        chunks[axis] = max(1, min(shape[axis], room))
        held *= chunks[axis]
        if chunks[axis] < shape[axis] or held >= piece:
            break
    return tuple(chunks)


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
    """A dataset of an open HDF5 file."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
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
            with HDF5_LOCK:
                self._dataset.read_direct(values, region if region else ())
        return values


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


class BinaryArray:
    """Numbers that lie in a file one after the other, read by position.

    Not mapped: the pages of a mapped file count as the program's own memory, and a scan larger than memory would
    seem to be held whole.

    Parameters
    ----------
    path
        The file.
    shape, dtype
        Of the array, slowest dimension first; `dtype` with the byte order of the file.
    offset
        Bytes before the first number.
    gap
        Bytes between one position of the first dimension and the next (a header before each frame).

    Raises
    ------
    FormatError
        The file ends before the array does.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int = 0, gap: int = 0) -> None:
        self._path = path
        self._stored = np.dtype(dtype)
        self._offset = offset
        self.shape = tuple(int(n) for n in shape)
        self.dtype: np.dtype[Any] = self._stored.newbyteorder("=")
        self.chunks = contiguous_chunks(self.shape, self.dtype.itemsize)
        strides = [self._stored.itemsize] * len(self.shape)
        for axis in range(len(self.shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * self.shape[axis + 1]
        if strides:
            strides[0] += gap
        self._strides = tuple(strides)
        self._gap = gap
        needed = offset + self._span(tuple(slice(0, n) for n in self.shape))
        size = path.stat().st_size
        if size < needed:
            raise FormatError(
                f"{path} is truncated",
                evidence=f"an array of shape {self.shape}, {self._stored.str} from byte {offset} needs {needed} bytes; "
                f"the file has {size}",
            )
        self._file = _Positioned(path)

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        values = np.empty(extent(region), self._stored)
        if values.size:
            outer = self._outer(region)
            inner = region[outer:]
            span = self._span(inner)
            size = math.prod(extent(inner)) * self._stored.itemsize
            base = sum(part.start * stride for part, stride in zip(inner, self._strides[outer:], strict=True))
            for index in itertools.product(*(range(n) for n in extent(region[:outer]))):
                place = base + sum(
                    (part.start + i) * stride
                    for part, i, stride in zip(region[:outer], index, self._strides[:outer], strict=True)
                )
                target = values[index] if index else values
                self._read_block(target, self._offset + place, span, size, outer)
        return values.astype(self.dtype, copy=False)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_block(self, target: NDArray[Any], place: int, span: int, size: int, outer: int) -> None:
        if span == size:
            self._file.read_into(target.reshape(-1).view("u1").data, place)
            return
        # one read of the span, the wanted samples picked out of it: cheaper than a read for each run of samples
        raw = np.empty(span, "u1")
        self._file.read_into(raw.data, place)
        strided = np.ndarray(target.shape, self._stored, raw.data, 0, self._strides[outer:])
        target[...] = strided

    def _outer(self, region: Region) -> int:
        """Return how many leading axes are looped over: the span of the others is read at once, 4 MiB at most."""
        for outer in range(len(region)):
            inner = region[outer:]
            span = self._span(inner)
            size = math.prod(extent(inner)) * self._stored.itemsize
            if span == size or (span <= 4 << 20 and span <= 64 * size):
                return outer
        return max(0, len(region) - 1)

    def _span(self, inner: Region) -> int:
        if any(part.stop <= part.start for part in inner):
            return 0
        strides = self._strides[len(self._strides) - len(inner) :]
        last = sum((n - 1) * stride for n, stride in zip(extent(inner), strides, strict=True))
        return last + self._stored.itemsize


class _Positioned:
    """A file that many threads read at positions of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO = path.open("rb", buffering=0)
        self._lock = threading.Lock()

    def read_into(self, target: memoryview, place: int) -> None:
        done = 0
        while done < len(target):
            count = self._some(target[done:], place + done)
            if count == 0:
                raise FormatError(
                    f"{self._path} ends too early",
                    evidence=f"{len(target) - done} bytes are missing at byte {place + done}",
                )
            done += count

    def _some(self, target: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [target], place)
        with self._lock:  # Windows, macOS: one position for the whole file
            self._file.seek(place)
            return self._file.readinto(target) or 0

    def close(self) -> None:
        self._file.close()
