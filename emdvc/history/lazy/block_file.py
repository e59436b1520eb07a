"""A large file that is not here, read by blocks: each is fetched once, checked, and kept for the next look."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from emdvc.errors import Code, DataMissingError, EmdvcError
from emdvc.formats.binary_array import AHEAD
from emdvc.formats.byte_source import LocalFile
from emdvc.history.blocks import BlockSums
from emdvc.history.lazy.arriving import Arriving
from emdvc.history.lazy.block_store import BlockStore
from emdvc.history.storage import loop

#: Bytes of neighbouring blocks that come by one request, at most.
_RUN = 16 << 20
#: Bytes of blocks that are held in memory: those that are fetched together, and some for who reads their neighbours.
_HELD = AHEAD + (64 << 20)


class BlockFile:
    """The bytes of one object; a :class:`emdvc.formats.byte_source.ByteSource`.

    When all its blocks have come, the object is put together in DVC's cache, so that a later pull fetches nothing.

    Parameters
    ----------
    arriving
        Knows the remote and the cache.
    md5
        Of the object.
    said
        What messages call it.
    sums
        Checksums of its blocks.
    beside
        A file of the workspace that may still hold these bytes.
    """

    def __init__(self, arriving: Arriving, md5: str, said: str, sums: BlockSums, beside: Path | None = None) -> None:
        self.name = arriving.name
        self.size = sums.size
        self.grain = sums.block
        self._arriving, self._md5, self._said, self._sums = arriving, md5, said, sums
        self._beside = beside if beside is not None and _size(beside) == sums.size else None
        self._store = BlockStore(arriving.project, md5)
        self._lock = threading.Lock()
        self._coming: OrderedDict[int, tuple[Future[list[bytes]], int]] = OrderedDict()
        self._whole: LocalFile | None = None
        self._joining: Future[None] | None = None
        self._join_if_complete()
        self._wait_for_the_whole()

    def read_into(self, target: memoryview, place: int) -> None:
        """Fill a buffer with the bytes from a position on.

        Raises
        ------
        DataMissingError
            The blocks there are not to be had, or corrupt.
        """
        if self._whole is not None:
            self._whole.read_into(target, place)
            return
        done = 0
        while done < len(target):
            number, inside = divmod(place + done, self.grain)
            part = self._block(number)[inside : inside + len(target) - done]
            if not part:
                raise EOFError(f"{self.name} ends at byte {self.size}, before byte {place + done}")
            target[done : done + len(part)] = part
            done += len(part)

    def prefetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch the blocks of some parts, neighbours by one request."""
        wanted = sorted({n for start, stop in spans for n in range(start // self.grain, -(-stop // self.grain))})
        if self._whole is None and wanted:
            with self._lock:
                self._begin(wanted[: max(1, _HELD // self.grain)])

    def close(self) -> None:
        """Let everything go; an object whose last block came is put together first."""
        self._wait_for_the_whole()
        if self._whole is not None:
            self._whole.close()
        with self._lock:
            self._coming.clear()

    def _block(self, number: int) -> memoryview:
        with self._lock:
            if number not in self._coming:
                self._begin([number])
            self._coming.move_to_end(number)
            future, index = self._coming[number]
        try:
            return memoryview(future.result()[index])
        except EmdvcError as error:
            with self._lock:
                if self._coming.get(number, (None,))[0] is future:
                    del self._coming[number]  # who asks again tries again
            raise type(error)(error.cause, code=error.code, evidence=error.evidence, hint=error.hint) from error

    def _begin(self, wanted: list[int]) -> None:
        """Begin to bring blocks that are not on their way; the lock is held."""
        run: list[int] = []
        for number in wanted:
            if number in self._coming or number >= self._sums.count:
                continue
            if self._store.has(number) or self._beside is not None:
                self._coming[number] = loop.start(self._at_hand(number)), 0
                continue
            if run and (number != run[-1] + 1 or (len(run) + 1) * self.grain > _RUN):
                self._fetch(run)
                run = []
            run.append(number)
        if run:
            self._fetch(run)
        while len(self._coming) * self.grain > _HELD and len(self._coming) > len(wanted):
            self._coming.popitem(last=False)

    def _fetch(self, run: list[int]) -> None:
        future = loop.start(self._fetched(run[0], run[-1]))
        for index, number in enumerate(run):
            self._coming[number] = future, index

    async def _at_hand(self, number: int) -> list[bytes]:
        content = await asyncio.to_thread(self._held_here, number)
        return [content] if content is not None else await self._fetched(number, number)

    def _held_here(self, number: int) -> bytes | None:
        """Return a block that is kept, or still lies in the workspace, where it is what it should be."""
        content = self._store.read(number)
        if content is not None:
            if self._sums.holds(number, content):
                return content
            self._store.forget(number)
        if self._beside is None:
            return None
        start, stop = self._sums.span(number)
        try:
            with self._beside.open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
        except OSError:
            return None
        return content if self._sums.holds(number, content) else None

    async def _fetched(self, first: int, last: int) -> list[bytes]:
        """Fetch neighbouring blocks by one request, check and keep them."""
        start, stop = self._sums.span(first)[0], self._sums.span(last)[1]
        try:
            content = await self._arriving.remote.read(self._md5, start, stop)
        except FileNotFoundError:
            raise self._arriving.absent(self._said, self._md5) from None
        except EmdvcError as error:
            if error.code == Code.DATA_CORRUPT:
                raise self._corrupt(start, stop, error.evidence or error.cause) from error
            raise self._arriving.unreachable(self._said, error) from error
        return await asyncio.to_thread(self._checked, first, last, content)

    def _checked(self, first: int, last: int, content: bytes) -> list[bytes]:
        begins = self._sums.span(first)[0]
        found = []
        for number in range(first, last + 1):
            start, stop = self._sums.span(number)
            block = content[start - begins : stop - begins] if first < last else content
            if not self._sums.holds(number, block):
                raise self._corrupt(start, stop, "their CRC-32C is not the recorded one")
            self._store.keep(number, block)
            found.append(block)
        self._join_if_complete()
        return found

    def _corrupt(self, start: int, stop: int, evidence: str) -> DataMissingError:
        said = f"{self._said}, bytes {start} to {stop}"
        return self._arriving.corrupt(said, evidence, self._md5)

    def _join_if_complete(self) -> None:
        with self._lock:
            if self._joining is None and self._store.complete(self._sums.count):
                self._joining = loop.start(asyncio.to_thread(self._join))

    def _wait_for_the_whole(self) -> None:
        if self._joining is not None:
            with suppress(EmdvcError, OSError):  # what cannot be kept was read all the same
                self._joining.result()

    def _join(self) -> None:
        """Put the object together in DVC's cache from its blocks, if its md5 is right."""
        digest = hashlib.md5(usedforsecurity=False)
        passing = self._arriving.passing_file()
        try:
            with passing.open("xb") as file:
                for number in range(self._sums.count):
                    content = self._store.read(number)
                    if content is None or not self._sums.holds(number, content):
                        self._store.forget(number)
                        return
                    digest.update(content)
                    file.write(content)
            if digest.hexdigest() != self._md5:
                return
            self._whole = LocalFile(self._arriving.keep(passing, self._md5))
            self._store.clear()
        finally:
            passing.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
