"""Blocks computed in threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from emdvc.engine.block_task import BlockTask
from emdvc.engine.cores import one_processor
from emdvc.engine.frames import Frames
from emdvc.engine.how import Keep
from emdvc.formats.contract import Region
from emdvc.formats.threads import in_order

#: Blocks that are sent for before they are read, where the array's bytes are elsewhere.
_AHEAD = 3


class Threads:
    """A pool of threads that read, decode, compute and write blocks side by side.

    Parameters
    ----------
    count
        Number of threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def run(
        self, task: BlockTask, frames: Frames, blocks: Iterable[tuple[int, Region]], keep: Keep, at_once: int
    ) -> Iterator[tuple[int, int]]:
        """Compute blocks; see :class:`emdvc.engine.how.Executor`."""

        def one(index: int, region: Region) -> tuple[int, int]:
            with one_processor():
                count, partials = task(frames.array, region)
                keep(index, partials)
            return index, count

        jobs = sent_for(task, frames, blocks)
        yield from in_order(lambda block: one(*block), jobs, min(self._count, at_once), waiting=at_once)


def sent_for(task: BlockTask, frames: Frames, blocks: Iterable[tuple[int, Region]]) -> Iterator[tuple[int, Region]]:
    """Yield blocks; of an array whose bytes come from far away, those that follow are sent for meanwhile.

    What arrives waits on disk, so that no more memory is held.
    """
    prefetch: Any = getattr(frames.array, "prefetch", None)
    if prefetch is None:
        yield from blocks
        return
    coming = iter(blocks)
    held: deque[tuple[int, Region]] = deque()
    while True:
        for block in islice(coming, _AHEAD + 1 - len(held)):
            prefetch([task.region(frames.array, block[1])])
            held.append(block)
        if not held:
            return
        yield held.popleft()
