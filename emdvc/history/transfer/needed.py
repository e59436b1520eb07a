"""What is to lie on which remote: every object of recorded data, and of the results that the run-cache knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from emdvc.history.batch import Batch
from emdvc.history.declared_outs import declared
from emdvc.history.dvc_manifest import manifest
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot
from emdvc.history.transfer.runs import Run
from emdvc.history.verify.wanted_objects import check_paths, is_chosen, kept_by_dvc

OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Place(NamedTuple):
    """Where an output goes.

    Parameters
    ----------
    remote
        Its name; None for the default one.
    shared
        Whether it is pushed at all.
    """

    remote: str | None
    shared: bool


@dataclass(slots=True)
class Lot:
    """What one remote is to hold.

    Parameters
    ----------
    names
        md5 of each object -> what messages call it, directories' lists included.
    lists
        md5 of a directory -> the md5s of its files.
    unread
        Directories whose list the cache lacks: md5 -> what messages call it.
    optional
        Objects that only a record of a run needs: without them it is the record that is left out.
    """

    names: dict[str, str] = field(default_factory=dict)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)

    def add(self, md5: str, name: str, files: Mapping[str, str] | None, *, optional: bool = False) -> None:
        """Take note of a file, or of a directory with its files; None where its list is not here."""
        if md5.endswith(".dir") and files is None:
            if not optional:
                self.optional.discard(md5)
            elif md5 not in self.unread:
                self.optional.add(md5)
            self.unread.setdefault(md5, name)
            return
        self.unread.pop(md5, None)
        if md5.endswith(".dir"):
            self.lists[md5] = tuple(dict.fromkeys((files or {}).values()))
        found = {md5: name, **{one: f"{name}/{inside}" for inside, one in (files or {}).items()}}
        if optional:
            self.optional.update(one for one in found if one not in self.names)
        else:
            self.optional.difference_update(found)
        for one, said in found.items():
            self.names.setdefault(one, said)

    def of(self, md5: str) -> Iterator[str]:
        """Yield an object and, of a directory, the objects of its files."""
        yield md5
        yield from self.lists.get(md5, ())


@dataclass(slots=True)
class Needed:
    """What is to be pushed.

    Parameters
    ----------
    default, only
        As for :func:`needed`.
    lots
        Remote -> what it is to hold; None where there is no default one.
    foreign
        Datasets that only DVC itself can move.
    places
        Where each output of the workspace goes.
    """

    default: str | None
    only: str | None
    lots: dict[str | None, Lot] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    places: list[tuple[str, Place]] = field(default_factory=list)

    def goes(self, place: Place) -> bool:
        """Say whether an output of that place is pushed now."""
        return place.shared and (self.only is None or place.remote in (None, self.only))

    def lot(self, place: Place) -> Lot:
        """Return what the remote of a place is to hold."""
        return self.lots.setdefault(self.only or place.remote or self.default, Lot())

    def place_of(self, path: str) -> Place:
        """Return where an output goes that a record of a run names, relative to a folder that it does not name."""
        for known, place in self.places:
            if known == path or known.endswith(f"/{path}"):
                return place
        return Place(None, True)


def needed(
    project: Project,
    cache: Path,
    revisions: Sequence[str | None],
    paths: Sequence[PurePosixPath] = (),
    *,
    default: str | None,
    only: str | None = None,
) -> Needed:
    """Return what some revisions record, by the remote that it goes to.

    Parameters
    ----------
    project
        The project.
    cache
        Folder of the cache's objects.
    revisions
        Names of commits; None for the workspace.
    paths
        Datasets or folders; none: all.
    default
        Remote of what names none; None where the project has none.
    only
        The one remote that is pushed to; None: each output to its own.

    Raises
    ------
    UsageError
        There is no such revision.
    DataMissingError
        A path records nothing at any of the revisions.
    MetadataError
        A ``.dvc`` file, dvc.lock or dvc.yaml is no YAML.
    """
    found = Needed(default, only)
    known: set[PurePosixPath] = set()
    with Batch(project.git_root) as batch:
        for revision in revisions:
            with Snapshot(project, revision, batch=None if revision is None else batch) as snapshot:
                places = list(_places(snapshot))
                for entry in kept_by_dvc(snapshot):
                    known.add(entry.path)
                    if not paths or is_chosen(entry.path, paths):
                        _add(found, cache, entry, _place(entry, places), revision)
                if revision is None:
                    found.places = [(str(entry.path), _place(entry, places)) for entry in recorded(snapshot).values()]
    check_paths(paths, known)
    return found


def add_runs(found: Needed, cache: Path, runs: Iterable[Run]) -> list[Run]:
    """Add the results that records of runs name; return the records of which all results may be sent.

    Parameters
    ----------
    found
        What is needed besides.
    cache
        Folder of the cache's objects.
    runs
        The records.
    """
    kept = []
    for run in runs:
        places = {md5: found.place_of(path) for path, md5 in run.outs.items()}
        if all(map(found.goes, places.values())):
            kept.append(run)
            for path, md5 in run.outs.items():
                found.lot(places[md5]).add(md5, path, _files(cache, md5), optional=True)
    return kept


def _add(found: Needed, cache: Path, entry: Recorded, place: Place, revision: str | None) -> None:
    if not found.goes(place):
        return
    if entry.foreign:
        found.foreign.append(str(entry.path))
        return
    at = "" if revision is None else f"@{revision[:10]}" if OID.fullmatch(revision) else f"@{revision}"
    if entry.source is None:
        found.lot(place).add(entry.md5, f"{entry.path}{at}", _files(cache, entry.md5))
    elif entry.is_directory:  # its bytes stay where they were recorded: others need the list of its files alone
        found.lot(place).add(entry.md5, f"the list of the files of {entry.path}{at}", {})


def _files(cache: Path, md5: str) -> dict[str, str] | None:
    return manifest(cache, md5) if md5.endswith(".dir") else {}


def _places(snapshot: Snapshot) -> Iterator[tuple[re.Pattern[str], Place]]:
    for pattern, said in declared(snapshot):
        yield pattern, Place(_lower(said.get("remote")), said.get("push") is not False)


def _place(entry: Recorded, places: Iterable[tuple[re.Pattern[str], Place]]) -> Place:
    for pattern, place in places if entry.stage else ():
        if pattern.fullmatch(str(entry.path)):
            return place
    return Place(_lower(entry.remote), entry.shared)


def _lower(name: str | None) -> str | None:
    return name.lower() if name else None
