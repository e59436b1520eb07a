"""Another repository, looked into for the time of one command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emdvc.history.getting import history_of
from emdvc.history.project import Project


@contextmanager
def elsewhere(url: str) -> Iterator[Project]:
    """Yield the project of another repository: a folder as it is, any other URL as a clone that is removed at the end.

    Parameters
    ----------
    url
        Folder of a project, or anything that git clones.

    Raises
    ------
    EnvironmentFault
        It cannot be cloned.
    ProjectError
        It is no project.
    """
    folder = Path(url).expanduser()
    if (folder / ".dvc").is_dir():
        yield Project.find(folder)
        return
    with tempfile.TemporaryDirectory(prefix="emdvc-", ignore_cleanup_errors=True) as temporary:
        yield history_of(url, Path(temporary) / "clone")
