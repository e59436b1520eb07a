"""Reading the chunk files of a Zarr array on disk directly, in the calling thread.

zarr-python hands each chunk through an event loop and a pool of its own; where the engine's threads each want a block
of chunks, that costs more than decoding them. What is read here is what zarr-python reads (a property test compares
them): Zarr 2 and 3, regular chunks, shards, the codecs of :mod:`emdvc.formats.zarr_codecs`. Any other array is left
to it.

A chunk that is not there reads as the fill value, as Zarr has it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.errors import EmdvcError, FormatError
from emdvc.formats.contract import Region
from emdvc.formats.store_source import StoredFile, StoreSource
from emdvc.formats.zarr_codecs import ByteCodec, Crc32c, decode_into
from emdvc.formats.zarr_keys import ChunkKeys, pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Memory that a thread keeps from one chunk to the next.
KEPT = 32 << 20
#: A transposed chunk is copied in parts of this size, which stay in a core's first cache.
PART = 32 << 10
#: In a shard's index: no such chunk.
ABSENT = (1 << 64) - 1

_kept = threading.local()


@dataclass(frozen=True, slots=True)
class Encoded:
    """How the numbers of one chunk are stored.

    Parameters
    ----------
    chunk
        Its shape.
    dtype
        Number type with byte order.
    order
        Dimensions in the order in which they are stored: axis ``i`` of what is stored is axis ``order[i]``.
    codecs
        What was applied to the bytes, in this order.
    """

    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    order: tuple[int, ...]
    codecs: tuple[ByteCodec, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk, not compressed."""
        return math.prod(self.chunk) * self.dtype.itemsize

    @property
    def checked(self) -> bool:
        """Whether a checksum over all that is stored comes with it."""
        return bool(self.codecs) and isinstance(self.codecs[-1], Crc32c)

    def decode(self, content: Any, within: Region, target: Array) -> None:
        """Put a part of a chunk where it belongs.

        Parameters
        ----------
        content
            The bytes of the chunk as they are stored.
        within
            The part.
        target
            Of the part's shape, in native byte order; with the whole chunk's own layout it is decoded in place.
        """
        plain = self.dtype.isnative and self.order == tuple(range(len(self.order)))
        if plain and target.shape == self.chunk and target.flags.c_contiguous:
            decode_into(self.codecs, content, target.reshape(-1).view(np.uint8))
            return
        with _memory("numbers", self.nbytes) as raw:
            decode_into(self.codecs, content, raw)
            stored = raw.view(self.dtype).reshape([self.chunk[axis] for axis in self.order])
            values = stored.transpose([self.order.index(axis) for axis in range(len(self.order))])
            copy_in_parts(target, values[within], self.order)


@dataclass(frozen=True, slots=True)
class Shard:
    """How a file holds many chunks: one after the other, with an index of places.

    Parameters
    ----------
    counts
        Chunks in a shard along each dimension.
    index
        How the index (two 64-bit numbers for each chunk: where it starts, how long it is) is stored.
    size
        Bytes of the stored index.
    at_start
        Whether the index comes before the chunks, not after them.
    """

    counts: tuple[int, ...]
    index: Encoded
    size: int
    at_start: bool

    def read(self, file: StoredFile) -> Array:
        """Return the index of a shard, shape ``(*counts, 2)``."""
        length = file.seek(0, 2)
        places = np.empty(self.index.chunk, np.uint64)
        content = _read(file, 0 if self.at_start else max(0, length - self.size), self.size)
        self.index.decode(content, tuple(slice(0, n) for n in places.shape), places)
        return places


