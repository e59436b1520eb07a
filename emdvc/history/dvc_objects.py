"""The adapter over DVC: single objects of a remote, opened by their checksum and replaced.

A remote has the layout of the cache: an object lies under the md5 of its bytes, and its name is all that DVC looks at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.dvc import repository
from emdvc.history.project import Project

#: Remotes whose files are read in pieces of a size that one may choose; the others know best themselves.
_IN_PIECES = ("s3", "gs", "gcs", "azure", "abfs")
#: Bytes of such a piece: what one thread holds in memory.
PIECE = 8 << 20


@dataclass(frozen=True, slots=True)
class RemoteObjects:
    """The objects on one remote.

    Parameters
    ----------
    name
        Of the remote, in the settings.
    url
        Folder or URL, without credentials.
    """

    name: str
    url: str
    _fs: Any
    _path: str

    @property
    def is_folder(self) -> bool:
        """Whether the remote is a folder of this machine or a mounted one."""
        return bool(self._fs.protocol == "local")

    def where(self, md5: str) -> str:
        """Return where an object lies, as a person would name it."""
        path = self._at(md5)
        return path if self.is_folder else str(self._fs.unstrip_protocol(path))

    @contextmanager
    def open(self, md5: str) -> Iterator[IO[bytes]]:
        """Open an object for reading.

        Raises
        ------
        FileNotFoundError
            The remote has no such object.
        PermissionError
            It may not be read.
        EnvironmentFault
            The remote did not answer.
        """
        pieces: dict[str, Any] = {"block_size": PIECE, "cache_type": "none"}
        options = pieces if self._fs.protocol in _IN_PIECES else {}
        with self._faults(), self._fs.fs.open(self._at(md5), "rb", **options) as file:
            yield file

    def get(self, md5: str, target: Path) -> bool:
        """Fetch an object into a file, unchecked; say whether the remote has it.

        Raises
        ------
        PermissionError
            It may not be read.
        EnvironmentFault
            The remote did not answer.
        """
        try:
            with self._faults():
                self._fs.get_file(self._at(md5), str(target))
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return False
        return True

    def replace(self, md5: str, source: Path) -> None:
        """Put a file in the place of an object, in one step where the remote can.

        Raises
        ------
        EnvironmentFault
            The remote did not take it.
        """
        target = self._at(md5)
        with self._faults():
            if self._fs.protocol in _IN_PIECES:  # an object of such a store appears whole or not at all
                self._fs.fs.put_file(str(source), target)
                return
            mode = Path(target).stat().st_mode if self.is_folder and Path(target).exists() else None
            passing = f"{target}.{os.getpid()}.tmp"
            try:
                self._fs.fs.put_file(str(source), passing)
                if mode is not None:
                    Path(passing).chmod(mode)
                if self.is_folder:
                    _replace_file(Path(passing), Path(target))
                else:
                    self._fs.fs.mv(passing, target)
            except BaseException:
                if self._fs.exists(passing):
                    self._fs.fs.rm_file(passing)
                raise

    def _at(self, md5: str) -> str:
        return str(self._fs.join(self._path, md5[:2], md5[2:]))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        # a storage library raises what it likes; all but these two mean that the remote did not do it
        try:
            yield
        except (EmdvcError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            if self.is_folder and isinstance(error, OSError):
                raise  # one damaged file on a disk, not a remote that is away
            raise not_answered(self.name, self.url, error) from error


def _replace_file(passing: Path, target: Path) -> None:
    if os.name == "nt" and target.exists():
        target.chmod(0o644)  # a read-only file is not replaced there
    passing.replace(target)


def not_answered(name: str, url: str, error: BaseException) -> EnvironmentFault:
    """Return the error that says a remote did not answer."""
    lines = str(error).splitlines() or [""]
    return EnvironmentFault(
        f"the remote {name} ({url}) did not answer",
        code=Code.REMOTE,
        evidence=f"{type(error).__name__}: {lines[0]}".rstrip(": "),
        hint="emdvc doctor",
    )


def remotes(project: Project, names: Sequence[str]) -> list[RemoteObjects]:
    """Return some remotes by name, ready to be read.

    Raises
    ------
    ProjectError
        There is no such remote.
    EnvironmentFault
        A remote cannot be reached, or its package is not installed.
    """
    found = []
    with repository(project) as repo:
        from dvc.exceptions import DvcException

        for name in names:
            url = str((repo.config["remote"].get(name) or {}).get("url", ""))
            try:
                store = repo.cloud.get_remote_odb(name, "verify")
                one = RemoteObjects(name, url, store.fs, str(store.path))
            except (EmdvcError, DvcException):
                raise
            except Exception as error:  # connecting happens here
                raise not_answered(name, url, error) from error
            folder = Path(one._path).parents[1]  # above files/md5
            # a folder that is not there yet is made by the first push; one whose parent is gone is a lost mount
            if one.is_folder and not folder.exists() and not folder.parent.exists():
                raise not_answered(name, url, FileNotFoundError(f"{folder.parent} does not exist"))
            found.append(one)
    return found
