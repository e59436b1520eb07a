"""Texts that git shows instead of files, kept in the git directory under the id of the file's content.

The script that git runs (see :mod:`emdvc.history.textconv.install`) takes a kept text without starting Python. A text
is a function of the content alone, so it never goes stale; it is written again when the form of the texts changes.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

#: Form of the texts that :mod:`emdvc.render.textconv.text` makes; raised with every change of them.
FORM = 1

#: Texts kept at most, and bytes; where there are more, the oldest go.
MOST, MOST_BYTES = 2_000, 200 << 20
#: Files that changed last, looked through for texts that will be asked for next.
_COMMITS = 1_000
#: Seconds between two texts that the same ``git log`` asks for, at most.
_SOON = 3.0

_SUFFIXES = (".em.yaml", ".dvc")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept.

    Parameters
    ----------
    count
        Texts.
    size
        Their bytes.
    newest
        When the last one was written, in seconds of :func:`time.time`; 0 where there is none.
    """

    count: int = 0
    size: int = 0
    newest: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether texts are being asked for one after the other, as ``git log -p`` does."""
        return 0 <= time.time() - self.newest < _SOON


def folder(git_dir: Path) -> Path:
    """Return where texts of the present form are kept, below the git directory that all worktrees share."""
    return git_dir / "emdvc" / "texts" / str(FORM)


def keep(target: Path, text: bytes) -> None:
    """Keep a text, in one step; where the disk does not let it, nothing is kept."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(text)
        partial.replace(target)
    except OSError:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def kept(texts: Path) -> Kept:
    """Return what is kept in the folder of all forms."""
    found = _files(texts)
    return Kept(len(found), sum(size for _, size, _ in found), max((when for when, _, _ in found), default=0.0))


def bound(texts: Path) -> Kept:
    """Remove the oldest texts where there are too many, a quarter at once, and return what was there before.

    Parameters
    ----------
    texts
        The folder of all forms.
    """
    found = sorted(_files(texts))
    count, size = len(found), sum(one for _, one, _ in found)
    before = Kept(count, size, found[-1][0] if found else 0.0)
    if count > MOST or size > MOST_BYTES:
        for _, one, path in found:
            if count <= MOST * 3 // 4 and size <= MOST_BYTES * 3 // 4:
                break
            with suppress(OSError):
                path.unlink()
            count, size = count - 1, size - one
    return before


def forget(texts: Path) -> None:
    """Remove every text."""
    shutil.rmtree(texts, ignore_errors=True)


def upcoming(here: Path, texts: Path) -> list[str]:
    """Return the ids of contents whose texts are not kept, of those that the last commits changed; newest first.

    Parameters
    ----------
    here
        A folder of the repository.
    texts
        The folder of the present form.
    """
    from emdvc.history import git

    suffixes = (*_SUFFIXES, "dvc.lock") if shown_as_text("dvc.lock", here) else _SUFFIXES
    # the walk is bounded by commits, not by matches: a project may lie in a large repository
    listed = git.run(
        ["log", f"--max-count={_COMMITS}", "--format=", "--raw", "--no-abbrev", "--no-renames", "-m", "-z"], here
    ).stdout
    wanted: dict[str, None] = {}
    words = listed.split(b"\0")
    for said, path in pairwise(words):
        parts = said.decode("ascii", "replace").split()
        if len(parts) == 5 and parts[0].startswith(":") and os.fsdecode(path).endswith(suffixes):
            wanted |= {oid: None for oid in (parts[3], parts[2]) if oid.strip("0")}
    # the rest would push out what was kept for the newest ones
    return [oid for oid in list(wanted)[: MOST // 2] if not (texts / oid).exists()]


def shown_as_text(path: str, here: Path) -> bool:
    """Say whether git's attributes have a file shown as text by emdvc."""
    from emdvc.history import git

    return attribute(git.run(["check-attr", "-z", "diff", "--", path], here).stdout).get(path) == "emdvc"


def attribute(output: bytes) -> dict[str, str]:
    """Return path -> value of what ``git check-attr -z`` printed for one attribute."""
    words = [os.fsdecode(word) for word in output.split(b"\0")]
    return dict(zip(words[0::3], words[2::3], strict=False))


def _files(texts: Path) -> list[tuple[float, int, Path]]:
    found = []
    for form in _entries(texts):
        if not form.is_dir():
            continue
        for entry in _entries(Path(form.path)):
            with suppress(OSError):
                about = entry.stat()
                found.append((about.st_mtime, about.st_size, Path(entry.path)))
    return found


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
