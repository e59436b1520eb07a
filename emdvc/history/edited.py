"""Edited data: labels, masks, peak tables, annotations that people go on correcting by hand.

Raw data never changes; edited data may, each state of it recorded. That a dataset is such stands in its ``.dvc`` file,
where DVC keeps what it does not know and never runs anything again for it::

    meta:
      emdvc_edited: {by_element: [labels]}

`by_element` names the arrays that merge element by element where two people edited the same chunk.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.history.protection import files_of

#: Under ``meta:`` of a ``.dvc`` file.
KEY = "emdvc_edited"


@dataclass(frozen=True, slots=True)
class Edited:
    """What is declared of a dataset that people go on editing.

    Parameters
    ----------
    by_element
        Names of the arrays that merge element by element, in sorted order.
    """

    by_element: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that stands in a ``.dvc`` file."""
        return {"by_element": list(self.by_element)}

    def united(self, names: Iterable[str]) -> Edited:
        """Return the same with more arrays that merge element by element."""
        return Edited(tuple(sorted({*self.by_element, *names})))


def declared(content: Mapping[str, Any] | None) -> Edited | None:
    """Return what the content of a ``.dvc`` file declares; None of raw data.

    A declaration that is damaged declares nothing: what cannot be read must not lift the rules for raw data.
    """
    meta = (content or {}).get("meta")
    said = meta.get(KEY) if isinstance(meta, Mapping) else None
    if not isinstance(said, Mapping):
        return None
    names = said.get("by_element") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return Edited(tuple(sorted(set(names))))


def of(data: Path) -> Edited | None:
    """Return what the ``.dvc`` file beside a dataset declares; None of raw data, or where there is no such file."""
    from emdvc.errors import EmdvcError
    from emdvc.history import yaml_files

    try:
        return declared(yaml_files.read(data.with_name(f"{data.name}.dvc")))
    except EmdvcError:
        return None


def at(data: Path, revision: str) -> Edited | None:
    """Return what was declared of a dataset at a revision; None of raw data, or where nothing was recorded."""
    from emdvc.history.project import Project
    from emdvc.history.raw.pointers import mapping
    from emdvc.history.snapshot import text_at

    project = Project.find(data)
    path = project.relative(data)
    return declared(mapping(text_at(project, path.with_name(f"{path.name}.dvc"), revision)))


def write(pointer: Path, edited: Edited) -> None:
    """Write a declaration into a ``.dvc`` file; what else stands there stays."""
    from emdvc.history.yaml_files import YamlFile

    file = YamlFile(pointer)
    if declared(file.content) != edited:
        put(file.content, edited)
        file.write()


def put(content: Any, edited: Edited) -> None:
    """Put a declaration into the content of a ``.dvc`` file."""
    from emdvc.history.yaml_files import flow

    meta = content.get("meta")
    if not isinstance(meta, dict):
        meta = content["meta"] = {}
    meta[KEY] = flow(edited.to_dict())


def release(path: Path) -> int:
    """Make every file of a dataset writable for its owner, and return how many were not."""
    count = 0
    for file in files_of(path):
        mode = stat.S_IMODE(file.stat().st_mode)
        if not mode & stat.S_IWUSR:
            with suppress(OSError):  # another user's file
                file.chmod(mode | stat.S_IWUSR)
                count += 1
    return count
