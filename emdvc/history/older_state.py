"""Edited data that lies in the workspace as it was recorded earlier: recording it would take back what came since.

Git merges and pulls pointers, and leaves the data to ``dvc checkout``. Who forgets that and edits on would record the
older state with a few edits, and silently drop the other people's. So what is recorded by hand is compared with the
earlier states of its pointer: where it is nearer to one of those, it was edited from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError
from emdvc.history import git
from emdvc.history.adding_files import Source
from emdvc.history.cache_place import cache_folder
from emdvc.history.dvc_manifest import manifest
from emdvc.history.lock_text import pointed_md5
from emdvc.history.project import Project
from emdvc.history.snapshot import text_at
from emdvc.history.workspace.hashing import file_md5s

#: How many earlier states are looked at.
_STATES = 30


def refuse_older(project: Project, source: Source) -> None:
    """Refuse to record a dataset that is an earlier state of itself, or was edited from one.

    Parameters
    ----------
    project
        The project.
    source
        The dataset, which lies at its place.

    Raises
    ------
    ConflictError
        The commit is named whose state it is nearest to.
    """
    path = project.relative(source.target)
    pointer = path.with_name(f"{path.name}.dvc")
    now = pointed_md5(text_at(project, pointer), pointer, path)
    earlier = _earlier(project, pointer, path, now) if now else {}
    if not now or not earlier:
        return
    digests = file_md5s([str(file) for file in source.files], source.size)
    if not source.directory:
        found, differing, behind = (earlier.get(digests[0]), 0, 1)
    else:
        here = {source.name(file): md5 for file, md5 in zip(source.files, digests, strict=True)}
        found, differing, behind = _nearest(project, here, now, earlier)
    if found is None:
        return
    commit = git.commit_of(found, project.git_root)
    assert commit is not None
    of_then = f'{commit.short} "{commit.subject}"'
    if differing == 0:
        raise ConflictError(
            f"{path} is here as it was recorded earlier: recording it would take back what came since",
            code=Code.MERGE_CONFLICT,
            evidence=f"it is that of {of_then}",
            hint=f'dvc checkout {pointer}; to go back to that state: emdvc add {path} --replace "why"',
        )
    raise ConflictError(
        f"{path} was edited from an earlier state: recording it would take back what came since",
        code=Code.MERGE_CONFLICT,
        evidence=f"{differing} of its files differ from {of_then}, {behind} from what is recorded now",
        hint=f"git switch -c edits {commit.short} && emdvc save -m edits && git switch - && dvc checkout {pointer} "
        "&& emdvc merge edits",
    )


def _earlier(project: Project, pointer: PurePosixPath, path: PurePosixPath, now: str) -> dict[str, str]:
    """Return the md5s that the pointer recorded before, each with the last commit that did."""
    name = project.in_git(pointer)
    root = project.git_root
    if git.head(root) is None:
        return {}
    log = git.git(["log", "--full-history", f"--max-count={_STATES}", "--format=%H", "HEAD", "--", name], root).split()
    texts = git.contents([f"{commit}:{name}" for commit in log], root)
    found: dict[str, str] = {}
    for commit in log:
        content = texts.get(f"{commit}:{name}")
        md5 = pointed_md5(content.decode("utf-8", "replace"), pointer, path) if content else None
        if md5 and md5 != now:
            found.setdefault(md5, commit)
    return found


def _nearest(
    project: Project, here: Mapping[str, str], now: str, earlier: Mapping[str, str]
) -> tuple[str | None, int, int]:
    """Return the commit whose state is nearer than what is recorded now, and by how many files each differs."""
    cache = cache_folder(project)
    recorded = manifest(cache, now)
    # without the list of what is recorded now, only a state that is exactly an earlier one is known for certain
    behind = _differing(here, recorded) if recorded is not None else 1
    best: tuple[int, str] | None = None
    for md5, commit in earlier.items():
        files = manifest(cache, md5)
        if files is not None:
            differing = _differing(here, files)
            if differing < behind and (best is None or differing < best[0]):
                best = differing, commit
    return (None, 0, behind) if best is None else (best[1], best[0], behind)


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> int:
    return sum(one.get(name) != other.get(name) for name in {**one, **other})
