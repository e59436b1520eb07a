"""Whole datasets from the remotes into the workspace."""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.errors import DataMissingError
from emdvc.history import dvc_remote
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded
from emdvc.history.transfer.fetching import fetch_datasets


def fetch_and_place(project: Project, entries: Sequence[Recorded], progress: Progress = silent) -> None:
    """Fetch datasets and put them where they belong; what could be had is placed, whatever else is missing.

    Parameters
    ----------
    project
        The project.
    entries
        What is recorded of them in the workspace.
    progress
        Shows the bytes.

    Raises
    ------
    LostError
        Something of them is on no remote, or is corrupt there.
    EnvironmentFault, ProjectError
        A remote did not answer; there is none.
    """
    own = [entry for entry in entries if not entry.foreign]
    foreign = [entry.path for entry in entries if entry.foreign]
    cache = cache_folder(project)
    lost: DataMissingError | None = None
    try:
        fetch_datasets(project, own, progress)
    except DataMissingError as error:
        lost = error
    try:
        if foreign:
            dvc_remote.pull(project, foreign)
        here = [entry.path for entry in own if object_path(cache, entry.md5).is_file()]
        if here:
            dvc_remote.checkout(project, here)
    except DataMissingError as error:
        raise lost or error from error
    if lost is not None:
        raise lost
