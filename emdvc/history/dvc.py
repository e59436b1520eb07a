"""The adapter over DVC, whose Python interface is not promised to be stable.

Every use of it stands in this folder's ``dvc*.py``, each with a contract test; its exceptions leave as emdvc's errors.
DVC reads paths against the current folder and prints them relative to it, so every call runs in the project's root.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, EmdvcError
from emdvc.history.dvc_errors import translated
from emdvc.history.project import Project


@contextmanager
def repository(project: Project) -> Iterator[Any]:
    """Open DVC's own view of the project; its errors become emdvc's.

    Raises
    ------
    EmdvcError
        See :func:`translated`.
    """
    with translated(), chdir(project.root):
        from dvc.repo import Repo

        with quiet(), Repo(str(project.root)) as repo:
            yield repo


@contextmanager
def quiet() -> Iterator[None]:
    """Keep DVC's own messages off stderr; its progress bars stay where a person watches."""
    import dvc.logger  # noqa: F401  (its import sets the level that is put aside here)

    logger = logging.getLogger("dvc")
    before = logger.level, logger.disabled
    # DVC shows its bars only while its level lets errors through
    logger.setLevel(logging.ERROR if sys.stderr.isatty() else logging.CRITICAL + 1)
    handlers = logger.handlers[:]
    logger.handlers = [logging.NullHandler()]
    propagate, logger.propagate = logger.propagate, False
    try:
        with warnings.catch_warnings():
            # what DVC uses of other packages is its own matter, and nothing that our user can mend
            theirs = r"(dvc|dvc_data|dvc_objects|scmrepo)\b"
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=theirs)
            yield
    finally:
        logger.level, logger.disabled = before
        logger.handlers = handlers
        logger.propagate = propagate


def initialise(root: Path, *, subdir: bool) -> None:
    """Make a folder a DVC project.

    Parameters
    ----------
    root
        The folder, inside a git repository.
    subdir
        Whether the git repository's root is a folder above.
    """
    with translated(), chdir(root), quiet():
        from dvc.repo import Repo

        Repo.init(str(root), subdir=subdir).close()


def add(project: Project, path: PurePosixPath) -> PurePosixPath:
    """Track a file or a directory; return the path of its ``.dvc`` file.

    The file itself and git's index are left alone: the cache gets the copy (a reflink where the disk can), while DVC's
    own default moves the file into the cache and puts a copy in its place.
    """
    with repository(project) as repo:
        repo.scm_context.autostage = False
        (stage,) = repo.add([path.as_posix()], relink=False)
        return PurePosixPath(Path(stage.path).relative_to(project.root).as_posix())


@dataclass(frozen=True, slots=True)
class Out:
    """A file or directory that DVC tracks.

    Parameters
    ----------
    path
        Relative to the project.
    stage
        Address of what tracks it: the name of a stage, or the path of a ``.dvc`` file.
    source
        Whether it was added, not computed.
    cached
        Whether its bytes are kept in the cache (a metric with ``cache: false`` is kept by git).
    digest
        Recorded md5; None before the first run.
    size
        Recorded bytes; None where unknown.
    """

    path: PurePosixPath
    stage: str
    source: bool
    cached: bool
    digest: str | None
    size: int | None


def outs(project: Project) -> list[Out]:
    """Return everything that DVC tracks in the workspace's version of the project."""
    with repository(project) as repo:
        return [
            Out(
                PurePosixPath(Path(out.fs_path).relative_to(project.root).as_posix()),
                stage.addressing,
                stage.is_data_source,
                bool(out.use_cache),
                out.hash_info.value if out.hash_info else None,
                out.meta.size if out.meta else None,
            )
            for stage in repo.index.stages
            for out in stage.outs
            if out.is_in_repo
        ]


def link_types(project: Project) -> list[str]:
    """Return the kinds of link that work between the cache and the workspace on this disk."""
    with repository(project) as repo:
        from dvc_objects.fs import generic

        cache = repo.cache.local
        Path(cache.path).mkdir(parents=True, exist_ok=True)
        kinds = ["reflink", "hardlink", "symlink"]
        return list(generic.test_links(kinds, cache.fs, cache.path, repo.fs, repo.root_dir))


def clear_partial_cache(project: Project) -> None:
    """Remove what a killed DVC left in the cache under a temporary name: it may be as large as the scan.

    Nothing is done while another DVC works, or when the cache is shared with other projects.
    """
    try:
        with repository(project) as repo:
            from dvc.repo import lock_repo

            cache = Path(repo.cache.local.path)
            if not cache.is_relative_to(project.dvc_dir):
                return
            with lock_repo(repo):
                for partial in cache.glob("*/.*.tmp"):
                    partial.unlink(missing_ok=True)
    except EmdvcError as error:
        if error.code != Code.BUSY:
            raise
