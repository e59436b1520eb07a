"""Fetched blocks of large files, kept for the next look: bounded, the least recently used go first."""

from __future__ import annotations

import os
import re
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from emdvc.errors import UsageError
from emdvc.history.project import Project
from emdvc.history.storage.settings import CONFIG, own_settings

#: Bytes of all blocks of a project together, unless ``remotes: blocks:`` in emdvc's settings says otherwise.
ROOM = 2 << 30
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


class BlockStore:
    """The blocks of one object, each in a file of its own; several processes may use it at the same time.

    Parameters
    ----------
    project
        The project.
    md5
        Of the object.
    """

    def __init__(self, project: Project, md5: str) -> None:
        self._all = project.journal_dir / "blocks"
        self.folder = self._all / md5
        self._room = room(project)
        self._lock = threading.Lock()
        self._used: int | None = None

    def path(self, number: int) -> Path:
        """Return where a block is kept, whether it is there or not."""
        return self.folder / f"{number:06d}"

    def has(self, number: int) -> bool:
        """Say whether a block is kept."""
        return self.path(number).is_file()

    def complete(self, count: int) -> bool:
        """Say whether all blocks of the object are kept."""
        try:
            return sum(name.isdigit() for name in os.listdir(self.folder)) >= count  # noqa: PTH208
        except OSError:
            return False

    def read(self, number: int) -> bytes | None:
        """Return a block, unchecked, and count it as used; None where it is not kept."""
        path = self.path(number)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return content

    def keep(self, number: int, content: bytes) -> None:
        """Keep a block, if the disk takes it: it can be fetched again."""
        partial = self.folder / f"{number:06d}.{os.getpid()}.{threading.get_ident()}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(self.path(number))
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        self._make_room(len(content))

    def forget(self, number: int) -> None:
        """Remove a block that is not what it should be."""
        with suppress(OSError):
            self.path(number).unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove all blocks of the object."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make_room(self, came: int) -> None:
        with self._lock:
            if self._used is not None:
                self._used += came
                if self._used <= self._room:
                    return
            kept = sorted(self._kept())  # other processes keep blocks, too
            self._used = sum(size for _, size, _ in kept)
            for _, size, path in kept if self._used > self._room else ():
                # some more than must be, so that not every block causes a look at all
                if self._used <= self._room - self._room // 10:
                    break
                with suppress(OSError):
                    Path(path).unlink()
                    self._used -= size

    def _kept(self) -> list[tuple[float, int, str]]:
        """Return when each block of any object was last used, its size, and where it is."""
        found = []
        with suppress(OSError):
            for folder in os.scandir(self._all):
                with suppress(OSError):
                    for entry in os.scandir(folder.path):
                        stat = entry.stat()
                        found.append((stat.st_mtime, stat.st_size, entry.path))
        return found


def room(project: Project) -> int:
    """Return how many bytes of blocks a project keeps.

    Raises
    ------
    UsageError
        What is set is no size.
    """
    said = own_settings(project).get("blocks")
    if said is None:
        return ROOM
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?i?)b?\s*", str(said).lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(
            "the room for blocks of files is a number of bytes",
            evidence=f"it is set to {said!r}",
            hint=f"`remotes: {{blocks: 2 GiB}}` in {CONFIG}",
        )
    return int(float(match[1]) * _UNITS[match[2]])
