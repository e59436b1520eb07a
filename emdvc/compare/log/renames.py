"""What a dataset was called before: data with the same bytes that the same commit removed."""

from __future__ import annotations

from pathlib import PurePosixPath

from emdvc.compare.log.facts import Facts, Places
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.batch import Batch
from emdvc.history.commits import Commit, removed
from emdvc.history.project import Project
from emdvc.history.snapshot import data_path


def former_name(project: Project, batch: Batch, places: Places, commit: Commit, after: Facts) -> PurePosixPath | None:
    """Return what a dataset was called in the parent of the commit that brought it; None where it was new.

    Of several that held the same bytes, the one with the same file name, else the first, is taken.

    Parameters
    ----------
    project
        The project.
    batch
        Reads from git.
    places
        Where the dataset is recorded.
    commit
        The commit that brought it.
    after
        What that commit records of it.
    """
    gone = {
        data_path(PurePosixPath(path).relative_to(project.prefix))
        for path in removed(commit, project.git_root)
        if path.endswith((".dvc", SUFFIX)) and PurePosixPath(path).is_relative_to(project.prefix)
    }
    same = []
    for data in sorted(gone - {places.data}, key=lambda data: (data.name != places.data.name, data)):
        before = Places(project, data, batch, places.locks).at(commit.parents[0])
        if _same(before, after):
            same.append(data)
    return same[0] if same else None


def _same(before: Facts, after: Facts) -> bool:
    """Say whether two states hold the same bytes; where none are recorded, the same numbers."""
    if before.md5 and after.md5:
        return before.md5 == after.md5
    old, new = before.sidecar, after.sidecar
    if old is None or new is None or not new.variables:
        return False
    digests = [{name: info.digest for name, info in one.variables.items()} for one in (old, new)]
    return digests[0] == digests[1] and all(digests[0].values())
