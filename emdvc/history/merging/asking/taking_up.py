"""Taking up what git left in conflict without emdvc: by no driver seen, or merged in a clone that has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from emdvc.errors import DataMissingError, EmdvcError, EnvironmentFault, FormatError, MetadataError, ProjectError
from emdvc.history import git
from emdvc.history.git_program import maybe
from emdvc.history.merging.asking import conflict_file
from emdvc.history.merging.asking.asked import ConflictFile, Question, SideFile, checksum, place_of
from emdvc.history.merging.asking.unmerged import LINK, REPOSITORY, Entries, has_markers, unmerged
from emdvc.history.merging.choosing import merger_of
from emdvc.history.merging.contract import Choices, Merged, Place, Side, Three
from emdvc.history.merging.drivers.sides import commits_of as sides_of
from emdvc.history.merging.joining.state import underway
from emdvc.history.merging.texts.lines import merge_lines, merge_whole
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path


def missing(project: Project) -> list[tuple[ConflictFile, Merged]]:
    """Return what is to be asked about each unmerged file without a conflict file, and what comes of it.

    Writes nothing. Links and repositories within the repository are left to git.
    """
    in_index = unmerged(project)
    if not in_index:
        return []
    place = Place(project, commits_of(project))
    found = []
    for path, entries in in_index.items():
        if not (modes_of(entries) & {LINK, REPOSITORY} or _has_one(project, path, entries, place)):
            found.append(asked_of(project, path, entries, place))
    return found


def _has_one(project: Project, path: PurePosixPath, entries: Entries, place: Place) -> bool:
    file = project.git_root / place_of(path)
    if not file.is_file():
        return False
    kept = conflict_file.read(file)
    if all(kept.sides[side].blob == (entries[side][1] if side in entries else None) for side in Side):
        return True
    # other commits: of a merge that was given up, its answers are none to this one
    return all(kept.sides[side].commit == place.commits.get(side) is not None for side in (Side.OURS, Side.THEIRS))


def asked_of(project: Project, path: PurePosixPath, entries: Entries, place: Place) -> tuple[ConflictFile, Merged]:
    """Return what is to be asked about a file, by what git's index says of it, and what comes of the file."""
    if not place.commits:
        place = replace(place, commits=sides_of(project, _three_of(project, path, entries)))
    sides = {}
    for side in Side:
        mode, blob = entries.get(side, (None, None))
        sides[side] = conflict_file.told(project, path.as_posix(), SideFile(blob, mode), side, place)
    bare = ConflictFile(path, sides, ())
    try:
        merged = merged_with(project, bare, Choices())
    except EmdvcError as error:
        # one file that cannot be merged does not keep anybody from answering about the others
        merged = _without(bare.three(project), place, Choices(), error)
    questions = tuple(Question.of(conflict) for conflict in merged.conflicts)
    here = conflict_file.content_of(project, path)
    return ConflictFile(path, sides, questions, checksum(here)), merged


def _three_of(project: Project, path: PurePosixPath, entries: Entries) -> Three:
    return ConflictFile(
        path, {side: SideFile(entries[side][1] if side in entries else None) for side in Side}, ()
    ).three(project)


def merged_with(
    project: Project, kept: ConflictFile, choices: Choices, settled: Mapping[PurePosixPath, bytes] | None = None
) -> Merged:
    """Return what comes of a file with some answers: merged as what it is, else line by line, else as a whole.

    Parameters
    ----------
    project
        The project.
    kept
        What is asked about the file.
    choices
        The answers.
    settled
        What other files of the merge are to hold; by default what lies in the workspace.
    """
    three, place = kept.three(project), kept.place(project)
    place = replace(place, settled=_pointer(project, kept.path) | dict(settled or {}))
    try:
        return (merger_of(three, place) or merge_lines)(three, place, choices)
    except (MetadataError, ProjectError, FormatError):
        # a side that cannot be read as what it is called is still a text
        return merge_lines(three, place, choices)
    except (DataMissingError, EnvironmentFault) as error:
        # one side can be taken without the data that merging both would need
        return _without(three, place, choices, error)


def _without(three: Three, place: Place, choices: Choices, error: EmdvcError) -> Merged:
    merged = merge_whole(three, place, choices)
    return replace(merged, conflicts=tuple(replace(one, why=f"{one.why}; {error.cause}") for one in merged.conflicts))


def pointer_of(path: PurePosixPath) -> PurePosixPath | None:
    """Return the ``.dvc`` file that a sidecar follows; None of any other file."""
    if not path.name.endswith(".em.yaml"):
        return None
    data = data_path(path)
    return data.with_name(f"{data.name}.dvc")


def _pointer(project: Project, path: PurePosixPath) -> dict[PurePosixPath, bytes]:
    """Return the ``.dvc`` file that a sidecar follows, where it is settled."""
    pointer = pointer_of(path)
    content = conflict_file.content_of(project, pointer) if pointer is not None else None
    if pointer is None or content is None or has_markers(content) or pointer in unmerged(project):
        return {}
    return {pointer: content}


def commits_of(project: Project) -> dict[Side, str]:
    """Return the commits that git merges, applies or takes back just now; empty where it does none of it."""
    root = project.git_root
    now, ours = underway(project), git.head(root)
    if now is None or now.theirs is None or ours is None:
        return {}
    parent = maybe(["rev-parse", "--verify", "--quiet", f"{now.theirs}^"], root)
    if now.what == "merge":
        bases = (maybe(["merge-base", "--all", ours.oid, now.theirs], root) or "").split()
        found = {Side.BASE: bases[0] if len(bases) == 1 else None, Side.THEIRS: now.theirs}
    elif now.what == "revert":
        found = {Side.BASE: now.theirs, Side.THEIRS: parent}
    else:
        found = {Side.BASE: parent, Side.THEIRS: now.theirs}
    return {Side.OURS: ours.oid} | {side: commit for side, commit in found.items() if commit}


def modes_of(entries: Entries) -> set[str]:
    """Return git's modes of a file on its sides."""
    return {mode for mode, _ in entries.values()}
