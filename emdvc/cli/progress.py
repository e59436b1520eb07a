"""Progress of long work: shown on a terminal only, and only when the work takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emdvc.formats.contract import Variable

#: Seconds before a bar is worth looking at.
PATIENCE = 2.0

Advance = Callable[[int], None]


@contextmanager
def shown(what: str, total: int | None) -> Iterator[Advance]:
    """Show work on bytes, with rate and time left; yields what is called with the bytes done since.

    Parameters
    ----------
    what
        The work in a few words.
    total
        Bytes to do; None where that is not known.
    """
    with _bar(what, total, "") as advance:
        yield advance


@contextmanager
def probe_positions(variable: Variable, core: tuple[str, ...]) -> Iterator[Advance]:
    """Show work on probe positions, with rate and time left; yields what is called with the number done since.

    Parameters
    ----------
    variable
        The array that is read.
    core
        Dimensions of one frame: all others are counted.
    """
    total, frame = 1, int(variable.array.dtype.itemsize)
    for dim, samples in zip(variable.dims, variable.array.shape, strict=True):
        if dim in core:
            frame *= samples
        else:
            total *= samples
    with _bar(variable.name, total, "probe positions", frame) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: int | None, unit: str, each: int = 1) -> Iterator[Advance]:
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    bar = _Bar(what, total, unit, each)
    try:
        yield bar.advance
    finally:
        bar.close()


class _Bar:
    """A bar of rich that appears late; without a unit it counts bytes, with one things of so many bytes each."""

    def __init__(self, what: str, total: int | None, unit: str, each: int = 1) -> None:
        self._what, self._total, self._unit, self._each = what, total, unit, each
        self._done = 0
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            self._appear()
        self._bar.update(self._task, completed=self._done, rate=self._rate())

    def _rate(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self._done * self._each / seconds / 1e9:.2f} GB/s"

    def _appear(self) -> None:
        from rich import progress
        from rich.console import Console

        count: list[progress.ProgressColumn] = [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if self._unit:
            count = [progress.MofNCompleteColumn(), progress.TextColumn(f"{self._unit}, {{task.fields[rate]}}")]
        left = progress.TimeRemainingColumn()
        columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), *count, left]
        self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(self._what, total=self._total, rate="")
        self._bar.start()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
