"""Taking back what was changed in git: the index, the branch that is checked out, a temporary worktree.

A git that was killed together with emdvc may have left its lock; the journal says that it was ours.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from emdvc.history import git
from emdvc.history.git_program import maybe


def git_path(name: str, root: Path) -> Path:
    """Return where git keeps something of a repository or of this worktree of it (``index``, ``MERGE_HEAD``)."""
    return Path(os.path.abspath(root / git.git(["rev-parse", "--git-path", name], root)))  # noqa: PTH100


def unstage(entries: Mapping[str, list[str] | None], root: Path) -> None:
    """Put entries of the index back, as ``git ls-files -s`` gave them; None: there was none."""
    # git takes the sides of a file in conflict only where nothing is; hence it is taken out first
    none = "0 " + "0" * 40 + " 0"
    lines = [f"{entry}\t{name}" for name, held in entries.items() for entry in (none, *(held or ()))]
    text = "\0".join(lines) + "\0"
    _unlock(git_path("index", root))
    git.run(["update-index", "-z", "--index-info"], root, stdin=os.fsencode(text))
    git.run(["update-index", "-q", "--refresh"], root, accept=(0, 1))


def put_index_back(index: Path, kept: Path, root: Path) -> None:
    """Put the index back as it was kept."""
    _unlock(index)
    if kept.exists():
        kept.replace(index)
    git.run(["update-index", "-q", "--refresh"], root, accept=(0, 1))


def move_head_back(old: str, new: str, root: Path) -> None:
    """Move what is checked out back to a commit, where it was moved at all."""
    branch = maybe(["symbolic-ref", "-q", "HEAD"], root)
    for name in ("HEAD", *([branch] if branch else [])):
        _unlock(git_path(name, root))
    if git.git(["rev-parse", "HEAD"], root) == new != old:
        git.run(["update-ref", "-m", "emdvc: taken back", "HEAD", old, new], root)


def remove_worktree(folder: Path, root: Path) -> None:
    """Remove a temporary worktree with what git keeps of it, however much of both is there.

    Parameters
    ----------
    folder
        Of the worktree; its name is one that no other worktree has.
    root
        The git root of the project.
    """
    # git itself leaves alone what a killed `git worktree add` had only begun
    for place in (folder, git_path("worktrees", root) / folder.name):
        if place.is_dir():
            remove_folder(place)
    with suppress(OSError):  # git, too, removes the folder of worktrees with the last one
        git_path("worktrees", root).rmdir()


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, also what is read-only."""
    shutil.rmtree(folder, onerror=_made_writable)


def _unlock(file: Path) -> None:
    file.with_name(f"{file.name}.lock").unlink(missing_ok=True)


def _made_writable(function: object, path: str, _: object) -> None:
    """Remove a read-only file, which Windows refuses; what is gone meanwhile is gone."""
    with suppress(OSError):
        Path(path).chmod(stat.S_IWRITE)
        Path(path).unlink()
