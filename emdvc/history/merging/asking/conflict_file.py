"""The conflict file beside a file that could not be merged: written by the merge, taken away by the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.history import git
from emdvc.history.merging.asking import side_names
from emdvc.history.merging.asking.asked import (
    PICTURE,
    SUFFIX,
    ConflictFile,
    Question,
    SideFile,
    checksum,
    picture_of,
    place_of,
)
from emdvc.history.merging.asking.conflict_text import parsed, text_of
from emdvc.history.merging.asking.unmerged import Entries, has_markers, unmerged
from emdvc.history.merging.contract import Merged, Place, Side, Three
from emdvc.history.project import Project

__all__ = [
    "PICTURE",
    "SUFFIX",
    "ConflictFile",
    "Question",
    "SideFile",
    "all_in",
    "found_in",
    "from_index",
    "is_open",
    "picture_of",
    "place_of",
    "read",
    "remove",
    "save",
    "write",
]

_REGULAR = "100644"


def write(project: Project, three: Three, place: Place, merged: Merged) -> Path:
    """Write the conflict file of a file that was merged just now and return its path.

    The bytes of the three sides go into git's objects, so that the merge can be done again with the answers.
    """
    kept = ConflictFile(
        three.path,
        _sides(project, three, place),
        tuple(Question.of(conflict) for conflict in merged.conflicts),
        checksum(merged.content),
    )
    return save(project, kept)


def _sides(project: Project, three: Three, place: Place) -> dict[Side, SideFile]:
    root, path = project.git_root, three.path.as_posix()
    found = {}
    for side in Side:
        content, commit = three.side(side), place.commits.get(side)
        if content is None:
            found[side] = SideFile()
        else:
            blob = git.run(["hash-object", "-w", "--stdin"], root, stdin=content).stdout.decode().strip()
            entry = side_names.entry_of(commit, path, root) if commit else None
            found[side] = SideFile(blob, entry[0] if entry else _REGULAR)
        found[side] = told(project, path, found[side], side, place)
    return found


def told(project: Project, path: str, file: SideFile, side: Side, place: Place) -> SideFile:
    """Return a side with what people know of it."""
    commit, root = place.commits.get(side), project.git_root
    if commit is None:
        return file
    if side is Side.BASE:
        return replace(file, commit=commit)
    last = side_names.last_change(path, commit, place.commits.get(Side.BASE), root)
    return replace(file, commit=commit, name=side_names.name_of(commit, root), last=last)


def save(project: Project, kept: ConflictFile) -> Path:
    """Write a conflict file in one step and return its path."""
    from emdvc.formats.sidecar import write_text

    path = project.git_root / place_of(kept.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text_of(kept, project))
    return path


def read(path: Path) -> ConflictFile:
    """Return what a conflict file says.

    Raises
    ------
    ProjectError
        It is damaged, or of a later emdvc.
    """
    return parsed(path)


def remove(project: Project, path: PurePosixPath) -> None:
    """Remove the conflict file and the picture of a file, where there are any."""
    for name in (place_of(path), picture_of(path)):
        (project.git_root / name).unlink(missing_ok=True)


def found_in(project: Project) -> list[PurePosixPath]:
    """Return the files of the workspace (relative to the git root) that have a conflict file, whatever its state."""
    # git is told to pass conflict files over (.git/info/exclude); they lie beside what it keeps
    names = (
        git.run(["ls-files", "-z", "--full-name"], project.root).stdout.decode("utf-8", "surrogateescape").split("\0")
    )
    folders = {PurePosixPath(name).parent for name in names if name}
    return sorted(
        folder / file.name.removesuffix(SUFFIX)
        for folder in folders
        for file in (project.git_root / folder).glob(f"*{SUFFIX}")
        if file.is_file()
    )


def all_in(project: Project) -> list[ConflictFile]:
    """Return every conflict file of the workspace in which something is open.

    Files that git merged without emdvc's drivers have none before :func:`from_index`.

    Raises
    ------
    ProjectError
        One is damaged.
    """
    found = found_in(project)
    if not found:
        return []
    in_index = unmerged(project)
    kept = [read(project.git_root / place_of(path)) for path in found]
    return [one for one in kept if is_open(project, one, in_index)]


def is_open(project: Project, kept: ConflictFile, in_index: Mapping[PurePosixPath, Entries]) -> bool:
    """Say whether a conflict is still open: a person may have edited the markers away, or given the merge up.

    Parameters
    ----------
    project
        The project.
    kept
        The conflict file.
    in_index
        What git holds for unmerged.
    """
    content = content_of(project, kept.path)
    if has_markers(content):
        return True
    return kept.path in in_index and (kept.as_a_whole or content is None or not is_valid(kept.path, content))


def content_of(project: Project, path: PurePosixPath) -> bytes | None:
    """Return the bytes of a file of the workspace; None where it is not there."""
    try:
        return (project.git_root / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def is_valid(path: PurePosixPath, content: bytes) -> bool:
    """Say whether a file that a person has edited can be read as what it is."""
    name = path.name
    try:
        if name.endswith((".yaml", ".yml", ".dvc", ".lock")):
            from emdvc.formats.sidecar import load_yaml

            load_yaml(content.decode("utf-8"), name)
        elif name.endswith(".json"):
            import json

            json.loads(content)
    except (EmdvcError, ValueError):
        return False
    return True


def from_index(project: Project) -> list[ConflictFile]:
    """Write a conflict file for every file that git holds for unmerged and that has none; return those written.

    So it is with what no merge driver sees (one side removed what the other changed), and everywhere in a clone without
    the drivers. Files that emdvc can merge without a question get none:
    :func:`emdvc.history.merging.asking.taking_up.take_up`
    settles them.
    """
    from emdvc.history.merging.asking.taking_up import missing

    made = [one for one, merged in missing(project) if merged.conflicts]
    for one in made:
        save(project, one)
    return made
