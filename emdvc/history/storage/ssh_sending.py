"""Sending a file over SFTP: under another name first, with as few waits for the server as can be.

A small file takes three round trips: open; write, rights, size and close in one go; rename. A large one goes on where
an earlier try has ended (:mod:`emdvc.history.storage.ssh_parts`).
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import ssh_faults
from emdvc.history.storage.contract import ARRIVING, Advance, InterruptedFault, fault, not_its_name
from emdvc.history.storage.ssh_line import PIECE, Line
from emdvc.history.storage.ssh_parts import gone_on, sweep

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SFTPClientFile

#: From this size on an object that was sent in part is gone on with.
LARGE = 4 << 20
#: Pieces of one file that are on their way: OpenSSH takes no more before it has looked at some.
AHEAD = 12
#: Bytes at the end of a part that are compared with the file before it is gone on with.
_COMPARED = 1 << 20
#: Every file may be read by those who may read its folder, and written by nobody.
_READABLE = 0o444
_OWN = 0o400
#: Tries, and seconds between them, where a folder that somebody else is just making does not let us in yet.
_TRIES, _PAUSE = 4, 0.2


async def sent(line: Line, source: Path, key: str, md5: str | None, parts: dict[str, str], advance: Advance) -> None:
    """Send a file to its place.

    Parameters
    ----------
    line
        The connection.
    source
        The file.
    key
        Of the object.
    md5
        Of the file, where it is known.
    parts
        The names of the parts that this process has begun, by the md5 of the whole; kept up to date.
    advance
        Told the bytes that the server has.

    Raises
    ------
    EnvironmentFault
        Among others: the file is not what its md5 says.
    asyncssh.Error
        What the server says.
    """
    size = source.stat().st_size
    resumed = md5 is not None and size >= LARGE
    sftp = line.sftp
    folder = asyncio.ensure_future(line.folders.ready(key.rpartition("/")[0]))
    try:
        await line.folders.ready(ARRIVING)
        if not line.swept:
            line.swept = True
            line.later(lambda: sweep(line))
        part, file = f"{ARRIVING}/{uuid.uuid4().hex}.part", None
        if resumed:
            assert md5 is not None
            part, file = await gone_on(line, sftp, md5, size, parts)
        if file is None:
            file = await line.ask(sftp.open(line.path(part), "wb", _private(), block_size=0))
        sending = _Sending(line, sftp, source, size, part, file, md5, advance)
        try:
            await sending.write(folder)
            await sending.rename(key)
        except BaseException as error:
            await _left(sending, error, resumed)
            raise
        parts.pop(md5 or "", None)
    finally:
        folder.cancel()
        await asyncio.gather(folder, return_exceptions=True)


async def _left(sending: _Sending, error: BaseException, resumed: bool) -> None:
    """Clean up after a failure: what can be gone on with stays, unless the disk there is full or it is wrong."""
    sending.close_later()
    keep = resumed and (isinstance(error, InterruptedFault) or not isinstance(error, EnvironmentFault))
    if keep and not isinstance(error, InterruptedFault):
        import asyncssh

        keep = not isinstance(error, asyncssh.SFTPError) or isinstance(
            error, asyncssh.SFTPNoConnection | asyncssh.SFTPConnectionLost
        )
    if not keep and sending.line.open_still:
        sending.line.later(lambda: sending.sftp.remove(sending.line.path(sending.part)))


class _Sending:
    """One file on its way into an open part."""

    def __init__(
        self,
        line: Line,
        sftp: SFTPClient,
        source: Path,
        size: int,
        part: str,
        file: SFTPClientFile,
        md5: str | None,
        advance: Advance,
    ) -> None:
        self.line, self.sftp, self.part = line, sftp, part
        self._source, self._size, self._md5, self._advance = source, size, md5, advance
        self._file: SFTPClientFile | None = file
        self._digest = hashlib.md5(usedforsecurity=False)

    async def write(self, folder: asyncio.Future[int]) -> None:
        """Write what is missing in the part, give it its rights and see its size."""
        assert self._file is not None
        line, file, piece = self.line, self._file, min(PIECE, self.sftp.limits.max_write_len or PIECE)
        with await asyncio.to_thread(self._source.open, "rb") as reading:
            start = await self._start(reading) if self._size >= LARGE else 0
            last = await self._pieces(reading, start, piece)
        self._checked()
        attributes: Any = _rights(await folder)
        async with line.room:
            # in this order, in one go; a write that fails fails the whole, and the part keeps its passing name
            answers = await line.ask(
                asyncio.gather(
                    file.write(last, self._size - len(last)), file.setstat(attributes), file.stat(), file.close()
                )
            )
        self._file = None
        self._advance(len(last))
        if answers[2].size != self._size:
            raise fault(
                line.settings,
                "did not take all of a file",
                f"{line.path(self.part)} has {answers[2].size} of {self._size} bytes",
                f"{ssh_faults.check(line.settings)}; the same command sends it again",
                kind=InterruptedFault,
            )

    async def rename(self, key: str) -> None:
        """Give the part its final name, in place of what may be there."""
        import asyncssh

        part, path = self.line.path(self.part), self.line.path(key)
        for number in range(_TRIES):
            try:
                return await self.line.ask(self.sftp.posix_rename(part, path))
            except asyncssh.SFTPPermissionDenied:
                # a folder that another program is making has its rights a moment later
                if number == _TRIES - 1:
                    raise
                await asyncio.sleep(_PAUSE)
            except asyncssh.SFTPNoSuchFile as error:
                self.line.folders.forget()
                said = f"{part} or the folder of {path} is gone"
                hint = f"the same command sends it again; {ssh_faults.check(self.line.settings)}"
                raise fault(self.line.settings, "lost a file", said, hint, kind=InterruptedFault) from error
            except asyncssh.SFTPOpUnsupported:
                await self.line.ask(
                    asyncio.gather(self.sftp.remove(path), self.sftp.rename(part, path), return_exceptions=True)
                )
                return None
        return None

    def close_later(self) -> None:
        """Let the server forget the open part; nobody waits for that."""
        file, self._file = self._file, None
        if file is not None and self.line.open_still:
            self.line.later(file.close)

    async def _start(self, reading: BinaryIO) -> int:
        """Return where to go on, with the file read up to there; 0 if what is there is not its beginning."""
        assert self._file is not None
        there = min((await self.line.ask(self._file.stat())).size or 0, self._size)
        begin = max(0, there - _COMPARED)
        length = there - begin
        tail = io.BytesIO()
        while tail.tell() < length:
            import asyncssh

            try:
                more: Any = await self.line.ask(
                    self._file.read(min(PIECE // 2, length - tail.tell()), begin + tail.tell())
                )
            except asyncssh.SFTPEOFError:
                break
            if not more:
                break
            tail.write(more)
        same = there > 0 and await asyncio.to_thread(self._same, reading, begin, tail.getvalue())
        if not same:
            reading.seek(0)
            self._digest = hashlib.md5(usedforsecurity=False)
            if there:
                await self.line.ask(self._file.truncate(0))
            return 0
        return there

    def _same(self, reading: BinaryIO, begin: int, tail: bytes) -> bool:
        left = begin
        while left and (piece := reading.read(min(left, 1 << 20))):
            self._digest.update(piece)
            left -= len(piece)
        mine = reading.read(len(tail))
        self._digest.update(mine)
        return mine == tail

    async def _pieces(self, reading: BinaryIO, start: int, piece: int) -> bytes:
        """Write all pieces but the last, many under way at a time; return the last, which goes with the close."""
        assert self._file is not None
        under_way: deque[asyncio.Task[None]] = deque()
        try:
            content = await asyncio.to_thread(self._read, reading, piece)
            start_of = start
            while (ahead := await asyncio.to_thread(self._read, reading, piece)) if len(content) == piece else b"":
                if len(under_way) >= AHEAD:
                    await under_way.popleft()
                await self.line.room.acquire()
                under_way.append(asyncio.ensure_future(self._write(self._file, content, start_of)))
                start_of += len(content)
                content = ahead
            while under_way:
                await under_way.popleft()
            if start_of + len(content) != self._size:
                said = f"{self._source} had {self._size} bytes"
                raise EnvironmentFault("a file changed while it was sent", code=Code.DATA_CORRUPT, evidence=said)
            return content
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _write(self, file: SFTPClientFile, content: bytes, at: int) -> None:
        try:
            await self.line.ask(file.write(content, at))
        finally:
            self.line.room.release()
        self._advance(len(content))

    def _read(self, reading: BinaryIO, count: int) -> bytes:
        content = reading.read(count)
        self._digest.update(content)
        return content

    def _checked(self) -> None:
        if self._md5 is not None and self._digest.hexdigest() != self._md5:
            raise not_its_name(self._source, self._digest.hexdigest(), self._md5)


def _private() -> Any:
    import asyncssh

    return asyncssh.SFTPAttrs(permissions=0o600)


def _rights(folder: int) -> Any:
    import asyncssh

    return asyncssh.SFTPAttrs(permissions=_READABLE & folder | _OWN)
