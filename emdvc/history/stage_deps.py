"""What a stage depends on besides its input: metadata keys, other datasets, and the script of a user's own step."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, DataMissingError, EmdvcError, suggest
from emdvc.history import yaml_files
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path
from emdvc.history.stages import Pipeline, StageInfo, paths_of
from emdvc.steps import registry
from emdvc.steps.contract import Step
from emdvc.steps.parameters import validate
from emdvc.steps.recipe import Recipe
from emdvc.steps.user_plan import UserStep


def typed_step(project: Project, name: str) -> Step:
    """Return the step that a person names: the path of a script starts at the current folder.

    Raises
    ------
    StepError
        There is no such step, or the script cannot be loaded.
    """
    file, mark, function = name.partition("::")
    if file.endswith(".py") and Path(file).is_file():
        name = f"{_relative(project, Path(file))}{mark}{function}"
    return registry.find(name, project.root)


def declared_versions(step: Step, parameters: Any) -> dict[str, int]:
    """Return the versions that .emdvc/steps.yaml must hold; none of a user's own step, whose script is a dependency."""
    return step.versions(parameters)


def sources(step: Step, parameters: Any) -> tuple[Path, ...]:
    """Return the files of a user's own step, and of those in a recipe; none of a step that comes with emdvc."""
    steps = [one.step for one in parameters.ingredients] if isinstance(step, Recipe) else [step]
    return tuple(dict.fromkeys(path for one in steps if isinstance(one, UserStep) for path in one.sources))


def minimal(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return metadata keys without those whose section is among them."""
    # DVC takes a key and a key below it as two dependencies that change together: the upper one is enough
    return tuple(dict.fromkeys(key for key in keys if not any(key.startswith(f"{upper}.") for upper in keys)))


def needed(project: Project, step: Step, parameters: Any) -> tuple[PurePosixPath, ...]:
    """Return what a step reads besides its input, relative to the project: its script first, then other datasets."""
    scripts = (_relative(project, path) for path in sources(step, parameters))
    return tuple(dict.fromkeys([*scripts, *references(project, step, parameters)]))


def references(project: Project, step: Step, parameters: Any) -> tuple[PurePosixPath, ...]:
    """Return the datasets that a step reads besides its input, relative to the project."""
    found = []
    for wanted in step.references(parameters).values():
        file = wanted.path.partition("::")[0]
        found.append(data_path(_relative(project, project.root / file)))
    return tuple(dict.fromkeys(found))


def undeclared(info: StageInfo, paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the paths that a stage does not depend on: neither on them nor on a folder that they lie in."""
    deps = {PurePosixPath(os.path.normpath(dep)) for dep in info.reads}
    return [path for path in paths if path not in deps and not deps.intersection(path.parents)]


def complete(project: Project, info: StageInfo, step: Step, now: Iterable[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Return what a stage must depend on besides its input.

    What a person added stays. A dataset that the step read in its last run, and does not read with the parameters of
    now, is left out.

    Parameters
    ----------
    now
        What it reads now: :func:`needed`, or what stands for that where it is read in place.
    """
    now = tuple(now)
    last = _last_references(project, info, step)
    former = {*last, *map(sidecar_path, last)} - set(now)
    return (*(dep for dep in info.deps if dep not in former), *undeclared(info, now))


def check_there(project: Project, pipeline: Pipeline, step: Step, parameters: Any) -> None:
    """Check that what a step reads besides its input is part of the project.

    Raises
    ------
    DataMissingError
        A dataset is neither recorded, nor a file, nor the output of a stage.
    UsageError
        A dataset or the script lies outside the project.
    """
    for script in sources(step, parameters):
        project.relative(script)
    with Snapshot(project) as snapshot:
        for role, wanted in step.references(parameters).items():
            path = data_path(project.relative(project.root / wanted.path.partition("::")[0]))
            recorded = snapshot.text(sidecar_path(path)) is not None or project.path(path).exists()
            if recorded or pipeline.producer(path) is not None:
                continue
            outs = [out for stage in pipeline.stages.values() for out in paths_of(stage.get("outs"))]
            near = suggest(str(path), [str(known) for known in (*snapshot.datasets(), *outs)])
            raise DataMissingError(
                f"{path} is neither recorded data nor the output of a stage",
                code=Code.NOT_FOUND,
                evidence=f"{step.name} reads it: {role}={wanted.path}",
                hint=f"did you mean {near}?" if near else f"emdvc add {path}",
            )


def _last_references(project: Project, info: StageInfo, step: Step) -> tuple[PurePosixPath, ...]:
    """Return the datasets that a step read in the last run, by the parameters that dvc.lock keeps."""
    lock = yaml_files.read(project.root / "dvc.lock").get("stages") or {}
    kept = ((lock.get(info.name) or {}).get("params") or {}).get("params.yaml") or {}
    try:
        return references(project, step, validate(step, kept.get(info.name)))
    except EmdvcError:  # the step has other parameters now
        return ()


def _relative(project: Project, path: Path) -> PurePosixPath:
    return PurePosixPath(Path(os.path.relpath(path, project.root)).as_posix())
