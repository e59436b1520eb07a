"""Waiting for a server only as long as something moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from emdvc.history.storage.contract import RemoteSettings, SilentFault, fault


@asynccontextmanager
async def patient(settings: RemoteSettings, doing: str) -> AsyncIterator[Callable[[], None]]:
    """Yield what is called whenever something moved; where nothing does for too long, the body is ended.

    Parameters
    ----------
    settings
        Of the remote, with its patience in seconds.
    doing
        What for, after "while": ``reading files/md5/ab/cd``.

    Raises
    ------
    SilentFault
        Nothing moved.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.patience) as limit:
            yield lambda: limit.reschedule(loop.time() + settings.patience)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise silent(settings, doing) from error


def silent(settings: RemoteSettings, doing: str) -> SilentFault:
    """Return the error of a server that does not answer any more."""
    found = fault(
        settings,
        "does not answer any more",
        f"nothing moved for {settings.patience:g} s while {doing}",
        f"emdvc remote check {settings.name}; what has arrived stays, the same command goes on",
        code=SilentFault.default_code,
        kind=SilentFault,
    )
    assert isinstance(found, SilentFault)
    return found
