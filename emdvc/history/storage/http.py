"""A remote that is a web server: it only gives."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage.contract import (
    Advance,
    InterruptedFault,
    RemoteSettings,
    Stat,
    fault,
    not_there,
    too_short,
    unseen,
)
from emdvc.history.storage.creating import cannot_create
from emdvc.history.storage.line_faults import line_fault
from emdvc.history.storage.patience import patient
from emdvc.history.storage.stream import append

#: Answers of a server that does not know HEAD.
_NO_HEAD = frozenset({405, 501})
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpStorage:
    """Files below a URL. There is no way to list them, to send any, or to remove one."""

    parallel = 16
    #: Whether :meth:`listing` can answer.
    lists = False
    #: Whether :meth:`create` can.
    creates = False

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._server = urlsplit(settings.url).netloc.rpartition("@")[2]
        self._session: Any = None
        self._stack: AsyncExitStack | None = None

    async def open(self) -> None:
        """Make the session; the first request connects."""
        import aiohttp

        if self._stack is not None:
            return
        jobs = self.settings.options.get("jobs", "")
        connector = aiohttp.TCPConnector(
            limit=max(self.parallel, int(jobs) if jobs.isdigit() else 0), ssl=_trust(self.settings)
        )
        connect = max(1.0, min(10.0, self.settings.patience / 6))
        self._stack = AsyncExitStack()
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect),  # the rest is `patient`'s
                headers={"Accept-Encoding": "identity", **_known_by(self.settings)},
                trust_env=True,  # proxies, and ~/.netrc
                auto_decompress=False,
            )
        )

    async def close(self) -> None:
        """Let the connections go."""
        stack, self._stack, self._session = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    async def stat(self, key: str) -> Stat | None:
        """Ask for the head of a file."""
        try:
            async with self._asking("HEAD", key, f"looking for {key}") as (_, answer):
                size = answer.headers.get("Content-Length")
                if size is not None and answer.status < 300:
                    return _stat(answer.headers, int(size))
            async with self._asking("GET", key, f"looking for {key}", {"Range": "bytes=0-0"}) as (alive, answer):
                return _stat(answer.headers, await self._size(answer, alive))
        except FileNotFoundError:
            return None

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Refuse: a web server has no listing that could be relied on."""
        raise fault(
            self.settings,
            "cannot list what it holds",
            "HTTP has no listing",
            "ask for single files, or use the storage behind the web server: emdvc remote add",
        )

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file by one request."""
        content = bytearray()
        async with self._getting(key, start, stop) as (_, pieces):
            async for piece in pieces:
                content += piece
        if stop is not None and len(content) < stop - start:
            raise too_short(self.settings, key, start + len(content), stop)
        return bytes(content)

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch a file, from where the target ends."""
        held = target.stat().st_size if target.exists() else 0
        async with self._getting(key, held, None) as (alive, pieces):
            await append(target, pieces, alive, advance)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Refuse."""
        raise self._read_only(f"writing {key}")

    async def create(self, key: str, content: bytes) -> bool:
        """Refuse."""
        raise cannot_create(self.settings, "over HTTP nothing can be written")

    async def remove(self, key: str) -> None:
        """Refuse."""
        raise self._read_only(f"removing {key}")

    def _read_only(self, doing: str) -> EnvironmentFault:
        return fault(
            self.settings,
            "is read-only",
            f"{doing} is not possible over HTTP",
            "send to the storage behind it: emdvc remote list, then emdvc push --remote NAME",
            code=Code.REMOTE_REFUSED,
        )

    @asynccontextmanager
    async def _getting(
        self, key: str, start: int, stop: int | None
    ) -> AsyncIterator[tuple[Callable[[], None], AsyncIterator[bytes]]]:
        """Ask for the bytes from `start` to `stop`, or to the end, and yield them; less where there is less."""
        last = "" if stop is None else str(max(stop, start + 1) - 1)
        asked = {"Range": f"bytes={start}-{last}"} if start or stop is not None else {}
        async with self._asking("GET", key, f"reading {key}", asked) as (alive, answer):
            yield alive, self._wanted(key, answer, alive, start, stop)

    async def _wanted(
        self, key: str, answer: Any, alive: Callable[[], None], start: int, stop: int | None
    ) -> AsyncIterator[bytes]:
        """Yield what was asked for of what a server sends: all of the file, where it knows no parts."""
        if answer.status == 416:  # it ends before
            return
        at = _first_byte(answer)
        if at > start:
            evidence = f"{key}: from byte {at}, not {start}"
            raise fault(self.settings, "sent another part than was asked for", evidence, self._check())
        async for piece in self._whole(key, answer, alive):
            begin, at = at, at + len(piece)
            end = len(piece) if stop is None else max(0, stop - begin)
            if kept := piece[max(0, start - begin) : end]:
                yield kept
            if stop is not None and at >= stop and answer.status != 206:
                return

    async def _whole(self, key: str, answer: Any, alive: Callable[[], None]) -> AsyncIterator[bytes]:
        """Yield all that a server sends, and see that it is as much as it said."""
        arrived, said = 0, answer.headers.get("Content-Length")
        async for piece in answer.content.iter_any():
            alive()
            arrived += len(piece)
            yield piece
        if said is not None and arrived != int(said):
            raise fault(
                self.settings,
                "broke off in the middle of a file",
                f"{key}: {arrived} of {said} bytes arrived",
                f"the same command goes on; or: {self._check()}",
                kind=InterruptedFault,
            )

    async def _size(self, answer: Any, alive: Callable[[], None]) -> int:
        """Return a file's size from an answer to a request for its first byte."""
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if total.isdigit():
            return int(total)
        size = 0
        async for piece in answer.content.iter_any():
            alive()
            size += len(piece)
        return size

    @asynccontextmanager
    async def _asking(
        self, method: str, key: str, doing: str, headers: dict[str, str] | None = None
    ) -> AsyncIterator[tuple[Callable[[], None], Any]]:
        import aiohttp
        from yarl import URL

        base = self.settings.url.rstrip("/")
        url = URL(f"{base}/{quote(key)}", encoded=True)
        async with patient(self.settings, doing) as alive:
            try:
                async with self._session.request(method, url, headers=headers or {}) as answer:
                    unknown = method == "HEAD" and answer.status in _NO_HEAD
                    if answer.status != 416 and answer.status >= 300 and not unknown:
                        raise self._answered(answer, key, doing)
                    yield alive, answer
            except (aiohttp.ClientError, ConnectionError) as error:
                raise self._broken(error, doing) from error

    def _answered(self, answer: Any, key: str, doing: str) -> Exception:
        """Return the error that the status of an answer stands for."""
        name, said = self.settings.name, f"{doing} was answered {answer.status} {answer.reason}"
        if answer.status in (404, 410):
            return not_there(self.settings, key)
        if answer.status in (401, 403, 407):
            login = f"emdvc remote add {name} {self.settings.url} --user NAME --ask-password"
            hint = f"ask its operator for the rights; where it takes a password: {login}"
            return fault(self.settings, "does not let us in", said, hint, code=Code.REMOTE_REFUSED)
        if answer.status in _AGAIN:
            return fault(self.settings, "failed", said, f"try again later, or: {self._check()}", kind=InterruptedFault)
        return fault(self.settings, "gave an answer that is none", said, self._check())

    def _broken(self, error: Exception, doing: str) -> EnvironmentFault:
        import aiohttp

        if isinstance(error, aiohttp.ServerTimeoutError):
            hint = f"is this machine on the network or VPN? then: {self._check()}"
            evidence = f"no connection to {self._server} came about in time"
            return fault(self.settings, "does not answer", evidence, hint, kind=InterruptedFault)
        found = line_fault(self.settings, error, self._server)
        if found is not None:
            return found
        hint = f"the same command goes on; or: {self._check()}"
        return fault(self.settings, f"broke the connection while {doing}", error, hint, kind=InterruptedFault)

    def _check(self) -> str:
        return f"emdvc remote check {self.settings.name}"


