"""Reading files and folders over SFTP: many requests under way, so that delay does not add up."""

from __future__ import annotations

import asyncio
import stat as modes
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from emdvc.history.storage.contract import Stat
from emdvc.history.storage.ssh_line import AHEAD, PIECE, Line

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SFTPClientFile


@asynccontextmanager
async def reading(line: Line, key: str) -> AsyncIterator[tuple[SFTPClientFile, SFTPClient]]:
    """Open a file; yield it and the session that it belongs to."""
    sftp = line.sftp
    file = await line.ask(sftp.open(line.path(key), "rb", block_size=0))
    try:
        yield file, sftp
    finally:
        if line.open_still:
            line.later(file.close)


async def pieces(
    line: Line, sftp: SFTPClient, file: SFTPClientFile, start: int, stop: int | None
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a file in order, many pieces asked for at a time.

    The first piece is asked for together with the size: a small file needs one answer only.
    """
    import asyncssh

    length = min(PIECE, sftp.limits.max_read_len or PIECE)

    async def piece(at: int, count: int) -> bytes:
        async with line.room:
            try:
                return await line.ask(file.read(count, at))
            except asyncssh.SFTPEOFError:
                return b""

    first = length if stop is None else min(length, stop - start)
    if first <= 0:
        return
    content, attributes = await asyncio.gather(piece(start, first), line.ask(file.stat()))
    yield content
    end = attributes.size or 0 if stop is None else min(stop, attributes.size or 0)
    asked = at = start + len(content)
    under_way: deque[tuple[int, asyncio.Task[bytes]]] = deque()
    try:
        while at < end:
            while asked < end and len(under_way) < AHEAD:
                count = min(length, end - asked)
                under_way.append((count, asyncio.ensure_future(piece(asked, count))))
                asked += count
            count, task = under_way.popleft()
            content = await task
            while len(content) < count:  # a server may give less than was asked for
                more = await piece(at + len(content), count - len(content))
                if not more:
                    yield content
                    raise asyncssh.SFTPConnectionLost(f"the file ended at byte {at + len(content)} of {end}")
                content += more
            yield content
            at += count
    finally:
        for _, task in under_way:
            task.cancel()
        await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)


async def entries(line: Line, folder: str) -> tuple[list[str], dict[str, Stat]]:
    """Return the folders and the files in a folder; nothing where there is none."""
    import asyncssh

    below: list[str] = []
    files: dict[str, Stat] = {}
    prefix = f"{folder}/" if folder else ""
    try:
        async for entry in line.sftp.scandir(line.path(folder)):
            line.moved()
            name, rights = str(entry.filename), entry.attrs.permissions or 0
            if name in (".", ".."):
                continue
            attributes = entry.attrs
            if modes.S_ISLNK(rights):
                try:
                    attributes = await line.ask(line.sftp.stat(line.path(prefix + name)))
                except asyncssh.SFTPNoSuchFile:
                    continue
            if modes.S_ISDIR(attributes.permissions or 0):
                below.append(prefix + name)
            elif (found := stat_of(attributes)) is not None:
                files[prefix + name] = found
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNotADirectory):
        return [], {}
    return below, files


def stat_of(attributes: Any) -> Stat | None:
    """Return what a server says of a file; None for a folder."""
    rights = attributes.permissions
    if rights is not None and not modes.S_ISREG(rights):
        return None
    return Stat(attributes.size or 0, None, attributes.mtime)
