"""Writing stages into dvc.yaml as a person would have: with comments kept, and exactly the keys that a step reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import Code, ConflictError, DataMissingError, StepError, UsageError, suggest
from emdvc.formats import sidecar as sidecars
from emdvc.history import dvc_pipeline, git
from emdvc.history.journal import Journal, transaction
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path
from emdvc.history.stages import STEPS_FILE, Pipeline, StageInfo, declared_params, listed, paths_of
from emdvc.history.yaml_files import YamlFile, flow
from emdvc.model import record as rec
from emdvc.model.sidecar import Sidecar
from emdvc.steps import registry
from emdvc.steps.contract import Step
from emdvc.steps.parameters import parse_settings, validate


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for a stage.

    Parameters
    ----------
    info
        The stage as it stands now.
    changes
        What differs from before, in words; empty when nothing does.
    unknown
        Declared keys that the record does not know yet.
    """

    info: StageInfo
    changes: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def add(
    project: Project,
    step_name: str,
    source: PurePosixPath,
    target: PurePosixPath,
    *,
    name: str | None = None,
    settings: Sequence[str] = (),
    force: bool = False,
    dry_run: bool = False,
) -> Written:
    """Write a stage into dvc.yaml and its parameters into params.yaml.

    Parameters
    ----------
    source, target
        Input and output, relative to the project.
    name
        Name of the stage; by default that of the output.
    settings
        ``name=value`` texts; without any, what params.yaml already holds under the stage's name stays.
    force
        Whether a stage with this name may be replaced.
    dry_run
        Only check, and tell what would be written.

    Raises
    ------
    StepError
        No such step, a wrong parameter, an input whose dimensions do not fit.
    ConflictError
        The stage exists, or its output belongs to another.
    DataMissingError
        The input is neither raw data with a sidecar nor the output of a stage.
    """
    step = registry.find(step_name)
    source = data_path(source)
    pipeline = Pipeline.read(project)
    name = _name(name, target)
    _refuse(project, pipeline, name, target, force)
    mapping = parse_settings(settings) if settings else dict(pipeline.parameters.get(name) or {})
    parameters = validate(step, mapping)
    raw = pipeline.raw_input(source)
    record = _sidecar(project, pipeline, source, raw)
    if raw == source:
        _check_dimensions(step, record, source)
    keys = _minimal(step.metadata(parameters))
    where = sidecar_path(raw) if keys else None
    info = StageInfo(name, step.name, source, target, mapping, keys, where, True, step.version)
    if dry_run:
        return Written(info, ("written",), _unknown(record, keys))
    with transaction(project, f"emdvc stage add {step_name}") as journal:
        files = _Files(project, journal)
        stages = files.pipeline.content.setdefault("stages", {})
        stages[name] = _stage(info)
        files.parameters.content[name] = mapping
        files.versions.content[step.name] = step.version
        files.write()
        if keys:
            files.complete(raw, record, keys)
        dvc_pipeline.check(project)
        files.stage()
    return Written(info, ("written",), _unknown(record, keys))


def update(project: Project, names: Sequence[str] | None = None, *, dry_run: bool = False) -> list[Written]:
    """Derive the declared keys and the step versions of stages anew, from what params.yaml holds now.

    With `dry_run` only what would change is told.

    Raises
    ------
    StepError
        No such stage, or parameters that the step cannot take.
    """
    pipeline = Pipeline.read(project)
    written = [_derived(pipeline, info) for info in listed(project, names)]
    changed = [one for one in written if one.changes]
    if dry_run or not changed:
        return written
    with transaction(project, "emdvc stage update") as journal:
        files = _Files(project, journal)
        for one in changed:
            stage = files.pipeline.content["stages"][one.info.name]
            stage["params"] = _params(one.info, _foreign_params(stage, one.info))
            files.versions.content[one.info.step] = one.info.version
        files.write()
        for one in changed:
            if one.info.sidecar is not None:
                raw = data_path(one.info.sidecar)
                files.complete(raw, _sidecar(project, pipeline, one.info.input, raw), one.info.metadata)
        dvc_pipeline.check(project)
        files.stage()
    return written


