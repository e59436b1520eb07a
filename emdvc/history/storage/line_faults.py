"""What a broken, missing or distrusted connection over TCP and TLS means to the person who waits for it."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, fault


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the outermost first."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, getattr(one, "os_error", None)]
        kept = getattr(one, "kwargs", None)  # botocore keeps what it wraps here
        if isinstance(kept, dict):
            inner.append(kept.get("error"))
        waiting.extend(each for each in inner if isinstance(each, BaseException))


def line_fault(settings: RemoteSettings, error: BaseException, server: str) -> EnvironmentFault | None:
    """Return the fault of a connection that an error stands for; None where it stands for something else.

    Parameters
    ----------
    settings
        Of the remote.
    error
        The library's.
    server
        Host and port that were asked for.
    """
    for one in causes(error):
        found = _fault(settings, one, server)
        if found is not None:
            return found
    for one in causes(error):
        if isinstance(one, OSError) and one.errno is not None and not isinstance(one, FileNotFoundError):
            evidence, hint = f"{server}: {one}", f"emdvc remote check {settings.name}"
            return fault(settings, "cannot be reached", evidence, hint, kind=InterruptedFault)
    return None


def _verify_message(error: BaseException) -> str:
    # aiohttp's own error is one of ssl's by name only: what ssl said is kept in it
    inner = getattr(error, "certificate_error", error)
    return str(getattr(inner, "verify_message", "") or inner)


def _fault(settings: RemoteSettings, error: BaseException, server: str) -> EnvironmentFault | None:
    check = f"emdvc remote check {settings.name}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return fault(
            settings,
            "shows a certificate that is not trusted",
            f"{server}: {_verify_message(error)}",
            f"ask its operator for the certificate of their authority, then: "
            f"dvc remote modify {settings.name} ssl_verify /path/to/authority.pem",
            code=Code.REMOTE_UNTRUSTED,
        )
    if isinstance(error, ssl.SSLError):
        if "WRONG_VERSION_NUMBER" in str(error) or "HTTP_REQUEST" in str(error):
            return fault(
                settings,
                "does not speak TLS",
                f"{server}: {getattr(error, 'reason', None) or error}",
                "does its address begin with http:// instead of https://? see: emdvc remote list",
            )
        return fault(settings, "broke the encrypted connection", error, check, kind=InterruptedFault)
    if isinstance(error, socket.gaierror):
        again = error.errno == socket.EAI_AGAIN
        return fault(
            settings,
            "is at a host that is not known here",
            f"{server}: {error.strerror or error}",
            "is the name right (emdvc remote list), and is this machine on the network or VPN?",
            kind=InterruptedFault if again else EnvironmentFault,
        )
    if isinstance(error, OSError) and error.errno in (errno.ECONNREFUSED, 10061):  # the latter on Windows
        return fault(
            settings,
            "takes no connections",
            f"nothing listens at {server}",
            f"is the server up, and the port right? see: emdvc remote list, then: {check}",
            kind=InterruptedFault,
        )
    if isinstance(error, (ConnectionError, BrokenPipeError)):
        return fault(
            settings, "broke the connection", error, f"the same command goes on; or: {check}", kind=InterruptedFault
        )
    return None
