"""Trying again what a broken line has ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from emdvc.history.storage.contract import InterruptedFault, SilentFault

_T = TypeVar("_T")

#: Tries in all.
TRIES = 5
#: Seconds before the second try; doubled each time, and spread so that many clients do not come back at once.
FIRST_PAUSE = 0.25


async def trying(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do work; where the line or the server fails, again, some times.

    A server that is silent was waited for long enough: it is not tried again.

    Raises
    ------
    InterruptedFault
        It failed each time.
    """
    for number in range(TRIES):
        try:
            return await work()
        except SilentFault:
            raise
        except InterruptedFault:
            if number == TRIES - 1:
                raise
            await asyncio.sleep(FIRST_PAUSE * 2**number * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable")
