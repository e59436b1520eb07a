"""Another repository's history, kept in the user's own cache folder: an open dataset needs it as long as it is open."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emdvc.engine.file_lock import acquire, release
from emdvc.errors import Code, EnvironmentFault
from emdvc.history import git
from emdvc.history.getting import local_remote, project_of
from emdvc.history.project import Project

#: Where clones are kept, instead of the system's folder for caches.
VARIABLE = "EMDVC_CACHE_DIR"
#: Files up to this size come with a clone: sidecars and DVC's files are far smaller, pictures are not looked at.
_SMALL = "blob:limit=1m"
#: Seconds that one process waits for another that updates the same clone.
_PATIENCE = 120.0
_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def project_at(repo: str, revision: str | None = None) -> Project:
    """Return the project of another repository: a folder as it is, any other URL as a clone that is kept and updated.

    The clone holds the history; of its files only DVC's settings are checked out. Data that is read through it is kept
    in its cache.

    Parameters
    ----------
    repo
        Folder of a project, or anything that git clones.
    revision
        What is looked for: the clone is not updated for a full commit id that it has.

    Raises
    ------
    EnvironmentFault
        It cannot be cloned.
    ProjectError
        It is no project.
    """
    folder = Path(repo).expanduser()
    if (folder / ".dvc").is_dir():
        return Project.find(folder)
    kept = clones_folder() / _name(repo)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with _alone(kept):
        if (kept / ".git" / "emdvc-complete").is_file():
            if revision is None or not (_OID.fullmatch(revision) and git.commit_of(revision, kept)):
                _update(repo, kept)
        else:
            _clone(repo, kept)
        project = project_of(repo, kept)
        local_remote(project, repo)
    return project


def clones_folder() -> Path:
    """Return where clones are kept."""
    said = os.environ.get(VARIABLE)
    if said:
        return Path(said).expanduser() / "clones"
    import platformdirs

    return Path(platformdirs.user_cache_dir("emdvc", appauthor=False)) / "clones"


def _name(repo: str) -> str:
    name = re.sub(r"[^\w.-]+", "-", repo.rstrip("/\\").replace("\\", "/").rpartition("/")[2].removesuffix(".git"))
    return f"{name[:40]}-{hashlib.sha256(_whole(repo).encode()).hexdigest()[:12]}"


def _whole(repo: str) -> str:
    return str(Path(repo).expanduser().resolve()) if Path(repo).expanduser().exists() else repo


def _clone(repo: str, kept: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)  # of one that was interrupted
    git.run(["clone", "--quiet", "--no-checkout", f"--filter={_SMALL}", "--", _whole(repo), str(kept)], kept.parent)
    # branches are called what they are called there, so that a revision's name means the same
    git.run(["config", "remote.origin.fetch", "+refs/heads/*:refs/heads/*"], kept)
    git.run(["config", "core.sparseCheckout", "true"], kept)
    git.run(["config", "gc.auto", "0"], kept)
    info = kept / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "sparse-checkout").write_text(".dvc/\n", encoding="utf-8", newline="\n")
    _check_out(kept)
    (kept / ".git" / "emdvc-complete").touch()


def _update(repo: str, kept: Path) -> None:
    try:
        _check_out(kept)
    except EnvironmentFault as error:
        # what is known of it may be enough; a revision that is not is an error of its own
        warnings.warn(f"{repo} cannot be asked for what is new: {error.evidence or error.cause}", stacklevel=2)


def _check_out(kept: Path) -> None:
    git.run(["checkout", "--quiet", "--detach"], kept, accept=(0, 1, 128))  # so that every branch may move
    git.run(["fetch", "--quiet", "--prune", "--tags", "--force", "origin"], kept)
    oid = git.ref(_default_branch(kept), kept)
    if oid is not None:
        git.run(["checkout", "--quiet", "--force", "--detach", oid], kept)


def _default_branch(kept: Path) -> str:
    known = git.config("emdvc.default", kept)
    if known is None or git.ref(known, kept) is None:
        said = git.git(["ls-remote", "--symref", "origin", "HEAD"], kept)
        found = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", said, re.MULTILINE)
        known = found[1] if found else "refs/heads/main"
        if git.ref(known, kept) is None:
            # a bare repository made on a server names a default branch that nobody may ever have pushed
            branches = git.git(["for-each-ref", "--format=%(refname)", "refs/heads"], kept).split()
            known = next((name for name in ("refs/heads/main", "refs/heads/master", *branches) if name in branches), "")
        if known:
            git.set_config("emdvc.default", known, kept)
    return known


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Hold the clone for this process."""
    with kept.with_name(f"{kept.name}.lock").open("a+b") as file:
        until = time.monotonic() + _PATIENCE
        while not acquire(file):
            if time.monotonic() > until:
                raise EnvironmentFault(
                    "another program has been updating the clone for too long",
                    code=Code.BUSY,
                    evidence=str(kept),
                    hint="end it, then try again",
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            release(file)
