"""The list of files that DVC keeps of a directory; read as it lies in the cache, DVC is not needed."""

from __future__ import annotations

import json
from pathlib import Path

from emdvc.history.cache_place import cache_folder
from emdvc.history.cache_place import object_path as cached

__all__ = ["cache_folder", "cached", "manifest", "parsed_list"]


def manifest(cache: Path, md5: str) -> dict[str, str] | None:
    """Return the files of a directory with their checksums; None where the cache does not hold its list, or no list.

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
    return parsed_list(path.read_bytes())


def parsed_list(content: bytes) -> dict[str, str] | None:
    """Return the files of a directory and their md5, from DVC's list of them; None where it is no such list."""
    try:
        entries = json.loads(content)
        return {str(entry["relpath"]): str(entry["md5"]) for entry in entries} if isinstance(entries, list) else None
    except (ValueError, TypeError, KeyError):
        return None
