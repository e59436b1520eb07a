"""Waiting for one server in many places at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.patience import patient

#: How often those who wait are told that something moved, in parts of their patience.
_TELLING = 100


class Moving:
    """What moves between us and a server counts for everyone who waits for it.

    On a slow line the bytes of one file wait for those of another; that is no silence.
    """

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._waiting: set[Callable[[], None]] = set()
        self._told = 0.0

    @asynccontextmanager
    async def patient(self, doing: str) -> AsyncIterator[None]:
        """Wait as long as anything moves.

        Raises
        ------
        SilentFault
            Nothing moved.
        """
        async with patient(self._settings, doing) as alive:
            self._waiting.add(alive)
            try:
                yield
            finally:
                self._waiting.discard(alive)

    def moved(self) -> None:
        """Note that something has moved."""
        now = asyncio.get_running_loop().time()
        if now - self._told > self._settings.patience / _TELLING:
            self._told = now
            for alive in self._waiting:
                with suppress(RuntimeError):  # that wait is over already
                    alive()
