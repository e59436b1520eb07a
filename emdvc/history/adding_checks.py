"""What ``emdvc add`` finds at the place where data would go: the same, other data, or nothing."""

from __future__ import annotations

from pathlib import Path

from emdvc.errors import Code, ConflictError
from emdvc.formats import sidecar as sidecars
from emdvc.history import adding_files, dvc_pipeline, git, raw_guard
from emdvc.history.adding_files import Source
from emdvc.history.progress import Progress
from emdvc.history.project import Project
from emdvc.model.sidecar import Sidecar


def recorded(target: Path) -> Sidecar | None:
    """Return the sidecar of data that is recorded already, or None."""
    tracked = target.with_name(target.name + ".dvc").exists() and sidecars.path_of(target).exists()
    return sidecars.read(target) if tracked else None


def same_bytes(project: Project, source: Source, old: Sidecar, progress: Progress) -> bool:
    """Say whether files are, byte for byte, those that a sidecar speaks of."""
    if source.in_place:
        # DVC remembers size and time of change of what it has hashed: a large file is not read again
        path = project.relative(source.target)
        changed = any(state.changed_outs for state in dvc_pipeline.states(project, [path]))
        return not changed and not raw_guard.repointed(project, path)
    files = old.source.get("files") or []
    if sum(int(entry.get("size") or 0) for entry in files) != source.size:
        return False
    digests = adding_files.digest(source, progress)
    return [entry.get("sha256") for entry in files] == [
        entry["sha256"] for entry in adding_files.entries(source, digests)
    ]


def refuse(project: Project, source: Source, old: Sidecar | None, command: str, *, replacing: bool) -> None:
    """Refuse a place where other data lies.

    Parameters
    ----------
    old
        Sidecar of what is recorded there.
    command
        The command that was typed, for the hint.
    replacing
        Whether other bytes may take its place.

    Raises
    ------
    ConflictError
        Other data is recorded there, or lies there under no version control, or git itself keeps it.
    """
    target = project.relative(source.target)
    if old is not None or source.target.with_name(source.target.name + ".dvc").exists():
        if not replacing and (old is not None or not source.in_place):
            raise ConflictError(
                f"other data is recorded as {target}",
                code=Code.RAW_EXISTS,
                evidence=_difference(source, old),
                hint=f'another name as DEST, or on purpose: {command} --replace "why"',
            )
    elif source.target.exists() and not source.in_place:
        raise ConflictError(
            f"{target} exists and is under no version control",
            code=Code.RAW_EXISTS,
            hint=f"emdvc add {target}, or give another name as DEST",
        )
    held = git.tracked(project.root, [f":(literal){target}"]) if source.target.exists() else []
    if held:
        raise ConflictError(
            f"{target} is kept by git itself",
            code=Code.RAW_EXISTS,
            evidence=f"git tracks {held[0]}",
            hint=f"git rm -r --cached {target}, then the same command again",
        )


def _difference(source: Source, old: Sidecar | None) -> str | None:
    if old is None:
        return None
    size = sum(int(entry.get("size") or 0) for entry in old.source.get("files") or [])
    return f"recorded: {size} bytes, this: {source.size} bytes" + (", other content" if size == source.size else "")
