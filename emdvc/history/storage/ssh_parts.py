"""What an earlier try has sent of a large file over SFTP, and who may go on with it.

A part on the server is called after the md5 of the whole file and has a random end:

- Everyone who sends writes into a part of their own name, so that two who send the same object do not meet.
- Who begins and finds a part of somebody else looks whether it grows. If not, it is left over from a try that was
  ended, and is taken over by renaming it to an own name, which only one can do.
- If its owner was only slow, both write the same bytes to the same places, since the name holds their md5; the owner
  then finds that the part has gone when it is to be renamed, and begins again.
- Before going on, the end of the part is compared with the file: a server that lost its power may have left a hole.
"""

from __future__ import annotations

import asyncio
import stat as modes
import time
import uuid
from typing import TYPE_CHECKING

from emdvc.history.storage.contract import ARRIVING
from emdvc.history.storage.ssh_line import Line

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SFTPClientFile

#: Seconds after which nobody will go on with a part.
OLD = 7 * 24 * 3600.0
#: Seconds in which a part of somebody else must not grow to be taken for left over.
_STILL = 1.0


async def sweep(line: Line) -> None:
    """Remove what tries have left that were ended long ago."""
    sftp, before = line.sftp, time.time() - OLD
    async for entry in sftp.scandir(line.path(ARRIVING)):
        found = entry.attrs
        old = found.mtime is not None and found.mtime < before
        if old and modes.S_ISREG(found.permissions or 0) and str(entry.filename).endswith(".part"):
            await line.ask(sftp.remove(line.path(f"{ARRIVING}/{entry.filename!s}")))


async def gone_on(
    line: Line, sftp: SFTPClient, md5: str, size: int, parts: dict[str, str]
) -> tuple[str, SFTPClientFile | None]:
    """Return the part to write into, and it open where an earlier try began it."""
    import asyncssh

    mine = parts.get(md5)
    if mine is None:
        mine = parts[md5] = f"{ARRIVING}/{md5}-{uuid.uuid4().hex[:16]}.part"
        left = await _left_over(line, sftp, md5, size)
        if left is None:
            return mine, None
        try:
            await line.ask(sftp.rename(line.path(left), line.path(mine)))
        except asyncssh.SFTPError:
            return mine, None  # somebody else took it, or it is not ours to take
    try:
        return mine, await line.ask(sftp.open(line.path(mine), "r+b", block_size=0))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPPermissionDenied):
        if parts.get(md5) == mine:
            mine = parts[md5] = f"{ARRIVING}/{md5}-{uuid.uuid4().hex[:16]}.part"
        return mine, None


async def _left_over(line: Line, sftp: SFTPClient, md5: str, size: int) -> str | None:
    """Return the largest part of an object that does not grow; None where there is none."""

    async def look() -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        async for entry in sftp.scandir(line.path(ARRIVING)):
            line.moved()
            name = str(entry.filename)
            if name.startswith(f"{md5}-") and entry.attrs.size and entry.attrs.size <= size:
                found[name] = entry.attrs.size, entry.attrs.mtime or 0
        return found

    first = await look()
    if not first:
        return None
    await asyncio.sleep(min(_STILL, line.settings.patience / 2))
    again = await look()
    still = [name for name, seen in first.items() if again.get(name) == seen]
    return f"{ARRIVING}/{max(still, key=lambda name: again[name][0])}" if still else None
