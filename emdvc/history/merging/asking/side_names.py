"""What people call the sides of a merge: the branch, and who changed a file there last."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path

from emdvc.history import git
from emdvc.history.git_program import maybe

_OID = re.compile(r"[0-9a-f]{7,64}")


@lru_cache(maxsize=256)
def name_of(commit: str, cwd: Path) -> str | None:
    """Return the name by which people know a commit: a branch, or how far it lies behind one; None where it has none.

    Parameters
    ----------
    commit
        Its id.
    cwd
        A folder of the repository.
    """
    # git tells its merge drivers what was typed
    typed = os.environ.get(f"GITHEAD_{commit}", "")
    if typed and not _OID.fullmatch(typed):
        return typed
    here = git.branch(cwd)
    if here is not None and git.ref(f"refs/heads/{here}", cwd) == commit:
        return here
    places = ["refs/heads", "refs/remotes", "refs/tags"]
    at = maybe(["for-each-ref", "--count=1", f"--points-at={commit}", "--format=%(refname:short)", *places], cwd)
    if at:
        return at
    patterns = [f"--refs={place}/*" for place in places]
    near = maybe(["name-rev", "--name-only", "--no-undefined", *patterns, commit], cwd)
    return near.removeprefix("tags/").removeprefix("remotes/") if near else None


@lru_cache(maxsize=4096)
def last_change(path: str, commit: str, base: str | None, cwd: Path) -> git.Commit | None:
    """Return the last commit of a side that touched a file, since the last commit in common where that is known."""
    since = [f"^{base}"] if base else []
    text = maybe(["log", "-1", f"--format={git.COMMIT}", commit, *since, "--", f":(top,literal){path}"], cwd)
    return git.Commit(*text.split("\0")) if text else None


def entry_of(commit: str, path: str, cwd: Path) -> tuple[str, str] | None:
    """Return mode and object of a file of a commit; None where it is not there."""
    done = git.run(["ls-tree", "-z", "--full-tree", commit, "--", path], cwd, accept=(0, 128))
    entry = os.fsdecode(done.stdout).partition("\t")[0].split(" ")
    return (entry[0], entry[2]) if len(entry) == 3 else None