@dataclass(frozen=True, slots=True)
class ZarrChunks:
    """The chunks of one Zarr array on disk, or of one whose files are fetched as they are read.

    Parameters
    ----------
    store
        Folder of the store.
    keys
        The names of the files in it.
    encoded
        How a chunk is stored.
    fill
        The value of what is not there.
    shard
        How a file holds many chunks; None where each has its own.
    source
        Where the files come from, when they do not lie in the folder.
    """

    store: Path
    keys: ChunkKeys
    encoded: Encoded
    fill: Any
    shard: Shard | None = None
    source: StoreSource | None = None

    def read_into(self, region: Region, out: Array) -> None:
        """Read one region into memory that is there already; may be called from several threads at once.

        Parameters
        ----------
        region
            Slices with start and stop.
        out
            Of the region's shape, in native byte order.

        Raises
        ------
        FormatError
            A chunk is damaged; the error names its file.
        """
        touched = list(pieces(region, self.keys.stored))
        if self.source is not None:
            self._begin(self.source, touched)
        for index, within, place in touched:
            key = self.keys.key(index)
            target = _at(out, place)
            try:
                self._read_file(key, within, target)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                target[...] = self.fill
            except (ValueError, RuntimeError, EOFError, ArithmeticError) as error:
                raise self._damaged(key, error) from error

    def _begin(self, source: StoreSource, touched: Iterable[tuple[tuple[int, ...], Region, Region]]) -> None:
        """Let all files of some regions come at the same time; of a shard of which little is wanted only that part."""
        wanted: dict[tuple[int, ...], list[Region]] = {}
        for index, within, _ in touched:
            wanted.setdefault(index, []).append(within)
        parts = {self.keys.key(index): within for index, within in wanted.items() if self._few(within)}
        came = set()
        if parts and self.shard is not None:
            came = set(source.begin_parts([(key, self.shard.size, self.shard.at_start) for key in parts]))
        whole = [index for index in wanted if self.keys.key(index) not in came]
        if whole:
            source.begin(self.keys, whole, self._stored_bytes)
        for key, some in parts.items():
            if key in came:
                source.expect(key, self._places(source, key, some))

    def _few(self, parts: Iterable[Region]) -> bool:
        """Say whether some parts of a shard are better read alone: few of its chunks, each with a checksum."""
        if self.shard is None or not (self.encoded.checked and self.shard.index.checked):
            return False
        chunks = sum(1 for part in parts for _ in pieces(part, self.encoded.chunk))
        return chunks * 2 <= math.prod(self.shard.counts)

    @property
    def _stored_bytes(self) -> int:
        return self.encoded.nbytes * (math.prod(self.shard.counts) if self.shard is not None else 1)

    def _places(self, source: StoreSource, key: str, parts: Iterable[Region]) -> list[tuple[int, int]]:
        """Return where the chunks lie in a shard that hold some parts of it."""
        assert self.shard is not None
        try:
            with source.open(key) as file:
                places = self.shard.read(file)
        except (ValueError, RuntimeError, EOFError) as error:
            raise self._damaged(key, error) from error
        found = {index for within in parts for index, _, _ in pieces(within, self.encoded.chunk)}
        spans = [(int(places[index][0]), int(places[index][1])) for index in sorted(found)]
        return [span for span in spans if span != (ABSENT, ABSENT)]

    def _damaged(self, key: str, error: Exception) -> EmdvcError:
        known = self.source.damaged(key, error) if self.source is not None else None
        return known or FormatError(
            f"{self.store} cannot be read: its chunk {key} is damaged",
            evidence=f"{type(error).__name__}: {error}",
            hint="fetch it again; `emdvc pull` where it is tracked",
        )

    def _open(self, key: str) -> StoredFile:
        return (self.store / key).open("rb", buffering=0) if self.source is None else self.source.open(key)

    def _read_file(self, key: str, within: Region, target: Array) -> None:
        with self._open(key) as file:
            if self.shard is None:
                self._read_chunk(file, 0, file.seek(0, 2), within, target)
                return
            places = self.shard.read(file)
            for index, part, place in pieces(within, self.encoded.chunk):
                start, size = (int(n) for n in places[index])
                if start == size == ABSENT:
                    _at(target, place)[...] = self.fill
                else:
                    self._read_chunk(file, start, size, part, _at(target, place))

    def _read_chunk(self, file: StoredFile, start: int, size: int, within: Region, target: Array) -> None:
        if size > file.seek(0, 2):
            raise ValueError(f"the file is shorter than the {size} bytes of a chunk in it")
        with _memory("file", size) as memory:
            _fill(file, start, memory.data)
            self.encoded.decode(memory.data.toreadonly(), within, target)


def _read(file: StoredFile, start: int, size: int) -> memoryview:
    content = bytearray(size)
    _fill(file, start, memoryview(content))
    return memoryview(content).toreadonly()


def _fill(file: StoredFile, start: int, memory: memoryview) -> None:
    file.seek(start)
    done = 0
    while done < len(memory):
        count = file.readinto(memory[done:])
        if not count:
            raise EOFError(f"{len(memory) - done} bytes are missing at byte {start + done}")
        done += count


@contextmanager
def _memory(use: str, size: int) -> Iterator[NDArray[np.uint8]]:
    """Lend memory that the thread keeps for the next chunk: it is in the processor's cache already."""
    held = getattr(_kept, use, None)
    if held is None or held.size < size:
        held = np.empty(size, np.uint8)
    setattr(_kept, use, None)  # whoever asks while it is lent gets other memory
    try:
        yield held[:size]
    finally:
        if held.size <= KEPT:
            setattr(_kept, use, held)


def _at(array: Array, region: Region) -> Array:
    # a view, of an array without dimensions too
    place: Any = (*region, ...)
    view: Array = array[place]
    return view


def copy_in_parts(target: Array, values: Array, order: tuple[int, ...]) -> None:
    """Copy what may lie transposed: cut along the slowest stored dimensions until a part fits the cache."""
    if values.nbytes <= PART or order == tuple(range(len(order))) or not order:
        target[...] = values
        return
    axis, rest = order[0], order[1:]
    each = values.nbytes // values.shape[axis]
    step = max(1, PART // each)
    for start in range(0, values.shape[axis], step):
        part = (*(slice(None),) * axis, slice(start, start + step))
        copy_in_parts(_at(target, part), _at(values, part), rest)
