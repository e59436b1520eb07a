"""How a computation is run: what changes its speed and its place, never its result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from emdvc.formats.contract import LazyArray, Region
from emdvc.steps.contract import Partial

if TYPE_CHECKING:
    from emdvc.engine.block_task import BlockTask
    from emdvc.engine.frames import Frames

#: Says how many probe positions were finished since the last call.
Advance = Callable[[int], None]
#: Keeps what a block gave.
Keep = Callable[[int, list[Partial]], None]


class Executor(Protocol):
    """Where blocks are computed."""

    def run(
        self, task: BlockTask, frames: Frames, blocks: Iterable[tuple[int, Region]], keep: Keep, at_once: int
    ) -> Iterator[tuple[int, int]]:
        """Compute blocks, keep what each gave, and yield their numbers with the frames of each, as they finish.

        Parameters
        ----------
        task
            What is done with a block.
        frames
            The array.
        blocks
            Number and region of each.
        keep
            Called once for each block, before it is yielded.
        at_once
            Blocks that may be held in memory at once, on one machine.
        """


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run on other data gave, where most of the data are the same.

    Parameters
    ----------
    arrays
        Its per-probe outputs by name.
    changed
        Returns of a region of the scan the smallest part that holds all samples which changed since; None for nothing.
    """

    arrays: Mapping[str, LazyArray]
    changed: Callable[[Region], Region | None]


@dataclass(frozen=True, slots=True)
class How:
    """How a computation is run.

    Parameters
    ----------
    threads
        Number of threads; default: :func:`emdvc.engine.cores.default_threads`.
    memory
        Bytes that the blocks may take that are held at once; default: a quarter of the memory.
    folder
        Where finished blocks are kept until the result is written, so that a killed run can go on; None for memory.
    executor
        Where blocks are computed; default: threads of this process.
    earlier
        What an earlier run gave, for each of the plans; None where there is none.
    advance
        Called as probe positions are finished.
    """

    threads: int | None = None
    memory: int | None = None
    folder: Path | None = None
    executor: Executor | None = None
    earlier: Mapping[int, Earlier] = field(default_factory=dict)
    advance: Advance | None = None

    def said(self, count: int) -> None:
        """Tell that probe positions were finished."""
        if self.advance is not None:
            self.advance(count)


def region_key(region: Region) -> tuple[Any, ...]:
    """Return a region as a value that can be compared and hashed."""
    return tuple((part.start, part.stop) for part in region)
