"""Silent corruption, found: every object that revisions need is read, in the cache and on remotes, and its md5 taken.

DVC takes an object for good when a file of its name is there. A disk that returns other bytes, a copy that broke off,
a program that wrote into a linked file are seen by nobody until a result is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.cache_place import cache_folder
from emdvc.history.in_place.checking import sources
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.verify import copies as object_copies
from emdvc.history.verify.copies import CacheObjects, Copy, Place, State, WorkspaceObjects
from emdvc.history.verify.wanted_objects import Use, Wanted, wanted


@dataclass(frozen=True, slots=True)
class Fault:
    """A copy of an object that is not what its name says.

    Parameters
    ----------
    md5
        Name of the object.
    place
        ``cache``, or the name of a remote.
    where
        Path or URL of the copy.
    copy
        What was found.
    expected
        Bytes that it should have; None where nobody knows.
    uses
        Where the object is needed.
    good
        Places with a good copy.
    """

    md5: str
    place: str
    where: str
    copy: Copy
    expected: int | None
    uses: tuple[Use, ...]
    good: tuple[str, ...]

    @property
    def kind(self) -> str:
        """What is wrong, in a word."""
        short = self.expected is not None and 0 < self.copy.size < self.expected
        return "truncated" if self.copy.state is State.CORRUPT and short else str(self.copy.state)


@dataclass(frozen=True, slots=True)
class Lost:
    """An object that is needed and lies in none of the places that were looked at.

    Parameters
    ----------
    md5
        Name of the object.
    uses
        Where it is needed.
    good
        ``workspace`` where a file there still has these bytes.
    """

    md5: str
    uses: tuple[Use, ...]
    good: tuple[str, ...] = ()


@dataclass(slots=True)
class ByteCheck:
    """What was found.

    Parameters
    ----------
    revisions
        Those that were checked, as they were named; None for the workspace.
    places
        The cache and the remotes, in the order in which they were looked at.
    wanted
        What was looked for.
    everywhere
        Whether these are all places that hold objects: what is in none of them is lost.
    copies
        Place -> object -> what was found there.
    beside
        Files of the workspace that have the bytes of objects of which no place has a good copy.
    """

    revisions: tuple[str | None, ...]
    places: tuple[Place, ...]
    wanted: Wanted
    everywhere: bool = True
    copies: dict[str, dict[str, Copy]] = field(default_factory=dict)
    beside: WorkspaceObjects = field(default_factory=WorkspaceObjects)

    def objects(self) -> list[str]:
        """Return the md5 of every object that is needed, as far as the lists could be read."""
        return self.wanted.directories() + self.wanted.files()

    def good(self, md5: str) -> tuple[str, ...]:
        """Return the places that hold a good copy of an object; the workspace where no other does."""
        places = tuple(place for place, found in self.copies.items() if found[md5].state is State.GOOD)
        return places or ((self.beside.name,) if md5 in self.beside.files else ())

    def bytes_read(self, place: str) -> int:
        """Return how many bytes were read in a place."""
        return sum(copy.size for copy in self.copies[place].values())

    def only_in(self, place: str) -> int:
        """Return how many objects no other place holds."""
        others = [found for name, found in self.copies.items() if name != place]
        if not others:
            return 0
        return sum(
            copy.state is State.GOOD and all(found[md5].state is State.ABSENT for found in others)
            for md5, copy in self.copies[place].items()
        )

    def faults(self) -> list[Fault]:
        """Return every copy that is not good, by the dataset that needs it."""
        bad = {md5 for found in self.copies.values() for md5, copy in found.items() if _is_faulty(copy)}
        uses = self.wanted.uses(bad)
        found = [
            Fault(md5, place.name, place.where(md5), copy, self._expected(md5, uses[md5]), uses[md5], self.good(md5))
            for place in self.places
            for md5, copy in self.copies[place.name].items()
            if _is_faulty(copy)
        ]
        return sorted(found, key=lambda fault: (_first(fault.uses), fault.place != "cache", fault.place))

    def lost(self) -> list[Lost]:
        """Return every object that is in no place, good or not."""
        names = [md5 for md5 in self.objects() if self.everywhere and self._absent(md5)]
        uses = self.wanted.uses(set(names))
        return sorted((Lost(md5, uses[md5], self.good(md5)) for md5 in names), key=lambda lost: _first(lost.uses))

    def content(self, md5: str) -> bytes | None:
        """Return the bytes of an object from a place with a good copy of it; None where there is none."""
        for place in self.places:
            if self.copies[place.name].get(md5, Copy(State.ABSENT)).state is State.GOOD:
                with place.open(md5) as file:
                    return file.read()
        return None

    def unknown(self) -> list[str]:
        """Return the md5 of directories whose files are not known, because no good list of them was found."""
        unread = [md5 for md5 in self.wanted.directories() if md5 not in self.wanted.lists]
        return [md5 for md5 in unread if self.everywhere or not self._absent(md5)]

    def _absent(self, md5: str) -> bool:
        return all(found[md5].state is State.ABSENT for found in self.copies.values())

    def _expected(self, md5: str, uses: tuple[Use, ...]) -> int | None:
        sizes = [found[md5].size for found in self.copies.values() if found[md5].state is State.GOOD]
        recorded = [use.out.size for use in uses if not use.inside and not use.out.is_directory]
        return next((size for size in (*sizes, *recorded) if size is not None), None)


def _is_faulty(copy: Copy) -> bool:
    return copy.state not in (State.GOOD, State.ABSENT)


def _first(uses: tuple[Use, ...]) -> tuple[PurePosixPath, str]:
    return min((use.out.path, use.inside) for use in uses)


def check_bytes(
    project: Project,
    revisions: Sequence[str | None],
    paths: Sequence[PurePosixPath] = (),
    *,
    ask_remotes: bool = True,
    only_remotes: Sequence[str] = (),
    progress: Progress = silent,
) -> ByteCheck:
    """Read all that some revisions need, and return what of it is not as recorded.

    Parameters
    ----------
    revisions
        Names of commits; None for the workspace.
    paths
        Datasets or folders; none: all.
    ask_remotes
        Whether remotes are read: the default one and those that outputs name.
    only_remotes
        These instead.
    progress
        Shows bytes.

    Raises
    ------
    EnvironmentFault
        A remote did not answer, or refused everything.
    UsageError, ProjectError, DataMissingError, MetadataError
        No such revision, remote or path; damaged files.
    """
    needed = wanted(project, revisions, paths)
    places: list[Place] = [CacheObjects(cache_folder(project))]
    if ask_remotes:
        places += _remotes(project, needed, only_remotes)
    if ask_remotes and not only_remotes:
        places += sources(project, needed.lists)
    check = ByteCheck(tuple(revisions), tuple(places), needed, ask_remotes and not only_remotes)
    check.copies |= {place.name: {} for place in places}
    lists = needed.directories()
    for place in places:
        _read(check, place, lists, silent, _raw_only(project, place, needed))
    for place in places:
        _read(check, place, needed.files(), progress, _raw_only(project, place, needed))
    for place in places[1:]:
        _refused(check, place)
    _look_in_workspace(project, check)
    return check


def _remotes(project: Project, needed: Wanted, only: Sequence[str]) -> list[Place]:
    from emdvc.history.storage.settings import default_name
    from emdvc.history.verify.remote_copies import remote_copies

    default = default_name(project)
    names = list(only) or list(dict.fromkeys([*([default] if default else []), *needed.remotes]))
    found = remote_copies(project, names)
    # the two other places have these names
    taken = ("cache", "workspace")
    return [replace(one, name=f"{one.name} (remote)") if one.name in taken else one for one in found]


def _raw_only(project: Project, place: Place, needed: Wanted) -> set[str]:
    """Return the objects that a place is not asked for: of raw data, where none is kept."""
    from emdvc.history.remotes import profiles

    if profiles.of(project, place.name).keeps_raw:
        return set()
    uses = needed.uses({*needed.directories(), *needed.files()})
    return {md5 for md5, places in uses.items() if all(use.out.stage is None for use in places)}


def _read(check: ByteCheck, place: Place, names: Sequence[str], progress: Progress, unasked: set[str]) -> None:
    """Read some objects in one place; take note of the files of lists."""
    found = check.copies[place.name]
    found.update({md5: Copy(State.ABSENT) for md5 in names if md5 in unasked})
    names = [md5 for md5 in names if md5 not in unasked]
    with progress(f"reading {place.name}", check.wanted.size) as advance:
        for md5, copy in object_copies.read_copies(place, names, advance):
            content, kept = copy.content, copy
            if content is not None:
                known = md5 in check.wanted.lists or check.wanted.read_list(md5, content)
                kept = Copy(State.GOOD if known else State.NO_LIST, copy.size)
            found[md5] = kept


def _look_in_workspace(project: Project, check: ByteCheck) -> None:
    """Look for what has no good copy among the files of the workspace."""
    wanting = {md5 for md5 in check.objects() if not check.good(md5) and not md5.endswith(".dir")}
    for md5, uses in check.wanted.uses(wanting).items():
        for use in uses:
            files = {md5: project.path(use.out.path / use.inside)}
            copy = object_copies.read_copy(WorkspaceObjects(files), md5, _unseen, threading.Event())
            if copy.state is State.GOOD:
                check.beside.files.update(files)
                break


def _unseen(count: int) -> None:
    return None


def _refused(check: ByteCheck, place: Place) -> None:
    """Complain when a remote let nothing be read: then it is the right to read that lacks, not a damaged object."""
    found = check.copies[place.name]
    on_a_server = any("://" in place.where(md5) for md5 in found)
    if on_a_server and {copy.state for copy in found.values()} == {State.UNREADABLE}:
        raise EnvironmentFault(
            f"the remote {place.name} let nothing be read",
            code=Code.REMOTE,
            evidence=next(copy.detail for copy in found.values()),
            hint="emdvc doctor, or --no-remote",
        )
