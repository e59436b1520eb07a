"""Raw files are read-only: a program that opens one for writing is refused by the system, before any harm."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def files_of(path: Path) -> Iterator[Path]:
    """Yield the files of a dataset: itself, or all files below it in a stable order."""
    if path.is_dir():
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))
    elif path.exists():
        yield path


def protect(path: Path) -> int:
    """Make every file of a dataset read-only and return how many were not.

    Folders stay writable, so that DVC can still put another version in place.
    """
    count = 0
    for file in files_of(path):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & _WRITE:
            file.chmod(mode & ~_WRITE)
            count += 1
    return count


def writable(path: Path) -> bool:
    """Say whether any file of a dataset can be written by somebody."""
    return any(file.stat().st_mode & _WRITE for file in files_of(path))
