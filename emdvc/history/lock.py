"""One emdvc writer at a time in a project. The system holds the lock, so that a killed writer leaves none behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from emdvc.engine.file_lock import acquire, release
from emdvc.errors import Code, EnvironmentFault
from emdvc.history.project import Project


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
        if not acquire(file):
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
            release(file)
