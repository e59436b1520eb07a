"""Much work side by side, a bounded part of it at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


async def crowd(each: Callable[[_T], Awaitable[None]], over: Iterable[_T], width: int) -> None:
    """Do the same for many, at most `width` at a time; the first failure ends the rest and is raised.

    Parameters
    ----------
    each
        What is done.
    over
        With what; taken in its order.
    width
        How many at a time.
    """
    waiting = iter(over)

    async def work() -> None:
        for one in waiting:
            await each(one)

    tasks = [asyncio.ensure_future(work()) for _ in range(max(1, width))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
