"""A lock that the operating system holds, so that a killed process leaves none behind."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import IO, Any

# Windows forbids reading a locked byte: lock one far behind whatever the file says.
_LOCKED_BYTE = 1 << 20


def acquire(file: IO[Any]) -> bool:
    """Lock an open file for this process; say whether it was free. It is released when the file is closed."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # a network file system without locks: the risk of two writers is smaller than that of never writing
        return error.errno in (errno.ENOLCK, errno.ENOTSUP)
    return True


def release(file: IO[Any]) -> None:
    """Release the lock of an open file."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        return
    import fcntl

    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def user_name() -> str:
    """Return what tells this user from others in a folder that all of the machine share."""
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
