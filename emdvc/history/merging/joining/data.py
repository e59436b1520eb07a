"""The data that a merge brings: which datasets change, whose edits are in the way, and putting them there."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError, MetadataError, ProjectError, UsageError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest
from emdvc.history.lock import writing
from emdvc.history.merging.joining import state
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.protection import files_of
from emdvc.history.recorded import LOCK, Recorded, recorded_by
from emdvc.history.snapshot import Snapshot
from emdvc.history.workspace.hashing import file_md5


@dataclass(frozen=True, slots=True)
class DataChange:
    """The data that is recorded otherwise than before.

    Parameters
    ----------
    come
        Datasets that are new, or have other bytes.
    gone
        Datasets that are recorded no more, as they were.
    left
        Those among the changed ones that were not here before, and so are not fetched now.
    """

    come: tuple[Recorded, ...] = ()
    gone: tuple[Recorded, ...] = ()
    left: tuple[PurePosixPath, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.come or self.gone)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was done.

    Parameters
    ----------
    placed, removed
        Datasets that were put into the workspace, and taken out of it.
    lacking
        Datasets that are still to be put there -> why.
    left
        Datasets that were not fetched before, and are not now.
    """

    placed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    lacking: tuple[tuple[str, str], ...] = ()
    left: tuple[str, ...] = ()


def changes(project: Project, old: Snapshot, new: Snapshot, changed: Iterable[str]) -> DataChange:
    """Return the data that differs between two states.

    Parameters
    ----------
    project
        The project, whose workspace is that of the old state.
    old, new
        The states; a file in conflict in the new one says nothing.
    changed
        The paths that differ, relative to the git root.
    """
    files = [file for file in map(PurePosixPath, changed) if file.suffix == ".dvc" or file.name == LOCK]
    files = [file.relative_to(project.prefix) for file in files if file.is_relative_to(project.prefix)]
    before: dict[PurePosixPath, Recorded] = {}
    after: dict[PurePosixPath, Recorded] = {}
    for file in files:
        with suppress(MetadataError):  # it has conflicts
            found = recorded_by(new, [file])
            before |= recorded_by(old, [file])
            after |= found
    kept = set(new.files())
    come: list[Recorded] = []
    left: list[Recorded] = []
    for path, entry in sorted(after.items()):
        was = before.get(path)
        if not entry.md5 or entry.source is not None or path in kept or (was is not None and was.md5 == entry.md5):
            continue
        here = os.path.lexists(project.path(path))
        (come if here or was is None else left).append(entry)
    gone = [entry for path, entry in sorted(before.items()) if path not in after and path not in kept and entry.md5]
    return DataChange(tuple(come), tuple(gone), tuple(entry.path for entry in left))


def refuse_edited(project: Project, change: DataChange) -> None:
    """Refuse where a person has edited data that the merge would replace.

    Raises
    ------
    UsageError
        The datasets are named.
    """
    touched = {str(entry.path) for entry in (*change.come, *change.gone)}
    if not any(os.path.lexists(project.path(path)) for path in touched):
        return
    changed = _changed_outs(project)
    edited = sorted(path for path in touched if changed.get(path) == "modified")
    if edited:
        raise UsageError(
            "the merge would replace data that was edited here and is not saved",
            evidence=", ".join(edited[:5]) + (f" and {len(edited) - 5} more" if len(edited) > 5 else ""),
            hint=f'emdvc save -m "...", or drop the edits: dvc checkout --force {edited[0]}',
        )


def note(change: DataChange) -> str:
    """Return the text that says which data is to be put into the workspace, for whoever looks after a kill."""
    return json.dumps([str(entry.path) for entry in (*change.come, *change.gone)]) + "\n"


