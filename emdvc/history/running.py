"""What ``emdvc run`` must know before it computes: the stage, its parameters, and that nothing is hidden from DVC."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, ProjectError, StepError, UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.dataset import locate
from emdvc.formats.sidecar import path_of
from emdvc.history.in_place import pointers
from emdvc.history.partial import refuse_part
from emdvc.history.project import Project
from emdvc.history.stage_deps import needed, sources, typed_step, undeclared
from emdvc.history.stages import Pipeline, StageInfo, declared, parameters_of
from emdvc.model.sidecar import Sidecar
from emdvc.steps.contract import Step
from emdvc.steps.parameters import merge_settings, parse_settings, validate
from emdvc.steps.recipe import Ingredient, Recipe
from emdvc.steps.registry import find


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a step, made ready.

    Parameters
    ----------
    step, parameters
        The step and its validated parameters.
    source
        The input.
    name
        What messages and the provenance call the input: its path from the project's root, or as typed.
    output
        Where the result goes; of a recipe the folder of its results.
    project
        The project that it belongs to, seen from the folder of its pipeline; None outside one.
    stage
        The stage that it is; None for a run by hand.
    in_place
        Whether the data are read where they are, as they are recorded.
    """

    step: Step
    parameters: Any
    source: Path
    name: str
    output: Path
    project: Project | None = None
    stage: StageInfo | None = None
    in_place: bool = False

    @property
    def folder(self) -> Path | None:
        """Where paths in the parameters start: at the folder of the pipeline; None outside a project."""
        return self.project.root if self.project is not None else None

    def products(self) -> list[tuple[Ingredient, Path]]:
        """Return what is computed, and where each result goes; of a single step that step alone."""
        if isinstance(self.step, Recipe):
            ingredients = list(self.parameters.ingredients)
        else:
            ingredients = [Ingredient(self.step.name, self.step, self.parameters)]
        paths = self.step.results(self.parameters, PurePosixPath(self.output.as_posix()))
        return [(one, Path(path)) for one, path in zip(ingredients, paths, strict=True)]

    @property
    def inherited(self) -> Path | None:
        """The input whose sidecar holds for the result too; None where the input has no sidecar."""
        data, _ = locate(self.source)
        return data if path_of(data).is_file() else None

    def inputs(self, sidecar: Sidecar) -> dict[str, Any]:
        """Return what the provenance says of the inputs: path and digest of the main array, of others, of a script."""
        found = {self.name: {"digest": _digest(sidecar)}}
        root = self.folder or Path.cwd()
        for wanted in self.step.references(self.parameters).values():
            data, _ = locate(root / wanted.path)
            known = path_of(data).is_file()
            found[wanted.path] = {"digest": _digest(sidecars.read(data)) if known else ""}
        for path in sources(self.step, self.parameters):
            script = Path(os.path.relpath(path, root)).as_posix()
            found[script] = {"digest": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"}
        return found


def _digest(sidecar: Sidecar) -> str:
    info = sidecar.variables.get(sidecar.main)
    return info.digest if info is not None else ""


def context(
    step_name: str,
    source: str,
    output: Path,
    *,
    params: str | None = None,
    settings: Sequence[str] = (),
    in_place: bool = False,
) -> Run:
    """Return a run made ready.

    Parameters
    ----------
    step_name, source, output
        As on the command line.
    params
        Section of params.yaml; by default that of the stage which has this output.
    settings
        ``KEY=VALUE`` texts that win over params.yaml.
    in_place
        Whether the data are read where they are, as they are recorded.

    Raises
    ------
    StepError
        The step or a parameter is unknown, or the project was computed with another version of the step.
    ProjectError
        The stage does not declare a metadata key that the step reads: DVC would not see its changes.
    """
    project = Project.of_pipeline()
    step = typed_step(project, step_name) if project is not None else find(step_name)
    stage = declared(project, output) if project is not None else None
    values: Mapping[str, Any] = {}
    if params is not None:
        if project is None:
            raise ProjectError("--params names a section of a project's params.yaml", hint="emdvc init")
        values = parameters_of(project, params)
    elif stage is not None:
        values = stage.parameters
    parameters = validate(step, merge_settings(values, parse_settings(list(settings))))
    if stage is not None:
        _check_version(step, parameters, stage)
        _check_declared(step, parameters, stage)
        _check_deps(project, step, parameters, stage)
    path = Path(source)
    if project is not None and path.is_dir() and not in_place:
        _check_whole(project, path)
    return Run(step, parameters, path, _name(path, project), output, project, stage, in_place)


def _check_whole(project: Project, path: Path) -> None:
    """Check that a folder is not a part of what is recorded: chunks that are not there would read as zeros."""
    whole = Project.find(project.root)  # `project` may be the folder of one of its pipelines
    with suppress(UsageError):  # outside the project
        refuse_part(whole, whole.relative(path), "computing from it")


def _name(path: Path, project: Project | None) -> str:
    if project is None:
        return path.as_posix()
    relative = os.path.relpath(path.absolute(), project.root)
    return path.as_posix() if relative.startswith("..") else Path(relative).as_posix()


def _check_version(step: Step, parameters: Any, stage: StageInfo) -> None:
    for name, version in step.versions(parameters).items():
        recorded = stage.versions.get(name)
        if recorded is not None and recorded != version:
            raise StepError(
                f"this project uses version {recorded} of {name}, this emdvc has version {version}",
                code=Code.STEP_VERSION,
                evidence="recorded in .emdvc/steps.yaml",
                hint=f"emdvc stage update {stage.name} takes the new version; dvc repro then recomputes what depends "
                "on it",
            )


def _check_declared(step: Step, parameters: Any, stage: StageInfo) -> None:
    for key in step.metadata(parameters):
        if not any(key == name or key.startswith(f"{name}.") for name in stage.metadata):
            raise ProjectError(
                f"stage '{stage.name}' reads the metadata key {key} but does not declare it",
                code=Code.STAGE_UNDECLARED,
                evidence="a change of it would not rerun the stage",
                hint=f"emdvc stage update {stage.name}",
            )


def _check_deps(project: Project | None, step: Step, parameters: Any, stage: StageInfo) -> None:
    if project is None:
        return
    missing = undeclared(stage, needed(project, step, parameters))
    if stage.in_place:
        wanted = pointers.pointers(project, Pipeline.read(project), stage.input, needed(project, step, parameters))
        missing = pointers.undeclared(stage, wanted)
    if missing:
        raise ProjectError(
            f"stage '{stage.name}' reads {missing[0]} but does not depend on it",
            code=Code.STAGE_UNDECLARED,
            evidence="a change of it would not rerun the stage",
            hint=f"emdvc stage update {stage.name}",
        )
