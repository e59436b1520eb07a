"""The adapter over DVC: what a directory held at some time, and where the cache keeps its files."""

from __future__ import annotations

import json
from pathlib import Path

from emdvc.history.dvc import repository
from emdvc.history.project import Project


def cache_folder(project: Project) -> Path:
    """Return the folder of the local cache, which a project may share with others."""
    with repository(project) as repo:
        return Path(repo.cache.local.path)


def cached(cache: Path, md5: str) -> Path:
    """Return where the cache keeps an object, whether it is there or not."""
    return cache / md5[:2] / md5[2:]


def manifest(cache: Path, md5: str) -> dict[str, str] | None:
    """Return the files of a directory with their checksums; None where the cache does not hold its list.

    Parameters
    ----------
    cache
        The folder of the cache.
    md5
        Of the directory, as dvc.lock and ``.dvc`` files have it: it ends in ``.dir``.
    """
    path = cached(cache, md5)
    if not md5.endswith(".dir") or not path.is_file():
        return None
    return {str(entry["relpath"]): str(entry["md5"]) for entry in json.loads(path.read_bytes())}
