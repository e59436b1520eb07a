"""Which objects DVC's cache holds, without looking at each of a directory's thousands every time.

A folder of the cache changes its time when a file in it is made or removed. Once all objects of a directory were found,
they are there as long as no folder of the cache has changed. What is written into an object, which DVC and emdvc keep
read-only, shows in no time of its folder: ``emdvc verify --bytes`` looks for that.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from contextlib import suppress
from pathlib import Path

from emdvc.history.dvc_manifest import manifest
from emdvc.history.project import Project
from emdvc.history.workspace.index import SETTLED, WorkspaceIndex
from emdvc.history.workspace.index_files import IndexFiles
from emdvc.history.workspace.scanning import Listing

#: Permissions of what DVC has put into its cache: it trusts such a file.
_PROTECTED = 0o444


class CachePresence:
    """The cache of a project.

    Parameters
    ----------
    project
        The project.
    cache
        Folder of the cache's objects.
    index
        Hashes objects that somebody may have written to.
    """

    def __init__(self, project: Project, cache: Path, index: WorkspaceIndex) -> None:
        self._cache = str(cache)
        self._folder = cache
        self._index = index
        self._kept = IndexFiles(project.journal_dir / "present")
        self._there: dict[str, bool] = {}

    def holds(self, md5: str) -> bool:
        """Say whether the cache holds a file, or a directory's list and all of its files."""
        if md5 not in self._there:
            self._there[md5] = self._complete(md5) if md5.endswith(".dir") else self.holds_object(md5)
        return self._there[md5]

    def files(self, md5: str) -> dict[str, str] | None:
        """Return the files of a directory; None where the cache lacks or spoils its list."""
        try:
            return manifest(self._folder, md5)
        except (ValueError, KeyError, TypeError):
            return None

    def _complete(self, md5: str) -> bool:
        if not self.holds_object(md5):
            return False
        began = time.time_ns()
        times = self._times()
        kept = self._kept.read(md5)
        if kept is not None and kept.header["cache"] == self._cache and kept.listing.numbers == times.tobytes():
            return True
        files = self.files(md5)
        if files is None or not all(map(self.holds_object, files.values())):
            return False
        # on Windows not every disk gives folders a time
        if os.name != "nt" and max(times) < self._kept.clock(began) - SETTLED:
            self._kept.write(md5, {"cache": self._cache}, Listing("", times.tobytes()))
        return True

    def _times(self) -> array[int]:
        """Return the times of the cache's 256 folders; 0 for one that is not there."""
        times = array("q")
        for number in range(256):
            changed = 0
            with suppress(FileNotFoundError):
                changed = os.stat(f"{self._cache}{os.sep}{number:02x}").st_mtime_ns  # noqa: PTH116
            times.append(changed)
        return times

    def holds_object(self, md5: str) -> bool:
        """Say whether the cache holds one object."""
        path = f"{self._cache}{os.sep}{md5[:2]}{os.sep}{md5[2:]}"
        try:
            status = os.stat(path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        if stat.S_IMODE(status.st_mode) == _PROTECTED:
            return True
        # somebody may have written into it
        return self._index.file_md5(f"cache:{md5}", path, status) == md5.removesuffix(".dir")

    def save(self) -> None:
        """Drop what is known of directories that nobody tracks any more."""
        self._kept.drop_unread()
