"""An answer about a dataset, kept until another commit is checked out or the files that it rests on change.

Kept in DVC's temporary folder, which git ignores. Git is not asked: that alone takes longer than reading a sidecar.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from emdvc.history.project import Project

_NOTES = "refs/notes/emdvc"


def state_of(project: Project, files: Iterable[Path], version: str) -> str | None:
    """Return a text that differs when the commit, the notes or one of some files differ; None where git must be asked.

    Parameters
    ----------
    project
        The project.
    files
        They need not exist.
    version
        Of what gives the answer.
    """
    git_dir = project.git_root / ".git"
    head = _head(git_dir)
    if head is None:
        return None
    digest = hashlib.sha256(f"{version} {head} {_ref(git_dir, _NOTES)}".encode())
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            content = b"none"
        digest.update(f" {len(content)} ".encode() + content)
    return digest.hexdigest()


def recall(project: Project, name: str, state: str) -> Any:
    """Return the answer that was kept under a name, if it still holds; None else."""
    try:
        kept = json.loads(_file(project, name).read_bytes())
        return kept["answer"] if kept["state"] == state else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(project: Project, name: str, state: str, answer: Any) -> None:
    """Keep an answer of plain values; where that is not possible (a read-only folder), it is not kept.

    Parameters
    ----------
    project
        The project.
    name
        What it is an answer to.
    state
        What it rests on: :func:`state_of`.
    answer
        Plain values.
    """
    from emdvc.formats.sidecar import write_text

    if not (project.dvc_dir / "tmp").is_dir():
        return
    file = _file(project, name)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"state": state, "answer": answer}, ensure_ascii=False))


def _file(project: Project, name: str) -> Path:
    return project.journal_dir / "answers" / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"


def _head(git_dir: Path) -> str | None:
    """Return the id of the last commit; None in a worktree, where refs lie elsewhere, and before the first commit."""
    try:
        said = (git_dir / "HEAD").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return _ref(git_dir, said.removeprefix("ref: ")) if said.startswith("ref: ") else said


def _ref(git_dir: Path, name: str) -> str | None:
    try:
        return (git_dir / name).read_text(encoding="utf-8").strip()
    except OSError:
        pass
    try:
        packed = (git_dir / "packed-refs").read_text(encoding="utf-8")
    except OSError:
        return None
    rows = (line.partition(" ") for line in packed.splitlines())
    return next((oid for oid, _, ref in rows if ref == name), None)
