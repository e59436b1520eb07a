"""One SSH connection and the SFTP sessions on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from emdvc.history.storage import ssh_faults
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.moving import Moving
from emdvc.history.storage.patience import patient
from emdvc.history.storage.ssh_folders import Folders
from emdvc.history.storage.ssh_login import address_of, connected

if TYPE_CHECKING:
    from asyncssh import SFTPClient, SSHClientConnection

_T = TypeVar("_T")

#: SFTP sessions on one connection. A server works on one request of a session at a time, and takes ten sessions.
_SESSIONS = 4
#: Of DVC's `max_sessions`, two are for commands.
_FOR_COMMANDS = 2
#: Pieces of files that are on their way on one connection, both directions together.
_UNDER_WAY = 128
#: Largest piece: what OpenSSH takes and gives at once is just below.
PIECE = 256 << 10
#: Pieces of one file that are on their way.
AHEAD = 32
#: Seconds that a server has to say goodbye.
_FAREWELL = 2.0


class Line(Moving):
    """An open connection; made by :meth:`open`."""

    def __init__(self, settings: RemoteSettings, connection: SSHClientConnection, where: str) -> None:
        super().__init__(settings)
        self.settings = settings
        self.where = where
        self.swept = False  # whether what is old was looked for
        self.room = asyncio.Semaphore(_UNDER_WAY)
        self.folder = address_of(settings).folder.rstrip("/")
        self._connection = connection
        self._sessions: list[SFTPClient] = []
        self._next = 0
        self._closing: set[asyncio.Task[Any]] = set()
        self.folders = Folders(self)

    @classmethod
    async def open(cls, settings: RemoteSettings, *, again: bool) -> Line:
        """Connect, log in and begin the sessions.

        Raises
        ------
        EnvironmentFault
        """
        async with patient(settings, f"connecting to {address_of(settings).host}") as alive:
            connection, where = await connected(settings, alive, again=again)
        line = cls(settings, connection, where)
        try:
            async with line.patient(f"beginning SFTP on {where}"):
                await line._begin()
        except BaseException:
            line.abort()
            raise
        return line

    async def _begin(self) -> None:
        """Begin the sessions: the first must be had, the others are taken as far as the server gives them."""
        import asyncssh

        text = self.settings.options.get("max_sessions", "")
        most = max(1, min(_SESSIONS, int(text) - _FOR_COMMANDS)) if text.isdigit() else _SESSIONS
        begun = await asyncio.gather(
            *(self._connection.start_sftp_client() for _ in range(most)), return_exceptions=True
        )
        self._sessions = [one for one in begun if isinstance(one, asyncssh.SFTPClient)]
        if self._sessions:
            return
        for error in begun:
            if isinstance(error, asyncssh.ConnectionLost | asyncssh.SFTPConnectionLost) and not self.open_still:
                raise ssh_faults.interrupted(self.settings, error) from error
            if isinstance(error, asyncssh.Error):
                raise ssh_faults.no_sftp(self.settings, f"{self.where}: {error.reason}") from error
            if isinstance(error, BaseException):
                raise error

    @property
    def open_still(self) -> bool:
        """Whether the connection is there, as far as is known."""
        return not self._connection.is_closed()

    @property
    def sftp(self) -> SFTPClient:
        """A session, each in its turn."""
        self._next = (self._next + 1) % len(self._sessions)
        return self._sessions[self._next]

    def path(self, key: str) -> str:
        """Return where a key of the remote lies on the server."""
        return f"{self.folder}/{key}" if key else self.folder or "/"

    async def ask(self, request: Awaitable[_T]) -> _T:
        """Wait for an answer, and note that there was one."""
        answer = await request
        self.moved()
        return answer

    def later(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do something that nobody waits for, as far as the connection lets it."""

        async def quietly() -> None:
            import asyncssh

            with suppress(asyncssh.Error, ConnectionError):
                await work()

        task = asyncio.ensure_future(quietly())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def abort(self) -> None:
        """Let the connection go at once."""
        self.folders.forget()
        for task in self._closing:
            task.cancel()
        self._connection.abort()

    async def close(self) -> None:
        """Say goodbye; a server that is silent is left without."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=_FAREWELL)
        self.folders.forget()
        self._connection.close()
        try:
            await asyncio.wait_for(self._connection.wait_closed(), min(_FAREWELL, self.settings.patience))
        except TimeoutError:
            self.abort()
