"""The bytes that an array's numbers are read from: a file here, or one whose bytes are fetched as they are needed."""

from __future__ import annotations

import gc
import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from io import FileIO
from pathlib import Path
from typing import Any, Protocol

from emdvc.errors import FormatError


class ByteSource(Protocol):
    """The bytes of one file, read at any position by many threads at once."""

    #: What messages call it.
    name: str
    #: Bytes in all.
    size: int
    #: Bytes that are fetched at least, at a multiple of it; 0 where every byte is here.
    grain: int

    def read_into(self, target: memoryview, place: int) -> None:
        """Fill a buffer with the bytes from a position on.

        Raises
        ------
        FormatError, DataMissingError, EnvironmentFault
            The file ends before, its bytes are damaged, or not to be had.
        """

    def prefetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """See to it that the bytes from a start to before a stop can be read: those that are not here come together."""

    def close(self) -> None:
        """Let the file go."""


class LocalFile:
    """A file that many threads read at positions of their own.

    Parameters
    ----------
    path
        The file.
    """

    grain = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._file: FileIO = path.open("rb", buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size
        self._lock = threading.Lock()

    def read_into(self, target: memoryview, place: int) -> None:
        """Fill a buffer with the bytes from a position on.

        Raises
        ------
        FormatError
            The file ends before.
        """
        done = 0
        while done < len(target):
            count = self._some(target[done:], place + done)
            if count == 0:
                raise FormatError(
                    f"{self.name} ends too early",
                    evidence=f"{len(target) - done} bytes are missing at byte {place + done}",
                )
            done += count

    def prefetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """Do nothing: every byte is here."""

    def _some(self, target: memoryview, place: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [target], place)
        with self._lock:  # Windows, macOS: one position for the whole file
            self._file.seek(place)
            return self._file.readinto(target) or 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's garbage collector from running.

    h5py holds its lock while it reads. The thread that fetches would wait for that lock if the collector found an
    object of h5py's there, and the reader waits for that thread.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Stream(io.RawIOBase):
    """A byte source as a file object with a position: what h5py and tifffile read.

    Parameters
    ----------
    source
        The bytes; closed with the stream.
    """

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self.source = source
        self.name = source.name
        self._place = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that its position can be set."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.source.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def readinto(self, target: Any) -> int:
        """Fill a buffer as far as the file goes and return the number of bytes."""
        view = memoryview(target).cast("B")
        count = max(0, min(len(view), self.source.size - self._place))
        if count:
            with _no_collection() if self.source.grain else nullcontext():
                self.source.read_into(view[:count], self._place)
            self._place += count
        return count

    def close(self) -> None:
        """Let the bytes go."""
        if not self.closed:
            self.source.close()
        super().close()
