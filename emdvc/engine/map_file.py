"""A per-probe array that grows block by block: in memory, in one file, or in a file for each block."""

from __future__ import annotations

import itertools
import json
import math
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.blocks import Blocks
from emdvc.formats.chunk_files import ONE_CHUNK, ChunkFiles
from emdvc.formats.contract import Region


class Map(Protocol):
    """An array over the probe positions; blocks are put into it from several threads, each once."""

    def put(self, region: Region, values: NDArray[Any]) -> None:
        """Keep the values of a block, shape (probe positions of the block, ...)."""

    def checksum(self, region: Region) -> int:
        """Return the checksum of what lies there for a block; an OSError or FormatError where nothing does."""

    def result(self) -> NDArray[Any] | ChunkFiles:
        """Return the whole array."""

    def close(self) -> None:
        """Close its file."""


def checksum(values: NDArray[Any]) -> int:
    """Return the checksum of a block's values."""
    return zlib.crc32(np.ascontiguousarray(values).data if values.size else b"")


def stored_chunks(shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> tuple[int, ...]:
    """Return the chunks in which a per-probe array is stored: one, or of a large array one for each block."""
    if math.prod(shape) * dtype.itemsize <= ONE_CHUNK:
        return shape
    sizes = tuple(-(-size // span.factor) for size, span in zip(blocks.block, blocks.spans, strict=True))
    return (*sizes, *shape[len(sizes) :])


class MemoryMap:
    """A map in memory."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._values = np.zeros(shape, dtype)

    def put(self, region: Region, values: NDArray[Any]) -> None:
        """Keep the values of a block."""
        self._values[region] = values.reshape(self._values[region].shape)

    def checksum(self, region: Region) -> int:
        """Return the checksum of a block."""
        return checksum(self._values[region])

    def result(self) -> NDArray[Any]:
        """Return the array."""
        return self._values

    def close(self) -> None:
        """Do nothing: there is no file."""


class MapFile:
    """A map in one file, in C order, written by position: the file of an uncompressed Zarr chunk."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._path, self._shape = path, shape
        self._dtype = dtype
        self._lock = threading.Lock()
        if not path.is_file():
            path.touch()
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(math.prod(shape) * dtype.itemsize)

    def put(self, region: Region, values: NDArray[Any]) -> None:
        """Keep the values of a block."""
        flat = np.ascontiguousarray(values, self._dtype).reshape(-1)
        for place, part in self._runs(region):
            self._write(place * self._dtype.itemsize, flat[part].view(np.uint8).data)

    def checksum(self, region: Region) -> int:
        """Return the checksum of a block."""
        found = 0
        for place, part in self._runs(region):
            found = zlib.crc32(self._read(place * self._dtype.itemsize, (part.stop - part.start)), found)
        return found

    def result(self) -> NDArray[Any]:
        """Return the array."""
        self._file.close()
        return np.fromfile(self._path, self._dtype).reshape(self._shape)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _runs(self, region: Region) -> Iterator[tuple[int, slice]]:
        """Yield where each contiguous run of a block begins in the file, and which of the block's samples it holds."""
        last = len(region)
        while last > 1 and region[last - 1] == slice(0, self._shape[last - 1]):
            last -= 1
        inner = math.prod(self._shape[last:])
        if not region:
            yield 0, slice(0, inner)
            return
        strides = [math.prod(self._shape[axis + 1 :]) for axis in range(last)]
        run = (region[last - 1].stop - region[last - 1].start) * inner
        for number, index in enumerate(itertools.product(*(range(p.start, p.stop) for p in region[: last - 1]))):
            place = sum(i * stride for i, stride in zip((*index, region[last - 1].start), strides, strict=True))
            yield place, slice(number * run, (number + 1) * run)

    def _write(self, place: int, data: memoryview) -> None:
        while data:
            if hasattr(os, "pwrite"):
                done = os.pwrite(self._file.fileno(), data, place)
            else:
                with self._lock:  # Windows: one position for the whole file
                    self._file.seek(place)
                    done = self._file.write(data) or 0
            data, place = data[done:], place + done

    def _read(self, place: int, samples: int) -> bytes:
        count = samples * self._dtype.itemsize
        with self._lock:
            self._file.seek(place)
            return self._file.read(count) or b""


class MapChunks:
    """A map in a file for each block: the files of the chunks of an uncompressed Zarr array."""

    def __init__(self, files: ChunkFiles, blocks: Blocks) -> None:
        self._files = files
        self._scan = len(blocks.spans)
        files.folder.mkdir(parents=True, exist_ok=True)

    def put(self, region: Region, values: NDArray[Any]) -> None:
        """Keep the values of a block."""
        index = self._index(region)
        self._files.write(index, values.reshape([p.stop - p.start for p in self._files.region(index)]))

    def checksum(self, region: Region) -> int:
        """Return the checksum of a block."""
        return checksum(self._files.chunk(self._index(region)))

    def result(self) -> ChunkFiles:
        """Return the array."""
        return self._files

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _index(self, region: Region) -> tuple[int, ...]:
        counted = [part.start // size for part, size in zip(region, self._files.chunks, strict=False)]
        return (*counted, *(0 for _ in self._files.shape[self._scan :]))


def open_map(folder: Path | None, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> Map:
    """Return the map of a name: that which an earlier run began in the folder, or a new one.

    Parameters
    ----------
    folder
        Where its files lie; None for a map in memory.
    name
        Of the array.
    shape, dtype
        Of the whole array.
    blocks
        How the scan is cut.
    """
    if folder is None:
        return MemoryMap(shape, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{name}.json"
    note.write_text(json.dumps({"shape": shape, "dtype": dtype.str}), encoding="ascii")
    chunks = stored_chunks(shape, dtype, blocks)
    if chunks != shape:
        return MapChunks(ChunkFiles(folder / f"{name}.chunks", shape, dtype, chunks), blocks)
    return MapFile(folder / f"{name}.map", shape, dtype)


def begun(folder: Path, blocks: Blocks) -> dict[str, Map]:
    """Return the maps that an earlier run began in a folder, by name.

    Raises
    ------
    OSError, ValueError, KeyError
        A file is damaged.
    """
    notes = {path.name.removesuffix(".json"): _read_note(path) for path in sorted(folder.glob("*.json"))}
    return {name: open_map(folder, name, *note, blocks) for name, note in notes.items()}


def _read_note(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    said = json.loads(path.read_text(encoding="ascii"))
    return tuple(said["shape"]), np.dtype(said["dtype"])