def stale(project: Project) -> list[Written]:
    """Return the stages whose declared keys or step version are not what their parameters need; nothing is written."""
    pipeline = Pipeline.read(project)
    return [one for one in (_derived(pipeline, info) for info in pipeline.infos()) if one.changes]


def _derived(pipeline: Pipeline, info: StageInfo) -> Written:
    step = registry.find(info.step)
    keys = _minimal(step.metadata(validate(step, info.parameters)))
    sidecar = sidecar_path(pipeline.raw_input(info.input)) if keys else None
    changes = []
    if set(keys) != set(info.metadata) or sidecar != info.sidecar:
        before, after = ", ".join(info.metadata) or "nothing", ", ".join(keys) or "nothing"
        changes.append(f"reads {after} (declared: {before})")
    if info.version != step.version:
        changes.append(f"step version {info.version} -> {step.version}")
    if not info.declares_parameters:
        changes.append("depends on its parameters")
    new = replace(info, metadata=keys, sidecar=sidecar, declares_parameters=True, version=step.version)
    return Written(new, tuple(changes))


# --- what is checked first ------------------------------------------------------------------------------------------


def _name(name: str | None, target: PurePosixPath) -> str:
    if name is None:
        return re.sub(r"[^\w-]+", "_", target.stem).strip("_") or "stage"
    if not re.fullmatch(r"[\w-]+", name):
        raise UsageError(f"'{name}' cannot name a stage", hint="use letters, digits, _ and -")
    return name


def _refuse(project: Project, pipeline: Pipeline, name: str, target: PurePosixPath, force: bool) -> None:
    if name in pipeline.stages and not force:
        raise ConflictError(
            f"there is a stage '{name}' already",
            code=Code.STAGE_EXISTS,
            evidence=f"cmd: {pipeline.stages[name].get('cmd')}",
            hint=f"--force replaces it, --name gives another name, `emdvc stage update {name}` follows params.yaml",
        )
    for output in (target, sidecar_path(target), target.with_suffix(".png")):
        other = pipeline.producer(output)
        if other is not None and other != name:
            raise ConflictError(
                f"{output} is already written by the stage '{other}'",
                code=Code.STAGE_EXISTS,
                hint="give another OUTPUT",
            )
    if project.path(f"{target}.dvc").exists():
        raise ConflictError(f"{target} holds raw data", evidence=f"{target}.dvc tracks it", hint="give another OUTPUT")


def _sidecar(project: Project, pipeline: Pipeline, source: PurePosixPath, raw: PurePosixPath) -> Sidecar:
    with Snapshot(project) as snapshot:
        if snapshot.text(sidecar_path(raw)) is None and raw == source:
            outs = [path for stage in pipeline.stages.values() for path in paths_of(stage.get("outs"))]
            known = [str(path) for path in (*snapshot.datasets(), *outs)]
            near = suggest(str(source), known)
            raise DataMissingError(
                f"{source} is neither recorded data nor the output of a stage",
                code=Code.NOT_FOUND,
                hint=f"did you mean {near}?" if near else f"emdvc add {source}",
            )
        return snapshot.sidecar(raw, resolved=False)


def _check_dimensions(step: Step, sidecar: Sidecar, source: PurePosixPath) -> None:
    main = sidecar.variables.get(sidecar.main)
    if main is None or all(dim in main.dims for dim in step.core):
        return
    fit = [name for name in registry.names() if all(dim in main.dims for dim in registry.find(name).core)]
    raise StepError(
        f"{step.name} works on {' x '.join(step.core)}, which {source} does not have",
        code=Code.STEP_DIMENSIONS,
        evidence=f"its dimensions are {', '.join(main.dims)}",
        hint=f"steps that fit: {', '.join(fit)}" if fit else "emdvc steps lists what each step works on",
    )


