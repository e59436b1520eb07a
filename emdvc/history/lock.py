"""One emdvc writer at a time in a project. The system holds the lock, so that a killed writer leaves none behind."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.project import Project

# Windows forbids reading a locked byte: lock one far behind the text that says who holds it.
_LOCKED_BYTE = 1 << 20


@contextmanager
def writing(project: Project, command: str) -> Iterator[None]:
    """Hold the project's lock.

    Parameters
    ----------
    command
        What the holder does, told to whoever finds the project busy.

    Raises
    ------
    EnvironmentFault
        Another emdvc is writing.
    """
    project.journal_dir.mkdir(parents=True, exist_ok=True)
    path = project.journal_dir / "lock"
    with path.open("a+", encoding="utf-8") as file:
        if not _acquire(file):
            file.seek(0)
            with suppress(OSError):
                holder = file.read().strip()
            raise EnvironmentFault(
                "another emdvc is writing in this project",
                code=Code.BUSY,
                evidence=holder or None,
                hint="wait until it is done, then run the same command again",
            )
        try:
            file.seek(0)
            file.truncate()
            file.write(f"process {os.getpid()}: {command}\n")
            file.flush()
            yield
        finally:
            _release(file)


def _acquire(file: IO[str]) -> bool:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # a network file system without locks: the risk of two writers is smaller than that of never writing
        return error.errno in (errno.ENOLCK, errno.ENOTSUP)
    return True


def _release(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        return
    import fcntl

    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
