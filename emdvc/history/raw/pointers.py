"""The raw data that ``.dvc`` files record: read from a commit, from git's index, or from the workspace."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.history import edited, git
from emdvc.history.batch import Batch
from emdvc.history.snapshot import sidecar_path

#: What git's index is called among revisions.
INDEX = "index"
#: What the files of the workspace are called among revisions.
WORKSPACE = "workspace"
SUFFIX = ".dvc"


@dataclass(frozen=True, slots=True)
class Raw:
    """A file or a directory of raw data, as a pointer records it.

    Parameters
    ----------
    path
        Of the data, relative to the git root.
    md5
        Of its bytes, or of the list of its files (ends in ``.dir``); empty where the pointer names none.
    size
        Bytes; None where unknown.
    pointer
        Path of the ``.dvc`` file, relative to the git root.
    edited
        Whether it is declared as edited data, for which the rules of raw data do not hold.
    """

    path: PurePosixPath
    md5: str
    size: int | None
    pointer: str
    edited: bool = False


class Tree(Protocol):
    """The texts of a state of the repository; paths are relative to the git root."""

    @property
    def name(self) -> str:
        """Id of the commit, :data:`INDEX` or :data:`WORKSPACE`."""

    def text(self, path: str | PurePosixPath) -> str | None:
        """Return the text of a file; None where there is none."""

    def pointers(self) -> list[str]:
        """Return the path of every ``.dvc`` file."""


class GitTree:
    """A commit, or git's index.

    Parameters
    ----------
    name
        Id of the commit, or :data:`INDEX`.
    batch
        Reads the texts.
    """

    def __init__(self, name: str, batch: Batch) -> None:
        self.name = name
        self._batch = batch
        self._prefix = "" if name == INDEX else name
        self._pointers: list[str] | None = None

    def text(self, path: str | PurePosixPath) -> str | None:
        """Return the text of a file; None where there is none."""
        return self._batch.text(f"{self._prefix}:{path}")

    def pointers(self) -> list[str]:
        """Return the path of every ``.dvc`` file."""
        if self._pointers is None:
            cwd = self._batch.cwd
            names = git.files_at(self.name, cwd) if self._prefix else git.tracked(cwd, [f"*{SUFFIX}"])
            self._pointers = [name for name in names if is_pointer(name)]
        return self._pointers


class WorkspaceTree:
    """The files as they lie in the workspace.

    Parameters
    ----------
    root
        The git root.
    """

    name = WORKSPACE

    def __init__(self, root: Path) -> None:
        self._root = root

    def text(self, path: str | PurePosixPath) -> str | None:
        """Return the text of a file; None where there is none."""
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def pointers(self) -> list[str]:
        """Return the path of every ``.dvc`` file."""
        names = git.files(self._root, [f"*{SUFFIX}"])
        return [name for name in names if is_pointer(name) and (self._root / name).is_file()]


def is_pointer(path: str) -> bool:
    """Say whether a path is that of a ``.dvc`` file."""
    return path.endswith(SUFFIX) and PurePosixPath(path).name != SUFFIX


def raw_in(tree: Tree, pointer: str) -> list[Raw]:
    """Return the raw data that a pointer records; none where there is no pointer.

    What ``dvc import`` brought along and emdvc never described is not raw: its source is another repository, which
    ``dvc update`` follows. What people go on editing is not raw either.
    """
    return [raw for raw in added_in(tree, pointer) if not raw.edited]


def added_in(tree: Tree, pointer: str) -> list[Raw]:
    """Return all data that a pointer records, raw or edited; none where there is no pointer."""
    text = tree.text(pointer)
    content = mapping(text)
    by_hand = edited.declared(content) is not None
    found = []
    folder = PurePosixPath(pointer).parent / str(content.get("wdir") or ".")
    outs = content.get("outs")
    for out in outs if isinstance(outs, list) else []:
        if isinstance(out, dict) and isinstance(out.get("path"), str):
            size = out.get("size")
            path = PurePosixPath(os.path.normpath(folder / out["path"]).replace(os.sep, "/"))
            found.append(Raw(path, _md5(out), size if isinstance(size, int) else None, pointer, by_hand))
    if content.get("deps"):
        return [raw for raw in found if tree.text(sidecar_path(raw.path)) is not None]
    return found


def mapping(text: str | None) -> Mapping[str, Any]:
    """Return the mapping that a YAML text holds; an empty one where it holds none, or is damaged."""
    try:
        content = sidecars.load_yaml(text, "a file") if text else None
    except EmdvcError:
        return {}
    return content if isinstance(content, dict) else {}


def _md5(out: Mapping[str, Any]) -> str:
    if out.get("md5"):
        return str(out["md5"])
    files = out.get("files")
    if not isinstance(files, list):
        return ""
    # a remote that keeps versions makes DVC write the list of files into the pointer itself
    try:
        listed = sorted(({"md5": str(f["md5"]), "relpath": str(f["relpath"])} for f in files), key=_relpath)
    except (KeyError, TypeError):
        return ""
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _relpath(entry: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(entry["relpath"].split("/"))
