"""An object of a remote as an open file, read piece by piece from any thread."""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from typing import IO, Any, cast

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import loop
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.remote import Remote
from emdvc.history.storage.trying import trying


def open_stored(remote: Remote, key: str) -> AbstractContextManager[IO[bytes]]:
    """Open an object for reading.

    Parameters
    ----------
    remote
        Where it lies.
    key
        Its path below the remote's URL.

    Raises
    ------
    FileNotFoundError
        There is no such object.
    OSError
        It may not be read, or the disk does not give it.
    EnvironmentFault
        The remote did not answer.
    """
    return cast("IO[bytes]", _StoredFile(remote, key))


class _StoredFile(io.RawIOBase):
    def __init__(self, remote: Remote, key: str) -> None:
        super().__init__()
        self._remote, self._key = remote, key
        stat = self._faults(self._stat)
        if stat is None:
            raise FileNotFoundError(key)
        self._size, self._at = stat.size, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Read what comes next."""
        view = memoryview(target).cast("B")
        stop = min(self._at + len(view), self._size)
        if stop <= self._at:
            return 0
        content = self._faults(lambda: self._read(self._at, stop))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def readall(self) -> bytes:
        """Read all that is left, in one go: each piece is a way to the remote and back."""
        start, self._at = self._at, self._size
        if start >= self._size:
            return b""
        content: bytes = self._faults(lambda: self._read(start, self._size))
        return content

    def _faults(self, work: Any) -> Any:
        """Do work; a fault of this one object, not of the remote, is raised as the system's own."""
        try:
            return loop.run(work())
        except EnvironmentFault as error:
            damaged = self._remote.settings.scheme == "folder" and isinstance(error.__cause__, OSError)
            if error.code is Code.REMOTE_REFUSED or damaged:
                raise OSError(str(error.__cause__ or error.evidence or error.cause)) from error
            raise

    async def _stat(self) -> Stat | None:
        storage = await self._remote.storage()
        return await trying(lambda: storage.stat(self._key))

    async def _read(self, start: int, stop: int) -> bytes:
        storage = await self._remote.storage()
        return await trying(lambda: storage.read(self._key, start, stop))
