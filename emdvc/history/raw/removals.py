"""``.emdvc/removed.yaml``: raw data that was taken out of the project on purpose, with the reason.

A line there excuses exactly one digest of one dataset. The bytes stay where older commits find them: in the cache and
on the remote.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history.project import Project
from emdvc.history.raw.pointers import Raw, Tree, mapping

FILE = PurePosixPath(".emdvc/removed.yaml")
_HEAD = "# Raw data that was taken out of the project on purpose, by `emdvc remove`; older commits still have it.\n"


@dataclass(frozen=True, slots=True)
class Removal:
    """One dataset that was taken out.

    Parameters
    ----------
    path
        Of the data, relative to the project.
    md5
        Of its bytes, as the pointer had it.
    reason
        Why.
    """

    path: str
    md5: str
    reason: str


def removals(text: str | None) -> list[Removal]:
    """Return what a text of :data:`FILE` names; an entry without a reason is none."""
    entries = mapping(text).get("removed")
    found = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            path, md5, reason = (str(entry.get(key) or "").strip() for key in ("path", "md5", "reason"))
            if path and md5 and reason:
                found.append(Removal(path, md5, reason))
    return found


def with_removals(text: str | None, added: list[Removal]) -> str:
    """Return the text of :data:`FILE` with some more entries."""
    entries: list[dict[str, Any]] = [
        {"path": one.path, "md5": one.md5, "reason": one.reason} for one in [*removals(text), *added]
    ]
    return _HEAD + sidecars.dump_yaml({"removed": entries})


def excused(tree: Tree, raw: Raw) -> bool:
    """Say whether a state of the repository says why some raw data is not in it any more."""
    return any(raw.md5 == one.md5 and raw.path == folder / one.path for folder, one in _all(tree, raw))


def _all(tree: Tree, raw: Raw) -> Iterator[tuple[PurePosixPath, Removal]]:
    # a repository may hold several projects, each with a file of its own
    for folder in raw.path.parents:
        for one in removals(tree.text(folder / FILE)):
            yield folder, one


def write(project: Project, added: list[Removal]) -> None:
    """Add entries to the project's file."""
    path = project.path(FILE)
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    path.parent.mkdir(parents=True, exist_ok=True)
    sidecars.write_text(path, with_removals(text, added))
