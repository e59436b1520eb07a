"""Sidecars in the workspace or at any revision, read through git: nothing is checked out, dvc is not needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TypeVar, cast

from emdvc.errors import Code, DataMissingError, UsageError, suggest
from emdvc.formats import sidecar as sidecars
from emdvc.history import git
from emdvc.history.batch import Batch
from emdvc.history.project import Project
from emdvc.model.sidecar import Sidecar

_Read = TypeVar("_Read")
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Snapshot:
    """The project's text files at one revision, or in the workspace.

    All reads of a revision go through one ``git cat-file --batch``, started at the first. Use it as a context manager.

    Parameters
    ----------
    project
        The project.
    revision
        Any name of a commit that git knows; None for the workspace.
    batch
        What reads for several snapshots, so that a revision costs no process of its own; it is not closed with the
        snapshot. A revision that is a full id is then taken at its word.

    Raises
    ------
    UsageError
        There is no such revision.
    """

    def __init__(self, project: Project, revision: str | None = None, *, batch: Batch | None = None) -> None:
        self.project = project
        self.revision = revision
        known = revision is None or (batch is not None and _OID.fullmatch(revision) is not None)
        self.oid = revision if known else git.resolve(str(revision), project.git_root)
        self._batch = batch or Batch(project.git_root)
        self._shared = batch is not None
        self._read: dict[str, object] = {}
        self._texts: dict[PurePosixPath, str | None] = {}
        self._files: list[PurePosixPath] | None = None

    def __enter__(self) -> Snapshot:
        """Return the snapshot itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let git go."""
        self.close()

    def close(self) -> None:
        """End the git process, if one was started that is the snapshot's own."""
        if not self._shared:
            self._batch.close()

    def once(self, name: str, read: Callable[[Snapshot], _Read]) -> _Read:
        """Return what is made of the snapshot's files, made at the first call only.

        Parameters
        ----------
        name
            What it is called; the same name always stands for the same.
        read
            Makes it.
        """
        if name not in self._read:
            self._read[name] = read(self)
        return cast("_Read", self._read[name])

    def text(self, path: PurePosixPath | str) -> str | None:
        """Return the text of a file (path relative to the project), or None when it is not there."""
        path = PurePosixPath(path)
        if path not in self._texts:
            content = self._workspace(path) if self.oid is None else self._blob(self.project.in_git(path))
            self._texts[path] = None if content is None else content.decode("utf-8", "replace").replace("\r\n", "\n")
        return self._texts[path]

    def sidecar(self, path: PurePosixPath | str, *, resolved: bool = True) -> Sidecar:
        """Return the sidecar of a dataset.

        Parameters
        ----------
        path
            Of the data, of its sidecar, or of its ``.dvc`` file; relative to the project.
        resolved
            Whether to merge in what it inherits at this same revision and to calibrate its axes.

        Raises
        ------
        DataMissingError
            No such dataset is recorded here; the nearest name is suggested.
        MetadataError
            The sidecar is damaged.
        """
        data = data_path(path)
        where = sidecar_path(data)
        text = self.text(where)
        if text is None:
            raise self._unknown(data)
        shown = f"{where}@{self.revision}" if self.revision else str(where)
        sidecar = sidecars.parse(text, shown)
        return sidecars.resolve(sidecar, where, self.text) if resolved else sidecar

    def datasets(self) -> list[PurePosixPath]:
        """Return the path of every dataset that has a sidecar, relative to the project."""
        return sorted(data_path(path) for path in self.files() if path.name.endswith(sidecars.SUFFIX))

    def files(self) -> list[PurePosixPath]:
        """Return every file that git keeps or would keep, relative to the project, in sorted order."""
        if self._files is None:
            if self.oid is None:
                names = git.files(self.project.root)
                found = [PurePosixPath(name) for name in names if (self.project.root / name).is_file()]
            else:
                prefix = self.project.prefix
                below = git.files_at(self.oid, self.project.git_root, prefix.as_posix())
                found = [PurePosixPath(name).relative_to(prefix) for name in below]
            self._files = sorted(found)
        return self._files

    def _unknown(self, data: PurePosixPath) -> DataMissingError:
        near = suggest(str(data), [str(path) for path in self.datasets()])
        at = f" at {self.revision}" if self.revision else ""
        here = self.revision is None and self.project.path(data).exists()
        return DataMissingError(
            f"no dataset {data} is recorded{at}",
            code=Code.NOT_FOUND,
            evidence=f"there is no {sidecar_path(data)}{at}",
            hint=f"did you mean {near}?" if near else f"emdvc add {data}" if here else None,
        )

    def _workspace(self, path: PurePosixPath) -> bytes | None:
        try:
            return self.project.path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def _blob(self, path: str) -> bytes | None:
        return self._batch.read(f"{self.oid}:{path}")


def sidecar_path(data: PurePosixPath) -> PurePosixPath:
    """Return the path of a dataset's sidecar."""
    return data.with_name(data.name + sidecars.SUFFIX)


def data_path(path: PurePosixPath | str) -> PurePosixPath:
    """Return the dataset that a data path, a sidecar's path or a ``.dvc`` file's path speaks of."""
    return PurePosixPath(sidecars.data_of(Path(path)).as_posix())


def sidecar_at(project: Project, path: PurePosixPath | str, rev: str | None = None) -> Sidecar:
    """Return a dataset's sidecar at a revision (None: in the workspace), resolved through what it inherits there.

    Raises
    ------
    UsageError, DataMissingError, MetadataError
        As :class:`Snapshot`.
    """
    with Snapshot(project, rev) as snapshot:
        return snapshot.sidecar(path)


def text_at(project: Project, path: PurePosixPath | str, rev: str | None = None) -> str | None:
    """Return the text of a file at a revision (None: in the workspace), or None when it is not there."""
    with Snapshot(project, rev) as snapshot:
        return snapshot.text(path)


def datasets(project: Project, rev: str | None = None) -> list[PurePosixPath]:
    """Return every data path that has a sidecar at a revision (None: in the workspace)."""
    with Snapshot(project, rev) as snapshot:
        return snapshot.datasets()


def split_revision(text: str) -> tuple[str, str | None]:
    """Return the path and the revision of ``PATH@REV``; the revision is None where there is none.

    A file whose name really holds an ``@`` wins. ``PATH@HEAD@{1}`` is understood.

    Raises
    ------
    UsageError
        Nothing stands before or after the ``@``.
    """
    if "@" not in text or _recorded(text):
        return text, None
    places = [index for index, letter in enumerate(text) if letter == "@" and not text.startswith("@{", index)]
    if not places:
        return text, None
    at = next((index for index in places if _recorded(text[:index])), places[-1])
    path, revision = text[:at], text[at + 1 :]
    if not path or not revision:
        raise UsageError(
            f"'{text}' names no {'revision' if path else 'path'}", hint="write PATH@REVISION, as in scan.mib@HEAD~1"
        )
    return path, revision


def _recorded(text: str) -> bool:
    if not text:
        return False
    path = Path(text)
    beside = [path.with_name(path.name + suffix) for suffix in (sidecars.SUFFIX, ".dvc")] if path.name else []
    return any(candidate.exists() for candidate in (path, *beside))
