"""The outcome of a merge into the workspace: files, git's index, the branch, the state of a merge."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from emdvc.errors import UsageError
from emdvc.history import git, git_undo
from emdvc.history.journal import Journal
from emdvc.history.merging.joining import state
from emdvc.history.merging.joining.branches import Sides
from emdvc.history.merging.joining.trial import STATE_FILES, Outcome
from emdvc.history.project import Project


def refuse_overwriting(project: Project, outcome: Outcome) -> None:
    """Refuse where the merge would touch what is not committed.

    Raises
    ------
    UsageError
        The files are named.
    """
    root = project.git_root
    files = set(outcome.files)
    changes = [change for change in git.changes(root) if not (change.untracked and _same(outcome, change.path, root))]
    touched = [change.path for change in changes if change.path in files]
    # git ignores some of what lies in the way, and says nothing of it
    known = set(git.tracked(root))
    touched += sorted(path for path in files - known - {*touched} if _in_the_way(outcome, path, root, files))
    if touched:
        raise UsageError(
            "the merge would overwrite what is not committed",
            evidence=_named(touched),
            hint='emdvc save -m "...", or put it aside: git stash --include-untracked',
        )
    staged = [change.path for change in changes if change.index not in ".?"]
    if staged and outcome.unmerged:
        raise UsageError(
            "the merge has conflicts, and what is staged would become a part of it",
            evidence=_named(staged),
            hint='emdvc save -m "...", or put it aside: git stash',
        )


def _in_the_way(outcome: Outcome, path: str, root: Path, files: set[str]) -> bool:
    place = root / path
    if not os.path.lexists(place):
        return False
    if place.is_dir() and not place.is_symlink():
        return any(one.relative_to(root).as_posix() not in files for one in place.rglob("*") if not one.is_dir())
    return not _same(outcome, path, root)


def _same(outcome: Outcome, path: str, root: Path) -> bool:
    new, here = outcome.project.git_root / path, root / path
    with suppress(OSError):
        return not here.is_symlink() and not new.is_symlink() and new.read_bytes() == here.read_bytes()
    return False


def _named(paths: Iterable[str]) -> str:
    names = list(dict.fromkeys(paths))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def apply(project: Project, journal: Journal, sides: Sides, outcome: Outcome, repro: Iterable[str]) -> None:
    """Bring the outcome into the workspace.

    Parameters
    ----------
    journal
        Notes each step before it is done.
    outcome
        What :func:`refuse_overwriting` has looked at; its worktree is still there.
    repro
        Stages to name again once the conflicts are resolved.
    """
    root, folder = project.git_root, outcome.project.git_root
    journal.will_rewrite(root / path for path in outcome.files)
    _write_files(root, folder, outcome.files)
    journal.will_change_index()
    _write_index(root, outcome)
    texts = _state_texts(sides, outcome, repro)
    journal.will_rewrite(git_undo.git_path(name, root) for name in texts)
    for name, text in texts.items():
        git_undo.git_path(name, root).write_bytes(text)
    if outcome.commit is not None:
        journal.will_move_head(outcome.commit)
        how = "Fast-forward" if sides.fast_forward else "Merge made by emdvc"
        git.run(["update-ref", "-m", f"merge {sides.branch}: {how}", "HEAD", outcome.commit, sides.ours], root)


def _write_files(root: Path, folder: Path, paths: list[str]) -> None:
    # where a file was there may be a folder now, and the other way round: what goes, goes first
    gone = [path for path in paths if not _is_file(folder / path)]
    for path in gone:
        place = root / path
        if _is_file(place):
            place.unlink()
            remove_empty(place.parent, root)
    for path in (path for path in paths if _is_file(folder / path)):
        place = root / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)  # of folders without files, as was looked at before
        place.parent.mkdir(parents=True, exist_ok=True)
        # in one step: the worktree lies on the same disk, unless somebody has mounted another there
        shutil.move(folder / path, place)


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and those above it as far as nothing is in them, as git does."""
    for one in (folder, *folder.parents):
        if one == root:
            return
        try:
            one.rmdir()
        except OSError:
            return


def _write_index(root: Path, outcome: Outcome) -> None:
    lines = []
    for path, entries in outcome.entries.items():
        lines.append(f"0 {'0' * 40} 0\t{path}")  # whatever was there goes first
        lines += [f"{entry}\t{path}" for entry in entries]
    if lines:
        git.run(["update-index", "-z", "--index-info"], root, stdin=os.fsencode("\0".join(lines) + "\0"))
    git.run(["update-index", "-q", "--refresh"], root, accept=(0, 1))


def _state_texts(sides: Sides, outcome: Outcome, repro: Iterable[str]) -> dict[str, bytes]:
    """Return what git keeps of a merge, by name."""
    texts = {"ORIG_HEAD": f"{sides.ours}\n".encode()}
    if outcome.commit is None:
        for name in STATE_FILES:
            file = git_undo.git_path(name, outcome.project.git_root)
            if file.is_file():
                texts[name] = file.read_bytes()
        texts[state.KEPT] = state.kept_text(sides.branch, sides.theirs, list(repro)).encode()
    return texts


def conflict_files(project: Project) -> list[Path]:
    """Return the conflict files and pictures that lie in the workspace."""
    from emdvc.history.merging.asking.conflict_file import found_in, picture_of, place_of
    from emdvc.history.merging.asking.unmerged import settled, unmerged

    # git may be told to ignore them; beside what was in conflict they are found all the same
    paths = {*found_in(project), *unmerged(project), *settled(project)}
    files = [project.git_root / place(path) for path in sorted(paths) for place in (place_of, picture_of)]
    return [file for file in files if file.is_file()]
