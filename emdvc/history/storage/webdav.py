"""A remote on a WebDAV server."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import BinaryIO

from emdvc.errors import Code, EmdvcError
from emdvc.history.storage import webdav_answers as answers
from emdvc.history.storage import webdav_faults
from emdvc.history.storage.contract import (
    ARRIVING,
    Advance,
    InterruptedFault,
    RemoteSettings,
    SilentFault,
    Stat,
    fault,
    not_its_name,
    time_of,
    too_short,
    unseen,
)
from emdvc.history.storage.creating import claimed
from emdvc.history.storage.webdav_session import DavSession

#: Bytes that are read from the disk at a time.
_PIECE = 64 << 10
#: Seconds after which nobody needs what a try has left.
_OLD = 7 * 24 * 3600.0
_XML = {"Content-Type": 'application/xml; charset="utf-8"'}
#: Answers to MKCOL: made; there already; something went wrong; not allowed.
_MADE, _THERE, _STUMBLED, _FORBIDDEN = 201, 405, 500, 403


class WebdavStorage:
    """Files below a folder of a WebDAV server."""

    parallel = 32

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._session = DavSession(settings, self.parallel)
        self._folders: dict[str, asyncio.Task[None]] = {}
        self._inside: dict[str, asyncio.Task[set[str]]] = {}

    async def open(self) -> None:
        """See that the folder is there, or at least the one that it is to be made in, and that it is WebDAV."""
        try:
            if await self._looked("", "0", "looking for the folder") is None:
                await self._look_above()
        except BaseException:
            await self.close()
            raise

    async def _look_above(self) -> None:
        above = DavSession(self.settings, 1)
        above.base = posixpath.dirname(above.base)
        try:
            if await self._looked("", "0", "looking for the folder", above) is None:
                raise fault(
                    self.settings,
                    "has no such folder",
                    f"neither {self._session.base or '/'} nor the folder above it is there (404)",
                    f"make it on the server, or correct it: dvc remote modify {self.settings.name} url ...",
                    code=Code.REMOTE_PLACE,
                )
        finally:
            await above.close()

    async def close(self) -> None:
        """Let the connections go."""
        making = [*self._folders.values(), *self._inside.values()]
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)
        self._folders.clear()
        self._inside.clear()
        await self._session.close()

    async def stat(self, key: str) -> Stat | None:
        """Return what is known of a file."""
        found = await self._looked(key, "0", f"looking for {key}")
        return found[0].stat if found else None

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every file below a folder, many folders looked at side by side."""
        found: dict[str, Stat] = {}
        waiting = [folder.strip("/")]
        while waiting:
            now, waiting = waiting[: self.parallel], waiting[self.parallel :]
            looked = await asyncio.gather(*(self._entries(one) for one in now))
            for below, files in looked:
                waiting.extend(below)
                found.update(files)
        return found

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file."""
        if stop is not None and stop <= start:
            return b""
        content = bytearray()
        async with aclosing(self._received(key, start, stop)) as pieces:
            async for piece in pieces:
                content += piece
        if stop is not None and len(content) < stop - start:
            raise too_short(self.settings, key, start + len(content), stop)
        return bytes(content)

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch a file, going on where the target ends."""
        writing: BinaryIO | None = None
        start = target.stat().st_size if target.exists() else 0
        try:
            async with aclosing(self._received(key, start, None)) as pieces:
                async for piece in pieces:
                    if writing is None:
                        writing = await asyncio.to_thread(target.open, "ab")
                    await asyncio.to_thread(writing.write, piece)
                    advance(len(piece))
            if writing is None and not start:
                target.touch()  # an empty object is an object
        finally:
            if writing is not None:
                await asyncio.to_thread(writing.close)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Put a file in its place: under another name, looked at, then moved."""
        size = source.stat().st_size
        part = f"{ARRIVING}/{uuid.uuid4().hex}.part"
        folder = asyncio.ensure_future(self._ready(key.rpartition("/")[0]))
        try:
            await self._ready(ARRIVING)
            await self._put(source, part, size, md5, advance)
            await folder
            there = await self.stat(part)
            if there is None or there.size != size:
                raise fault(
                    self.settings,
                    "did not take all of a file",
                    f"{part} has {there.size if there else 'no'} of {size} bytes",
                    f"{webdav_faults.check(self.settings)}; the same command sends it again",
                    kind=InterruptedFault,
                )
            headers = {"Destination": self._session.url(key), "Overwrite": "T"}
            async with self._session.ask("MOVE", part, f"writing {key}", fine=(201, 204), headers=headers):
                pass
        except BaseException as error:
            self._forget()  # a folder may be gone
            if isinstance(error, FileNotFoundError) and source.exists():
                said = f"{part} or the folder of {key}"
                hint = f"the same command sends it again; {webdav_faults.check(self.settings)}"
                raise fault(self.settings, "lost a file", said, hint, kind=InterruptedFault) from error
            if isinstance(error, EmdvcError) and not isinstance(error, SilentFault):
                with suppress(EmdvcError):
                    await self.remove(part)
            raise
        finally:
            folder.cancel()
            await asyncio.gather(folder, return_exceptions=True)

    async def create(self, key: str, content: bytes) -> bool:
        """Put a small file where there is none, beside a folder: that only one can make it, every server sees to."""

        async def take(claim: str) -> bool:
            await self._ready(claim.rpartition("/")[0])
            return await self._collection(claim)

        return await claimed(self, key, content, take, self.remove)

    async def clock(self) -> float | None:
        """Return the server's time, in seconds since 1970; None where it does not say."""
        headers = {"Depth": "0", **_XML}
        async with self._session.ask(
            "PROPFIND", "", "asking for the time", fine=(207, 404), headers=headers, body=lambda: answers.WANTED
        ) as answer:
            return time_of(answer.headers.get("Date"))

    async def remove(self, key: str) -> None:
        """Remove a file."""
        async with self._session.ask("DELETE", key, f"removing {key}", fine=(200, 202, 204, 404)):
            pass

    async def space(self) -> tuple[int, int] | None:
        """Return the bytes that are free for us and all bytes; None where the server does not say."""
        headers = {"Depth": "0", **_XML}
        async with self._session.ask(
            "PROPFIND", "", "asking for the free space", fine=(207, 404), headers=headers, body=lambda: answers.SPACE
        ) as answer:
            content = await answer.read()
        with suppress(ValueError):
            return answers.space(content)
        return None

    async def _looked(
        self, key: str, depth: str, doing: str, session: DavSession | None = None
    ) -> list[answers.Resource] | None:
        """Return a file or folder and, with depth 1, what is in it; None where it is not there."""
        headers = {"Depth": depth, **_XML}
        async with (session or self._session).ask(
            "PROPFIND", key, doing, fine=(207, 404), headers=headers, body=lambda: answers.WANTED
        ) as answer:
            if answer.status == 404:
                return None
            content = bytearray()
            async for piece in answer.content.iter_any():
                content += piece
                (session or self._session).moved()
        try:
            return await asyncio.to_thread(answers.resources, bytes(content))
        except ValueError as error:
            raise fault(
                self.settings, "is no WebDAV folder", error, webdav_faults.check(self.settings), code=Code.REMOTE_PLACE
            ) from error

    async def _entries(self, folder: str) -> tuple[list[str], dict[str, Stat]]:
        """Return the folders and the files in a folder; nothing where there is none."""
        below: list[str] = []
        files: dict[str, Stat] = {}
        for one in await self._looked(folder, "1", f"listing {folder}") or []:
            if not one.path.startswith(f"{self._session.base}/"):
                continue
            key = one.path.removeprefix(f"{self._session.base}/").strip("/")
            if one.stat is not None:
                files[key] = one.stat
            elif key != folder:
                below.append(key)
        return below, files

    async def _received(self, key: str, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file from `start` on, whether or not the server knows of ranges."""
        headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        async with self._session.ask("GET", key, f"reading {key}", fine=(200, 206, 416), headers=headers) as answer:
            if answer.status == 416:
                return  # it ends before
            skipped = start if answer.status == 200 else 0
            left = None if stop is None else stop - start
            async for came in answer.content.iter_any():
                self._session.moved()
                piece = came[skipped:] if left is None else came[skipped : skipped + left]
                skipped = max(0, skipped - len(came))
                if left is not None:
                    left -= len(piece)
                if piece:
                    yield piece
                if left == 0:
                    return

    async def _put(self, source: Path, part: str, size: int, md5: str | None, advance: Advance) -> None:
        digest = hashlib.md5(usedforsecurity=False)
        with await asyncio.to_thread(source.open, "rb") as reading:

            def read() -> bytes:
                piece = reading.read(_PIECE)
                digest.update(piece)
                return piece

            async def content() -> AsyncIterator[bytes]:
                nonlocal digest
                digest = hashlib.md5(usedforsecurity=False)
                reading.seek(0)
                while piece := await asyncio.to_thread(read):
                    yield piece
                    self._session.moved()
                    advance(len(piece))

            headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
            async with self._session.ask(
                "PUT", part, f"writing {part}", fine=(200, 201, 204), headers=headers, body=content
            ):
                pass
        if md5 is not None and digest.hexdigest() != md5:
            raise not_its_name(source, digest.hexdigest(), md5)

    async def _ready(self, folder: str) -> None:
        """See that a folder is there; each is looked at once."""
        task = self._folders.get(folder)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._folders[folder] = asyncio.ensure_future(self._made(folder))
        await asyncio.shield(task)

    async def _made(self, folder: str) -> None:
        parent, _, name = folder.rpartition("/")
        if folder:
            await self._ready(parent)
            task = self._inside.get(parent)
            if task is None:
                task = self._inside[parent] = asyncio.ensure_future(self._subfolders(parent))
            if name in await asyncio.shield(task):
                if folder == ARRIVING:
                    await self._sweep()
                return
        elif await self._looked("", "0", "looking for the folder") is not None:
            return
        await self._collection(folder)

    async def _collection(self, folder: str) -> bool:
        """Make a folder in one that is there; return whether it was we who made it."""
        async with self._session.ask(
            "MKCOL", folder, f"making the folder {folder}", fine=(_MADE, _THERE, _STUMBLED, _FORBIDDEN)
        ) as answer:
            status, reason = answer.status, answer.reason or ""
        # where two make the same folder at the same time WsgiDAV stumbles, and Apache forbids it to one of them
        if status not in (_MADE, _THERE) and await self._looked(folder, "0", f"looking for {folder}") is None:
            raise webdav_faults.answered(self.settings, "MKCOL", folder, status, reason)
        return status == _MADE

    async def _sweep(self) -> None:
        """Remove what tries have left that were ended long ago."""
        _, files = await self._entries(ARRIVING)
        before = time.time() - _OLD
        old = [key for key, found in files.items() if key.endswith(".part") and (found.modified or before) < before]
        for key in old:
            await self.remove(key)

    async def _subfolders(self, parent: str) -> set[str]:
        below, _ = await self._entries(parent)
        return {key.rpartition("/")[2] for key in below}

    def _forget(self) -> None:
        """Know nothing any more of folders, but what is just being looked at or made."""
        for task in (*self._folders.values(), *self._inside.values()):
            if task.done() and not task.cancelled():
                task.exception()  # it was told to those who waited
        self._folders = {key: task for key, task in self._folders.items() if not task.done()}
        self._inside = {key: task for key, task in self._inside.items() if not task.done()}
