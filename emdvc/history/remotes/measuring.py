"""How fast a remote is: the time of a round trip, and bytes a second each way, measured within bounds."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import EmdvcError
from emdvc.history.storage.contract import Storage

#: Seconds for each way, after which no further file is begun, and bytes at most.
SECONDS = 4.0
MOST = 64 << 20
_FIRST = 256 << 10
_ROUND_TRIPS = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured of one way.

    Parameters
    ----------
    rate
        Bytes a second of the largest file, one file at a time.
    size
        Bytes of that file.
    """

    rate: float
    size: int

    def __str__(self) -> str:
        """Return the rate as it is printed."""
        return f"{self.rate / 1e6:.1f} MB/s"


async def round_trip(storage: Storage, key: str) -> float:
    """Return the seconds that a small question takes: the median of a few."""
    taken = []
    for _ in range(_ROUND_TRIPS):
        begun = time.perf_counter()
        await storage.stat(key)
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[len(taken) // 2]


async def throughput(storage: Storage, key: str) -> tuple[Speed, Speed]:
    """Return how fast files go there and come back; they grow until one takes about a second, and are removed.

    Raises
    ------
    EnvironmentFault
        The remote did not take or give them.
    """
    with tempfile.TemporaryDirectory(prefix="emdvc-") as folder:
        source, back = Path(folder) / "there", Path(folder) / "back"
        size, moved, spent = _FIRST, 0, 0.0
        async with _removed(storage, key):
            while True:
                # random, so that nothing on the way can compress it
                await asyncio.to_thread(_fill, source, size)
                begun = time.perf_counter()
                await storage.send(source, key)
                taken = time.perf_counter() - begun
                up = Speed(size / taken, size)
                moved, spent = moved + size, spent + taken
                larger = _next(size, taken, moved, spent)
                if larger is None:
                    break
                size = larger
            begun = time.perf_counter()
            async with asyncio.timeout(4 * SECONDS):
                await storage.receive(key, back)
            down = Speed(size / (time.perf_counter() - begun), size)
    return up, down


def _next(size: int, taken: float, moved: int, spent: float) -> int | None:
    """Return how large the next file may be; None where it would take too long, or be too much."""
    for factor in (8, 4, 2):
        if moved + factor * size <= MOST and spent + factor * taken <= SECONDS:
            return factor * size
    return None


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))


@asynccontextmanager
async def _removed(storage: Storage, key: str) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with suppress(EmdvcError):  # the line that is measured may just have broken
            await storage.remove(key)
