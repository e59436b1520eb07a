"""Files on their way into a folder, under another name until they are whole.

A large one keeps a name that the next try finds, so that a copy that was killed is gone on with. That name is this
machine's and this user's own, and a lock on this machine says whether somebody is at it: whether a network drive knows
locks does not matter.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from emdvc.engine.file_lock import acquire, user_name

#: Bytes from which on a file is gone on with; a smaller one is sent again in less than the time to look.
LARGE = 16 << 20
#: Seconds after which what nobody went on with is removed.
_OLD = 14 * 24 * 3600.0
_PIECE = 4 << 20


class Digest(Protocol):
    """Takes the bytes that are the same on both sides."""

    def update(self, data: bytes, /) -> None:
        """Take some more."""


@contextmanager
def passing_file(folder: Path, md5: str | None, size: int) -> Iterator[Path]:
    """Yield the file to write into, in a folder of the remote; where it is not renamed, a small one is removed.

    Parameters
    ----------
    folder
        For what is not yet whole.
    md5, size
        Of the file that is sent.
    """
    if md5 is None or size < LARGE:
        with _removed(folder / f"{uuid.uuid4().hex}.part") as path:
            yield path
        return
    mine = sha256(f"{socket.gethostname()}/{user_name()}/{folder}".encode()).hexdigest()[:16]
    locks = Path(tempfile.gettempdir()) / f"emdvc-sending-{user_name()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    with (locks / f"{md5}.{mine}").open("a+b") as lock:
        if acquire(lock):
            yield folder / f"{md5}.{mine}.part"
            with suppress(OSError):
                (locks / f"{md5}.{mine}").unlink()
        else:  # another process of ours sends the same
            with _removed(folder / f"{uuid.uuid4().hex}.part") as path:
                yield path


def same_beginning(reading: BinaryIO, writing: BinaryIO, digest: Digest, alive: Callable[[], None]) -> int:
    """Return how many bytes need not be written again; both files stand there afterwards, and end there.

    Parameters
    ----------
    reading
        The file that is sent.
    writing
        What has arrived of it.
    digest
        Takes the bytes that are the same.
    alive
        Called after each piece.
    """
    same = 0
    while (there := writing.read(_PIECE)) and there == reading.read(len(there)):
        digest.update(there)
        same += len(there)
        alive()
    for file in (reading, writing):
        file.seek(same)
    writing.truncate()
    return same


def remove_old(folder: Path) -> None:
    """Remove what was left behind long ago, as far as we may."""
    until = time.time() - _OLD
    with suppress(OSError):
        for path in folder.glob("*.part"):
            with suppress(OSError):
                if path.stat().st_mtime < until:
                    path.unlink()


def open_passing(path: Path) -> BinaryIO:
    """Open a file that may have a beginning for reading and writing."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")


@contextmanager
def _removed(path: Path) -> Iterator[Path]:
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()