def _trust(settings: RemoteSettings) -> Any:
    """Return which certificates are trusted: True the usual ones, False any; or a context with those of a file."""
    text = settings.options.get("ssl_verify")
    if text is None or text.strip().lower() in ("true", "yes", "1", "on", "false", "no", "0", "off"):
        return settings.flag("ssl_verify") is not False
    import ssl

    context = ssl.create_default_context()
    try:
        context.load_verify_locations(text)
    except OSError as error:
        hint = f"dvc remote modify {settings.name} ssl_verify /path/to/authority.pem"
        raise fault(settings, "has a file of authorities that cannot be read", error, hint) from error
    return context


def _known_by(settings: RemoteSettings) -> dict[str, str]:
    """Return the header that the server knows us by, where one is set."""
    options, method = settings.options, settings.options.get("auth")
    password, header = options.get("password", ""), options.get("custom_auth_header")
    if method == "basic":
        said = base64.b64encode(f"{options.get('user', '')}:{password}".encode()).decode()
        return {"Authorization": f"Basic {said}"}
    return {header: password} if method == "custom" and header else {}


def _first_byte(answer: Any) -> int:
    """Return where the bytes of an answer begin: at the start where the server knows no parts."""
    if answer.status != 206:
        return 0
    begin = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(begin) if begin.strip().isdigit() else 0


def _stat(headers: Any, size: int) -> Stat:
    modified = headers.get("Last-Modified")
    try:
        at = parsedate_to_datetime(modified).timestamp() if modified else None
    except ValueError:
        at = None
    etag = headers.get("ETag")
    return Stat(size, etag.removeprefix("W/").strip('"') if etag else None, at)
