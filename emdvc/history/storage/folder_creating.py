"""The two ways in which a file in a folder is made by one of many: a link, else a folder beside it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: What systems say where a disk knows no links (FAT, some network drives).
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EXDEV})
#: The same, as Windows says it: no such function; not supported.
_NO_LINKS_THERE = frozenset({1, 50})


def link(passing: Path, target: Path) -> bool | None:
    """Give a file another name; return whether it was free, None where the disk knows no links."""
    try:
        os.link(passing, target)
    except FileExistsError:
        # over a network the answer may have been lost, and what we see is our own link
        return passing.stat().st_nlink > 1
    except OSError as error:
        if error.errno in _NO_LINKS or getattr(error, "winerror", None) in _NO_LINKS_THERE:
            return None
        raise
    return True


def take(claim: Path) -> bool:
    """Make a folder; return whether it was not there."""
    try:
        claim.mkdir()
    except FileExistsError:
        return False
    return True
