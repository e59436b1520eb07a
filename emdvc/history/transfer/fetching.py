"""Objects from a remote into DVC's cache: checked, read-only, side by side; what has arrived is not fetched again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from emdvc.errors import Code, DataMissingError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest as read_list
from emdvc.history.in_place.origin import remote_or_origin
from emdvc.history.progress import Advance, Progress, silent
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.storage import loop
from emdvc.history.storage.remote import Arrived, Remote
from emdvc.history.transfer.crowd import crowd
from emdvc.history.transfer.lost import LostError, joined, lost
from emdvc.history.transfer.parts import Parts, tidy

#: Objects under way in this process at a time, many of them waiting for the remote's own limit.
_WIDTH = 256
_BAD = (Arrived.ABSENT, Arrived.CORRUPT)


def fetch(
    project: Project,
    wanted: Mapping[str, str],
    dataset: str,
    *,
    remote: str | None = None,
    size: int | None = None,
    count: int | None = None,
    progress: Progress = silent,
) -> None:
    """Fetch objects into the cache; those that it has are left alone.

    What was fetched before it failed or was killed stays: the next call goes on.

    Parameters
    ----------
    project
        The project.
    wanted
        md5 -> what messages call the object: the path of a file in the dataset.
    dataset
        What messages call all of it.
    remote
        Remote that they are kept on; None for the default one.
    size
        Bytes of all of them, where known.
    count
        Number of files that were asked for in all, for messages; by default that of `wanted`.
    progress
        Shows the bytes.

    Raises
    ------
    LostError
        Some are not on the remote, or are corrupt there, all of them named; all others have been fetched.
    EnvironmentFault
        The remote did not answer.
    ProjectError
        There is no such remote, or none at all.
    """
    cache = cache_folder(project)
    lacking = {md5: name for md5, name in wanted.items() if not object_path(cache, md5).is_file()}
    if not lacking:
        return
    place = remote_or_origin(project, remote)
    share = round(size * len(lacking) / len(wanted)) if size else 0
    with progress(f"fetching {dataset}", share) as advance:
        came = loop.run(_fetch(place, lacking, cache, advance))
    absent, corrupt = (sorted(lacking[md5] for md5, how in came.items() if how is bad) for bad in _BAD)
    if absent or corrupt:
        raise lost(absent, corrupt, count or len(wanted), dataset, place.name)


def fetch_datasets(project: Project, entries: Iterable[Recorded], progress: Progress = silent) -> None:
    """Fetch whole datasets into the cache, all of them side by side.

    Parameters
    ----------
    project
        The project.
    entries
        What is recorded of them.
    progress
        Shows the bytes.

    Raises
    ------
    LostError
        Something of them is on no remote, or is corrupt there; all the rest has been fetched.
    EnvironmentFault, ProjectError
        As :func:`fetch`.
    """
    cache = cache_folder(project)
    by_remote: dict[str | None, list[Recorded]] = {}
    for entry in entries:
        if entry.md5:
            by_remote.setdefault(entry.remote, []).append(entry)
    problems: list[LostError] = []
    for remote, group in by_remote.items():
        lists = {entry.md5: str(entry.path) for entry in group if entry.is_directory}
        problems += _tried(project, lists, remote, None, silent)
        wanted: dict[str, str] = {}
        size = 0
        for entry in group:
            files = (read_list(cache, entry.md5) or {}) if entry.is_directory else {"": entry.md5}
            named = {md5: str(entry.path / inside) for inside, md5 in files.items()}
            lacking = sum(not object_path(cache, md5).is_file() for md5 in named)
            size += round((entry.size or 0) * lacking / max(1, len(named)))
            wanted = {**named, **wanted}
        lacking_all = {md5: name for md5, name in wanted.items() if not object_path(cache, md5).is_file()}
        problems += _tried(project, lacking_all, remote, size, progress)
    tidy(cache)  # where nothing was lacking, nothing above has
    if problems:
        raise joined(problems)


def manifest(project: Project, md5: str, name: str, *, remote: str | None = None) -> dict[str, str]:
    """Return the files of a directory with their md5s, the list fetched where the cache lacks it.

    Parameters
    ----------
    project
        The project.
    md5
        Of the directory.
    name
        What messages call it.
    remote
        Remote that it is kept on; None for the default one.

    Raises
    ------
    DataMissingError, EnvironmentFault
        As :func:`fetch`; the list is corrupt.
    """
    fetch(project, {md5: name}, name, remote=remote)
    cache = cache_folder(project)
    files = read_list(cache, md5)
    if files is None:
        raise DataMissingError(
            f"the list of the files of {name} is corrupt",
            code=Code.DATA_CORRUPT,
            evidence=str(object_path(cache, md5)),
            hint="emdvc verify --bytes --repair puts a good copy back where there is one",
        )
    return files


def keep(file: Path, target: Path) -> None:
    """Put a file that is whole and checked into its place in the cache, read-only as DVC has it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # a file system without permissions
        file.chmod(0o444)
    try:
        file.replace(target)
    except PermissionError:
        if os.name != "nt" or not target.is_file():
            raise
        file.chmod(0o644)  # another process was first, and a read-only file is not replaced there
        file.unlink()


async def _fetch(place: Remote, lacking: Mapping[str, str], cache: Path, advance: Advance) -> dict[str, Arrived]:
    came: dict[str, Arrived] = {}
    await place.storage()  # a remote that is away is said once, before a folder is made
    cache.mkdir(parents=True, exist_ok=True)
    with Parts(cache) as parts:
        advance(parts.adopt(lacking))

        async def one(md5: str) -> None:
            came[md5] = await place.fetch(md5, parts.path(md5), advance)
            if came[md5] is Arrived.GOOD:
                await asyncio.to_thread(keep, parts.path(md5), object_path(cache, md5))

        await crowd(one, lacking, min(_WIDTH, len(lacking)))
    return came


def _tried(
    project: Project, wanted: Mapping[str, str], remote: str | None, size: int | None, progress: Progress
) -> list[LostError]:
    try:
        fetch(project, wanted, "the data", remote=remote, size=size, progress=progress)
    except LostError as error:
        return [error]
    return []
