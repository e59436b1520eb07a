"""The files of raw data in the workspace: read-only, and with bytes of their own.

DVC writes what it checks out with the rights of any new file, and hard links where a person has set so. A program that
opens such a file for writing changes it, and through a hard link also the cache and every other copy; root may write
into a read-only file, too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from emdvc.history import dvc_manifest, edited
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.project import Project
from emdvc.history.protection import protect, writable
from emdvc.history.raw.pointers import Raw, WorkspaceTree, added_in


def recorded_here(project: Project) -> list[Raw]:
    """Return the raw data that the workspace's pointers record, paths relative to the git root."""
    return [raw for raw in added_here(project) if not raw.edited]


def added_here(project: Project) -> list[Raw]:
    """Return all data that the workspace's pointers record, raw or edited, paths relative to the git root."""
    tree = WorkspaceTree(project.git_root)
    inside = (pointer for pointer in tree.pointers() if PurePosixPath(pointer).is_relative_to(project.prefix))
    return [raw for pointer in inside for raw in added_in(tree, pointer) if raw.md5]


def settle(project: Project, leave: Iterable[str] = ()) -> tuple[list[str], list[str]]:
    """Make raw data read-only and edited data writable; either gets bytes of its own where it shares the cache's.

    Parameters
    ----------
    leave
        Paths, relative to the project, that are not touched: what was modified is to be looked at first.

    Returns
    -------
    The raw data that could be written, and the datasets that shared their bytes, relative to the project.
    """
    mended, apart = [], []
    left = set(leave)
    for raw in added_here(project):
        path = raw.path.relative_to(project.prefix)
        place = project.path(path)
        if str(path) in left or not place.exists() or place.is_symlink():
            continue
        if separate(project, place, raw.md5):
            apart.append(str(path))
        if raw.edited:
            edited.release(place)
        elif writable(place):
            protect(place)
            mended.append(str(path))
    return mended, apart


def linked(project: Project, place: Path, md5: str) -> Iterator[Path]:
    """Yield the files of a dataset that are the cache's own files: a write into one reaches the cache.

    Parameters
    ----------
    place
        The dataset in the workspace.
    md5
        That its pointer records.
    """
    cache = cache_folder(project)
    if md5.endswith(".dir"):
        names = dvc_manifest.manifest(cache, md5) or {}
        pairs = [(place / name, one) for name, one in names.items()]
    else:
        pairs = [(place, md5)]
    for file, one in pairs:
        with suppress(OSError):
            found = file.lstat()
            if found.st_nlink > 1 and os.path.samestat(found, object_path(cache, one).stat()):
                yield file


def separate(project: Project, place: Path, md5: str) -> int:
    """Put a copy in the place of each file that is the cache's own; return how many there were.

    Raises
    ------
    OSError
        There is no room for the copies.
    """
    count = 0
    for file in linked(project, place, md5):
        partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
        try:
            shutil.copy2(file, partial)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        count += 1
    return count
