"""A stage's process ends with the DVC that started it.

DVC may be killed. What it started would go on and write into an output that the next ``dvc repro`` computes again, both
at once. So a run that DVC started watches its parents, and ends when one of them is gone: its finished blocks are kept,
and the next run goes on from there.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: Seconds between two looks.
_INTERVAL = 0.3
#: What DVC sets in the environment of a stage's command.
_MARK = "DVC_STAGE"
#: Exit status of a run that ended because its parent did: what a shell reports of a process ended by SIGTERM.
STATUS = 143
#: Programs that this process has started and that must not outlive it.
_STARTED: list[int] = []


def follow_parents() -> None:
    """End this process when the DVC that started it is gone; without one, do nothing."""
    if _MARK not in os.environ:
        return
    import psutil

    try:
        parents = _up_to_dvc(psutil.Process().parents())
    except psutil.Error:
        return
    if not parents or _takes_orphans(parents[-1]):
        os._exit(STATUS)  # DVC was killed while Python started
    watch = threading.Thread(target=_watch, args=(parents,), name="emdvc-lifeline", daemon=True)
    watch.start()


def _up_to_dvc(parents: list[Any]) -> list[Any]:
    """Return the shells that DVC started, and DVC itself: the first that has not the mark which DVC gives a stage.

    What stands above may well end before: a terminal, nohup. A shell may replace itself by the command that it runs,
    so that nobody knows how many there are.
    """
    import psutil

    for number, parent in enumerate(parents, start=1):
        try:
            environment = parent.environ()
        except psutil.Error:
            return parents[:number]
        # a system that hides the environment shows an empty one
        if environment and _MARK not in environment:
            return parents[:number]
    return parents[:2]


def _takes_orphans(process: Any) -> bool:
    """Say whether a process is the system's own, below which those stand whose parent is gone."""
    import psutil

    try:
        if process.pid != 1 and process.name() not in ("systemd", "init", "launchd"):
            return False
        # in a container the first process may be DVC itself
        program = Path(process.exe()).name.lower()
    except psutil.Error:
        return True
    return not program.startswith(("python", "pypy", "dvc"))


@contextmanager
def ends_with_us(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Let a program that this process started, and what that started, end with it in any case."""
    _STARTED.append(process.pid)
    try:
        yield
    except BaseException:
        end(process.pid)
        raise
    finally:
        _STARTED.remove(process.pid)


def end(pid: int) -> None:
    """End a process and all that it started; nothing where it is gone."""
    import psutil

    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with suppress(psutil.Error):
                one.kill()


def _watch(parents: list[Any]) -> None:
    while all(_alive(parent) for parent in parents):
        time.sleep(_INTERVAL)
    for pid in list(_STARTED):
        end(pid)
    os._exit(STATUS)  # no clean-up: it is what a kill at any moment must survive


def _alive(process: Any) -> bool:
    import psutil

    try:
        # psutil compares the time at which a process began too: another one with the same number is not taken for it.
        # One that was killed and that nobody has waited for yet is a zombie.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True
