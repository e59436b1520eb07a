"""Blocks computed by the workers of a dask cluster.

Each worker opens the dataset itself and reads its blocks from the storage that all share; only what a block gave comes
back. The blocks are those of a run in threads, and they are merged in the same order, so that the bytes are the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from emdvc.engine.block_task import BlockTask
from emdvc.engine.frames import ArraySource, Frames
from emdvc.engine.how import Keep
from emdvc.errors import EmdvcError, InternalError
from emdvc.formats.contract import Region
from emdvc.steps.contract import Partial

#: How often a block is tried again that failed: a network drive may be away for a moment. (A block whose worker died is
#: computed by another one in any case; the scheduler's `allowed-failures` says how often.)
RETRIES = 2
#: Blocks that wait at the scheduler for each thread of a worker, so that none is idle.
_QUEUED = 2


class Cluster:
    """A dask cluster as an executor.

    Parameters
    ----------
    client
        A connected ``distributed.Client``.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def run(
        self, task: BlockTask, frames: Frames, blocks: Iterable[tuple[int, Region]], keep: Keep, at_once: int
    ) -> Iterator[tuple[int, int]]:
        """Compute blocks; see :class:`emdvc.engine.how.Executor`. What waits is bounded by the workers' threads."""
        import distributed

        as_completed: Any = distributed.as_completed
        if frames.source is None:
            raise InternalError("an array that is only in memory cannot be computed on a cluster")
        # Not scattered: what was scattered is lost with the worker that holds it. What was submitted is made again.
        shared = self._client.submit(_together, task, frames.source, frames.name, pure=False)
        waiting = iter(blocks)

        def submit(block: tuple[int, Region]) -> Any:
            return self._client.submit(_compute, shared, *block, pure=False, retries=RETRIES)

        first = [submit(block) for block in itertools.islice(waiting, self._at_once())]
        futures = as_completed(first, loop=self._client.loop)
        for future in futures:
            index, count, partials = _result(future)
            keep(index, partials)
            future.release()
            following = next(waiting, None)
            if following is not None:
                futures.add(submit(following))
            yield index, count

    def _at_once(self) -> int:
        threads = sum(int(count) for count in self._client.nthreads().values())
        return max(1, _QUEUED * threads)


def _result(future: Any) -> tuple[int, int, list[Partial]]:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    from emdvc.errors import Code, EnvironmentFault

    try:
        found: tuple[int, int, list[Partial]] = future.result()
    except EmdvcError:
        raise
    except (KilledWorker, FutureCancelledError) as error:
        raise EnvironmentFault(
            "the cluster lost a block too often",
            code=Code.PROGRAM_FAILED,
            evidence=" ".join(str(error).split())[:200],
            hint="look at the workers' logs (memory?); the same command goes on from the finished blocks",
        ) from error
    return found


def _together(task: BlockTask, source: ArraySource, name: str) -> tuple[BlockTask, ArraySource, str]:
    return task, source, name


def _compute(shared: tuple[BlockTask, ArraySource, str], index: int, region: Region) -> tuple[int, int, list[Partial]]:
    task, source, name = shared
    count, partials = task(source.array(name), region)
    return index, count, partials
