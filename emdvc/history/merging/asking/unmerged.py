"""What git's index says of files that are in conflict: their three sides, also of those that were settled just now."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from emdvc.history import git
from emdvc.history.merging.contract import Side
from emdvc.history.project import Project

#: Mode and object of a file on the sides that have it.
Entries = Mapping[Side, tuple[str, str]]

_STAGES = {"1": Side.BASE, "2": Side.OURS, "3": Side.THEIRS}
#: Modes of what is no file of its own: a link, another repository.
LINK, REPOSITORY = "120000", "160000"
_OPENED, _CLOSED = re.compile(rb"^<{7,}( |\r?$)", re.MULTILINE), re.compile(rb"^>{7,}( |\r?$)", re.MULTILINE)


def unmerged(project: Project) -> dict[PurePosixPath, Entries]:
    """Return the files of the project that git holds for unmerged, by path relative to the git root."""
    return _listed(project, "--unmerged")


def settled(project: Project) -> dict[PurePosixPath, Entries]:
    """Return the files that were unmerged and have been settled since, as git remembers them until the commit."""
    return _listed(project, "--resolve-undo")


def _listed(project: Project, which: str) -> dict[PurePosixPath, Entries]:
    listed = git.run(["ls-files", which, "-z", "--full-name"], project.root).stdout
    found: dict[PurePosixPath, dict[Side, tuple[str, str]]] = {}
    for part in listed.split(b"\0"):
        entry, _, name = os.fsdecode(part).partition("\t")
        words = entry.split()
        if name and len(words) == 3 and words[2] in _STAGES:
            found.setdefault(PurePosixPath(name), {})[_STAGES[words[2]]] = (words[0], words[1])
    return dict(found)


def has_markers(content: bytes | None) -> bool:
    """Say whether a text holds git's markers of a conflict."""
    return content is not None and bool(_OPENED.search(content) and _CLOSED.search(content))
