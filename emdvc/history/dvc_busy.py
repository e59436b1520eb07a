"""Whether a DVC is at work in a project, seen by its locks without importing it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from emdvc.history.project import Project


def at_work(project: Project) -> bool:
    """Say whether a DVC holds the project's lock, or one of its stages is writing."""
    folder = project.dvc_dir / "tmp"
    return _writing(folder / "rwlock") or _locked(folder / "lock")


def _writing(file: Path) -> bool:
    """Say whether a stage has locked what it writes; also one that was killed, which DVC finds out."""
    try:
        # the last stage that is done takes the key away
        return bool(json.loads(file.read_bytes()).get("write"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError):
        return True


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not _free(file.fileno())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _free(number: int) -> bool:
    """Lock and release an open file as DVC does."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)
        return True
    import fcntl

    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(number, fcntl.LOCK_UN)
    return True
