"""Locks among colleagues: who holds which dataset, and until when, as a note on the shared remote."""

from __future__ import annotations

import re

from emdvc.history.project import Project

#: How the part of the settings begins that speaks of locks.
KEY = "locks"


def uses_locks(project: Project) -> bool:
    """Say whether anybody has ever locked anything in a project: one small file is read, and nothing is imported."""
    try:
        text = (project.root / ".emdvc" / "config.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(rf"^{KEY}:", text, re.MULTILINE) is not None
