"""The names of an array's chunk files: which hold a region, and which region a file holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emdvc.formats.contract import LazyArray, Region


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """How the chunk files of one array are named.

    Parameters
    ----------
    folder
        Path of the array in its store; empty where the store is the array.
    shape
        Of the array.
    stored
        Shape of what one file holds: a chunk, or a shard of chunks.
    prefix
        What each key begins with: ``c`` in Zarr 3's default naming, nothing in that of Zarr 2.
    separator
        What stands between the numbers of a key: ``/`` or ``.``
    """

    folder: str
    shape: tuple[int, ...]
    stored: tuple[int, ...]
    prefix: str = ""
    separator: str = "."

    def key(self, index: tuple[int, ...]) -> str:
        """Return the file of one stored piece, relative to the store, with forward slashes."""
        numbers = [self.prefix] if self.prefix else []
        name = self.separator.join([*numbers, *map(str, index)]) or "0"
        return f"{self.folder}/{name}" if self.folder else name

    def keys(self, region: Region) -> Iterator[str]:
        """Yield the files that hold a region, in C order; whether or not they are there."""
        for index, _, _ in pieces(region, self.stored):
            yield self.key(index)

    def region(self, key: str) -> Region | None:
        """Return the region of the array that a file holds; None for a file that is no chunk of this array."""
        folder = f"{self.folder}/" if self.folder else ""
        if not key.startswith(folder):
            return None
        name = key[len(folder) :]
        if not self.shape:
            return () if key == self.key(()) else None
        parts = name.split(self.separator)
        if self.prefix and parts.pop(0) != self.prefix:
            return None
        if len(parts) != len(self.shape) or not all(part.isascii() and part.isdigit() for part in parts):
            return None
        index = tuple(map(int, parts))
        region = tuple(
            slice(i * s, min((i + 1) * s, n)) for i, s, n in zip(index, self.stored, self.shape, strict=True)
        )
        # `00.1` names no chunk, and one beyond the array's edge holds nothing
        return region if self.key(index) == key and all(part.start < part.stop for part in region) else None

    def indices(self) -> Iterator[tuple[int, ...]]:
        """Yield the index of every stored piece, in C order."""
        yield from itertools.product(*(range(-(-n // s)) for n, s in zip(self.shape, self.stored, strict=True)))


def keys_of(array: LazyArray) -> ChunkKeys | None:
    """Return how the chunk files of an array are named; None where it is not a Zarr array, or another view of one."""
    found: Any = array
    while found is not None:
        keys = getattr(found, "keys", None)
        if isinstance(keys, ChunkKeys):
            return keys
        # a guarded array is the array itself; any other view has regions of its own
        found = getattr(found, "guarded", None)
    return None


def chunk_keys(array: LazyArray, region: Region) -> list[str] | None:
    """Return the chunk files that hold a region, relative to the store; None where they are not known."""
    keys = keys_of(array)
    return None if keys is None else list(keys.keys(region))


def region_of_key(array: LazyArray, key: str) -> Region | None:
    """Return the region that a file of the store holds; None where it is no chunk of this array (but metadata)."""
    keys = keys_of(array)
    return None if keys is None else keys.region(key)


def pieces(region: Region, stored: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Region, Region]]:
    """Yield what of each stored piece a region covers.

    Yields
    ------
    index
        Which piece, counted in pieces along each dimension; in C order.
    within
        The part of the piece.
    place
        Where that part lies in the region.
    """
    along = []
    for part, size in zip(region, stored, strict=True):
        cuts = []
        for number in range(part.start // size, -(-part.stop // size) if part.stop > part.start else 0):
            start, stop = max(part.start, number * size), min(part.stop, (number + 1) * size)
            within = slice(start - number * size, stop - number * size)
            cuts.append((number, within, slice(start - part.start, stop - part.start)))
        along.append(cuts)
    for chosen in itertools.product(*along):
        yield tuple(c[0] for c in chosen), tuple(c[1] for c in chosen), tuple(c[2] for c in chosen)
