"""The stages of dvc.yaml that run an emdvc step: what each reads, writes and declares."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import UsageError
from emdvc.formats.sidecar import SUFFIX
from emdvc.history import dvc_pipeline, yaml_files
from emdvc.history.project import Project

STEPS_FILE = ".emdvc/steps.yaml"
#: What a sidecar says of the bytes of raw data and of its numbers; a stage that reads in place depends on these keys.
POINTER_KEYS = ("source.files", "data")
#: Endings of inputs that are programs and settings, not data.
_NO_DATA = (".py", ".yaml", ".yml", ".ipynb")


@dataclass(frozen=True, slots=True)
class StageInfo:
    """A stage whose command is ``emdvc run``.

    Parameters
    ----------
    name
        Its name in dvc.yaml; with ``@...`` where it was made from a template.
    step
        Name of the step.
    input, output
        Paths relative to the project.
    parameters
        What params.yaml holds under its name.
    metadata
        Metadata keys that it declares: its dependencies.
    sidecar
        The raw sidecar that the keys are read from; None when it declares none.
    declares_parameters
        Whether it depends on its own entry of params.yaml.
    versions
        Versions of the steps that .emdvc/steps.yaml records, by name; a recipe has several.
    deps
        What it depends on besides its input: other datasets, the script of a user's own step.
    results
        The datasets that it writes: the output, or those of a recipe in that folder.
    in_place
        Whether it reads its data where they are: it then depends on what records them, not on the data.
    recorded
        Of such a stage the sidecars of raw data whose :data:`POINTER_KEYS` it declares.
    """

    name: str
    step: str
    input: PurePosixPath
    output: PurePosixPath
    parameters: dict[str, Any] = field(default_factory=dict)
    metadata: tuple[str, ...] = ()
    sidecar: PurePosixPath | None = None
    declares_parameters: bool = False
    versions: dict[str, int] = field(default_factory=dict)
    deps: tuple[PurePosixPath, ...] = ()
    results: tuple[PurePosixPath, ...] = ()
    in_place: bool = False
    recorded: tuple[PurePosixPath, ...] = ()

    @property
    def reads(self) -> tuple[PurePosixPath, ...]:
        """What stands under ``deps``: the input, unless it is read in place, and the others."""
        return self.deps if self.in_place else (self.input, *self.deps)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What dvc.yaml, params.yaml and .emdvc/steps.yaml say, as plain values."""

    stages: dict[str, dict[str, Any]]
    parameters: dict[str, Any]
    versions: dict[str, Any]

    @classmethod
    def read(cls, project: Project, read: Callable[[Path], dict[str, Any]] = yaml_files.read) -> Pipeline:
        """Return the pipeline of the workspace.

        Parameters
        ----------
        read
            Reads a YAML file.

        Raises
        ------
        ProjectError
            One of the files is damaged.
        """
        stages = read(project.root / "dvc.yaml").get("stages") or {}
        return cls(
            {str(name): stage for name, stage in stages.items() if isinstance(stage, dict)},
            read(project.root / "params.yaml"),
            read(project.root / STEPS_FILE),
        )

    def info(self, name: str, stage: dict[str, Any] | None = None) -> StageInfo | None:
        """Return a stage that runs an emdvc step; None for any other and for a template."""
        stage = self.stages.get(name) if stage is None else stage
        called = command(stage.get("cmd")) if stage else None
        if stage is None or called is None or "${" in str(stage.get("cmd")):
            return None
        step, source, target = called.step, called.source, called.target
        own = called.params or name.split("@", maxsplit=1)[0]
        mapping = self.parameters.get(own)
        declared = declared_params(stage)
        keys, recorded = _sidecar_keys(declared, in_place=called.in_place)
        deps = paths_of(stage.get("deps"))
        return StageInfo(
            name,
            step,
            PurePosixPath(source),
            PurePosixPath(target),
            mapping if isinstance(mapping, dict) else {},
            tuple(key for named in keys.values() for key in named),
            next(iter(keys), None),
            own in declared.get("params.yaml", ()),
            {name: int(self.versions[name]) for name in (step, *declared.get(STEPS_FILE, ())) if name in self.versions},
            tuple(path for path in deps if called.in_place or path != PurePosixPath(source)),
            tuple(paths_of(stage.get("outs"))),
            called.in_place,
            recorded,
        )

    def infos(self) -> list[StageInfo]:
        """Return every stage that runs an emdvc step."""
        return [info for info in map(self.info, self.stages) if info is not None]

    def producer(self, path: PurePosixPath) -> str | None:
        """Return the name of the stage whose output is, or holds, a path."""
        for name, stage in self.stages.items():
            for out in (*paths_of(stage.get("outs")), *paths_of(stage.get("metrics")), *paths_of(stage.get("plots"))):
                if path == out or out in path.parents:
                    return name
        return None

    def raw_input(self, path: PurePosixPath) -> PurePosixPath:
        """Return the raw data at the end of the chain of stages that leads to a path; a raw path itself."""
        seen = set()
        while (name := self.producer(path)) is not None and name not in seen:
            seen.add(name)
            following = self._main_input(name)
            if following is None:
                break
            path = following
        return path

    def _main_input(self, name: str) -> PurePosixPath | None:
        called = command(self.stages[name].get("cmd"))
        if called is not None:
            return PurePosixPath(called.source)
        deps = [path for path in paths_of(self.stages[name].get("deps")) if path.suffix not in _NO_DATA]
        return deps[0] if deps else None


