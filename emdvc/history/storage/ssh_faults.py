"""What goes wrong on an SSH remote, as emdvc's errors."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import InterruptedFault, RemoteSettings, fault, not_there

#: The server's number for "too many tries" among its reasons to disconnect.
_BY_PROTOCOL = 2


def check(settings: RemoteSettings) -> str:
    """Return the command that looks at a remote closely."""
    return f"emdvc remote check {settings.name}"


def interrupted(settings: RemoteSettings, evidence: BaseException | str) -> EnvironmentFault:
    """Return the error of a line that broke."""
    hint = f"{check(settings)}; what has arrived stays, the same command goes on"
    return fault(settings, "broke the connection", evidence, hint, kind=InterruptedFault)


def refused(settings: RemoteSettings, path: str, evidence: BaseException | str) -> EnvironmentFault:
    """Return the error of a folder or file without rights for us."""
    return fault(
        settings,
        f"does not let us into {path}",
        evidence,
        f"ask the owner of {path} for the rights (ls -ld there shows them), then: {check(settings)}",
        code=Code.REMOTE_REFUSED,
    )


def full(settings: RemoteSettings, evidence: BaseException | str) -> EnvironmentFault:
    """Return the error of a full disk there."""
    hint = "make room there (df -h, quota), or use another remote"
    return fault(settings, "is full", evidence, hint, code=Code.DISK_FULL)


@contextmanager
def working(settings: RemoteSettings, key: str, path: str) -> Iterator[None]:
    """Turn what SFTP says of a file into emdvc's errors.

    Parameters
    ----------
    settings
        Of the remote.
    key
        Of the object that is worked on.
    path
        Where that lies on the server.

    Raises
    ------
    FileNotFoundError
        There is no such object.
    EnvironmentFault
    """
    import asyncssh

    try:
        yield
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        raise not_there(settings, key) from error
    except (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect) as error:
        raise refused(settings, path, error) from error
    except (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded) as error:
        raise full(settings, error) from error
    except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.SFTPBadMessage) as error:
        raise interrupted(settings, error) from error
    except asyncssh.SFTPError as error:
        said = f"{path}: {error.reason or type(error).__name__}"
        raise fault(settings, "could not do it", said, check(settings), kind=InterruptedFault) from error
    except (asyncssh.Error, ConnectionError) as error:
        raise interrupted(settings, error) from error


@contextmanager
def connecting(settings: RemoteSettings, where: str, *, again: bool) -> Iterator[None]:
    """Turn what keeps a connection from being made into emdvc's errors.

    Parameters
    ----------
    settings
        Of the remote.
    where
        Host and port.
    again
        It was connected before: then it may come back.

    Raises
    ------
    EnvironmentFault
    """
    import asyncssh

    kind = InterruptedFault if again else EnvironmentFault
    try:
        yield
    except EmdvcError:
        raise
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise _locked(settings, error) from error
    except (FileNotFoundError, PermissionError) as error:
        hint = f"dvc remote modify --local {settings.name} keyfile ~/.ssh/id_ed25519"
        said = f"{error.filename}: {error.strerror}"
        raise fault(settings, "needs a key that cannot be read", said, hint, code=Code.REMOTE_REFUSED) from error
    except asyncssh.ConfigParseError as error:
        hint = "correct the line in ~/.ssh/config"
        raise fault(settings, "cannot be reached with SSH's settings as they are", error, hint) from error
    except socket.gaierror as error:
        said = f"{where}: {error.strerror}"
        hint = f"check the name: emdvc remote list; is this computer on the network (VPN)? then: {check(settings)}"
        raise fault(settings, "has a host name that nobody knows", said, hint, kind=kind) from error
    except ConnectionRefusedError as error:
        hint = f"is the port right, and the server running? then: {check(settings)}"
        said = f"{where}: connection refused"
        raise fault(settings, "takes no connections", said, hint, kind=kind) from error
    except (asyncssh.ProtocolError, asyncssh.ProtocolNotSupported, asyncssh.KeyExchangeFailed) as error:
        hint = f"is the port that of SSH? emdvc remote list; then: {check(settings)}"
        raise fault(settings, "does not speak SSH as we do", f"{where}: {error.reason}", hint) from error
    except asyncssh.ConnectionLost as error:
        hint = f"is the port that of SSH, and is this computer allowed there? then: {check(settings)}"
        said = f"{where}: {error.reason}"
        raise fault(settings, "ended the connection at once", said, hint, kind=InterruptedFault) from error
    except asyncssh.DisconnectError as error:
        if error.code == _BY_PROTOCOL and "authentication" in error.reason.lower():
            hint = "name the one key: dvc remote modify --local " + f"{settings.name} keyfile ~/.ssh/id_ed25519"
            raise fault(settings, "was offered too many keys", error.reason, hint, code=Code.REMOTE_REFUSED) from error
        raise fault(settings, "ended the connection", error.reason, check(settings), kind=kind) from error
    except (asyncssh.Error, OSError) as error:
        hint = f"is this computer on the network (VPN)? then: {check(settings)}"
        raise fault(settings, "cannot be reached", f"{where}: {error}", hint, kind=kind) from error


def _locked(settings: RemoteSettings, error: BaseException) -> EnvironmentFault:
    return fault(
        settings,
        "needs a key that cannot be read",
        error,
        f"ssh-add it, or: dvc remote modify --local {settings.name} ask_passphrase true",
        code=Code.REMOTE_REFUSED,
    )


def no_sftp(settings: RemoteSettings, evidence: BaseException | str) -> EnvironmentFault:
    """Return the error of a server that lets us in, but offers no files."""
    return fault(
        settings,
        "offers no SFTP",
        evidence,
        "ask those who run the server for the line `Subsystem sftp internal-sftp` in its sshd_config",
        code=Code.REMOTE_REFUSED,
    )


def not_let_in(settings: RemoteSettings, user: str, offered: list[str], ways: str) -> EnvironmentFault:
    """Return the error of a login that was refused.

    Parameters
    ----------
    settings
        Of the remote.
    user
        Who wanted in.
    offered
        The keys that were offered, and a password if there was one, in words.
    ways
        ``user@host`` with SSH's option for the port, as the programs of SSH take it.
    """
    return fault(
        settings,
        f"does not let the user {user} in",
        f"offered were: {', '.join(offered) or 'no key at all and no password'}",
        f"is {user} the right name there? `ssh {ways}` must work; if it asks for a password: "
        f"dvc remote modify --local {settings.name} ask_password true",
        code=Code.REMOTE_REFUSED,
    )
