"""The lists of directories' files and single small files from DVC's caches, for a file of which only the text is known.

Git hands over a temporary file: which project of the repository it belongs to is not said. Objects are named by their
content, so whichever cache has one has the right one. DVC is not needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest
from emdvc.history.project import Project

#: Metadata of an array are some kilobytes; what is larger is no metadata.
_LARGEST = 16 << 20


@dataclass
class Caches:
    """The caches of the projects that a folder or file may belong to, looked up when they are needed.

    Parameters
    ----------
    start
        Folder that git runs programs in: the top of the work tree.
    file
        The file that git handed over; in the work tree, or a temporary one.
    """

    start: Path
    file: Path | None = None
    _known: list[Path] = field(default_factory=list)
    _rest: Iterator[Path] | None = None

    def manifest(self, md5: str) -> dict[str, str] | None:
        """Return the files of a directory with their md5s; None where no cache has its list."""
        for cache in self._caches():
            with suppress(OSError, ValueError, KeyError, TypeError):
                found = manifest(cache, md5)
                if found is not None:
                    return found
        return None

    def content(self, md5: str) -> bytes | None:
        """Return the bytes of a small file; None where no cache has it."""
        for cache in self._caches():
            path = object_path(cache, md5)
            with suppress(OSError):
                if path.stat().st_size <= _LARGEST:
                    return path.read_bytes()
        return None

    def _caches(self) -> Iterator[Path]:
        yield from list(self._known)
        if self._rest is None:
            self._rest = self._search()
        for cache in self._rest:
            self._known.append(cache)
            yield cache

    def _search(self) -> Iterator[Path]:
        seen = set()
        for project in self._projects():
            with suppress(EmdvcError, OSError):
                cache = cache_folder(project)
                if cache not in seen:
                    seen.add(cache)
                    yield cache

    def _projects(self) -> Iterator[Project]:
        for place in (self.file, self.start):
            with suppress(EmdvcError):
                if place is not None:
                    yield Project.find(place)
        yield from self._projects_of_the_repository()

    def _projects_of_the_repository(self) -> Iterator[Project]:
        from emdvc.history import git

        try:
            settings = git.git(["ls-files", "-z", "--full-name", "--", ":(top)*.dvc/config"], self.start).split("\0")
            top = Path(git.git(["rev-parse", "--show-toplevel"], self.start))
            common = Path(os.path.abspath(self.start / git.git(["rev-parse", "--git-common-dir"], self.start)))  # noqa: PTH100
        except EmdvcError:  # a bare repository has no work tree
            return
        inside = [PurePosixPath(name).parents[1] for name in settings if name.endswith(".dvc/config")]
        # another worktree of the repository has no cache of its own, the main one has
        for root in dict.fromkeys([top, common.parent] if common.name == ".git" else [top]):
            for below in inside:
                if (root / below / ".dvc").is_dir():
                    yield Project(root / below, root)
