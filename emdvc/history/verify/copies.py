"""The copies of objects, in the cache and on remotes: read whole, with their md5 computed, by several threads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol

from emdvc.engine.cores import default_threads
from emdvc.history.cache_place import object_path
from emdvc.history.progress import Advance

#: Bytes that are read at a time.
_BLOCK = 4 << 20
#: Objects of a remote that are read at once, for each processor.
_WAITING = 8


class Place(Protocol):
    """A place that holds objects: the cache, or a remote."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    def where(self, md5: str) -> str:
        """Return where an object lies there."""

    def open(self, md5: str) -> AbstractContextManager[IO[bytes]]:
        """Open an object; FileNotFoundError where there is none, PermissionError where it may not be read."""


@dataclass(frozen=True, slots=True)
class CacheObjects:
    """The objects in the local cache."""

    folder: Path
    name: str = "cache"

    def where(self, md5: str) -> str:
        """Return where an object lies."""
        return str(object_path(self.folder, md5))

    def open(self, md5: str) -> AbstractContextManager[IO[bytes]]:
        """Open an object."""
        return object_path(self.folder, md5).open("rb", buffering=0)


@dataclass(frozen=True, slots=True)
class WorkspaceObjects:
    """Files of the workspace that may have the bytes of an object: md5 -> file."""

    files: dict[str, Path] = field(default_factory=dict)
    name: str = "workspace"

    def where(self, md5: str) -> str:
        """Return where the file lies."""
        return str(self.files[md5])

    def open(self, md5: str) -> AbstractContextManager[IO[bytes]]:
        """Open the file."""
        return self.files[md5].open("rb", buffering=0)


class State(StrEnum):
    """What a copy of an object is."""

    GOOD = "good"
    ABSENT = "absent"
    CORRUPT = "corrupt"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    #: Of a directory: the bytes are those that were recorded, and they are no list of files.
    NO_LIST = "no list of files"


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of an object, as it was found.

    Parameters
    ----------
    state
        Whether it is good.
    size
        Bytes that were read.
    detail
        What the system said of a copy that cannot be read.
    content
        The bytes themselves, of a list of files; else None.
    """

    state: State
    size: int = 0
    detail: str = ""
    content: bytes | None = field(default=None, repr=False)


class Stopped(Exception):  # noqa: N818 - nobody sees it: the thread's own end
    """The work was given up."""


def md5_of(file: IO[bytes], advance: Advance, stop: threading.Event | None = None) -> tuple[str, int]:
    """Return the md5 of a file's bytes, and their number.

    Parameters
    ----------
    file
        Open for reading.
    advance
        Told of the bytes that were read.
    stop
        When it is set, :class:`Stopped` is raised.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    while block := file.read(_BLOCK):
        if stop is not None and stop.is_set():
            raise Stopped
        digest.update(block)  # lets other threads run meanwhile
        size += len(block)
        advance(len(block))
    return digest.hexdigest(), size


def read_copy(place: Place, md5: str, advance: Advance, stop: threading.Event) -> Copy:
    """Read one copy and compare its md5 with its name.

    Parameters
    ----------
    md5
        Name of the object; that of a list of files ends in ``.dir``.
    """
    try:
        with place.open(md5) as file:
            if md5.endswith(".dir"):
                content = file.read()
                found, size = hashlib.md5(content, usedforsecurity=False).hexdigest(), len(content)
                advance(size)
                good = found == md5.removesuffix(".dir")
                return Copy(State.GOOD, size, content=content) if good else _faulty(size)
            found, size = md5_of(file, advance, stop)
    except FileNotFoundError:
        return Copy(State.ABSENT)
    except OSError as error:
        return Copy(State.UNREADABLE, detail=error.strerror or str(error) or type(error).__name__)
    return Copy(State.GOOD, size) if found == md5 else _faulty(size)


def _faulty(size: int) -> Copy:
    return Copy(State.CORRUPT if size else State.EMPTY, size)


def copy_object(place: Place, md5: str, target: Path, advance: Advance, stop: threading.Event | None = None) -> Copy:
    """Copy an object into a file, computing its md5 on the way; only a good copy leaves a file.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    state = State.CORRUPT
    try:
        with ExitStack() as stack:
            try:
                source = stack.enter_context(place.open(md5))
            except FileNotFoundError:
                return Copy(State.ABSENT)
            except OSError as error:
                return Copy(State.UNREADABLE, detail=error.strerror or str(error))
            target.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(target.open("wb"))
            while block := source.read(_BLOCK):
                if stop is not None and stop.is_set():
                    raise Stopped
                digest.update(block)
                file.write(block)
                size += len(block)
                advance(len(block))
        if digest.hexdigest() == md5.removesuffix(".dir"):
            state = State.GOOD
    finally:
        if state is not State.GOOD:
            target.unlink(missing_ok=True)
    return Copy(state if size or state is State.GOOD else State.EMPTY, size)


def read_copies(place: Place, names: Iterable[str], advance: Advance) -> Iterator[tuple[str, Copy]]:
    """Read the copies of many objects in one place, several at once; yield each as it is done, in any order.

    Only a few are under way at any time, however many names there are.
    """
    stop, told = threading.Event(), one_at_a_time(advance)
    yield from in_threads(lambda name: read_copy(place, name, told, stop), names, threads_for(place), stop)


def threads_for(place: Place) -> int:
    """Return how many objects of a place are read at once: one a processor, and more where most of the time is waiting.

    Raises
    ------
    UsageError
        ``EMDVC_THREADS`` is no positive whole number.
    """
    return default_threads() * (1 if isinstance(place, CacheObjects) else _WAITING)


def one_at_a_time(advance: Advance) -> Advance:
    """Return the same for several threads."""
    lock = threading.Lock()

    def told(count: int) -> None:
        with lock:
            advance(count)

    return told


def in_threads(
    work: Callable[[str], Copy], names: Iterable[str], threads: int, stop: threading.Event
) -> Iterator[tuple[str, Copy]]:
    """Do the same work for many names, and yield each answer; when one fails, the others are given up."""
    pending: dict[Future[Copy], str] = {}
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="emdvc-md5") as pool:
        try:
            for name in names:
                pending[pool.submit(work, name)] = name
                if len(pending) >= 4 * threads:
                    yield from _done(pending)
            while pending:
                yield from _done(pending)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _done(pending: dict[Future[Copy], str]) -> Iterator[tuple[str, Copy]]:
    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in finished:
        yield pending.pop(future), future.result()
