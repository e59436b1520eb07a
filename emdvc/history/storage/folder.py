"""A remote that is a folder: a disk, or a network drive that is mounted."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat as modes
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from emdvc.errors import Code, EmdvcError
from emdvc.history.storage import folder_creating
from emdvc.history.storage.contract import (
    ARRIVING,
    Advance,
    InterruptedFault,
    RemoteSettings,
    Stat,
    fault,
    not_its_name,
    not_there,
    too_short,
    unseen,
)
from emdvc.history.storage.creating import claimed, linked
from emdvc.history.storage.folder_sending import open_passing, passing_file, remove_old, same_beginning
from emdvc.history.storage.patience import patient

_T = TypeVar("_T")

_PIECE = 4 << 20
#: How often a folder is made that somebody else replaces at the same moment; each of its parents may be, once a writer.
_TRIES = 100


class FolderStorage:
    """Files below a folder."""

    parallel = 16

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._root = Path(settings.url)
        self._tidied = False

    async def open(self) -> None:
        """See that the folder is there; one that is not is made by the first file, where its parent is."""
        root = self._root
        if not root.exists() and not root.parent.exists():
            raise fault(
                self.settings,
                "is not there",
                f"{root.parent} does not exist",
                "mount the drive, or see the remotes: emdvc remote list",
                code=Code.REMOTE_PLACE,
            )

    async def close(self) -> None:
        """Do nothing: nothing is open."""

    async def stat(self, key: str) -> Stat | None:
        """Return what is known of a file."""
        return await self._working(f"looking for {key}", lambda _: self._stat(key))

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every file below a folder."""
        return await self._working(f"listing {folder}", lambda alive: dict(self._walk(folder, alive)))

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file."""
        return await self._working(f"reading {key}", lambda alive: self._read(key, start, stop, alive))

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Copy a file here, going on where the target ends."""
        loop = asyncio.get_running_loop()

        def copy(alive: Callable[[], None]) -> None:
            with self._path(key).open("rb") as source, target.open("ab") as file:
                source.seek(file.tell())
                while piece := source.read(_PIECE):
                    file.write(piece)
                    alive()
                    loop.call_soon_threadsafe(advance, len(piece))

        await self._working(f"reading {key}", copy, key)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Copy a file there under another name, then give it its own; a large one is gone on with."""
        loop = asyncio.get_running_loop()

        def told(count: int) -> None:
            loop.call_soon_threadsafe(advance, count)

        await self._working(f"writing {key}", lambda alive: self._send(source, key, md5, told, alive))

    async def create(self, key: str, content: bytes) -> bool:
        """Put a small file where there is none: by a link, or beside a folder where the disk has none."""
        target = self._path(key)

        async def link(passing: str) -> bool | None:
            def work(_: Callable[[], None]) -> bool | None:
                return _with_folder(target.parent, lambda: folder_creating.link(self._path(passing), target))

            return await self._working(f"writing {key}", work)

        async def take(claim: str) -> bool:
            def work(_: Callable[[], None]) -> bool:
                return _with_folder(target.parent, lambda: folder_creating.take(self._path(claim)))

            return await self._working(f"writing {key}", work)

        async def give_back(claim: str) -> None:
            await self._working(f"writing {key}", lambda _: self._path(claim).rmdir())

        made = await linked(self, key, content, link)
        return await claimed(self, key, content, take, give_back) if made is None else made

    async def remove(self, key: str) -> None:
        """Remove a file."""

        def unlink(_: Callable[[], None]) -> None:
            path = self._path(key)
            with suppress(FileNotFoundError):
                if os.name == "nt":
                    path.chmod(0o644)  # a read-only file is not removed there
                path.unlink()

        await self._working(f"removing {key}", unlink)

    def _path(self, key: str) -> Path:
        return self._root / key

    def _stat(self, key: str) -> Stat | None:
        try:
            found = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Stat(found.st_size, None, found.st_mtime) if modes.S_ISREG(found.st_mode) else None

    def _walk(self, folder: str, alive: Callable[[], None]) -> Iterator[tuple[str, Stat]]:
        top = self._path(folder)
        waiting = [top]
        while waiting:
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif entry.is_file():
                        with suppress(FileNotFoundError):  # removed meanwhile
                            found = entry.stat()
                            key = Path(entry.path).relative_to(self._root).as_posix()
                            yield key, Stat(found.st_size, None, found.st_mtime)
            alive()

    def _read(self, key: str, start: int, stop: int | None, alive: Callable[[], None]) -> bytes:
        with self._path(key).open("rb") as file:
            file.seek(start)
            content = file.read(-1 if stop is None else stop - start)
            alive()
        if stop is not None and len(content) < stop - start:
            raise too_short(self.settings, key, start + len(content), stop)
        return content

    def _send(self, source: Path, key: str, md5: str | None, told: Advance, alive: Callable[[], None]) -> None:
        target = self._path(key)
        arriving = self._root / ARRIVING
        _with_folder(arriving, lambda: None)
        if not self._tidied:
            self._tidied = True
            remove_old(arriving)
        digest = hashlib.md5(usedforsecurity=False)
        with passing_file(arriving, md5, source.stat().st_size) as passing:
            with source.open("rb") as reading, _with_folder(arriving, lambda: open_passing(passing)) as writing:
                told(same_beginning(reading, writing, digest, alive))
                while piece := reading.read(_PIECE):
                    digest.update(piece)
                    writing.write(piece)
                    alive()
                    told(len(piece))
                writing.flush()
                os.fsync(writing.fileno())
            if md5 is not None and digest.hexdigest() != md5:
                passing.unlink()
                raise not_its_name(source, digest.hexdigest(), md5)
            _with_folder(target.parent, lambda: None)
            with suppress(OSError):  # a file system without permissions
                passing.chmod(0o444 & modes.S_IMODE(target.parent.stat().st_mode) | 0o400)
            if os.name == "nt" and target.exists():
                target.chmod(0o644)  # a read-only file is not replaced there
            _with_folder(target.parent, lambda: passing.replace(target))

    async def _working(self, doing: str, work: Callable[[Callable[[], None]], _T], key: str | None = None) -> _T:
        loop = asyncio.get_running_loop()
        over = threading.Event()
        async with patient(self.settings, doing) as alive:

            def moved() -> None:
                if over.is_set():  # nobody waits any more: the thread ends at its next piece
                    raise _GivenUpError
                loop.call_soon_threadsafe(_still, alive)

            with self._faults(key):
                try:
                    return await asyncio.to_thread(work, moved)
                finally:
                    over.set()

    @contextmanager
    def _faults(self, key: str | None) -> Iterator[None]:
        try:
            yield
        except (EmdvcError, TimeoutError):
            raise
        except FileNotFoundError as error:
            raise not_there(self.settings, key or str(error.filename)) from error
        except PermissionError as error:
            raise fault(
                self.settings,
                "does not let us",
                error,
                f"ask its owner for the rights, then: emdvc remote check {self.settings.name}",
                code=Code.REMOTE_REFUSED,
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                hint = "make room there, or use another remote"
                raise fault(self.settings, "is full", error, hint, code=Code.DISK_FULL) from error
            if error.errno == errno.EROFS:
                hint = f"emdvc remote check {self.settings.name}"
                raise fault(self.settings, "is read-only", error, hint, code=Code.REMOTE_REFUSED) from error
            raise fault(
                self.settings,
                "did not answer",
                error,
                f"emdvc remote check {self.settings.name}",
                kind=InterruptedFault,
            ) from error


class _GivenUpError(Exception):
    """Ends the thread of work that was cancelled."""


def _still(alive: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the wait is over already
        alive()


def _with_folder(folder: Path, work: Callable[[], _T]) -> _T:
    """Make a folder and do what needs it.

    Where two make the same folder at once, the rename of the second takes the place of the first one's as long as that
    is empty: who was about to write into it finds it gone, and begins again.
    """
    for left in reversed(range(_TRIES)):
        with suppress(*([FileNotFoundError] if left else [])):
            _make_folder(folder)
            return work()
    raise AssertionError("the last try either returns or raises")


def _make_folder(folder: Path) -> None:
    """Make a folder with its parent's rights, so that everybody who shares the parent may write into it.

    It gets its rights under another name: another user must not meet it before.
    """
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    passing = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    passing.mkdir()
    try:
        if os.name != "nt":
            with suppress(OSError):
                passing.chmod(modes.S_IMODE(folder.parent.stat().st_mode))
        passing.rename(folder)
    except OSError:
        with suppress(OSError):
            passing.rmdir()
        if not folder.is_dir():  # else somebody else was first
            raise
