"""What goes wrong on a WebDAV remote, as emdvc's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, fault, not_there

#: Answers after which the same request may succeed a little later.
_PASSING = {408, 423, 425, 429, 500, 502, 503, 504}


def check(settings: RemoteSettings) -> str:
    """Return the command that looks at a remote closely."""
    return f"emdvc remote check {settings.name}"


def answered(settings: RemoteSettings, method: str, path: str, status: int, reason: str) -> Exception:
    """Return the error for an answer that is none we can go on with.

    Parameters
    ----------
    settings
        Of the remote.
    method
        Of the request.
    path
        Below the remote's URL.
    status
        Number of the answer.
    reason
        The server's words for it.
    """
    said = f"{method} {path or '/'}: {status} {reason}".rstrip()
    name = settings.name
    if status == 404:
        return not_there(settings, path)
    if status == 401:
        who = settings.options.get("user")
        hint = f"emdvc remote add {name} {settings.url} {'' if who else '--user NAME '}--ask-password"
        what = f"does not let the user {who} in" if who else "wants to know who we are"
        return fault(settings, what, said, hint, code=Code.REMOTE_REFUSED)
    if status == 403:
        hint = f"ask the owner of {settings.url} for the rights, then: {check(settings)}"
        return fault(settings, "does not let us do that", said, hint, code=Code.REMOTE_REFUSED)
    if status in (405, 501):
        hint = f"is the URL that of the WebDAV folder? dvc remote modify {name} url ...; read-only data: http(s)://"
        return fault(settings, "is no WebDAV folder that can be worked in", said, hint, code=Code.REMOTE_PLACE)
    if status == 409:
        hint = f"the same command makes it again; {check(settings)}"
        return fault(settings, "lacks a folder on the way", said, hint, kind=InterruptedFault)
    if status == 413:
        hint = "ask those who run the server for a higher limit on the size of an upload"
        return fault(settings, "takes no file that large", said, hint, code=Code.REMOTE_REFUSED)
    if status == 507:
        hint = "make room there (quota), or use another remote"
        return fault(settings, "is full", said, hint, code=Code.DISK_FULL)
    if status == 423:
        hint = f"another program has locked it; the same command tries again; {check(settings)}"
        return fault(settings, "has a file locked", said, hint, kind=InterruptedFault)
    if 300 <= status < 400:
        hint = f"dvc remote modify {name} url ... to where the folder is now"
        return fault(settings, "has moved", said, hint, code=Code.REMOTE_PLACE)
    kind = InterruptedFault if status in _PASSING else EnvironmentFault
    return fault(settings, "answered with a fault", said, check(settings), kind=kind)


@contextmanager
def working(settings: RemoteSettings, *, met: bool) -> Iterator[None]:
    """Turn what goes wrong below HTTP into emdvc's errors.

    Parameters
    ----------
    settings
        Of the remote.
    met
        The server has answered before: then it may come back.

    Raises
    ------
    EnvironmentFault
    """
    import aiohttp

    kind = InterruptedFault if met else EnvironmentFault
    try:
        yield
    except EmdvcError:
        raise
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
        if "CERTIFICATE" not in str(error):
            said = f"{error.host} port {error.port}: {getattr(error, 'os_error', error)}"
            hint = f"is it webdav:// instead of webdavs://, or another port? dvc remote modify {settings.name} url ..."
            raise fault(settings, "speaks no TLS as we do", said, hint, code=Code.REMOTE_PLACE) from error
        reason = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
        hint = (
            "is the address right? A certificate of your institute's own authority: "
            f"dvc remote modify {settings.name} ssl_verify /path/of/authority.pem"
        )
        raise fault(
            settings, "shows a certificate that is not trusted", str(reason), hint, code=Code.REMOTE_UNTRUSTED
        ) from error
    except aiohttp.ClientConnectorDNSError as error:
        hint = f"check the name: emdvc remote list; is this computer on the network (VPN)? then: {check(settings)}"
        raise fault(settings, "has a host name that nobody knows", error.host, hint, kind=kind) from error
    except aiohttp.ClientConnectorError as error:
        said = f"{error.host} port {error.port}: {(error.os_error.strerror or str(error.os_error)).lower()}"
        hint = f"is the port right, and the server running? then: {check(settings)}"
        raise fault(settings, "takes no connections", said, hint, kind=kind) from error
    except aiohttp.InvalidURL as error:
        hint = f"dvc remote modify {settings.name} url webdavs://host/folder"
        raise fault(settings, "has a URL that cannot be read", error, hint, code=Code.REMOTE_PLACE) from error
    except aiohttp.ClientResponseError as error:
        said = " ".join(error.message.split())[:200]
        hint = f"is the port that of WebDAV, and webdav:// or webdavs:// right? {check(settings)}"
        raise fault(settings, "does not answer as a web server", said, hint, kind=kind) from error
    except (aiohttp.ClientError, ConnectionError) as error:
        hint = f"{check(settings)}; what has arrived stays, the same command goes on"
        raise fault(settings, "broke the connection", error, hint, kind=InterruptedFault) from error
