"""The two ways in which a file on an SSH server is made by one of many: a link, else a folder beside it."""

from __future__ import annotations

from emdvc.history.storage.ssh_line import Line


async def link(line: Line, passing: str, key: str) -> bool | None:
    """Give a file another name; return whether it was free, None where the server or its disk knows no links."""
    import asyncssh

    await line.folders.ready(key.rpartition("/")[0])
    try:
        await line.ask(line.sftp.link(line.path(passing), line.path(key)))
    except asyncssh.SFTPOpUnsupported:
        return None
    except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
        # SFTP has one answer for a name that is taken and for a disk without links
        return False if await _is_there(line, key) else None
    return True


async def take(line: Line, claim: str) -> bool:
    """Make a folder; return whether it was not there."""
    import asyncssh

    await line.folders.ready(claim.rpartition("/")[0])
    try:
        await line.ask(line.sftp.mkdir(line.path(claim)))
    except (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
        if await _is_there(line, claim):
            return False
        raise
    return True


async def _is_there(line: Line, key: str) -> bool:
    import asyncssh

    try:
        await line.ask(line.sftp.stat(line.path(key)))
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        return False
    return True
