"""One event loop in a thread of its own, in which all storages work; called from any other thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")

_THREADS = 64

_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, started at the first call; a forked process gets one of its own."""
    global _running  # noqa: PLW0603  (one loop serves the process: connections belong to it)
    with _lock:
        if _running is None or _running[0] != os.getpid():
            loop = asyncio.new_event_loop()
            # by default some more than there are processors: copies that wait for a disk would hold up all others
            loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="emdvc-storage-work"))
            threading.Thread(target=loop.run_forever, name="emdvc-storage", daemon=True).start()
            _running = os.getpid(), loop
        return _running[1]


def start(work: Coroutine[Any, Any, _T]) -> Future[_T]:
    """Start work in the loop and return what becomes of it."""
    return asyncio.run_coroutine_threadsafe(work, event_loop())


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Do work in the loop and wait for it; Ctrl-C ends the work, too.

    Never called from the loop's own thread.
    """
    future = start(work)
    try:
        return future.result()
    except BaseException:
        if not future.done():
            future.cancel()
            with suppress(BaseException):  # until it has let go of its files
                future.exception(timeout=5)
        raise


__all__ = ["CancelledError", "event_loop", "run", "start"]
