"""Work done side by side in threads, its results in order, and never more of it waiting than memory allows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Done = TypeVar("Done")


def in_order(
    work: Callable[[Job], Done], jobs: Iterable[Job], threads: int, *, waiting: int | None = None
) -> Iterator[Done]:
    """Yield the result of each job, in the order of the jobs.

    Parameters
    ----------
    work
        What is done with a job; called from several threads at once.
    jobs
        Asked for one by one, as threads become free.
    threads
        Number of threads; with one, all is done in the calling thread.
    waiting
        Jobs that are begun, or done and not yet asked for, at most; twice the threads by default.
    """
    if threads == 1:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="emdvc")
    begun: deque[Future[Done]] = deque()
    try:
        for job in jobs:
            begun.append(pool.submit(work, job))
            if len(begun) >= (waiting or 2 * threads):
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
