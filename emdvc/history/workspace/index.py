"""What the files of the workspace hash to, remembered: a file that did not change is read once, never again.

DVC's name for a directory is the md5 of the list of its files with their md5s. The index keeps, for each directory, the
listing that it had and the md5s that belong to it; as long as the disk gives the same listing, the md5 still holds.

It lies in ``.dvc/tmp/emdvc/index`` and may be lost, cut off or outdated at any time: files are then read anew. Nothing
is taken over from what is recorded. A file that was changed within :data:`SETTLED` before it was read is read again
next time, because a later change might not have moved its time on.
"""

from __future__ import annotations

import os
import stat
import time

from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.project import Project
from emdvc.history.workspace.hashing import Note, directory_md5, file_md5s
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index_files import IndexFiles
from emdvc.history.workspace.scanning import Listing, last_change, listing, numbers

#: Nanoseconds: longer than the coarsest clock of a disk in use (FAT counts in steps of two seconds).
SETTLED = 2_000_000_000
_FILES = "files"


class WorkspaceIndex:
    """The md5 of files and directories of a project.

    Parameters
    ----------
    project
        The project.
    ignored
        What DVC leaves out.
    note
        Called with the number and the bytes of the files that are about to be read.
    """

    def __init__(self, project: Project, ignored: Ignored, note: Note | None = None) -> None:
        self._root = str(project.root)
        self._kept = IndexFiles(project.journal_dir / "index")
        self._ignored = ignored
        self._note = note
        self._known: dict[str, str | None] = {}
        self._listed: dict[str, dict[str, str]] = {}
        self._files: dict[str, list[object]] | None = None
        self._new_files = False

    def md5(self, path: str) -> str | None:
        """Return what a file or a directory hashes to, as DVC has it; None where there is neither.

        Parameters
        ----------
        path
            Relative to the project, with forward slashes.

        Raises
        ------
        AskDvcError
            It is, or holds, something that only DVC is to judge, such as a link.
        """
        if path not in self._known:
            self._ignored.check_place(path)
            self._known[path] = self._md5(path)
        return self._known[path]

    def files(self, path: str) -> dict[str, str] | None:
        """Return the md5 of each file of a directory, by its path in it; None where there is no directory.

        Raises
        ------
        AskDvcError
            As :meth:`md5`.
        """
        md5 = self.md5(path)
        if md5 is None or not md5.endswith(".dir"):
            return None
        if path not in self._listed:
            kept = self._kept.read(path)
            self._listed[path] = {file: md5 for file, (_, md5) in kept.known().items()} if kept is not None else {}
        return self._listed[path]

    def _md5(self, path: str) -> str | None:
        full = f"{self._root}/{path}"
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if stat.S_ISDIR(status.st_mode):
            return self._directory(path, full)
        if stat.S_ISREG(status.st_mode):
            return self.file_md5(path, full, status)
        raise AskDvcError(f"{path} is a link or no file")

    def file_md5(self, name: str, full: str, status: os.stat_result) -> str:
        """Return what a file hashes to.

        Parameters
        ----------
        name
            Under which the index keeps it.
        full
            Where it lies.
        status
            What the disk says of it, asked before.
        """
        if self._files is None:
            kept = self._kept.read(_FILES)
            self._files = dict(kept.header["files"]) if kept is not None else {}
        seen = numbers(status)
        match self._files.get(name):
            case [*known, str(md5)] if tuple(known) == seen:
                return md5
        now = self._kept.clock(time.time_ns())
        (found,) = file_md5s([full], status.st_size, self._note)
        if last_change(seen) < now - SETTLED:
            self._files[name] = [*seen, found]
            self._new_files = True
        return found

    def _directory(self, path: str, full: str) -> str:
        began = time.time_ns()
        now = listing(full, self._ignored)
        kept = self._kept.read(path)
        if kept is not None and kept.header["ignored"] != self._ignored.key:
            kept = None
        if kept is not None and kept.header["settled"] and kept.listing == now:
            return str(kept.header["md5"])
        return self._hashed(path, now, self._kept.clock(began), kept.known() if kept is not None else {})

    def _hashed(self, path: str, now: Listing, began: int, known: dict[str, tuple[object, str]]) -> str:
        """Read the files of a directory that are not as they were, and keep the result.

        Parameters
        ----------
        path
            The directory.
        now
            Its files.
        began
            When they were listed, by the disk's clock.
        known
            Name -> numbers and md5 that the index has.
        """
        files = now.files()
        unread = [file for file, seen in files if known.get(file, (None,))[0] != seen]
        sizes = dict.fromkeys(unread, 0) | {file: seen[0] for file, seen in files}
        total = sum(sizes[file] for file in unread)
        read = file_md5s([f"{self._root}/{path}/{file}" for file in unread], total, self._note)
        found = {file: md5 for file, (_, md5) in known.items()} | dict(zip(unread, read, strict=True))
        settled = [last_change(seen) < began - SETTLED for _, seen in files]
        self._listed[path] = {file: found[file] for file, _ in files}
        md5 = directory_md5(self._listed[path])
        header = {"ignored": self._ignored.key, "md5": md5, "settled": all(settled)}
        md5s = [found[file] if still else "-" for (file, _), still in zip(files, settled, strict=True)]
        self._kept.write(path, header, now, md5s)
        return md5

    def save(self, *, complete: bool = False) -> None:
        """Keep what was found out.

        Parameters
        ----------
        complete
            Whether everything that is tracked was asked for: the rest of the index is then dropped.
        """
        if self._new_files and self._files is not None:
            there = {name: kept for name, kept in self._files.items() if name in self._known or ":" in name}
            self._kept.write(_FILES, {"files": there if complete else self._files})
        if complete:
            self._kept.drop_unread()
