"""The data of one side of a merge: opened as its pointer records it, with the calibration that the side had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from emdvc.errors import DataMissingError, EmdvcError
from emdvc.history.lazy.recorded_dataset import recorded_dataset, sidecar_of
from emdvc.history.merging.asking.asked import ConflictFile
from emdvc.history.merging.contract import Side
from emdvc.history.merging.datasets import manifests, recorded_bytes
from emdvc.history.merging.datasets.reach import Reach
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.snapshot import Snapshot
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.formats.contract import Opened


@contextmanager
def side_data(project: Project, kept: ConflictFile, side: Side) -> Iterator[Opened | None]:
    """Open the dataset of a ``.dvc`` file as a side has it; None where the side has none.

    Chunks come from the cache or the remote, when a region of them is read.

    Parameters
    ----------
    project
        The project.
    kept
        What is asked about the ``.dvc`` file.
    side
        Whose.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        What is recorded is neither here nor on the remote; it cannot be read.
    """
    from emdvc.formats.contract import ReadOptions
    from emdvc.history.lazy.opening import open_files, opened

    said = recorded_bytes.read(kept.three(project).side(side))
    if said is None:
        yield None
        return
    folder = kept.path.parent
    path = (folder / said.path).relative_to(project.prefix)
    pointer = kept.path.relative_to(project.prefix)
    record = Recorded(path, said.md5, said.size, None, pointer, remote=said.remote)
    sidecar = _sidecar(project, kept, side, path)
    dataset = recorded_dataset(project, path, record, str(side), remote=said.remote, sidecar=sidecar)
    found = opened(dataset)[0] if sidecar is not None else open_files(dataset, ReadOptions())
    try:
        yield found
    finally:
        found.close()


def keep_workspace(project: Project, kept: ConflictFile) -> None:
    """Keep the dataset of a ``.dvc`` file as it lies in the workspace now in DVC's cache.

    What a person edited there for an answer is then no unsaved work any more: the merged data may take its place.

    Raises
    ------
    DataMissingError
        There is none in the workspace.
    """
    said = recorded_bytes.read(kept.three(project).side(Side.OURS))
    if said is None:
        return
    data = kept.path.parent / said.path
    here = project.git_root / data
    if not here.exists():
        raise DataMissingError(
            f"{data} is not here, and edit takes what lies there",
            hint="answer ours or theirs, or bring it: dvc checkout",
        )
    reach = Reach(project, str(data), here, said.remote)
    if here.is_dir():
        manifests.keep_list(reach.cache, reach.all_now(""))


def _sidecar(project: Project, kept: ConflictFile, side: Side, path: PurePosixPath) -> Sidecar | None:
    commit = kept.sides[side].commit
    if commit is None:
        return None
    try:
        with Snapshot(project, commit) as snapshot:
            return sidecar_of(snapshot, path)
    except EmdvcError:
        return None  # a picture without scale bars is better than none
