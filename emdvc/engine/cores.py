"""Processors, shared by all emdvc processes of a user on a machine.

Stages that run side by side each start as many threads as there are processors. A thread computes a block only while it
holds one of the machine's processors, so that all of them together never compute more blocks than there are processors:
two stages share the machine, and one that runs alone has all of it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from emdvc.engine.file_lock import acquire, release, user_name
from emdvc.errors import UsageError

#: Seconds between two looks for a free processor.
_PATIENCE = 0.005


def processors() -> tuple[int, ...]:
    """Return the numbers of the processors that this process may use: all, or those that a batch system gave it."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def default_threads() -> int:
    """Return the number of threads: ``EMDVC_THREADS`` if set, else the processors this process may use.

    Raises
    ------
    UsageError
        ``EMDVC_THREADS`` is no positive whole number.
    """
    text = os.environ.get("EMDVC_THREADS")
    if text:
        if not text.isdigit() or int(text) < 1:
            raise UsageError("EMDVC_THREADS must be a whole number from 1 on", evidence=f"it is '{text}'")
        return int(text)
    return len(processors())


@contextmanager
def one_processor() -> Iterator[None]:
    """Wait for a free processor and hold it."""
    held = _hold()
    try:
        yield
    finally:
        if held is not None:
            release(held)
            held.close()


def _hold() -> IO[str] | None:
    try:
        folder = Path(tempfile.gettempdir()) / f"emdvc-processors-{user_name()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        while True:
            for number in processors():
                file = (folder / str(number)).open("a", encoding="utf-8")
                try:
                    held = acquire(file)
                except OSError:
                    file.close()
                    raise
                if held:
                    return file
                file.close()
            time.sleep(_PATIENCE)
    except OSError:
        return None  # a machine without a temporary folder, or without locks: better too many threads than none
