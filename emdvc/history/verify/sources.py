"""Recorded data, put into a folder of its own: from the cache first, then from the remotes, every byte checked.

Nothing is written into the project, its cache included.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

from emdvc.errors import Code, DataMissingError
from emdvc.history.cache_place import cache_folder
from emdvc.history.dvc_manifest import parsed_list
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.storage.settings import default_name
from emdvc.history.verify.copies import (
    CacheObjects,
    Copy,
    Place,
    State,
    copy_object,
    in_threads,
    one_at_a_time,
    read_copy,
    threads_for,
)


class Sources:
    """Where the bytes of a project come from.

    Parameters
    ----------
    project
        The project, whose settings name the remotes.
    progress
        Shows bytes.
    """

    def __init__(self, project: Project, progress: Progress = silent) -> None:
        self._project = project
        self._progress = progress
        self._cache = CacheObjects(cache_folder(project))
        self._remotes: dict[str, list[Place]] = {}
        self._lists: dict[str, dict[str, str]] = {}

    def place(self, entry: Recorded, folder: Path, only: Collection[PurePosixPath] = ()) -> None:
        """Put a file or a directory where it belongs below a folder.

        Parameters
        ----------
        only
            Paths in the directory, relative to the project, of which alone the files are wanted; none: all.

        Raises
        ------
        DataMissingError
            Something is to be had nowhere, or corrupt everywhere.
        EnvironmentFault
            A remote did not answer.
        """
        files = {entry.md5: [folder / entry.path]}
        if entry.is_directory:
            files = {}
            (folder / entry.path).mkdir(parents=True, exist_ok=True)
            for inside, md5 in self._listed(entry).items():
                path = entry.path / inside
                if not only or any(path.is_relative_to(one) for one in only):
                    files.setdefault(md5, []).append(folder / path)
        self._copy(entry, files)

    def _listed(self, entry: Recorded) -> dict[str, str]:
        states = []
        for place in self._places(entry):
            copy = read_copy(place, entry.md5, _unseen, threading.Event())
            files = parsed_list(copy.content) if copy.content is not None else None
            if files is not None:
                self._lists[entry.md5] = files
                return files
            states.append(copy)
        raise _missing(entry, [entry.md5], states)

    def _copy(self, entry: Recorded, files: dict[str, list[Path]]) -> None:
        """Copy the objects of one dataset, each to all the places where its bytes stand."""
        lacking, seen = list(files), []
        with self._progress(f"copying {entry.path.name}", entry.size or 0) as advance:
            told = one_at_a_time(advance)
            for place in self._places(entry):
                stop = threading.Event()

                def one(md5: str, place: Place = place, stop: threading.Event = stop) -> Copy:
                    copy = Copy(State.GOOD)
                    for target in files[md5]:
                        copy = copy_object(place, md5, target, told, stop)
                        if copy.state is not State.GOOD:
                            break
                    return copy

                copies = dict(in_threads(one, lacking, threads_for(place), stop))
                lacking = [md5 for md5 in lacking if copies[md5].state is not State.GOOD]
                seen += [copies[md5] for md5 in lacking]
                if not lacking:
                    return
        raise _missing(entry, lacking, seen)

    def _places(self, entry: Recorded) -> Iterable[Place]:
        """Return the cache, and the remotes only when they are asked for: connecting takes time."""
        yield self._cache
        from emdvc.history.verify.remote_copies import remote_copies

        name = entry.remote or default_name(self._project) or ""
        if name not in self._remotes:
            self._remotes[name] = list(remote_copies(self._project, [name])) if name else []
        yield from self._remotes[name]
        if entry.source is not None:
            from emdvc.history.in_place.checking import sources

            yield from sources(self._project, self._lists)


def _missing(entry: Recorded, lacking: list[str], seen: list[Copy]) -> DataMissingError:
    many = f"{len(lacking)} files of {entry.path}" if len(lacking) > 1 else f"{entry.path}"
    verb = "are" if len(lacking) > 1 else "is"
    faulty = [copy for copy in seen if copy.state is not State.ABSENT]
    if faulty:
        return DataMissingError(
            f"{many} {verb} corrupt, and there is no good copy",
            code=Code.DATA_CORRUPT,
            evidence=f"recorded in {entry.where}; a copy is {faulty[0].state}",
            hint=f"emdvc verify --bytes {entry.path} names every corrupt object",
        )
    return DataMissingError(
        f"{many} {verb} neither in the cache nor on the remote",
        evidence=f"recorded in {entry.where}, md5 {lacking[0]}",
        hint="whoever computed or added it runs: emdvc push",
    )


def _unseen(count: int) -> None:
    return None
