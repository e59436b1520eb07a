"""The files of the index of the workspace: written in one step, read only when they are whole."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import time_ns
from typing import Any, NamedTuple
from zlib import crc32

from emdvc.history.workspace.scanning import Listing

#: Version of the files; others are not read. Numbers are written as this machine has them.
VERSION = f"1 {sys.byteorder}"
_CLOCK = "clock"


class Kept(NamedTuple):
    """One file of the index.

    Parameters
    ----------
    header
        What is said in few words.
    listing
        The files of a directory.
    md5s
        Of each file, with spaces between; ``-`` where one must be read again.
    """

    header: Mapping[str, Any]
    listing: Listing
    md5s: str

    def known(self) -> dict[str, tuple[object, str]]:
        """Return name -> numbers and md5 of the files that need not be read again."""
        pairs = zip(self.listing.files(), self.md5s.split(), strict=True)
        return {file: (seen, md5) for (file, seen), md5 in pairs if md5 != "-"}


class IndexFiles:
    """A folder of such files.

    Parameters
    ----------
    folder
        The folder; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = {_CLOCK}

    def read(self, name: str) -> Kept | None:
        """Return what is kept under a name; None where nothing is, or where it is damaged."""
        self._asked.add(_place(name))
        try:
            check, _, content = (self._folder / _place(name)).read_bytes().partition(b" ")
            if int(check, 16) != crc32(content):
                return None
            head, _, rest = content.partition(b"\n")
            header = json.loads(head)
            if header["version"] != VERSION or header["name"] != name:
                return None
            a, b = header["ends"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return Kept(header, Listing(rest[:a].decode("utf-8", "surrogatepass"), rest[a:b]), rest[b:].decode())

    def write(
        self, name: str, header: Mapping[str, Any], listing: Listing | None = None, md5s: Sequence[str] = ()
    ) -> None:
        """Keep something under a name; a folder that cannot be written to costs time later, no more."""
        names, numbers = listing or Listing("", b"")
        text = names.encode("utf-8", "surrogatepass")
        ends = (len(text), len(text) + len(numbers))
        head = json.dumps({**header, "version": VERSION, "name": name, "ends": ends}).encode()
        content = b"\n".join([head, text + numbers + " ".join(md5s).encode()])
        place = _place(name)
        partial = self._folder / f"{place}.{os.getpid()}.tmp"
        self._asked.add(place)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(b"%08x %s" % (crc32(content), content))
            partial.replace(self._folder / place)

    def drop_unread(self) -> None:
        """Remove what nobody asked for since this object was made."""
        with suppress(OSError):
            for file in os.listdir(self._folder):  # noqa: PTH208
                if file not in self._asked:
                    (self._folder / file).unlink()

    def clock(self, now: int) -> int:
        """Return a time of this machine's clock, in nanoseconds, by the disk's clock where that one is behind."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            before = time_ns()
            (self._folder / _CLOCK).write_bytes(b"")
            os.utime(self._folder / _CLOCK)
            return now + min(0, (self._folder / _CLOCK).stat().st_mtime_ns - before)
        return now


def _place(name: str) -> str:
    return f"{crc32(name.encode('utf-8', 'surrogatepass')):08x}"
