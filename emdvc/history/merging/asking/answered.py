"""The answers to what is settled: kept until another merge asks about the same file, so that one can be changed."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from emdvc.errors import ProjectError
from emdvc.history.merging.asking import conflict_file
from emdvc.history.merging.asking.asked import ConflictFile
from emdvc.history.merging.asking.conflict_text import text_of
from emdvc.history.merging.contract import Side
from emdvc.history.project import Project


def keep(project: Project, kept: ConflictFile) -> None:
    """Keep the answers about a file beside emdvc's journal, where git does not see them."""
    from emdvc.formats.sidecar import write_text

    file = _file(project, kept.path)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text_of(kept, project))


def of(project: Project, asked: ConflictFile) -> ConflictFile:
    """Return what is asked about a file with the answers that were given before; without them where there are none.

    Parameters
    ----------
    project
        The project.
    asked
        What is asked about the file: the answers are to the same three sides, or none to it.
    """
    file = _file(project, asked.path)
    if not file.is_file():
        return asked
    try:
        before = conflict_file.read(file)
    except ProjectError:
        return asked
    same = all(before.sides[side].blob == asked.sides[side].blob for side in Side)
    return before if same else asked


def _file(project: Project, path: PurePosixPath) -> Path:
    name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return project.journal_dir / "answered" / f"{name}.yaml"
