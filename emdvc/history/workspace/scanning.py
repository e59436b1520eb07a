"""Listing the files of a data directory with what tells that one has changed, in a form that is quick to compare."""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.workspace.ignored import SPECIAL, Ignored

#: Between two names; no file name holds it.
MARK = "\0"


class Listing(NamedTuple):
    """The files of a directory in the order in which the disk gives them.

    Two equal listings mean that no file was added, removed or written to.

    Parameters
    ----------
    names
        Relative to the directory, with forward slashes, :data:`MARK` between them.
    numbers
        What :func:`numbers` says of each, one after the other.
    """

    names: str
    numbers: bytes

    def files(self) -> list[tuple[str, Numbers]]:
        """Return each file with its numbers."""
        values = array("q", self.numbers)
        names = self.names.split(MARK) if self.names else []
        return list(zip(names, zip(*[iter(values)] * 4, strict=True), strict=True))


#: Bytes, time of the last change, time at which the file's own entry changed, number on the disk.
Numbers = tuple[int, int, int, int]


def listing(folder: str, ignored: Ignored) -> Listing:
    """Return what lies in a directory and all below it.

    Parameters
    ----------
    folder
        The directory.
    ignored
        What is left out.

    Raises
    ------
    AskDvcError
        A link, another project, or something that is no file lies in it.
    """
    names: list[str] = []
    values: list[int] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        prefix = f"{below}/" if below else ""
        for name, status in _entries(f"{folder}/{below}" if below else folder, ignored):
            kind = status.st_mode & _KIND
            if kind == stat.S_IFREG:
                names.append(prefix + name)
                values += (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _SIGNED)
            elif kind == stat.S_IFDIR:
                waiting.append(prefix + name)
            else:
                raise AskDvcError(f"{name} in {folder} is a link or no file")
    return Listing(MARK.join(names), array("q", values).tobytes())


def _entries(place: str, ignored: Ignored) -> Iterator[tuple[str, os.stat_result]]:
    """Return what lies in one folder and is not left out, with what the disk says of it."""
    if not _BY_FOLDER:
        for name in _names(place, place, ignored):
            yield name, os.lstat(f"{place}/{name}")
        return
    # asking by the open folder spares the system the way to it, ten thousand times
    number = os.open(place, os.O_RDONLY)
    try:
        for name in _names(number, place, ignored):
            yield name, os.stat(name, dir_fd=number, follow_symlinks=False)
    finally:
        os.close(number)


#: Whether this system lists and asks by an open folder.
_BY_FOLDER = os.listdir in os.supports_fd and os.stat in os.supports_dir_fd


def _names(opened: str | int, place: str, ignored: Ignored) -> list[str]:
    names = ignored.others(os.listdir(opened))  # noqa: PTH208
    if not SPECIAL.isdisjoint(names):
        raise AskDvcError(f"{', '.join(SPECIAL.intersection(names))} in {place}")
    return names


#: A number on the disk may have 64 bits.
_SIGNED = (1 << 63) - 1
#: Part of a file's mode that says what it is.
_KIND = 0o170000


def numbers(status: os.stat_result) -> Numbers:
    """Return what of a file changes when it is written to: bytes, times of the last change, number on the disk.

    The time at which the file's own entry changed (not on Windows, where it is that of its making) gives away a change
    after which the other time was set back.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _SIGNED


def last_change(seen: Numbers) -> int:
    """Return when a file was last changed, in nanoseconds by its disk's clock."""
    # no program can set the second time, while the first may lie in the future of a microscope's clock; on Windows the
    # second one is that of the file's making
    return seen[1] if os.name == "nt" else seen[2]
