"""Writing what is settled: the file, its place in git's index, and the conflict file away, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emdvc.history import git
from emdvc.history.journal import transaction
from emdvc.history.merging.asking import answered, conflict_file
from emdvc.history.merging.asking.asked import ConflictFile, picture_of, place_of
from emdvc.history.merging.asking.taking_up import missing
from emdvc.history.merging.asking.unmerged import has_markers, unmerged
from emdvc.history.merging.choosing import merger_of
from emdvc.history.merging.contract import Merged, Side
from emdvc.history.project import Project


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file with its answers, before it is written.

    Parameters
    ----------
    kept
        What is asked about it, with the answers.
    merged
        What comes of it.
    """

    kept: ConflictFile
    merged: Merged


def write(project: Project, outcomes: Sequence[Outcome]) -> None:
    """Write files, and stage those that are settled; killed at any point, it happened or it did not."""
    root = project.git_root
    outcomes, follow = _with_sidecars(project, outcomes)
    with transaction(project, "merge --resolve") as journal:
        journal.will_rewrite(root / name for one in outcomes for name in _names(one.kept.path))
        journal.will_rewrite(root / name for name in follow)
        journal.will_change_index()
        for name, content in follow.items():
            _write_content(root / name, content, False)
        for one in outcomes:
            _write_content(root / one.kept.path, one.merged.content, _mode(one.kept))
            if one.merged.conflicts:
                conflict_file.save(project, one.kept)
            else:
                answered.keep(project, one.kept)
                conflict_file.remove(project, one.kept.path)
        in_index = unmerged(project)
        _unmerge(project, [one.kept for one in outcomes if one.merged.conflicts and one.kept.path not in in_index])
        git.add(
            [str(one.kept.path) for one in outcomes if not one.merged.conflicts] + [str(name) for name in follow], root
        )


def _with_sidecars(
    project: Project, outcomes: Sequence[Outcome]
) -> tuple[Sequence[Outcome], dict[PurePosixPath, bytes]]:
    """Return outcomes whose sidecars speak of the data that is settled with them, and the sidecars settled before."""
    from emdvc.history.merging.datasets.derived import sidecars_anew

    done = {one.kept.path: one for one in outcomes if not one.merged.conflicts}
    anew = sidecars_anew(project, {path: (one.merged.content, one.kept.place(project)) for path, one in done.items()})
    fitted = [
        replace(one, merged=replace(one.merged, content=anew[one.kept.path])) if one.kept.path in anew else one
        for one in outcomes
    ]
    return fitted, {path: content for path, content in anew.items() if path not in done}


def _unmerge(project: Project, files: Sequence[ConflictFile]) -> None:
    """Let git hold files for unmerged again that were staged as settled."""
    lines = []
    for kept in files:
        lines.append(f"0 {'0' * 40} 0\t{kept.path}")
        stages = zip((1, 2, 3), (kept.sides[side] for side in Side), strict=True)
        lines += [f"{file.mode} {file.blob} {stage}\t{kept.path}" for stage, file in stages if file.blob]
    if lines:
        git.run(["update-index", "-z", "--index-info"], project.git_root, stdin=os.fsencode("\0".join(lines) + "\0"))


def _names(path: PurePosixPath) -> tuple[PurePosixPath, PurePosixPath, PurePosixPath]:
    return path, place_of(path), picture_of(path)


def _write_content(file: Path, content: bytes | None, executable: bool) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        if executable:
            partial.chmod(partial.stat().st_mode | 0o111)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _mode(kept: ConflictFile) -> bool:
    """Say whether the file is a program: as the side has it that changed that."""
    base, ours, theirs = (kept.sides[side].mode == "100755" for side in Side)
    return theirs if ours == base else ours


def take_up(project: Project, *, dry_run: bool = False) -> list[PurePosixPath]:
    """Settle what git left in conflict and emdvc merges without a question; the rest gets its conflict files.

    What a person has edited the markers away from is settled, too, as it is. Returns what was settled, relative to the
    git root.
    """
    outcomes, asked = [], []
    for kept, merged in missing(project):
        if merged.conflicts:
            asked.append(kept)
        else:
            outcomes.append(Outcome(kept, _edited(project, kept) or merged))
    outcomes += by_hand(project)
    if not dry_run:
        for kept in asked:
            conflict_file.save(project, kept)
        if outcomes:
            write(project, outcomes)
    return sorted(one.kept.path for one in outcomes)


def ask_about_rest(project: Project) -> None:
    """Write the conflict files of data and metadata that no merge driver saw: one side removed what the other changed.

    Texts and scripts are git's own: its markers say what is to be said.
    """
    for kept, merged in missing(project):
        if merged.conflicts and merger_of(kept.three(project), kept.place(project)) is not None:
            conflict_file.save(project, kept)


def by_hand(project: Project) -> list[Outcome]:
    """Return the files from which a person has edited the markers away, as they are."""
    in_index = unmerged(project)
    found = []
    for path in conflict_file.found_in(project) if in_index else ():
        if path in in_index:
            kept = conflict_file.read(project.git_root / place_of(path))
            merged = None if kept.as_a_whole else _edited(project, kept)
            if merged is not None:
                found.append(Outcome(kept, merged))
    return found


def _edited(project: Project, kept: ConflictFile) -> Merged | None:
    """Return a file as a person has edited it until nothing is open; None where nobody has."""
    content = conflict_file.content_of(project, kept.path)
    if content is None or has_markers(content) or not conflict_file.is_valid(kept.path, content):
        return None
    three = kept.three(project)
    left_by_git = content.replace(b"\r\n", b"\n") in {
        side.replace(b"\r\n", b"\n") for side in (three.base, three.ours, three.theirs) if side is not None
    }
    return None if left_by_git else Merged(content)
