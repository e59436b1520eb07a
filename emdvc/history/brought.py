"""Which commit brought what stands at a revision, for many files in one reading of the history."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from emdvc.history import git
from emdvc.history.git import Commit
from emdvc.history.project import Project

_HEADER = "\x02"


def brought_by(project: Project, oid: str, paths: Iterable[PurePosixPath]) -> dict[PurePosixPath, Commit]:
    """Return the last commit, at or before a revision, that wrote each file.

    A file whose commit is the first of a shallow clone is left out: the history that is here does not tell.

    Parameters
    ----------
    project
        The project.
    oid
        The revision.
    paths
        Files, relative to the project.
    """
    wanted = {project.in_git(path): path for path in paths}
    if not wanted:
        return {}
    root = project.git_root
    cut = _shallow(project)
    where = ["."] if project.root == root else [project.prefix.as_posix()]
    listed = git.git(
        [
            "log",
            "-z",
            "--name-only",
            "--no-renames",
            "--diff-filter=d",
            "-c",  # of a merge what it holds otherwise than all its parents
            f"--format={_HEADER}%H%x1f%h%x1f%s%x1f%an%x1f%cI",
            oid,
            "--",
            *where,
        ],
        root,
    )
    found: dict[PurePosixPath, Commit] = {}
    seen: set[str] = set()
    commit: Commit | None = None
    for part in listed.split("\0"):
        name = part.lstrip("\n")
        if name.startswith(_HEADER):
            commit = Commit(*name[len(_HEADER) :].split("\x1f"))
        elif commit is not None and name in wanted and name not in seen:
            seen.add(name)
            if commit.oid not in cut:
                found[wanted[name]] = commit
    return found


def _shallow(project: Project) -> set[str]:
    """Return the commits at which a shallow clone ends; none of a whole one."""
    path = git.git(["rev-parse", "--git-path", "shallow"], project.git_root)
    file = project.git_root / path
    return set(file.read_text(encoding="ascii").split()) if file.is_file() else set()
