"""Paths that a person gives: a file and a path inside it, a Zarr store, the directory of a multi-file set."""

from __future__ import annotations

import os
import re
from pathlib import Path

from emdvc.errors import Code, DataMissingError, FormatError
from emdvc.formats.readers.table import readers

#: Of the files of one set: what the main file is called, the likeliest first.
_MAIN_FILES = (
    r"_master\.h5$", r"\.xml$", r"\.emi$", r"\.mib$", r"\.rpl$", r"\.asw$", r"\.spd$", r"\.(mrc|st|mrcs)$",
    r"_0+\.tvips$",
)  # fmt: skip
_INNER = re.compile(r"^(?P<file>.+?)::(?P<inner>.*)$")


def split_inner(path: Path | str) -> tuple[Path, str | None]:
    """Return a file and the path inside it: ``f.h5::/a/b`` is (``f.h5``, ``/a/b``)."""
    match = _INNER.match(str(path))
    if match is None or os.path.lexists(path):
        return Path(path), None
    return Path(match["file"]), match["inner"] or None


def main_file(directory: Path) -> Path:
    """Return the file of a set's directory that a reader starts from.

    Raises
    ------
    FormatError
        No file there is the start of a set, or several are.
    """
    files = sorted(p for p in directory.iterdir() if p.is_file() and not p.name.startswith("."))
    for pattern in _MAIN_FILES:
        found = [p for p in files if re.search(pattern, p.name.lower())]
        if len(found) == 1:
            return found[0]
    known = [p for p in files if any(p.suffix.lower() in info.extensions for info in readers())]
    candidates = known if len(known) != 1 and len(files) > 1 else known or files
    if len(candidates) == 1:
        return candidates[0]
    raise FormatError(
        f"{directory} is not a dataset: no single file there is the start of a set",
        code=Code.FORMAT_UNKNOWN,
        evidence=f"it holds {', '.join(p.name for p in files[:6])}{', ...' if len(files) > 6 else ''}" if files
        else "it holds no file",
        hint="give the file itself",
    )  # fmt: skip


def is_store(directory: Path) -> bool:
    """Say whether a directory is a Zarr store (the directory of a multi-file set is none)."""
    return any((directory / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def must_exist(path: Path) -> None:
    """Check that a path is there.

    Raises
    ------
    DataMissingError
        DVC knows it, but its bytes are not here.
    FormatError
        It does not exist.
    """
    if path.exists():
        return
    pointer = path.with_name(path.name + ".dvc")
    if pointer.exists():
        raise DataMissingError(
            f"{path} is not here", evidence=f"{pointer} records it", hint=f"emdvc pull {pointer.as_posix()}"
        )
    raise FormatError(f"{path} does not exist", code=Code.NOT_FOUND)
