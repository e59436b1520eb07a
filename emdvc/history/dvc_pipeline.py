"""The adapter over DVC: stages and their state."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.history.dvc import repository
from emdvc.history.project import Project
from emdvc.history.workspace.stage_state import StageState

__all__ = ["StageState", "changed_dependencies", "check", "resolved_stage", "states"]


def states(project: Project, targets: list[PurePosixPath] | None = None) -> list[StageState]:
    """Return the state of every stage and every ``.dvc`` file.

    Parameters
    ----------
    targets
        Only what tracks one of these paths.
    """
    wanted = {str(path) for path in targets} if targets is not None else None
    with repository(project) as repo:
        from dvc.repo import lock_repo

        with lock_repo(repo):
            stages = list(repo.index.stages)
            return [
                _state(stage, paths)
                for stage, paths in ((stage, tuple(_relative(out.fs_path) for out in stage.outs)) for stage in stages)
                if wanted is None or wanted & {*paths, stage.addressing}
            ]


def _state(stage: Any, paths: tuple[str, ...]) -> StageState:
    from dvc.dependency import ParamsDependency

    never_run = not stage.is_data_source and not any(out.hash_info for out in stage.outs)
    deps: dict[str, str] = {}
    params: dict[str, dict[str, str]] = {}
    changed_outs: dict[str, str] = {}
    reported = stage.status().get(stage.addressing, [])
    command = always = False
    for part in reported:
        if isinstance(part, str):
            command |= part == "changed command"
            always |= part == "always changed"
            continue
        changed_outs |= {str(path): str(how) for path, how in part.get("changed outs", {}).items()}
        for path, how in part.get("changed deps", {}).items():
            if isinstance(how, dict):
                params[str(path)] = {str(key): str(state) for key, state in how.items()}
            elif any(isinstance(dep, ParamsDependency) and str(dep) == str(path) for dep in stage.deps):
                params[str(path)] = {"": str(how)}
            else:
                deps[str(path)] = str(how)
    return StageState(
        stage.addressing,
        stage.is_data_source,
        tuple(_relative(dep.fs_path) for dep in stage.deps if dep.protocol == "local"),
        paths,
        deps,
        params,
        changed_outs,
        command,
        always,
        never_run,
        bool(stage.frozen),
    )


def changed_dependencies(project: Project, folder: Path, name: str) -> set[str] | None:
    """Return which dependencies of a stage are not as dvc.lock has them, relative to the project.

    To be asked by what the stage runs: DVC has then locked its outputs, and :func:`states` would find them busy.

    Parameters
    ----------
    folder
        Where the stage's dvc.yaml lies.
    name
        Of the stage in it.

    Returns
    -------
    Paths, also of files with parameters and metadata; None where the command differs or there is no such stage.
    """
    with repository(project) as repo:
        for stage in repo.index.stages:
            if stage.is_data_source or stage.addressing.rpartition(":")[2] != name:
                continue
            if Path(stage.path).parent.resolve() == folder.resolve():
                return None if stage.changed_stage() else {_relative(dep.fs_path) for dep in stage.deps if dep.status()}
    return None


def _relative(path: str) -> str:
    return os.path.relpath(path).replace(os.sep, "/")


def check(project: Project) -> None:
    """Check that DVC understands the pipeline: no cycle, no output that two stages write.

    Raises
    ------
    ProjectError
        It does not.
    """
    with repository(project) as repo:
        repo.index.check_graph()


def resolved_stage(project: Project, name: str) -> dict[str, Any] | None:
    """Return a stage of dvc.yaml with its template filled in (``foreach``, ``matrix``), in dvc.yaml's own form."""
    with repository(project) as repo:
        from dvc.dependency import ParamsDependency

        stage = next((stage for stage in repo.index.stages if stage.addressing.rpartition(":")[2] == name), None)
        if stage is None or stage.cmd is None:
            return None
        params = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
        return {
            "cmd": stage.cmd,
            "deps": [_relative(dep.fs_path) for dep in stage.deps if dep not in params],
            "outs": [_relative(out.fs_path) for out in stage.outs],
            "params": [{_relative(dep.fs_path): list(dep.params)} for dep in params],
        }
