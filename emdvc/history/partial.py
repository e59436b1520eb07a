"""Datasets of which only a part is here: how much, and what must not be done with them.

A folder that holds some of a dataset's files looks like a smaller dataset: ``dvc add`` records it as one without a
warning, and the chunks of a Zarr store that are not there read as zeros. So what would take a part for the whole asks
here first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError, DataMissingError
from emdvc.history import git
from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest
from emdvc.history.project import Project
from emdvc.history.protection import files_of
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot
from emdvc.history.workspace.hashing import file_md5s
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index import WorkspaceIndex


@dataclass(frozen=True, slots=True)
class Part:
    """A dataset that is partly here, or wholly but in the cache alone.

    Parameters
    ----------
    path
        Relative to the project.
    here, of
        Number of files that are here, and of all.
    in_workspace
        Whether they lie in its folder; else they are in the cache alone, where every reader of emdvc finds them.
    missing
        The first file that is not here; empty where all are in the cache.
    """

    path: PurePosixPath
    here: int
    of: int
    in_workspace: bool
    missing: str

    def __str__(self) -> str:
        """Return how much is here: ``12 of 256 files``."""
        return f"{self.here} of {self.of} files" if self.here < self.of else f"all {self.of} files"


def parts(project: Project, entries: Iterable[Recorded]) -> list[Part]:
    """Return those of some datasets that are partly here; what lies whole in its folder, or not at all, is left out.

    Parameters
    ----------
    project
        The project.
    entries
        Datasets, as the workspace records them.
    """
    cache = cache_folder(project)
    found = []
    for entry in entries:
        files = manifest(cache, entry.md5) if entry.is_directory else None
        if files is None:
            continue
        if project.path(entry.path).is_dir():
            part = _in_workspace(project, entry, files)
        else:
            part = _in_cache(entry, files, {md5 for md5 in set(files.values()) if object_path(cache, md5).is_file()})
        if part is not None:
            found.append(part)
    return found


def part_of(project: Project, path: PurePosixPath) -> Part | None:
    """Return how much of a dataset lies in its folder; None where it is whole, changed, not here or not recorded."""
    with Snapshot(project) as now:
        entry = recorded(now).get(path)
    found = parts(project, [entry]) if entry is not None else []
    return found[0] if found and found[0].in_workspace else None


def refuse_part(project: Project, path: PurePosixPath, doing: str) -> None:
    """Refuse to take a part of a dataset for the whole.

    Parameters
    ----------
    project
        The project.
    path
        Of a dataset, relative to the project.
    doing
        What was about to be done, as in ``computing from it``.

    Raises
    ------
    DataMissingError
        Only a part of it lies in its folder.
    """
    part = part_of(project, path)
    if part is not None:
        raise DataMissingError(
            f"only a part of {path} is here: {part}",
            code=Code.PARTIAL,
            evidence=f"{doing} would take the part for the whole; first missing: {part.missing}",
            hint=f"emdvc pull {path}",
        )


def refuse_shrunk(project: Project) -> None:
    """Refuse a dataset that was recorded anew from a part of itself, as ``dvc add`` and ``dvc commit`` do.

    Compares the workspace with the last commit: a list of files that lost some and has no new or changed one is what a
    partial checkout leaves.

    Raises
    ------
    ConflictError
        The first such dataset is named, with the way back.
    """
    if git.head(project.git_root) is None:
        return
    cache = cache_folder(project)
    with Snapshot(project, "HEAD") as then, Snapshot(project) as now:
        before, after = recorded(then), recorded(now)
        for path, new in after.items():
            old = before.get(path)
            if old is None or old.md5 == new.md5 or not (old.is_directory and new.is_directory):
                continue
            files, kept = manifest(cache, old.md5), manifest(cache, new.md5)
            if files is None or kept is None or not shrunk(files, kept) or _replaced_on_purpose(then, now, path):
                continue
            first = min(name for name in files if name not in kept)
            raise ConflictError(
                f"{path} was recorded from a part of itself: {len(kept)} of {len(files)} files",
                code=Code.PARTIAL,
                evidence=f"{new.where} would forget {len(files) - len(kept)} files, the first is {first}",
                hint=f"git checkout HEAD -- {new.where} && emdvc pull {path}",
            )


def shrunk(before: dict[str, str], after: dict[str, str]) -> bool:
    """Say whether a list of files only lost some: none is new, none has other bytes."""
    return len(after) < len(before) and after.items() <= before.items()


def _replaced_on_purpose(then: Snapshot, now: Snapshot, path: PurePosixPath) -> bool:
    """Say whether ``emdvc add --replace`` gave a reason since the last commit."""
    sides = [
        (side.sidecar(path, resolved=False).source.get("replaced") or [])
        if side.text(path.with_name(f"{path.name}.em.yaml")) is not None
        else []
        for side in (then, now)
    ]
    return len(sides[1]) > len(sides[0])


def _in_workspace(project: Project, entry: Recorded, files: dict[str, str]) -> Part | None:
    folder = project.path(entry.path)
    names = [file.relative_to(folder).as_posix() for file in files_of(folder)]
    here = {name: files.get(name, "") for name in names if not name.endswith(".partial")}
    # nothing is read unless files are missing: a scan that is whole may be large
    if not shrunk(files, here) or not shrunk(files, _read(project, entry.path, sorted(here))):
        return None
    return Part(entry.path, len(here), len(files), True, min(name for name in files if name not in here))


def _read(project: Project, path: PurePosixPath, names: list[str]) -> dict[str, str]:
    """Return the md5 of each file that lies in a dataset's folder, read only where it is not known."""
    try:
        index = WorkspaceIndex(project, Ignored(project.root))
        found = index.files(str(path))
        index.save()
    except AskDvcError:  # links, or patterns that only DVC understands
        found = None
    if found is not None:
        return found
    places = [project.path(path / name) for name in names]
    total = sum(place.stat().st_size for place in places)
    return dict(zip(names, file_md5s([str(place) for place in places], total), strict=True))


def _in_cache(entry: Recorded, files: dict[str, str], held: set[str]) -> Part | None:
    here = sum(md5 in held for md5 in files.values())
    if not here:
        return None
    missing = min((name for name, md5 in files.items() if md5 not in held), default="")
    return Part(entry.path, here, len(files), False, missing)
