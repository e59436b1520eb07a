"""Which datasets, and which arrays of them, a change touches: the workspace since the last commit, or one commit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.history import git
from emdvc.history.cache_place import cache_folder
from emdvc.history.dvc_manifest import manifest
from emdvc.history.locking.note import Lock
from emdvc.history.project import Project
from emdvc.history.recorded import LOCK, Recorded, recorded_by
from emdvc.history.snapshot import Snapshot, data_path

#: In the message of a commit: which lock it did not heed, and why.
TRAILER = "Lock-not-heeded"


@dataclass
class Step:
    """A change.

    Parameters
    ----------
    project
        The project.
    paths
        Files of git that differ, relative to the project.
    old, new
        Commits; no `old`: there was none; no `new`: the workspace.
    author
        Address of who made it; None of the workspace: we.
    message
        Of the commit.
    """

    project: Project
    paths: tuple[PurePosixPath, ...]
    old: str | None
    new: str | None = None
    author: str | None = None
    message: str = ""

    def touches(self, lock: Lock) -> bool:
        """Say whether it changes what a lock is on, and does not say in its message that this is on purpose."""
        if f"{TRAILER}: {lock.name} " in self.message:
            return False
        if lock.array is not None:
            return self._touches_array(lock.path, lock.array)
        return any(path.is_relative_to(lock.path) for path in (*self._datasets, *self._bytes))

    @cached_property
    def _datasets(self) -> set[PurePosixPath]:
        return {one for path in self.paths for one in (path, data_path(path))}

    @cached_property
    def _bytes(self) -> dict[PurePosixPath, tuple[str | None, str | None]]:
        """Return the datasets that have other bytes, with the names of both: a stage's stand in one file for all."""
        files = [path for path in self.paths if path.name == LOCK or path.suffix == ".dvc"]
        then, now = self._recorded(files, self.old), self._recorded(files, self.new or "")
        both = {path: (then.get(path), now.get(path)) for path in {*then, *now}}
        names = {path: (a.md5 if a else None, b.md5 if b else None) for path, (a, b) in both.items()}
        return {path: (a, b) for path, (a, b) in names.items() if a != b}

    def _recorded(self, files: list[PurePosixPath], rev: str | None) -> dict[PurePosixPath, Recorded]:
        if rev is None or not files:
            return {}
        try:
            with Snapshot(self.project, rev or None) as snapshot:
                return recorded_by(snapshot, files)
        except EmdvcError:
            return {}  # a file that is damaged is refused by others, with better words

    def _touches_array(self, path: PurePosixPath, array: str) -> bool:
        if path not in self._bytes:
            return False
        cache = cache_folder(self.project)
        then, now = (manifest(cache, md5) if md5 else None for md5 in self._bytes[path])
        if then is None or now is None:
            return True  # what it was is not here: better to ask once too often
        differing = {name for name in {*then, *now} if then.get(name) != now.get(name)}
        return any(name == array or name.startswith(f"{array}/") for name in differing)


def unshared(project: Project) -> Iterator[Step]:
    """Yield the commits that no git remote has yet, but merges: what those bring is somebody else's work."""
    root = project.git_root
    if not git.remotes(root) or git.head(root) is None:
        return
    form = "--format=%x01%H%x02%P%x02%ae%x02%B%x02"
    words = ["log", "--no-merges", "--no-renames", form, "--name-only", "-z", "HEAD", "--not", "--remotes"]
    for part in git.run(words, root).stdout.split(b"\x01")[1:]:
        commit, parents, author, message, names = (os.fsdecode(one) for one in part.split(b"\x02", 4))
        paths = relative(project, [name for name in names.replace("\n", "\0").split("\0") if name])
        yield Step(project, paths, parents.split()[0] if parents else None, commit, author, message)


def relative(project: Project, names: Iterable[str]) -> tuple[PurePosixPath, ...]:
    """Return those of git's paths that lie in the project, as the project speaks of them."""
    paths = [PurePosixPath(name) for name in names]
    return tuple(path.relative_to(project.prefix) for path in paths if path.is_relative_to(project.prefix))
