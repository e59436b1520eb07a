"""Objects that are not yet whole: part files beside the cache, which the next process goes on with.

Each process writes into a folder of its own and holds a lock there as long as it lives. A folder whose lock is free
belonged to a process that was killed: the parts of it are taken over. So two processes that fetch the same object at
once do not write into one file.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from emdvc.engine.file_lock import acquire

#: Folder beside the cache's objects, on the same disk: what is whole is renamed into its place.
FOLDER = "emdvc-parts"
_LOCK = "lock"
#: Seconds after which a part that nobody went on with is removed.
_OLD = 14 * 24 * 3600.0


class Parts:
    """The part files of one piece of work. Use it as a context manager.

    Parameters
    ----------
    cache
        Folder of the cache's objects.
    """

    def __init__(self, cache: Path) -> None:
        self._place = cache.parent / FOLDER
        self._folder, self._lock = self._own()

    def __enter__(self) -> Parts:
        """Return the parts themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave what is not whole to the next, and nothing where all is whole."""
        self._lock.close()  # first: on Windows an open file cannot be removed
        with suppress(OSError):
            _tidy(self._folder)
            self._place.rmdir()

    def path(self, md5: str) -> Path:
        """Return the part file of an object; it is there if something of it has arrived."""
        return self._folder / md5

    def adopt(self, wanted: Iterable[str]) -> int:
        """Take over what killed processes have left of some objects; return how many bytes.

        Parameters
        ----------
        wanted
            md5 of each object that is about to be fetched.
        """
        needed, taken = set(wanted), 0
        for other in self._left_behind():
            with suppress(OSError), (other / _LOCK).open("a+b") as lock:
                if not acquire(lock):
                    continue  # at work
                for part in list(other.iterdir()):
                    if part.name in needed:
                        needed.discard(part.name)
                        taken += part.stat().st_size
                        part.replace(self.path(part.name))
            with suppress(OSError):
                _tidy(other)
        return taken

    def _left_behind(self) -> list[Path]:
        with suppress(OSError):
            return [other for other in self._place.iterdir() if other != self._folder]
        return []

    def _own(self) -> tuple[Path, IO[bytes]]:
        while True:
            folder = self._place / uuid.uuid4().hex[:16]
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock = (folder / _LOCK).open("a+b")
            except FileNotFoundError:  # tidied away by another process that found it empty
                continue
            if acquire(lock) and (folder / _LOCK).exists():
                return folder, lock
            lock.close()


def tidy(cache: Path) -> None:
    """Remove what killed processes have left and nobody can go on with.

    Parameters
    ----------
    cache
        Folder of the cache's objects.
    """
    place = cache.parent / FOLDER
    with suppress(OSError):
        for folder in list(place.iterdir()):
            with suppress(OSError), (folder / _LOCK).open("a+b") as lock:
                if not acquire(lock):
                    continue  # at work
            with suppress(OSError):
                _tidy(folder)
        place.rmdir()


def _tidy(folder: Path) -> None:
    """Remove the folder of a process that has ended, unless a part in it may still be gone on with."""
    now = time.time()
    parts = [path for path in folder.iterdir() if path.name != _LOCK]
    if not any(now - part.stat().st_mtime < _OLD and part.stat().st_size for part in parts):
        shutil.rmtree(folder)