@dataclass(frozen=True, slots=True)
class Called:
    """The words of ``emdvc run STEP INPUT OUTPUT [--params NAME] [--in-place]``."""

    step: str
    source: str
    target: str
    params: str | None = None
    in_place: bool = False


def command(cmd: Any) -> Called | None:
    """Return what a stage's ``cmd`` says when it is ``emdvc run``; None for another command."""
    for line in cmd if isinstance(cmd, list) else [cmd]:
        try:
            words = shlex.split(str(line))
        except ValueError:
            continue
        for index, word in enumerate(words[:-4]):
            program = PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe")
            if program == "emdvc" and words[index + 1] == "run":
                step, source, target, *options = words[index + 2 :]
                named = [value for option, value in pairwise(options) if option == "--params"]
                return Called(step, source, target, named[0] if named else None, "--in-place" in options)
    return None


def paths_of(entries: Any) -> list[PurePosixPath]:
    """Return the paths of a stage's ``deps``, ``outs``, ``metrics`` or ``plots``: texts, or mappings with settings."""
    found = []
    for entry in entries or []:
        found += [PurePosixPath(str(path)) for path in (entry if isinstance(entry, dict) else [entry])]
    return found


def declared_params(stage: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return file -> keys of a stage's ``params``; a whole file has the single key ``""``."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in stage.get("params") or []:
        named = entry if isinstance(entry, dict) else {"params.yaml": [entry]}
        for path, keys in named.items():
            found[str(path)] = found.get(str(path), ()) + tuple(str(key) for key in (keys or [""]))
    return found


def _sidecar_keys(
    declared: dict[str, tuple[str, ...]], *, in_place: bool
) -> tuple[dict[PurePosixPath, tuple[str, ...]], tuple[PurePosixPath, ...]]:
    """Return sidecar -> metadata keys that are declared, and the sidecars that are declared as the record of data."""
    keys: dict[PurePosixPath, tuple[str, ...]] = {}
    recorded = []
    for name, named in declared.items():
        if not name.endswith(SUFFIX):
            continue
        path = PurePosixPath(name)
        if in_place and POINTER_KEYS[0] in named:
            recorded.append(path)
            named = tuple(key for key in named if key not in POINTER_KEYS)  # noqa: PLW2901
        if named:
            keys[path] = named
    return keys, tuple(recorded)


def parameters_of(project: Project, name: str) -> dict[str, Any]:
    """Return a section of params.yaml.

    Raises
    ------
    StepError
        There is no such section.
    """
    from emdvc.errors import StepError, suggest

    parameters = yaml_files.read(project.root / "params.yaml")
    if isinstance(parameters.get(name), dict):
        return dict(parameters[name])
    near = suggest(name, [str(key) for key in parameters])
    raise StepError(
        f"params.yaml has no section '{name}'",
        evidence=f"it has {', '.join(map(str, parameters)) or 'none'}",
        hint=f"did you mean {near}?" if near else None,
    )


def declared(project: Project, output: Path | str) -> StageInfo | None:
    """Return the stage that an ``emdvc run`` belongs to; None when it is called by hand for an output of no stage.

    Parameters
    ----------
    output
        The output, absolute or relative to the current folder. The stage that DVC is running (``DVC_STAGE``) is looked
        at first.

    Raises
    ------
    ProjectError
        dvc.yaml, params.yaml or .emdvc/steps.yaml is damaged.
    """
    try:
        target = project.relative(output)
    except UsageError:
        return None
    pipeline = Pipeline.read(project)
    running = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    if "@" in running:
        resolved = dvc_pipeline.resolved_stage(project, running)
        info = pipeline.info(running, resolved) if resolved else None
        if info is not None and info.output == target:
            return info
    names = [running, *pipeline.stages] if running in pipeline.stages else list(pipeline.stages)
    return next((info for info in map(pipeline.info, names) if info is not None and info.output == target), None)


def listed(project: Project, names: Iterable[str] | None = None) -> list[StageInfo]:
    """Return the stages that run an emdvc step, all or those named.

    Raises
    ------
    StepError
        There is no such stage.
    """
    from emdvc.errors import Code, StepError, suggest

    pipeline = Pipeline.read(project)
    infos = {info.name: info for info in pipeline.infos()}
    wanted = list(infos) if names is None else list(names)
    for name in wanted:
        if name not in infos:
            near = suggest(name, list(infos))
            other = name in pipeline.stages
            raise StepError(
                f"the stage '{name}' runs no emdvc step" if other else f"there is no stage '{name}'",
                code=Code.STAGE_UNKNOWN,
                hint=f"did you mean {near}?" if near else "emdvc stage list",
            )
    return [infos[name] for name in wanted]
