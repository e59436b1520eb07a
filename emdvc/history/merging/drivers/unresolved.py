"""What is about to be committed though it still holds a question: the check before a commit, and of `emdvc save`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, ConflictError, EmdvcError
from emdvc.history import git
from emdvc.history.merging.asking.asked import checksum, place_of
from emdvc.history.merging.asking.conflict_file import content_of, found_in, is_valid, read
from emdvc.history.merging.asking.unmerged import has_markers, settled, unmerged
from emdvc.history.merging.joining.state import git_folder
from emdvc.history.project import Project

_NAMES = ("dvc.lock", "dvc.yaml", "params.yaml")
_ENDINGS = (".em.yaml", ".dvc")
#: Git's files and folders that say that something is applied or merged.
_SIGNS = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A file that is staged with an open conflict.

    Parameters
    ----------
    path
        Relative to the git root.
    why
        What is wrong with it.
    keys
        What is open in it, as far as a conflict file says.
    """

    path: PurePosixPath
    why: str
    keys: tuple[str, ...] = ()

    @property
    def remedy(self) -> str:
        """The command that resolves it."""
        return f"emdvc merge --resolve {shlex.quote(str(self.path))} ours|theirs|edit"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": str(self.path), "why": self.why, "keys": list(self.keys), "remedy": self.remedy}


def unresolved(project: Project, *, workspace: bool = False) -> list[Unresolved]:
    """Return the staged files that still hold a conflict, by path.

    Looked at are files with a conflict file beside them, and while git merges or applies commits also every sidecar,
    pointer and pipeline file that it is about to commit.

    Parameters
    ----------
    project
        The project.
    workspace
        Whether to look at the files of the workspace instead, all of which are about to be staged.
    """
    asked = set(found_in(project))
    folder = git_folder(project.git_root)
    underway = any((folder / sign).exists() for sign in _SIGNS)
    if not asked and not underway:
        return []
    changed = _changed(project, ["HEAD"] if workspace else ["--cached"]) if underway else set()
    paths = sorted(asked | {path for path in changed if path.name in _NAMES or path.name.endswith(_ENDINGS)})
    if workspace:
        contents = {path: content_of(project, path) for path in paths}
    else:
        # without a stage number: what is unmerged has no such object, and git itself commits nothing of it
        staged = git.contents([f":{path}" for path in paths], project.git_root)
        contents = {path: staged.get(f":{path}") for path in paths}
    judged = (
        _judged(project, path, content, asked=path in asked)
        for path, content in contents.items()
        if content is not None
    )
    return [one for one in judged if one is not None]


def unresolved_at(root: Path, commits: Sequence[str]) -> list[Unresolved]:
    """Return the sidecars, pointers and pipeline files that were committed with git's conflict markers in them.

    Parameters
    ----------
    root
        Of the repository.
    commits
        Their ids.
    """
    patterns = [f":(glob)**/{name}" for name in (*_NAMES, *(f"*{ending}" for ending in _ENDINGS))]
    found: dict[PurePosixPath, Unresolved] = {}
    for commit in commits:
        asked = ["grep", "-l", "-z", "-I", "-E", "-e", "^<{7,}( |$)", commit, "--", *patterns]
        done = git.run(asked, root, accept=(0, 1))
        for part in done.stdout.split(b"\0"):
            path = PurePosixPath(os.fsdecode(part).partition(":")[2])
            if part and has_markers(git.show(commit, path.as_posix(), root)):
                found[path] = Unresolved(path, f"git's conflict markers were committed with it in {commit[:7]}")
    return [found[path] for path in sorted(found)]


def refuse_unresolved(project: Project) -> None:
    """Refuse to commit what still holds a conflict.

    Raises
    ------
    ConflictError
        The first file is named with what is open in it, and how to resolve it.
    """
    refuse(unresolved(project))


def refuse_unfinished(project: Project) -> None:
    """Refuse to stage and commit the workspace while git holds a file for unmerged, or one still holds a conflict.

    Raises
    ------
    ConflictError
        As :func:`refuse_unresolved`.
    """
    open_now = [str(path) for path in unmerged(project)]
    found = {one.path: one for one in unresolved(project, workspace=True)}
    if open_now:
        first = PurePosixPath(open_now[0])
        keys = found[first].keys if first in found else ()
        raise ConflictError(
            "a merge is not finished",
            code=Code.MERGE_CONFLICT,
            evidence=f"in conflict: {', '.join(open_now[:_SHOWN])}"
            + (f" ({', '.join(keys[:_SHOWN])})" if keys else ""),
            hint=f"{Unresolved(first, '').remedy}; or edit it, then: git add {shlex.quote(str(first))}",
        )
    refuse(found.values())


def refuse(found: Iterable[Unresolved]) -> None:
    """Refuse what :func:`unresolved` found, if anything.

    Raises
    ------
    ConflictError
        As :func:`refuse_unresolved`.
    """
    files = list(found)
    if not files:
        return
    first = files[0]
    more = f" (and {len(files) - 1} more)" if len(files) > 1 else ""
    keys = f": {', '.join(first.keys[:_SHOWN])}" if first.keys else ""
    raise ConflictError(
        f"{first.path}{more} holds a conflict that is not resolved",
        code=Code.MERGE_CONFLICT,
        evidence=f"{first.why}{keys}",
        hint=first.remedy,
    )


def _changed(project: Project, where: Sequence[str]) -> set[PurePosixPath]:
    """Return the files that a commit would change."""
    asked = ["diff", *where, "--name-only", "-z", "--no-renames", "--diff-filter=AMTU"]
    names = git.git([*asked, "--", str(project.root)], project.git_root).split("\0")
    return {PurePosixPath(name) for name in names if name}


def _judged(project: Project, path: PurePosixPath, content: bytes, *, asked: bool) -> Unresolved | None:
    why = ""
    if has_markers(content):
        why = "git's conflict markers stand in it"
    elif not is_valid(path, content):
        why = "it cannot be read"
    if not asked:
        return Unresolved(path, why) if why else None
    keys: tuple[str, ...] = ()
    try:
        kept = read(project.git_root / place_of(path))
    except EmdvcError:  # the conflict file is for people; a damaged one is no answer
        return Unresolved(path, why) if why else None
    keys = tuple(question.key for question in kept.open if question.key)
    if not why and kept.as_a_whole and kept.open and kept.written == checksum(content) and path in settled(project):
        # such a file has no place for markers, and stands as one side has it; of a merge that was given up the conflict
        # file may be left, but git remembers nothing of it
        why = "it is as one side has it, and nobody chose"
    return Unresolved(path, why, keys) if why else None
