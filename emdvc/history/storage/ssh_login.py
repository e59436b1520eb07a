"""Being let in by an SSH server: DVC's words and the user's own SSH settings together."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from emdvc.errors import Code
from emdvc.history.storage import ssh_faults
from emdvc.history.storage.asking import asked
from emdvc.history.storage.contract import RemoteSettings, fault
from emdvc.history.storage.ssh_hosts import KnownHost, known_host

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHClientConnectionOptions

#: The quick ones first; what the user's own settings say goes before.
_CIPHERS = (
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr"
)
#: Without a certificate of an authority, which only counts where one is known.
_PLAIN_HOST_KEYS = (
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,"
    "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com"
)
#: Bytes that the server may send before we have taken them, for each session.
_WINDOW = 16 << 20


@dataclass(frozen=True)
class Address:
    """Where a remote is, as DVC's settings say it.

    Parameters
    ----------
    host
        Or the name that SSH's settings give to one.
    folder
        On the server, absolute.
    user
        None for what SSH's settings say.
    port
        Likewise.
    """

    host: str
    folder: str
    user: str | None
    port: int | None


def address_of(settings: RemoteSettings) -> Address:
    """Return where a remote is.

    Raises
    ------
    EnvironmentFault
        The URL cannot be read.
    """
    hint = f"dvc remote modify {settings.name} url ssh://user@host/folder"
    try:
        parts = urlsplit(settings.url)
        text = settings.options.get("port") or parts.port
        port = int(text) if text is not None else None
    except ValueError as error:
        raise fault(settings, "has a URL that cannot be read", error, hint, code=Code.REMOTE_PLACE) from error
    if not parts.hostname:
        said = "no host is named"
        raise fault(settings, "has a URL that cannot be read", said, hint, code=Code.REMOTE_PLACE)
    # `hostname` would be in small letters, and names in SSH's settings have their own
    host = parts.netloc.rpartition("@")[2]
    host = host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]
    user = settings.options.get("user") or (unquote(parts.username) if parts.username else None)
    return Address(host, "/" + parts.path.strip("/"), user, port)


async def connected(
    settings: RemoteSettings, alive: Callable[[], None], *, again: bool
) -> tuple[SSHClientConnection, str]:
    """Return a connection on which we are logged in, and host and port in words.

    Parameters
    ----------
    settings
        Of the remote.
    alive
        Called whenever the server has said something.
    again
        It was connected before.

    Raises
    ------
    EnvironmentFault
        The server is not to be reached, not trusted, or does not let us in.
    """
    import asyncssh

    address = address_of(settings)
    with ssh_faults.connecting(settings, address.host, again=again):
        words = await _words(settings, address)
        options = await asyncssh.SSHClientConnectionOptions.construct(
            config=(), host=address.host, **({"port": address.port} if address.port else {}), **words
        )
        known = await asyncio.to_thread(_known, options, address, words)
    where = f"{options.host} port {options.port}"
    with ssh_faults.connecting(settings, where, again=again):
        if not known.keys and not known.elsewhere and not known.authorities and not _said(options, "HostKeyAlgorithms"):
            words["server_host_key_algs"] = _PLAIN_HOST_KEYS
        if not _said(options, "Ciphers"):
            words["encryption_algs"] = _CIPHERS
        try:
            connection = await asyncssh.connect(
                address.host,
                known_hosts=(*known.trusted, [], [], [], []),
                client_factory=lambda: _client(known, options, alive),
                compression_algs=None,
                **({"port": address.port} if address.port else {}),
                **words,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            if known.seen is not None:
                raise known.refusal(settings) from error
            hint = f"see it with your own eyes: ssh {_ways(options, address)}"
            raise fault(
                settings, "is a host that cannot be trusted", error.reason, hint, code=Code.REMOTE_UNTRUSTED
            ) from error
        except asyncssh.PermissionDenied as error:
            offered = await _offered(options)
            raise ssh_faults.not_let_in(settings, options.username, offered, _ways(options, address)) from error
    return connection, where


async def _words(settings: RemoteSettings, address: Address) -> dict[str, Any]:
    """Return DVC's settings in asyncssh's words; what is asked at the terminal is asked here."""
    option = settings.options.get
    words: dict[str, Any] = {"gss_auth": bool(settings.flag("gss_auth")), "gss_kex": bool(settings.flag("gss_auth"))}
    if address.user:
        words["username"] = address.user
    for word in ("password", "passphrase"):
        value = option(word)
        if value is None and settings.flag(f"ask_{word}"):
            value = await asked(settings, word)
        if value is not None:
            words[word] = value
    if keyfile := option("keyfile"):
        words["client_keys"] = [str(Path(keyfile).expanduser())]
    if settings.flag("allow_agent") is False:
        words["agent_path"] = None
    return words


def _known(options: SSHClientConnectionOptions, address: Address, words: dict[str, Any]) -> KnownHost:
    """Return what is known of the server that SSH's settings lead to."""
    # asyncssh leaves the tokens in these names as they are
    tokens = {"%h": options.host, "%n": address.host, "%p": str(options.port), "%r": options.username, "%%": "%"}
    tokens |= {"%d": str(Path.home()), "%u": os.environ.get("USER", options.username)}

    def files(word: str) -> list[str] | None:
        said = options.config.get(word)
        if said is None:
            return None
        names = [str(name) for name in said]  # type: ignore[attr-defined]
        for token, value in tokens.items():
            names = [name.replace(token, value) for name in names]
        return names

    return known_host(
        options.host_key_alias or options.host,
        options.port,
        user_files=files("UserKnownHostsFile"),
        system_files=files("GlobalKnownHostsFile"),
        strict=_strictness(address, words),
        direct=not (_said(options, "ProxyJump") or _said(options, "ProxyCommand") or options.host_key_alias),
    )


