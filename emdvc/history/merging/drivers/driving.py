"""What git calls for a file that both sides changed: it gives three temporary files, and takes the second one's place.

Whatever goes wrong, the file is left either merged or with a conflict that can be seen: never as ours has it, which
`git add` would pass off as settled.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path, PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.history import git
from emdvc.history.merging.contract import NEITHER, Choices, Merged, Place, Side, Three
from emdvc.history.merging.drivers.sides import NOTES, commits_of
from emdvc.history.project import Project

_MERGED, _CONFLICT = 0, 1
#: What `git merge-file` gives at most, for so many conflicts; above it says that it could not do it.
_MOST = 127
_SHOWN = 5
#: What DVC reads as a dvc.lock without stages.
_EMPTY_LOCK = b"schema: '2.0'\n"


def drive(
    project: Project | None,
    path: PurePosixPath,
    base_file: Path,
    ours_file: Path,
    theirs_file: Path,
    marker_size: int,
    *,
    virtual: bool,
) -> int:
    """Merge a file for git, write the outcome in the place of ours, and return git's exit status: 1 for a conflict.

    Parameters
    ----------
    project
        The project; None where there is none: the file is then merged line by line.
    path
        Of the file, relative to the git root.
    base_file, ours_file, theirs_file
        What git gave; an empty base stands for none.
    marker_size
        Length of git's markers.
    virtual
        Whether two bases are merged for a base of their own: nothing is asked or said.
    """
    files = (base_file, ours_file, theirs_file)
    if project is None:
        return merge_line_by_line(*files, marker_size)
    base, ours, theirs = (file.read_bytes() for file in files)
    three = Three(path, base or None, ours, theirs)
    try:
        place = Place(project, {} if virtual else commits_of(project, three))
        merged = _merged(three, place, Choices(rest=NEITHER) if virtual else Choices())
    except EmdvcError as error:
        if not virtual:
            _say(str(error))
            _say(f"emdvc: {path} is therefore merged line by line")
        merge_line_by_line(*files, marker_size, diff3=True)
        return _CONFLICT
    except Exception:
        # a fault of emdvc itself is reported as such, but must not leave ours for merged
        merge_line_by_line(*files, marker_size, diff3=True)
        raise
    if merged is None:
        return merge_line_by_line(*files, marker_size)
    _write(ours_file, _left(three, merged))
    if not virtual:
        _tell(project, three, place, merged)
        _note(path, merged)
    return _CONFLICT if merged.conflicts else _MERGED


def merge_line_by_line(base: Path, ours: Path, theirs: Path, marker_size: int, *, diff3: bool = False) -> int:
    """Merge a file as git does it without emdvc, in the place of ours, and return git's exit status for it.

    What is no text stays as ours has it, and is a conflict.
    """
    style = ["--diff3"] if diff3 else []
    labels = [word for name in ("ours", "base", "theirs") for word in ("-L", name)]
    files = [os.fspath(file.absolute()) for file in (ours, base, theirs)]
    arguments = ["merge-file", "-q", *style, f"--marker-size={marker_size}", *labels, "--", *files]
    done = git.run(arguments, ours.absolute().parent, accept=(*range(_MOST + 1), 255))
    return _MERGED if done.returncode == 0 else _CONFLICT


def _merged(three: Three, place: Place, choices: Choices) -> Merged | None:
    from emdvc.history.merging.choosing import merger_of

    merger = merger_of(three, place)
    return None if merger is None else merger(three, place, choices)


def _left(three: Three, merged: Merged) -> bytes:
    """Return what is left in the file: a driver cannot remove one."""
    if merged.content is not None:
        return merged.content
    if three.path.name == "dvc.lock":
        return _EMPTY_LOCK
    both = [content for content in (three.ours, three.theirs) if content is not None]
    return three.base if three.base is not None else min(both, key=lambda content: (len(content), content))


def _tell(project: Project, three: Three, place: Place, merged: Merged) -> None:
    for note in dict.fromkeys(merged.notes):
        _say(f"emdvc: {note}")
    if merged.content is None and three.path.name != "dvc.lock":
        _say(f"emdvc: {three.path} is needed no more: git rm {three.path}")
    if not merged.conflicts:
        return
    from emdvc.history.merging.asking import conflict_file

    written = conflict_file.write(project, three, place, merged)
    keys = [conflict.key for conflict in merged.conflicts if conflict.key]
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    what = f": {', '.join(keys[:_SHOWN])}{more}" if keys else ""
    _say(f"emdvc: {three.path}: changed on both sides{what}")
    _say(f"emdvc:   what each side has: {written.relative_to(project.git_root).as_posix()}")
    _say(f"emdvc:   emdvc merge --resolve {three.path} ours|theirs|edit")


def _note(path: PurePosixPath, merged: Merged) -> None:
    """Write for `emdvc merge`, which runs git, what was said and asked."""
    place = os.environ.get(NOTES)
    if not place:
        return
    import json

    from emdvc.history.merging.asking.words import spoken_sides

    asked = []
    for one in merged.conflicts:
        values = spoken_sides(one.base, one.ours, one.theirs)
        asked.append({"key": one.key, **dict(zip(map(str, Side), values, strict=True)), "why": one.why})
    said = {"path": str(path), "notes": merged.notes, "repro": merged.repro, "conflicts": asked}
    with Path(place).open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(said, ensure_ascii=False) + "\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _write(file: Path, content: bytes) -> None:
    """Write a file in one step."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
