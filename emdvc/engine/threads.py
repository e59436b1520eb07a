"""Blocks computed in threads of this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from emdvc.engine.block_task import BlockTask
from emdvc.engine.cores import one_processor
from emdvc.engine.frames import Frames
from emdvc.engine.how import Keep
from emdvc.formats.contract import Region


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

        threads = min(self._count, at_once)
        if threads == 1:
            for index, region in blocks:
                yield one(index, region)
            return
        pool = ThreadPoolExecutor(threads, thread_name_prefix="emdvc")
        waiting: deque[Future[tuple[int, int]]] = deque()
        try:
            for index, region in blocks:
                waiting.append(pool.submit(one, index, region))
                if len(waiting) >= at_once:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
