"""What a remote that is a folder on a disk lacks, asked without DVC and with its answers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.cache_place import Remember, anew, object_path, resolved, settings
from emdvc.history.project import Project
from emdvc.history.workspace.cache_presence import CachePresence
from emdvc.history.workspace.pipeline_files import Tracked


class FolderRemote(NamedTuple):
    """A folder in which data is shared: the remote's name, and where it is."""

    name: str
    url: str


#: What the settings of a folder may say for its answers to be those of DVC.
_PLAIN = {"url", "verify", "shared", "jobs", "no_traverse"}


def folder_remote(project: Project, name: str | None = None, remember: Remember = anew) -> FolderRemote | None:
    """Return a remote that is a folder; None where no such remote is set.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote; None for the default one.

    Raises
    ------
    AskDvcError
        It is no folder, or has settings of its own.
    ProjectError
        DVC's settings are damaged.
    """
    default = None
    merged: dict[str, dict[str, Any]] = {}
    for file, content in settings(project, remember):
        default = (content.get("core") or {}).get("remote") or default
        for section, values in content.items():
            if section.startswith('remote "'):
                said = dict(values)
                if "url" in said:
                    said["url"] = resolved(str(said["url"]), file)
                merged.setdefault(section, {}).update(said)
    name = name or default
    if name is None:
        return None
    values = merged.get(f'remote "{str(name).lower()}"')
    if values is None:
        return None
    if "://" in str(values.get("url", "://")) or not values.keys() <= _PLAIN:
        raise AskDvcError("the remote is no folder")
    return FolderRemote(str(name).lower(), str(values["url"]))


def lacking(
    remote: FolderRemote, outs: Iterable[Tracked], here: CachePresence
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the datasets that a folder lacks: those that are here, and those that are not here either.

    As DVC does, a directory is taken for complete where its list is there: DVC sends that one last.

    Parameters
    ----------
    remote
        The folder.
    outs
        What belongs there.
    here
        What the cache holds.
    """
    store = Path(remote.url) / "files" / "md5"
    new, lost = [], []
    for out in outs:
        if out.md5 is None or object_path(store, out.md5).exists():
            continue
        if here.holds(out.md5):
            new.append(out.path)
            continue
        files = here.files(out.md5) if out.md5.endswith(".dir") else None
        if files is None:
            lost.append(out.path)
            continue
        new.append(out.path)  # its list is here
        if not all(here.holds_object(md5) or os.path.exists(_path(store, md5)) for md5 in files.values()):  # noqa: PTH110
            lost.append(out.path)
    return tuple(new), tuple(lost)


def _path(store: Path, md5: str) -> str:
    return f"{store}{os.sep}{md5[:2]}{os.sep}{md5[2:]}"