def place(project: Project, change: DataChange, progress: Progress = silent) -> Placed:
    """Put the changed data into the workspace; what cannot be had is said, and the rest is placed.

    Parameters
    ----------
    project
        The project.
    change
        What differs.
    progress
        Shows the bytes that are fetched.
    """
    left = tuple(map(str, change.left))
    if not change:
        return Placed(left=left)
    from emdvc.history.raw.files import settle

    with writing(project, "emdvc merge"):
        problem = _fetch(project, change.come, progress) if change.come else None
        removed = tuple(str(entry.path) for entry in change.gone if _remove(project, entry))
        lacking = dict.fromkeys(_not_as_recorded(project, change.come), problem or "it is not in the cache")
        settle(project, lacking)
        if not lacking:
            state.to_place_file(project).unlink(missing_ok=True)
    placed = tuple(str(entry.path) for entry in change.come if str(entry.path) not in lacking)
    return Placed(placed, removed, tuple(lacking.items()), left)


def still_to_place(project: Project, unlike: Collection[str]) -> tuple[str, ...]:
    """Return the data that a killed merge had still to place; what it had placed becomes read-only now.

    Parameters
    ----------
    unlike
        The data that is not as recorded.
    """
    from emdvc.history.raw.files import settle

    noted = state.to_place(project)
    settle(project, unlike)
    left = tuple(path for path in noted if path in unlike)
    if not left:
        with suppress(OSError):
            state.to_place_file(project).unlink(missing_ok=True)
    return left


def _fetch(project: Project, entries: Sequence[Recorded], progress: Progress) -> str | None:
    """Fetch and place datasets; return why that was not possible for some."""
    from emdvc.history.transfer.placing import fetch_and_place

    try:
        fetch_and_place(project, entries, progress)
    except ProjectError:  # DVC does not read a pipeline with conflicts in it; a pointer it reads alone
        return _place_pointed(project, [entry for entry in entries if entry.stage is None])
    except EmdvcError as error:
        return ": ".join(filter(None, (error.cause, error.evidence)))
    return None


def _place_pointed(project: Project, entries: Sequence[Recorded]) -> str:
    from emdvc.history import dvc_remote
    from emdvc.history.transfer.fetching import fetch_datasets

    try:
        fetch_datasets(project, entries)
        dvc_remote.checkout(project, [entry.where for entry in entries])
    except EmdvcError as error:
        return ": ".join(filter(None, (error.cause, error.evidence)))
    return "the pipeline is in conflict"


def _not_as_recorded(project: Project, entries: Sequence[Recorded]) -> list[str]:
    if not entries:
        return []
    try:
        unlike = _changed_outs(project)
    except EmdvcError:  # with a pipeline in conflict only what is there can be seen
        return [str(entry.path) for entry in entries if not os.path.lexists(project.path(entry.path))]
    return [str(entry.path) for entry in entries if str(entry.path) in unlike]


def _changed_outs(project: Project) -> dict[str, str]:
    """Return the data of the workspace that is not as recorded, and how it is: modified, deleted."""
    from emdvc.history.workspace import project_state
    from emdvc.history.workspace.git_state import GitState
    from emdvc.history.workspace.parsed_texts import ParsedTexts

    texts = ParsedTexts(project)
    with GitState(project, texts.load) as asked:
        states = project_state.look(project, asked, texts).states
    return {path: how for one in states for path, how in one.changed_outs.items()}


def _remove(project: Project, entry: Recorded) -> bool:
    """Take data out of the workspace that nothing records any more, if it is as recorded and the cache keeps it."""
    from emdvc.history.git_undo import remove_folder

    place = project.path(entry.path)
    cache = cache_folder(project)
    files = manifest(cache, entry.md5) if entry.is_directory else {"": entry.md5}
    if files is None or not all(object_path(cache, md5).is_file() for md5 in files.values()):
        return False
    if not _is(place, files, directory=entry.is_directory):
        return False
    if place.is_dir():
        remove_folder(place)
    else:
        place.chmod(stat.S_IWRITE)  # Windows does not remove what is read-only
        place.unlink()
    return True


def _is(place: Path, files: Mapping[str, str], *, directory: bool) -> bool:
    """Say whether data is what is recorded, no more and no less."""
    if place.is_symlink() or place.is_dir() != directory or not place.exists():
        return False
    here = {one.relative_to(place).as_posix() if directory else "": one for one in files_of(place)}
    return here.keys() == files.keys() and all(file_md5(str(here[name])) == md5 for name, md5 in files.items())