def _strictness(address: Address, words: dict[str, Any]) -> str:
    """Return ``StrictHostKeyChecking`` of SSH's settings for a host: asyncssh does not know that word."""
    from getpass import getuser

    from asyncssh.config import SSHClientConfig

    class _Config(SSHClientConfig):
        _handlers = SSHClientConfig._handlers | {
            "stricthostkeychecking": ("StrictHostKeyChecking", SSHClientConfig._set_string)
        }

    path = Path("~/.ssh/config").expanduser()
    if not os.access(path, os.R_OK):
        return "ask"
    user, port = words.get("username", ()), address.port or ()
    config = _Config.load(None, [path], False, False, False, getuser(), user, address.host, port)
    return str(config.get("StrictHostKeyChecking") or "ask")


def _said(options: SSHClientConnectionOptions, word: str) -> bool:
    return options.config.get(word) is not None


def _client(known: KnownHost, options: SSHClientConnectionOptions, alive: Callable[[], None]) -> object:
    import asyncssh

    class Client(asyncssh.SSHClient):
        """Asks the files of known hosts, and tells that the server is still there."""

        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            alive()

        def begin_auth(self, username: str) -> None:
            alive()

        def auth_banner_received(self, msg: str, lang: str) -> None:
            alive()

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
            return known.trusts(key, password=options.password is not None)

    return Client()


async def _offered(options: SSHClientConnectionOptions) -> list[str]:
    """Return the keys that were offered to the server, in words."""
    import asyncssh

    offered = []
    for pair in options.client_keys or []:
        name = pair.get_comment() or "a key"
        digest = base64.b64encode(hashlib.sha256(pair.public_data).digest()).decode().rstrip("=")
        offered.append(f"{name} ({pair.get_algorithm()} SHA256:{digest})")
    if options.agent_path:
        try:
            async with asyncssh.connect_agent(options.agent_path) as agent:
                keys = await asyncio.wait_for(agent.get_keys(), 5)
        except (OSError, TimeoutError, ValueError, asyncssh.Error):
            keys = []
        offered.extend(f"{key.get_comment() or 'a key'} of ssh-agent" for key in keys)
    if options.password is not None:
        offered.append("a password")
    return offered


def _ways(options: SSHClientConnectionOptions, address: Address) -> str:
    """Return the host as it is given to ``ssh``."""
    port = f"-p {address.port} " if address.port else ""
    return f"{port}{options.username}@{address.host}"
