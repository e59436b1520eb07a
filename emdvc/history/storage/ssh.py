"""A remote on a server that is reached over SSH, by SFTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from emdvc.errors import Code
from emdvc.history.storage import ssh_creating, ssh_faults
from emdvc.history.storage.contract import (
    Advance,
    InterruptedFault,
    RemoteSettings,
    SilentFault,
    Stat,
    fault,
    too_short,
    unseen,
)
from emdvc.history.storage.creating import claimed, linked
from emdvc.history.storage.ssh_line import Line
from emdvc.history.storage.ssh_reading import entries, pieces, reading, stat_of
from emdvc.history.storage.ssh_sending import sent

#: Folders that are listed at a time.
_LISTED = 32


class SshStorage:
    """Files below a folder of a server, over one connection that is made again when it broke."""

    parallel = 64

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._line: Line | None = None
        self._opening: asyncio.Lock | None = None
        self._met = False
        self._parts: dict[str, str] = {}

    async def open(self) -> None:
        """Connect, log in, and see that the folder is there, or at least the one that it is to be made in."""
        import_asyncssh()
        try:
            await self._look()
        except BaseException:
            await self.close()
            raise

    async def _look(self) -> None:
        import asyncssh

        async with self._working("looking for the folder") as line:
            path = line.path("")
            above = path.rpartition("/")[0] or "/"
            looked = await line.ask(asyncio.gather(line.sftp.stat(path), line.sftp.stat(above), return_exceptions=True))
            for answer in looked:
                if not isinstance(answer, BaseException):
                    return
                if not isinstance(answer, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
                    raise answer
        raise fault(
            self.settings,
            "has no such folder",
            f"neither {path} nor the folder above it is there",
            f"make it on the server (mkdir -p {path}), or correct it: dvc remote modify {self.settings.name} url ...",
            code=Code.REMOTE_PLACE,
        )

    async def close(self) -> None:
        """Let the connection go."""
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    async def stat(self, key: str) -> Stat | None:
        """Return what is known of a file."""
        try:
            async with self._working(f"looking for {key}", key) as line:
                return stat_of(await line.ask(line.sftp.stat(line.path(key))))
        except FileNotFoundError:
            return None

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every file below a folder, many folders looked at side by side."""
        found: dict[str, Stat] = {}
        async with self._working(f"listing {folder}", folder) as line:
            waiting = [folder.strip("/")]
            while waiting:
                now, waiting = waiting[:_LISTED], waiting[_LISTED:]
                for below, files in await asyncio.gather(*(entries(line, one) for one in now)):
                    waiting.extend(below)
                    found.update(files)
        return found

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file."""
        content = bytearray()
        async with (
            self._working(f"reading {key}", key) as line,
            reading(line, key) as (file, sftp),
            aclosing(pieces(line, sftp, file, start, stop)) as came,
        ):
            async for piece in came:
                content += piece
        if stop is not None and len(content) < stop - start:
            raise too_short(self.settings, key, start + len(content), stop)
        return bytes(content)

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch a file, going on where the target ends."""
        async with self._working(f"reading {key}", key) as line, reading(line, key) as (file, sftp):
            writing: BinaryIO = await asyncio.to_thread(target.open, "ab")
            try:
                async with aclosing(pieces(line, sftp, file, writing.tell(), None)) as came:
                    async for piece in came:
                        await asyncio.to_thread(writing.write, piece)
                        advance(len(piece))
            finally:
                await asyncio.to_thread(writing.close)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Put a file in its place."""
        import asyncssh

        root = self._path("")
        try:
            async with self._working(f"writing {key}", key, root) as line:
                try:
                    await sent(line, source, key, md5, self._parts, advance)
                except asyncssh.SFTPFailure as error:
                    if await self._is_full(line, source.stat().st_size):  # SFTP's plain "Failure" does not say so
                        raise ssh_faults.full(self.settings, f"{root}: {error.reason}") from error
                    raise
        except FileNotFoundError as error:
            if error.__cause__ is None:
                raise  # the file that was to be sent
            said = f"a folder of {root} is gone"
            hint = f"the same command makes it again; {ssh_faults.check(self.settings)}"
            raise fault(self.settings, "lost a folder", said, hint, kind=InterruptedFault) from error

    async def create(self, key: str, content: bytes) -> bool:
        """Put a small file where there is none: by a link, or beside a folder where the server has none."""

        async def link(passing: str) -> bool | None:
            async with self._working(f"writing {key}", key) as line:
                return await ssh_creating.link(line, passing, key)

        async def take(claim: str) -> bool:
            async with self._working(f"writing {key}", key) as line:
                return await ssh_creating.take(line, claim)

        async def give_back(claim: str) -> None:
            async with self._working(f"writing {key}", claim) as line:
                await line.ask(line.sftp.rmdir(line.path(claim)))

        made = await linked(self, key, content, link)
        return await claimed(self, key, content, take, give_back) if made is None else made

    async def remove(self, key: str) -> None:
        """Remove a file."""
        try:
            async with self._working(f"removing {key}", key) as line:
                await line.ask(line.sftp.remove(line.path(key)))
        except FileNotFoundError:
            pass

    async def space(self) -> tuple[int, int] | None:
        """Return the bytes that are free for us and the bytes of the disk; None where the server does not say."""
        import asyncssh

        async with self._working("asking for the free space") as line:
            for path in (line.path(""), line.path("").rpartition("/")[0] or "/"):
                try:
                    found = await line.ask(line.sftp.statvfs(path))
                except asyncssh.SFTPNoSuchFile:
                    continue
                except (asyncssh.SFTPOpUnsupported, asyncssh.SFTPFailure):
                    return None
                return found.bavail * found.frsize, found.blocks * found.frsize
        return None

    async def _is_full(self, line: Line, size: int) -> bool:
        import asyncssh

        try:
            found = await line.ask(line.sftp.statvfs(line.path("")))
        except asyncssh.SFTPError:
            return False
        return found.bavail * found.frsize < max(size, found.frsize) or found.favail == 0 < found.files

    def _path(self, key: str) -> str:
        from emdvc.history.storage.ssh_login import address_of

        return f"{address_of(self.settings).folder.rstrip('/')}/{key}".rstrip("/") or "/"

    @asynccontextmanager
    async def _working(self, doing: str, key: str = "", path: str | None = None) -> AsyncIterator[Line]:
        """Yield the open connection; what goes wrong on it becomes one of emdvc's errors."""
        line = await self._connected()
        try:
            async with line.patient(doing):
                with ssh_faults.working(self.settings, key, path or self._path(key)):
                    yield line
        except (SilentFault, InterruptedFault) as error:
            if isinstance(error, SilentFault) or not line.open_still:
                self._drop(line)
            raise

    def _drop(self, line: Line) -> None:
        """Do not use a connection any more; the next who needs one makes it."""
        if self._line is line:
            self._line = None
        line.abort()

    async def _connected(self) -> Line:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._line is not None and not self._line.open_still:
                self._drop(self._line)
            if self._line is None:
                self._line = await Line.open(self.settings, again=self._met)
                self._met = True
            return self._line


def import_asyncssh() -> None:
    """Import what speaks SSH.

    Raises
    ------
    EnvironmentFault
        It is not installed.
    """
    try:
        import asyncssh  # noqa: F401
    except ImportError as error:
        from emdvc.history.dvc_errors import missing_extra

        raise missing_extra("ssh") from error
