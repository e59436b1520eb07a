"""Digests: of the numbers of an array whatever their encoding, of a file's bytes, of a directory.

The content digest is ``sha256-units:<hex>``. A *unit* is the fewest trailing axes that hold at least 4096 bytes (all
axes where the whole array holds less): a diffraction pattern, a spectrum. Each unit's SHA-256 runs over its C-order
little-endian bytes; the digest is the SHA-256 of ``<dtype.name>;<n0,n1,...>;`` followed by all unit digests in C order.
So blocks may be read in any order, in threads, from any chunk layout, within bounded memory.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emdvc.formats.contract import LazyArray
from emdvc.formats.threads import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREFIX = "sha256-units:"
#: Bytes that a unit holds at least.
UNIT = 4096
#: Bytes that all threads together hold at a time; a reader's own buffers come on top.
IN_FLIGHT = 64 << 20
#: Bytes that one unfinished unit costs besides its samples.
HASHER = 512
#: Bytes of a read worth a task of its own.
WORTHWHILE = 4 << 20

Advance = Callable[[int], None]
Digests = list[tuple[int, bytes]]


class Kept(Protocol):
    """Blocks whose digests are known from an earlier call that was killed."""

    def get(self, lead: tuple[slice, ...]) -> Digests | None:
        """Return those of a block; None where they are not known."""

    def keep(self, lead: tuple[slice, ...], digests: Digests) -> None:
        """Keep those of a block."""


def content_digest(
    array: LazyArray, *, threads: int | None = None, advance: Advance | None = None, kept: Kept | None = None
) -> str:
    """Return the content digest of an array that is still in its file.

    Parameters
    ----------
    array
        Read block by block along its chunks.
    threads
        Number of threads; by default as many as there are cores, 16 at most. The digest does not depend on it.
    advance
        Called with the number of bytes done since the last call; from one thread at a time.
    kept
        Blocks that need not be read; how an array is cut into blocks follows from the number of threads.

    Raises
    ------
    FormatError
        The file turns out to be truncated or damaged.
    """
    threads = max(1, min(threads or os.cpu_count() or 1, 16))
    layout = _Layout.of(array, IN_FLIGHT // threads)
    lock = threading.Lock()

    def done(count: int) -> None:
        if advance is not None:
            with lock:
                advance(count)

    total = _start(array.dtype.name, array.shape)
    if layout.units == 0:
        return PREFIX + total.hexdigest()
    # a result is a few digests: results may wait, but reads beyond the threads' own may not pile up
    found = in_order(lambda lead: _known_or_read(array, layout, lead, done, kept), layout.blocks(), threads)
    for digests in layout.in_order(found):
        total.update(digests)
    return PREFIX + total.hexdigest()


def array_digest(values: NDArray[Any]) -> str:
    """Return the content digest of an array in memory, of any byte order and memory layout."""
    import numpy as np

    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).reshape(values.shape)
    total = _start(values.dtype.name, values.shape)
    axis = unit_axis(values.shape, values.dtype.itemsize)
    units = math.prod(values.shape[:axis])
    if units:
        for unit in little.reshape(units, -1):
            total.update(hashlib.sha256(unit.view("u1").data).digest())
    return PREFIX + total.hexdigest()


def file_sha256(path: Path, advance: Advance | None = None, also: Callable[[memoryview], None] | None = None) -> str:
    """Return the SHA-256 of a file's bytes as hex digits.

    Parameters
    ----------
    path
        The file.
    advance
        Called with the number of bytes done since the last call.
    also
        Called with the bytes, one part after the other: what else is to be known of them needs no second pass.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            if also is not None:
                also(buffer[:count])
            if advance is not None:
                advance(count)
    return digest.hexdigest()


def tree_sha256(directory: Path, advance: Advance | None = None) -> dict[str, Any]:
    r"""Return what a sidecar's ``source.files`` says about a directory: its digest, its bytes, the number of its files.

    The digest is the SHA-256 over the sorted lines ``relpath\0sha256\n``, paths with forward slashes.
    """
    digests, size = {}, 0
    for path in (p for p in directory.rglob("*") if p.is_file()):
        digests[path.relative_to(directory).as_posix()] = file_sha256(path, advance)
        size += path.stat().st_size
    return {"sha256": listing_sha256(digests), "size": size, "files": len(digests)}


