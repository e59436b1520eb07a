"""Requests to a WebDAV server: who we are, whom we trust, and what an answer may be."""

from __future__ import annotations

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage import webdav_faults
from emdvc.history.storage.asking import asked
from emdvc.history.storage.contract import RemoteSettings, fault
from emdvc.history.storage.moving import Moving

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

#: Signs of a path that need no quoting.
_PLAIN = "/-._~!$&'()*+,;=:@"
#: Seconds for the command that gives a token, unless the remote's `timeout` says otherwise.
_COMMAND = 30.0
#: What `ssl_verify` may be if it is no file.
_FLAGS = ("true", "false", "yes", "no", "1", "0", "on", "off")


class DavSession(Moving):
    """The connections to one WebDAV folder.

    Parameters
    ----------
    settings
        Of the remote, in DVC's words.
    connections
        Most of them at a time.
    """

    def __init__(self, settings: RemoteSettings, connections: int) -> None:
        super().__init__(settings)
        self.settings = settings
        try:
            parts = urlsplit(settings.url)
        except ValueError as error:
            raise _unreadable(settings, error) from error
        self._host = f"{parts.scheme.lower().replace('webdav', 'http')}://{parts.netloc.rpartition('@')[2]}"
        #: Path of the remote's folder on the server, without quoting and without a slash at its end.
        self.base = unquote(parts.path).rstrip("/")
        self._user = settings.options.get("user") or (unquote(parts.username) if parts.username else None)
        self._connections = connections
        self._session: ClientSession | None = None
        self._identity: dict[str, str] | None = None
        self._met = False

    def url(self, key: str) -> str:
        """Return the address of a key."""
        return self._host + quote(f"{self.base}/{key}" if key else f"{self.base}/", safe=_PLAIN)

    async def close(self) -> None:
        """Let the connections go."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # until the transports have heard of it

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        key: str,
        doing: str,
        *,
        fine: tuple[int, ...],
        headers: dict[str, str] | None = None,
        body: Callable[[], Any] | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Yield the answer to a request.

        Parameters
        ----------
        method
            Of HTTP.
        key
            Below the remote's folder.
        doing
            What for, in words, for the error of a silent server.
        fine
            Numbers of answers that are expected; all others are raised.
        headers
            More of them.
        body
            Makes what is sent, anew for each try.

        Raises
        ------
        FileNotFoundError
            There is no such file (where 404 is not expected).
        EnvironmentFault
        """
        # what is asked at the terminal is no silence of the server
        mine = await self._who()
        url = _as_written(self.settings, self.url(key))
        async with self.patient(doing):
            with webdav_faults.working(self.settings, met=self._met):
                for again in (False, True):
                    async with self._open().request(
                        method,
                        url,
                        headers={**mine, **(headers or {})},
                        data=None if body is None else body(),
                        allow_redirects=method == "GET",
                    ) as answer:
                        self._met = True
                        self.moved()
                        if answer.status == 401 and not again and "bearer_token_command" in self.settings.options:
                            self._identity = None  # a token has its time
                            mine = await self._who()
                            continue
                        if answer.status not in fine:
                            raise webdav_faults.answered(self.settings, method, key, answer.status, answer.reason or "")
                        yield answer
                        return

    def _open(self) -> ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._trust()),
                timeout=aiohttp.ClientTimeout(total=None),  # patience is ours
                trust_env=True,
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            )
        return self._session

    def _trust(self) -> Any:
        """Return whom we trust, and our own certificate, in the words of Python's TLS."""
        import ssl

        said, certificate = self.settings.options.get("ssl_verify"), self.settings.options.get("cert_path")
        authority = None if said is None or said.strip().lower() in _FLAGS else said
        checked = said is None or authority is not None or self.settings.flag("ssl_verify")
        if checked and not authority and not certificate:
            return True
        try:
            context = ssl.create_default_context(cafile=authority)
            if not checked:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if certificate:
                context.load_cert_chain(Path(certificate).expanduser(), self.settings.options.get("key_path"))
        except (OSError, ssl.SSLError) as error:
            hint = f"dvc remote modify --local {self.settings.name} cert_path ... (and key_path, ssl_verify)"
            raise fault(
                self.settings, "needs a certificate that cannot be read", error, hint, code=Code.REMOTE_UNTRUSTED
            ) from error
        return context

    async def _who(self) -> dict[str, str]:
        """Return the headers that say who we are."""
        if self._identity is None:
            option = self.settings.options.get
            if command := option("bearer_token_command"):
                self._identity = {"Authorization": f"Bearer {await self._token(command)}"}
            elif token := option("token"):
                self._identity = {"Authorization": f"Bearer {token}"}
            elif self._user:
                pair = f"{self._user}:{await self._password() or ''}".encode()
                self._identity = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            elif header := option("custom_auth_header"):
                self._identity = {header: await self._password() or ""}
            else:
                self._identity = {}
        return self._identity

    async def _password(self) -> str | None:
        option = self.settings.options.get
        if option("password") or not self.settings.flag("ask_password"):
            return option("password")
        return await asked(self.settings, "password")

    async def _token(self, command: str) -> str:
        """Return what the command prints that DVC's settings name for this."""
        seconds = float(self.settings.options.get("timeout") or _COMMAND)
        hint = f"dvc remote modify {self.settings.name} bearer_token_command ..."
        try:
            status, output, errors = await asyncio.to_thread(_printed, command, seconds)
        except subprocess.TimeoutExpired as error:
            said = f"{command}: not done after {seconds:g} s"
            raise fault(self.settings, "got no token", said, hint, code=Code.REMOTE_REFUSED) from error
        if status or not output.strip():
            lines = errors.strip().splitlines() or [f"exit {status}, no output"]
            raise fault(self.settings, "got no token", f"{command}: {lines[-1]}", hint, code=Code.REMOTE_REFUSED)
        return output.strip()


def _printed(command: str, seconds: float) -> tuple[int, str, str]:
    """Return the exit status of a command of the shell and what it printed; it ends with all that it started."""
    import psutil

    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, shell=True, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, errors="replace"
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            with suppress(psutil.NoSuchProcess):
                for one in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        one.kill()
            process.kill()
            raise
        return process.returncode, output, errors


def _as_written(settings: RemoteSettings, url: str) -> Any:
    from yarl import URL

    try:
        made = URL(url, encoded=True)
        _ = made.port  # it is looked at only now
        return made
    except ValueError as error:
        raise _unreadable(settings, error) from error


def _unreadable(settings: RemoteSettings, error: ValueError) -> EnvironmentFault:
    hint = f"dvc remote modify {settings.name} url webdavs://host/folder"
    return fault(settings, "has a URL that cannot be read", error, hint, code=Code.REMOTE_PLACE)
