"""The adapter over DVC: the stages of a pipeline, templates filled in, as they can be run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.history.dvc import repository
from emdvc.history.project import Project

#: Where DVC keeps what belongs to a project and lies outside of it: its state, its index.
SITE = "DVC_SITE_CACHE_DIR"


@dataclass(frozen=True, slots=True)
class Runnable:
    """A stage that has a command.

    Parameters
    ----------
    address
        How DVC names it: ``name``, or ``folder/dvc.yaml:name``.
    deps, outs
        Inside the project, relative to it; files with parameters are not among them.
    frozen
        Whether it is kept from running.
    """

    address: str
    deps: tuple[PurePosixPath, ...]
    outs: tuple[PurePosixPath, ...]
    frozen: bool


def runnable(project: Project, site: Path) -> list[Runnable]:
    """Return the stages that have a command, each after those whose results it reads.

    Parameters
    ----------
    site
        Folder for what DVC keeps of a project outside of it.

    Raises
    ------
    ProjectError
        DVC does not understand the pipeline, or it has a cycle.
    """
    with _site(site), repository(project) as repo:
        from dvc.dependency import ParamsDependency
        from dvc.repo.reproduce import plan_repro

        return [
            Runnable(
                str(stage.addressing).replace("\\", "/"),
                tuple(_path(dep) for dep in stage.deps if dep.is_in_repo and not isinstance(dep, ParamsDependency)),
                tuple(_path(out) for out in stage.outs if out.is_in_repo),
                bool(stage.frozen),
            )
            for stage in plan_repro(repo.index.graph)
            if stage.cmd
        ]


def _path(output: Any) -> PurePosixPath:
    return PurePosixPath(os.path.relpath(output.fs_path).replace(os.sep, "/"))


@contextmanager
def _site(folder: Path) -> Iterator[None]:
    # the variable goes before every setting, so that a setting would not do
    before = os.environ.get(SITE)
    os.environ[SITE] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(SITE)
        if before is not None:
            os.environ[SITE] = before