def listing_sha256(digests: Mapping[str, str]) -> str:
    r"""Return the digest of a directory from those of its files by relative path: see :func:`tree_sha256`."""
    # sorted as text, not by pathlib, whose order differs between systems
    lines = sorted(f"{name}\0{digest}\n" for name, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unit_axis(shape: tuple[int, ...], itemsize: int) -> int:
    """Return the first axis of a unit: the axes from there on are the fewest that hold 4096 bytes, or all axes."""
    if math.prod(shape) * itemsize < UNIT:
        return 0
    held = itemsize
    for axis in range(len(shape) - 1, -1, -1):
        held *= shape[axis]
        if held >= UNIT:
            return axis
    return 0


def _start(dtype: str, shape: tuple[int, ...]) -> hashlib._Hash:
    return hashlib.sha256(f"{dtype};{','.join(map(str, shape))};".encode())


@dataclass(frozen=True, slots=True)
class _Layout:
    """How an array is cut: blocks over the axes before the unit's, and rows along the unit's first axis.

    A block's units are hashed side by side, some rows of all of them at a time, so that chunks which hold a part of
    many units (a few detector pixels of many probe positions) are read once.
    """

    shape: tuple[int, ...]
    axis: int
    block: tuple[int, ...]
    rows: int

    @classmethod
    def of(cls, array: LazyArray, limit: int) -> _Layout:
        shape, itemsize = array.shape, array.dtype.itemsize
        axis = unit_axis(shape, itemsize)
        if not shape:
            return cls(shape, 0, (), 1)
        inner = math.prod(shape[axis + 1 :]) * itemsize
        length = max(shape[axis], 1)
        rows = max(1, min(array.chunks[axis], length))
        block = [max(1, min(c, n)) for c, n in zip(array.chunks[:axis], shape[:axis], strict=True)]
        # too much at once: fewer units, then fewer rows
        for lead in range(axis):
            cost = math.prod(block) // block[lead] * (rows * inner + HASHER)
            if block[lead] * cost > limit:
                block[lead] = max(1, limit // cost)
        rows = max(1, min(rows, limit // max(1, math.prod(block) * inner)))
        # too little: whole units, then more of them
        if math.prod(block) * length * inner <= max(WORTHWHILE, limit // 4):
            rows = length
        else:
            rows = min(length, rows * max(1, WORTHWHILE // max(1, math.prod(block) * rows * inner)))
        for lead in range(axis - 1, -1, -1):
            room = WORTHWHILE // max(1, math.prod(block) * rows * inner)
            block[lead] = min(shape[lead], block[lead] * max(1, room))
            if block[lead] < shape[lead]:
                break
        return cls(shape, axis, tuple(block), rows)

    @property
    def units(self) -> int:
        return math.prod(self.shape[: self.axis])

    def blocks(self) -> Iterator[tuple[slice, ...]]:
        """Yield the blocks over the axes before the unit's, in C order."""
        ranges = [
            [slice(start, min(start + step, size)) for start in range(0, size, step)]
            for size, step in zip(self.shape[: self.axis], self.block, strict=True)
        ]
        yield from itertools.product(*ranges)

    def indices(self, lead: tuple[slice, ...]) -> Iterator[int]:
        """Yield the number, in C order, of each unit of a block."""
        strides = [math.prod(self.shape[i + 1 : self.axis]) for i in range(self.axis)]
        for index in itertools.product(*(range(s.start, s.stop) for s in lead)):
            yield sum(i * stride for i, stride in zip(index, strides, strict=True))

    def in_order(self, found: Iterator[Digests]) -> Iterator[bytes]:
        """Yield the unit digests in C order; only as many are held as one row of blocks has."""
        per_band = self.units // max(1, self.shape[0]) * self.block[0] if self.axis else 1
        band, first, missing = bytearray(), 0, 0
        for digests in found:
            for index, digest in digests:
                if missing == 0:
                    missing = min(per_band, self.units - first)
                    band = bytearray(32 * missing)
                place = 32 * (index - first)
                band[place : place + 32] = digest
                missing -= 1
                if missing == 0:
                    first += len(band) // 32
                    yield bytes(band)


def _known_or_read(
    array: LazyArray, layout: _Layout, lead: tuple[slice, ...], done: Advance, kept: Kept | None
) -> Digests:
    known = kept.get(lead) if kept is not None else None
    if known is not None:
        return known
    found = _digests(array, layout, lead, done)
    if kept is not None:
        kept.keep(lead, found)
    return found


def _digests(array: LazyArray, layout: _Layout, lead: tuple[slice, ...], done: Advance) -> Digests:
    numbers = list(layout.indices(lead))
    hashers = [hashlib.sha256() for _ in numbers]
    shape, axis = layout.shape, layout.axis
    length = shape[axis] if shape else 1
    for start in range(0, length, layout.rows):
        along = (slice(start, min(start + layout.rows, length)),) if shape else ()
        region = (*lead, *along, *(slice(0, n) for n in shape[axis + 1 :]))
        values = array.read(region)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        for hasher, unit in zip(hashers, little.reshape(len(numbers), -1), strict=True):
            hasher.update(unit.view("u1").data)
        done(values.nbytes)
    return [(number, hasher.digest()) for number, hasher in zip(numbers, hashers, strict=True)]
