"""An object on a remote of which parts are read; whoever reads them has a checksum for each."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from emdvc.errors import Code, DataMissingError, EmdvcError
from emdvc.history.lazy.arriving import Arriving, waited
from emdvc.history.storage import loop

#: Parts that are nearer than this are fetched by one request: the bytes between cost less than another one.
_GAP = 16 << 10
#: Bytes of one object that are kept, once they were read, for who reads the same or its neighbours next.
_KEPT = 4 << 20


@dataclass(slots=True)
class _Part:
    start: int
    stop: int
    coming: Future[bytes]
    read: bool = False


class PartFile:
    """Parts of one object; may be read from several threads at once.

    Parameters
    ----------
    arriving
        Knows the remote.
    md5
        Of the object.
    said
        What messages call it.
    end
        Bytes at its end that are fetched first.
    at_start
        Whether its first bytes are meant instead.
    """

    def __init__(self, arriving: Arriving, md5: str, said: str, end: int, at_start: bool) -> None:
        self.md5, self.said = md5, said
        self._arriving = arriving
        self._lock = threading.Lock()
        self._parts: list[_Part] = []
        self._end: Future[tuple[int, int, bytes]] = loop.start(self._begin(end, at_start))
        #: Bytes that were asked for.
        self.taken = end

    @property
    def size(self) -> int:
        """Bytes of the object."""
        return waited(self._end)[0]

    @property
    def failed(self) -> bool:
        """Whether even its end could not be had."""
        return self._end.done() and self._end.exception() is not None

    @property
    def mostly_taken(self) -> bool:
        """Whether so much of it was fetched in parts that the whole had been cheaper."""
        return self._end.done() and self._end.exception() is None and self.taken * 2 > self.size

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch parts: start and size of each."""
        with self._lock:
            runs: list[list[int]] = []
            for start, size in sorted(ranges):
                if self._held(start, start + size) is not None:
                    continue
                if runs and start <= runs[-1][1] + _GAP:
                    runs[-1][1] = max(runs[-1][1], start + size)
                else:
                    runs.append([start, start + size])
            for start, stop in runs:
                self._fetch(start, stop)

    def read(self, start: int, stop: int) -> bytes:
        """Return a part, waiting for it.

        Raises
        ------
        DataMissingError
            The object is not to be had, or ends before.
        """
        size, first, end = waited(self._end)
        if stop > size:
            raise EOFError(f"{stop - size} bytes are missing at byte {size}")
        if first <= start and stop <= first + len(end):
            return end[start - first : stop - first]
        with self._lock:
            part = self._held(start, stop) or self._fetch(start, stop)
            part.read = True
        return waited(part.coming)[start - part.start : stop - part.start]

    def _held(self, start: int, stop: int) -> _Part | None:
        for part in self._parts:
            failed = part.coming.done() and part.coming.exception() is not None
            if part.start <= start and stop <= part.stop and not failed:
                return part
        return None

    def _fetch(self, start: int, stop: int) -> _Part:
        part = _Part(start, stop, loop.start(self._part(start, stop)))
        self.taken += stop - start
        # what somebody still waits for is never let go
        kept = sum(one.stop - one.start for one in self._parts if one.read)
        for one in [one for one in self._parts if one.read]:
            if kept > _KEPT:
                self._parts.remove(one)
                kept -= one.stop - one.start
        self._parts.append(part)
        return part

    async def _begin(self, end: int, at_start: bool) -> tuple[int, int, bytes]:
        try:
            found = (await self._arriving.remote.there([self.md5])).get(self.md5)
        except EmdvcError as error:
            raise self._arriving.unreachable(self.said, error) from error
        if found is None:
            raise self._arriving.absent(self.said, self.md5)
        first = 0 if at_start else max(0, found.size - end)
        return found.size, first, await self._part(first, min(found.size, first + end))

    async def _part(self, start: int, stop: int) -> bytes:
        try:
            return await self._arriving.remote.read(self.md5, start, stop)
        except FileNotFoundError:
            raise self._arriving.absent(self.said, self.md5) from None
        except EmdvcError as error:
            if error.code == Code.DATA_CORRUPT:
                raise self._arriving.corrupt(self.said, error.evidence or error.cause, self.md5) from error
            raise self._arriving.unreachable(self.said, error) from error

    def damaged(self, error: Exception) -> DataMissingError:
        """Return the error of a part whose checksum is wrong."""
        return self._arriving.corrupt(self.said, f"{type(error).__name__}: {error}", self.md5)


class PartReader:
    """A place in such an object, as an unbuffered file has one."""

    def __init__(self, file: PartFile) -> None:
        self._file = file
        self._place = 0

    def __enter__(self) -> PartReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return None

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place and return it, counted from the beginning."""
        base = {0: 0, 1: self._place, 2: self._file.size if whence == 2 else 0}[whence]
        self._place = base + offset
        return self._place

    def readinto(self, memory: Any, /) -> int:
        """Fill memory from the place on and return how much was there."""
        stop = min(self._place + len(memory), self._file.size)
        content = self._file.read(self._place, stop) if stop > self._place else b""
        memory[: len(content)] = content
        self._place += len(content)
        return len(content)
