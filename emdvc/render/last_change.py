"""The last change of a dataset as its data sheet tells it, answered at once where it was told before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc import __version__
from emdvc.history import remembered
from emdvc.history.project import Project


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of the last change.

    Parameters
    ----------
    rows
        Name and text of each line.
    content
        The same as plain values, for ``--json``.
    """

    rows: tuple[tuple[str, ...], ...]
    content: dict[str, Any]


def last_change(data: Path, revision: str | None = None) -> Told | None:
    """Return what is said of the last change of a dataset; None outside a project, and where git cannot tell.

    Parameters
    ----------
    data
        The dataset, absolute or relative to the current folder.
    revision
        Up to this revision; None: the workspace.
    """
    project = Project.find_or_none(data.parent)
    if project is None:
        return None
    name = f"last change of {data.absolute()}"
    rests_on = _rests_on(project, data)
    state = remembered.state_of(project, rests_on, __version__) if revision is None else None
    kept = remembered.recall(project, name, state) if state is not None else None
    if isinstance(kept, dict):
        return Told(tuple(tuple(map(str, row)) for row in kept["rows"]), kept["content"])
    told = _found(data, revision)
    if told is not None and state is not None:
        remembered.remember(project, name, state, {"rows": told.rows, "content": told.content})
    return told


def _rests_on(project: Project, data: Path) -> list[Path]:
    """Return the files of the workspace that record a dataset: its sidecar, its pointer, each dvc.lock above it."""
    folders = [folder for folder in data.absolute().parents if folder.is_relative_to(project.root)]
    beside = [data.with_name(data.name + suffix) for suffix in (".em.yaml", ".dvc")]
    return [*beside, *(folder / "dvc.lock" for folder in folders)]


def _found(data: Path, revision: str | None) -> Told | None:
    from emdvc.compare.log.last import last_change as find
    from emdvc.render.log import last_dict, last_rows

    found = find(data, revision)
    return Told(tuple(last_rows(found)), last_dict(found)) if found is not None else None