def _unknown(sidecar: Sidecar, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys, and those below them, that the record does not know yet."""
    empty = [name for name, value in rec.leaves(sidecar.record) if value is None]
    return tuple(name for key in keys for name in empty if name == key or name.startswith(f"{key}."))


def _minimal(keys: tuple[str, ...]) -> tuple[str, ...]:
    # DVC takes a key and a key below it as two dependencies that change together: the upper one is enough
    return tuple(dict.fromkeys(key for key in keys if not any(key.startswith(f"{upper}.") for upper in keys)))


# --- what is written ------------------------------------------------------------------------------------------------


def _stage(info: StageInfo) -> dict[str, Any]:
    from ruamel.yaml.comments import CommentedMap

    stage = CommentedMap()
    stage["cmd"] = f"emdvc run {info.step} {_quoted(info.input)} {_quoted(info.output)}"
    stage["deps"] = flow([str(info.input)])
    stage["params"] = _params(info, [])
    stage["outs"] = flow([str(info.output)])
    stage["metrics"] = flow([{str(sidecar_path(info.output)): {"cache": False}}])
    stage["plots"] = flow([{str(info.output.with_suffix(".png")): {"cache": False}}])
    return stage


def _params(info: StageInfo, others: list[Any]) -> list[Any]:
    params: list[Any] = [info.name]
    if info.sidecar is not None:
        params.append({str(info.sidecar): flow(list(info.metadata))})
    return [*params, {STEPS_FILE: flow([info.step])}, *others]


def _foreign_params(stage: dict[str, Any], info: StageInfo) -> list[Any]:
    """Return the entries of ``params`` that a person added for reasons of their own."""
    kept: list[Any] = []
    for entry in stage.get("params") or []:
        for path, keys in declared_params({"params": [entry]}).items():
            if path.endswith(sidecars.SUFFIX) or path == STEPS_FILE or (path, keys) == ("params.yaml", (info.name,)):
                continue
            kept.append(entry if isinstance(entry, str) else {path: flow([key for key in keys if key]) or None})
    return kept


def _quoted(path: PurePosixPath) -> str:
    """Return a path as a word of a command line; double quotes hold in every shell, Windows' included."""
    text = str(path)
    if re.fullmatch(r"[\w./+@%:=,-]+", text):
        return text
    return '"' + re.sub(r'(["$`\\])', r"\\\1", text) + '"'


class _Files:
    """The files that describe the pipeline, written together."""

    def __init__(self, project: Project, journal: Journal) -> None:
        self._project, self._journal = project, journal
        self.pipeline = YamlFile(project.root / "dvc.yaml")
        self.parameters = YamlFile(project.root / "params.yaml")
        self.versions = YamlFile(project.root / STEPS_FILE)
        self._written = [file.path for file in (self.pipeline, self.parameters, self.versions)]

    def write(self) -> None:
        for file in (self.pipeline, self.parameters, self.versions):
            self._journal.will_change(file.path)
            file.path.parent.mkdir(exist_ok=True)
            file.write()

    def complete(self, raw: PurePosixPath, sidecar: Sidecar, keys: tuple[str, ...]) -> None:
        """Write null at declared keys that the raw sidecar lacks: DVC cannot depend on a key that is not there."""
        lacking = [key for key in keys if not key.startswith("axes.") and not _has(sidecar.record, key)]
        if lacking:
            for key in lacking:
                rec.put(sidecar.record, key, None)
            path = self._project.path(sidecar_path(raw))
            self._journal.will_change(path)
            sidecars.write(self._project.path(raw), sidecar)
            self._written.append(path)

    def stage(self) -> None:
        self._journal.will_stage(self._written)
        root = self._project.git_root
        git.add([path.relative_to(root).as_posix() for path in self._written], root)


def _has(record: dict[str, Any], key: str) -> bool:
    node: Any = record
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
