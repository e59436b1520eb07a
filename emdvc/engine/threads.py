"""Blocks computed in threads of this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emdvc.engine.block_task import BlockTask
from emdvc.engine.cores import one_processor
from emdvc.engine.frames import Frames
from emdvc.engine.how import Keep
from emdvc.formats.contract import Region
from emdvc.formats.threads import in_order


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

        yield from in_order(lambda block: one(*block), blocks, min(self._count, at_once), waiting=at_once)
