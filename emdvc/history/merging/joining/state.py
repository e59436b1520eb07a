"""Where a merge stands: read from git's own files, so that a merge which git began is the same to emdvc as its own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from emdvc.errors import Code, UsageError
from emdvc.history.project import Project

#: What emdvc keeps of a merge beside git's own files, until it is committed or aborted.
KEPT = "emdvc-merge.json"
#: Data that a merge has to put into the workspace yet.
_TO_PLACE = "to-place.json"

#: Git's file or folder -> what is underway while it is there, and git's command that goes on with it.
_SIGNS = (
    ("rebase-merge", "rebase", "git rebase"),
    ("rebase-apply", "rebase", "git rebase"),
    ("MERGE_HEAD", "merge", "emdvc merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick", "git cherry-pick"),
    ("REVERT_HEAD", "revert", "git revert"),
)
_MESSAGE = re.compile(r"^Merge (?:remote-tracking )?(?:branch|tag|commit) '([^']+)'")


class Underway(NamedTuple):
    """What git has begun and not ended.

    Parameters
    ----------
    what
        ``merge``, ``rebase``, ``cherry-pick``, ``revert``.
    command
        Goes on with ``--continue``, and back with ``--abort``.
    name
        What is merged, as it was typed; of the others the commit.
    theirs
        The commit that is merged or applied; None where git does not say.
    """

    what: str
    command: str
    name: str
    theirs: str | None

    @property
    def doing(self) -> str:
        """How a sentence begins: ``merging tilt``."""
        verbs = {"merge": "merging", "rebase": "rebasing", "cherry-pick": "cherry-picking", "revert": "reverting"}
        return f"{verbs[self.what]} {self.name}".rstrip()


def git_folder(root: Path) -> Path:
    """Return the git directory of a worktree; git is not asked, since ``emdvc status`` looks each time.

    Parameters
    ----------
    root
        Folder that holds ``.git``, a folder or (in a linked worktree or a submodule) a file that names one.
    """
    there = root / ".git"
    if there.is_file():
        said = there.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
        return Path(os.path.abspath(root / said))  # noqa: PTH100
    return there


def underway(project: Project) -> Underway | None:
    """Return what git has begun and not ended; None where there is nothing."""
    folder = git_folder(project.git_root)
    for sign, what, command in _SIGNS:
        if not (folder / sign).exists():
            continue
        # a rebase applies its commits one by one, and leaves MERGE_HEAD where such a commit is itself a merge
        head = {"rebase": "REBASE_HEAD"}.get(what, sign)
        theirs = next(iter(_text(folder / head).split()), None)
        return Underway(what, command, _name(folder, what, theirs), theirs)
    return None


def _name(folder: Path, what: str, theirs: str | None) -> str:
    if what == "merge":
        said = kept(folder, theirs).get("branch")
        found = _MESSAGE.match(_text(folder / "MERGE_MSG"))
        if said or found:
            return str(said or (found and found[1]))
    return (theirs or "")[:7]


def kept(folder: Path, theirs: str | None) -> dict[str, Any]:
    """Return what emdvc keeps of the merge of a commit; nothing where git began it, or it is one of before.

    Parameters
    ----------
    folder
        The git directory.
    theirs
        The commit that is merged.
    """
    with suppress(OSError, ValueError):
        content = json.loads((folder / KEPT).read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("theirs") == theirs:
            return content
    return {}


def kept_text(branch: str, theirs: str, repro: Sequence[str]) -> str:
    """Return what emdvc is to keep of a merge."""
    return json.dumps({"branch": branch, "theirs": theirs, "repro": list(repro)}) + "\n"


def refuse_underway(project: Project) -> None:
    """Refuse while git has begun something.

    Raises
    ------
    UsageError
        It is named, with the commands that end it (EM-MERGE-UNDERWAY).
    """
    found = underway(project)
    if found is not None:
        raise UsageError(
            f"a {found.what} is underway",
            code=Code.MERGE_UNDERWAY,
            evidence=found.doing,
            hint=f"{found.command} --continue, or {found.command} --abort",
        )


def to_place(project: Project) -> list[str]:
    """Return the data that a merge, which was killed then, had still to put into the workspace."""
    with suppress(OSError, ValueError):
        said = json.loads((project.journal_dir / _TO_PLACE).read_text(encoding="utf-8"))
        return [str(path) for path in said]
    return []


def to_place_file(project: Project) -> Path:
    """Return the file that :func:`to_place` reads."""
    return project.journal_dir / _TO_PLACE


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
