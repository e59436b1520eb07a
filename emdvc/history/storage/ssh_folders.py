"""The folders of an SSH remote: looked at and made once for each connection, with the rights of the folder above."""

from __future__ import annotations

import asyncio
import stat as modes
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from emdvc.history.storage.contract import ARRIVING

if TYPE_CHECKING:
    from emdvc.history.storage.ssh_line import Line

_T = TypeVar("_T")

#: Rights of a folder in a place whose own are not known.
_PLAIN = 0o755


class Folders:
    """The folders on one connection.

    Two people of one group push into the same folder: what one makes the other must be able to use from the moment on
    that it can be seen. So a folder is made under another name, gets its rights there and is then renamed.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._known: dict[str, asyncio.Task[int]] = {}
        self._inside: dict[str, asyncio.Task[dict[str, int]]] = {}

    async def ready(self, folder: str) -> int:
        """Return the rights of a folder, which is there afterwards."""
        task = self._known.get(folder)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._known[folder] = asyncio.ensure_future(self._made(folder))
        return await _shared(task)

    def forget(self) -> None:
        """Know nothing any more."""
        for task in (*self._known.values(), *self._inside.values()):
            task.cancel()
            if task.done() and not task.cancelled():
                task.exception()  # it was told to those who waited
        self._known.clear()
        self._inside.clear()

    async def _made(self, folder: str) -> int:
        import asyncssh

        line = self._line
        if not folder:
            with suppress(asyncssh.SFTPNoSuchFile):
                return _rights(await line.ask(line.sftp.stat(line.path(""))))
            above = await line.ask(line.sftp.stat(line.path("").rpartition("/")[0] or "/"))
            return await self._make(folder, _rights(above))
        parent, _, name = folder.rpartition("/")
        rights = await self.ready(parent)
        if name in (there := await self._listed(parent)):
            return there[name]
        return await self._make(folder, rights)

    async def _listed(self, parent: str) -> dict[str, int]:
        """Return the folders in a folder, with their rights: one look at it instead of one at each of them."""
        task = self._inside.get(parent)
        if task is None:
            task = self._inside[parent] = asyncio.ensure_future(self._list(parent))
        return await _shared(task)

    async def _list(self, parent: str) -> dict[str, int]:
        found: dict[str, int] = {}
        async for entry in self._line.sftp.scandir(self._line.path(parent)):
            self._line.moved()
            rights = entry.attrs.permissions
            if rights is not None and modes.S_ISDIR(rights):
                found[str(entry.filename)] = modes.S_IMODE(rights)
        return found

    async def _make(self, folder: str, rights: int) -> int:
        import asyncssh

        line = self._line
        sftp, path = line.sftp, line.path(folder)
        if folder in ("", ARRIVING):
            passing = f"{path.rstrip('/')}-{uuid.uuid4().hex[:8]}"  # there is no better place yet
        else:
            await self.ready(ARRIVING)
            passing = line.path(f"{ARRIVING}/{uuid.uuid4().hex}")
        attributes = asyncssh.SFTPAttrs(permissions=rights)
        # one session does them in this order, and each fails where the one before it did: no need to wait in between
        answers = await line.ask(
            asyncio.gather(
                sftp.mkdir(passing, attributes),
                sftp.setstat(passing, attributes),
                sftp.rename(passing, path),
                return_exceptions=True,
            )
        )
        if answers[2] is None:
            return rights
        if answers[0] is None:
            line.later(lambda: sftp.rmdir(passing))
        with suppress(asyncssh.SFTPNoSuchFile):  # else somebody else has made it meanwhile
            return _rights(await line.ask(sftp.stat(path)))
        if isinstance(answers[0], asyncssh.SFTPPermissionDenied):
            raise answers[0]
        return await self._make_in_place(folder, rights)  # a server that renames no folders

    async def _make_in_place(self, folder: str, rights: int) -> int:
        import asyncssh

        line = self._line
        sftp, path, attributes = line.sftp, line.path(folder), asyncssh.SFTPAttrs(permissions=rights)
        try:
            await line.ask(sftp.mkdir(path, attributes))
        except asyncssh.SFTPFailure:
            return _rights(await line.ask(sftp.stat(path)))  # somebody else has made it meanwhile
        with suppress(asyncssh.SFTPError):  # a server without rights
            await line.ask(sftp.setstat(path, attributes))
        return rights


async def _shared(task: asyncio.Task[_T]) -> _T:
    """Wait for work that others wait for, too; that the connection went is no reason to end the one who waits."""
    import asyncssh

    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        me = asyncio.current_task()
        if task.cancelled() and me is not None and not me.cancelling():
            raise asyncssh.SFTPConnectionLost("the connection was given up") from None
        raise


def _rights(attributes: Any) -> int:
    return _PLAIN if attributes.permissions is None else modes.S_IMODE(attributes.permissions)
