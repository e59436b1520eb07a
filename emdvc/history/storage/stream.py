"""Bytes between a file and a connection, piece by piece, so that it can be seen that they move."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage.contract import Advance

#: Bytes that are written to a file, or read from one, at a time.
_BATCH = 4 << 20
#: Bytes that are given to a connection at a time: small, so that a slow line is not taken for a silent one.
_PIECE = 256 << 10


async def append(target: Path, pieces: AsyncIterable[bytes], alive: Callable[[], None], advance: Advance) -> int:
    """Append what arrives to a file and return how much it was; what has arrived is kept when the rest does not.

    Parameters
    ----------
    target
        The file; it is made with the first piece.
    pieces
        What arrives.
    alive, advance
        Called for each piece.
    """
    waiting: list[bytes] = []
    count = held = 0
    with _room_here(target), target.open("ab") as file:
        try:
            async for piece in pieces:
                alive()
                advance(len(piece))
                waiting.append(piece)
                held += len(piece)
                count += len(piece)
                if held >= _BATCH:
                    batch, waiting, held = b"".join(waiting), [], 0
                    file.write(batch)
        finally:
            file.write(b"".join(waiting))
    return count


@contextmanager
def _room_here(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise EnvironmentFault(
            "the disk here is full",
            code=Code.DISK_FULL,
            evidence=f"{target}: {error.strerror}",
            hint="make room; the same command then goes on with what has arrived",
        ) from error


class FilePart:
    """A part of a file as the body of a request: read while it is sent.

    Signing reads it from the beginning like a file; sending iterates over it.

    Parameters
    ----------
    path
        The file.
    start, size
        The part, in bytes.
    moved
        Called with the number of bytes whenever the connection took some.
    """

    def __init__(self, path: Path, start: int, size: int, moved: Advance) -> None:
        self._path = path
        self._start = start
        self._size = size
        self._moved = moved
        self._file: io.BufferedReader | None = None
        self._at = 0

    def __len__(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the part."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Return the place in the part."""
        return self._at

    def read(self, count: int | None = -1) -> bytes:
        """Return the next bytes of the part."""
        left = max(0, self._size - self._at)
        wanted = left if count is None or count < 0 else min(count, left)
        if self._file is None:
            self._file = self._path.open("rb")
        self._file.seek(self._start + self._at)
        content = self._file.read(wanted)
        self._at += len(content)
        return content

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        self._at = 0
        while batch := await asyncio.to_thread(self.read, _BATCH):
            view = memoryview(batch)
            for begin in range(0, len(view), _PIECE):
                piece = view[begin : begin + _PIECE]
                yield piece
                self._moved(len(piece))
