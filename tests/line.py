"""A line between a client and a real server: slow, narrow, counted, cut or silent, as a test wants it.

::

    with Line("127.0.0.1", server_port, delay_ms=20, mbit=100) as line:
        client_goes_to(line.host, line.port)        # instead of the server's own port
        line.sent, line.received                    # bytes towards the server and back
        line.connections, len(line.requests)        # of HTTP also what was asked: line.requests[0].method, .path, .sent
        line.reset()                                # counts begin at nothing again
        line.cut()                                  # all connections break now; new ones are taken
        line.cut(after=1 << 20)                     # ... once so many more bytes went by, in both directions together
        line.cut(stay=True); line.mend()            # nobody comes through until it is mended
        line.freeze(); line.thaw()                  # everything stays connected, nothing moves: a silent network
        line.freeze(after=1 << 20)                  # ... once so many more bytes went by

Everything may be called from the test's thread at any time; the line works in a thread of its own. `delay_ms` is the
round trip (half in each direction, and one round trip more for each new connection); `mbit` is the width in each
direction for all connections together.
"""

from __future__ import annotations

import asyncio
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

Direction = Literal["up", "down", "both"]

#: The first line of a request, and how far back it may have begun in an earlier piece.
_REQUEST = re.compile(
    rb"(GET|PUT|POST|HEAD|DELETE|OPTIONS|PROPFIND|MKCOL|MOVE|COPY|LOCK|UNLOCK) (\S{1,4000}) HTTP/1\.[01]\r\n"
)
_PIECE = 64 << 10
#: Bytes that may be on their way in one direction of one connection.
_UNDER_WAY = 4 << 20


@dataclass
class Request:
    """A request of HTTP that went by: what was asked, and the bytes from its first line on to the next request."""

    method: str
    path: str
    sent: int = 0


class Line:
    """A line to one server; see the module for its use."""

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int, *, delay_ms: float = 0, mbit: float = 0) -> None:
        self.delay_ms = delay_ms
        self.mbit = mbit
        self.port = 0
        self._target = target_host, target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._moving = asyncio.Event()
        self._moving.set()
        self._refusing = False
        self._free = {"up": 0.0, "down": 0.0}
        self._until: tuple[Literal["cut", "stay", "freeze"], Direction, int] | None = None
        self.reset()

    def __enter__(self) -> Line:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def address(self) -> str:
        """Host and port, to be put into a URL."""
        return f"{self.host}:{self.port}"

    def reset(self) -> None:
        """Begin to count at nothing."""
        self.sent = self.received = self.connections = 0
        self.requests: list[Request] = []

    def asked(self, method: str, part: str = "") -> list[Request]:
        """Return the requests of a method whose path has a part in it."""
        return [request for request in self.requests if request.method == method and part in request.path]

    def cut(self, after: int = 0, *, direction: Direction = "both", stay: bool = False) -> None:
        """Break all connections, at once or when so many more bytes went by; `stay`: until :meth:`mend`."""
        self._when("stay" if stay else "cut", direction, after)

    def mend(self) -> None:
        """Take connections again, and forget what was to happen after some bytes."""
        self._soon(self._mend)

    def freeze(self, after: int = 0, *, direction: Direction = "both") -> None:
        """Move nothing any more, at once or when so many more bytes went by; connections stay."""
        self._when("freeze", direction, after)

    def thaw(self) -> None:
        """Move again, what was held back first."""
        self._soon(self._moving.set)

    def _when(self, what: Literal["cut", "stay", "freeze"], direction: Direction, after: int) -> None:
        def plan() -> None:
            self._until = what, direction, after
            if after <= 0:
                self._happen()

        self._soon(plan)

    def _soon(self, work: object) -> None:
        """Do something in the line's thread and wait for it."""
        done = threading.Event()

        def do() -> None:
            work()  # type: ignore[operator]
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait(10)

    def _mend(self) -> None:
        self._refusing, self._until = False, None

    def _happen(self) -> None:
        assert self._until is not None
        what, self._until = self._until[0], None
        if what == "freeze":
            self._moving.clear()
            return
        self._refusing = what == "stay"
        for connection in list(self._open):
            connection.abort()

    def _moved(self, direction: Literal["up", "down"], count: int) -> None:
        if direction == "up":
            self.sent += count
        else:
            self.received += count
        if self._until is not None and self._until[1] in (direction, "both"):
            what, which, left = self._until
            self._until = what, which, left - count
            if left <= count:
                self._happen()

    def _due(self, direction: str, count: int) -> float:
        """Return when a piece has come through."""
        at = self._loop.time()
        if self.mbit:
            at = self._free[direction] = max(at, self._free[direction]) + count * 8 / (self.mbit * 1e6)
        return at + self.delay_ms / 2000

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._taken, self.host, 0, limit=_PIECE)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self.connections += 1
        connection = _Connection(self, writer)
        self._open.add(connection)
        try:
            await connection.carry(reader, *self._target)
        finally:
            self._open.discard(connection)
            connection.abort()

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.abort()
        self._moving.set()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.01)  # until the transports have closed


class _Connection:
    """One connection through the line."""

    def __init__(self, line: Line, client: asyncio.StreamWriter) -> None:
        self._line = line
        self._writers = [client]
        self._task = asyncio.current_task()
        self._tail = b""
        self._request: Request | None = None

    def abort(self) -> None:
        """Break it, without a farewell."""
        for writer in self._writers:
            writer.transport.abort()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def carry(self, reader: asyncio.StreamReader, host: str, port: int) -> None:
        """Carry bytes both ways until both sides are done."""
        with suppress(OSError, asyncio.CancelledError):
            if self._line.delay_ms:
                await asyncio.sleep(self._line.delay_ms / 1000)
            await self._line._moving.wait()
            from_server, server = await asyncio.open_connection(host, port, limit=_PIECE)
            self._writers.append(server)
            ways = [
                asyncio.ensure_future(self._one_way("up", reader, server)),
                asyncio.ensure_future(self._one_way("down", from_server, self._writers[0])),
            ]
            try:
                await asyncio.gather(*ways)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _one_way(
        self, direction: Literal["up", "down"], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = self._line
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY // _PIECE)

        async def take() -> None:
            while True:
                await line._moving.wait()
                piece = await reader.read(_PIECE)
                await under_way.put((line._due(direction, len(piece)), piece))
                if not piece:
                    return

        taking = asyncio.ensure_future(take())
        try:
            while True:
                getting = asyncio.ensure_future(under_way.get())
                await asyncio.wait({getting, taking}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done() and taking.done():
                    taking.result()  # its failure is ours
                due, piece = await getting
                if (pause := due - line._loop.time()) > 0:
                    await asyncio.sleep(pause)
                await line._moving.wait()
                if not piece:
                    break
                if direction == "up":
                    self._look(piece)
                writer.write(piece)
                line._moved(direction, len(piece))
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
        finally:
            taking.cancel()
            getting.cancel()
            await asyncio.gather(taking, getting, return_exceptions=True)

    def _look(self, piece: bytes) -> None:
        """Count the requests in a piece that goes to the server."""
        seen = self._tail + piece
        end = 0
        for found in _REQUEST.finditer(seen) if b" HTTP/1." in seen else ():
            self._request = Request(found[1].decode(), found[2].decode("latin-1"))
            self._line.requests.append(self._request)
            end = found.end()
        if self._request is not None:
            self._request.sent += len(piece)
        # what may be the beginning of a request's first line is looked at again with the next piece
        rest = seen[end:]
        self._tail = rest[rest.rfind(b"\n") + 1 :][-4100:]
