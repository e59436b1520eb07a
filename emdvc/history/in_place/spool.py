"""Files of a source that pass through this machine: read once, their checksums made on the way, and let go again."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.in_place.finished import Finished, Sums
from emdvc.history.in_place.place import Place, connection
from emdvc.history.storage import loop
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.trying import trying
from emdvc.history.transfer.crowd import crowd

#: Bytes of files that nobody reads any more and that may lie here, for who reads their neighbours next.
ROOM = 256 << 20
#: Files under way at a time.
_AT_ONCE = 16


class Spool:
    """The files of a dataset at a source, of which some lie here for as long as they are read.

    Parameters
    ----------
    place
        Where the dataset lies.
    files
        What its source lists.
    top
        Where its files are put: the path of the dataset itself.
    finished
        Keeps the checksums.
    advance
        Told the bytes of each file that is finished, once.
    """

    def __init__(
        self, place: Place, files: Mapping[str, Stat], top: Path, finished: Finished, advance: Callable[[int], None]
    ) -> None:
        self.place, self.files, self.top = place, files, top
        self._finished = finished
        self._advance = advance
        self._lock = threading.Lock()
        self._coming: dict[str, Future[None]] = {}
        self._here: dict[str, int] = {}  # the one that was used last comes last
        self._in_use: Counter[str] = Counter()
        self._room: asyncio.Semaphore | None = None
        for file, stat in files.items():
            if file in finished.sums:
                advance(stat.size)
                if self.path(file).is_file() and self.path(file).stat().st_size == stat.size:
                    self._here[file] = stat.size  # an earlier, killed run had it

    def path(self, file: str) -> Path:
        """Return where a file lies while it is here."""
        return self.top / file if file else self.top

    @contextmanager
    def holding(self, names: Iterable[str]) -> Iterator[None]:
        """See to it that files are here as long as the block lasts; those that the source does not have are left out.

        Raises
        ------
        EnvironmentFault
            The source did not answer, or a file is being written there.
        """
        wanted = [name for name in dict.fromkeys(names) if name in self.files]
        waiting = []
        with self._lock:
            for name in wanted:
                self._in_use[name] += 1
                if name in self._here:
                    self._here[name] = self._here.pop(name)
                    continue
                if name not in self._coming:
                    self._coming[name] = loop.start(self._bring(name))
                waiting.append(self._coming[name])
        try:
            for future in waiting:
                future.result()
            yield
        finally:
            with self._lock:
                for name in wanted:
                    self._in_use[name] -= 1
                self._let_go()

    def sum_rest(self) -> None:
        """Make the checksums of all files whose checksums are not known yet, without keeping any of them here."""
        lacking = [file for file in self.files if file not in self._finished.sums]

        async def one(file: str) -> None:
            await self._bring(file)
            with self._lock:
                self._let_go()

        loop.run(crowd(one, lacking, min(_AT_ONCE, max(1, len(lacking)))))

    async def _bring(self, name: str) -> None:
        if self._room is None:
            self._room = asyncio.Semaphore(_AT_ONCE)
        target, stat = self.path(name), self.files[name]
        arriving = target.with_name(f".{target.name}.arriving")
        try:
            async with self._room:
                storage = await connection(self.place).storage()
                target.parent.mkdir(parents=True, exist_ok=True)
                if not arriving.exists():
                    arriving.touch()
                try:
                    await trying(lambda: storage.receive(self.place.key(name), arriving))
                except FileNotFoundError as error:
                    raise being_written(self.place, name, "it is gone") from error
                size = arriving.stat().st_size
                if size != stat.size:
                    arriving.unlink()
                    raise being_written(self.place, name, f"it was listed with {stat.size} bytes, it has {size}")
                if name not in self._finished.sums:
                    sums = await asyncio.to_thread(summed, arriving)
                    self._finished.keep(name, sums)
                    self._advance(stat.size)
                arriving.replace(target)
        finally:
            with self._lock:
                self._coming.pop(name, None)
                if target.exists():
                    self._here[name] = stat.size

    def _let_go(self) -> None:
        """Remove what nobody reads, the longest unread first, as far as there is more than fits."""
        held = sum(size for name, size in self._here.items() if not self._in_use[name])
        for name in list(self._here):
            if held <= ROOM:
                return
            if not self._in_use[name]:
                held -= self._here.pop(name)
                self.path(name).unlink(missing_ok=True)


def summed(file: Path) -> Sums:
    """Return the checksums of a file, read once."""
    digests = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with file.open("rb", buffering=0) as reading:
        while part := reading.read(4 << 20):
            for digest in digests:
                digest.update(part)
    return Sums(*(digest.hexdigest() for digest in digests))


def being_written(place: Place, name: str, evidence: str) -> EnvironmentFault:
    """Return the error of a source that changes while it is read."""
    return EnvironmentFault(
        f"{place.url} changed while it was read",
        code=Code.BUSY,
        evidence=f"{name or place.name}: {evidence}",
        hint="wait until the instrument has finished writing, then run the same command again: it goes on",
    )
