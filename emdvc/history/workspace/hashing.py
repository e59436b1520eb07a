"""The md5s by which DVC names files and directories."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

#: Told before files are read: their number and their bytes.
Note = Callable[[int, int], None]

_BLOCK = 1 << 20
#: Files that one thread takes at a time.
_SHARE = 64


def file_md5s(paths: Sequence[str], total: int, note: Note | None = None) -> list[str]:
    """Return the md5 of each file's bytes; many or large files are read by several threads.

    Parameters
    ----------
    paths
        The files.
    total
        Their bytes.
    note
        Told before anything is read.

    Raises
    ------
    OSError
        A file cannot be read, or is gone.
    """
    if note is not None and paths:
        note(len(paths), total)
    if len(paths) < 2:
        return [file_md5(path) for path in paths]
    from concurrent.futures import ThreadPoolExecutor

    from emdvc.engine.cores import default_threads

    shares = [paths[start : start + _SHARE] for start in range(0, len(paths), _SHARE)]
    if total > _BLOCK * len(paths):
        shares = [[path] for path in paths]
    with ThreadPoolExecutor(default_threads()) as pool:
        return [md5 for share in pool.map(lambda share: [file_md5(path) for path in share], shares) for md5 in share]


def file_md5(path: str) -> str:
    """Return the md5 of a file's bytes.

    Raises
    ------
    OSError
        It cannot be read, or is gone.
    """
    from hashlib import md5

    found = md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def directory_md5(files: Mapping[str, str]) -> str:
    """Return the name of a directory: md5 of the list of its files as DVC writes it, with ``.dir`` behind.

    Parameters
    ----------
    files
        Path in the directory, with forward slashes -> md5.
    """
    from hashlib import md5

    entries = [{"md5": files[path], "relpath": path} for path in sorted(files)]
    return md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"
