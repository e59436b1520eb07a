"""Writing stages into dvc.yaml as a person would have: with comments kept, and exactly the keys that a step reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError, DataMissingError, StepError, UsageError, suggest
from emdvc.history import dvc_pipeline, stage_deps
from emdvc.history.in_place.pointers import pointers
from emdvc.history.journal import transaction
from emdvc.history.project import Project
from emdvc.history.remotes.routing import remote_for
from emdvc.history.snapshot import Snapshot, data_path, sidecar_path
from emdvc.history.stage_deps import minimal
from emdvc.history.stage_files import PipelineFiles, foreign_params, new_stage, params_of, write_deps, write_results
from emdvc.history.stages import Pipeline, StageInfo, listed, paths_of
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
    in_place: bool = False,
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
    in_place
        Whether it reads its data where they are, so that it runs on a machine that does not hold them.
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
    ProjectError
        It cannot be read in place.
    """
    step = stage_deps.typed_step(project, step_name)
    source = data_path(source)
    pipeline = Pipeline.read(project)
    name = stage_name(name, target)
    refuse_stage(project, pipeline, name, target, force)
    mapping = parse_settings(settings) if settings else dict(pipeline.parameters.get(name) or {})
    parameters = validate(step, mapping)
    raw = pipeline.raw_input(source)
    record = _sidecar(project, pipeline, source, raw)
    if raw == source:
        _check_dimensions(step, record, source)
    stage_deps.check_there(project, pipeline, step, parameters)
    keys = minimal(step.metadata(parameters))
    where = sidecar_path(raw) if keys else None
    others = tuple(path for path in stage_deps.needed(project, step, parameters) if path != source)
    versions = stage_deps.declared_versions(step, parameters)
    results = step.results(parameters, target)
    _refuse_results(project, pipeline, name, results)
    recorded: tuple[PurePosixPath, ...] = ()
    if in_place:
        others, recorded = _pointers(project, pipeline, source, others)
    info = StageInfo(
        name, step.name, source, target, mapping, keys, where, True, versions, others, results, in_place, recorded
    )
    if dry_run:
        return Written(info, ("written",), _unknown(record, keys))
    with transaction(project, f"emdvc stage add {step_name}") as journal:
        files = PipelineFiles(project, journal)
        stages = files.pipeline.content.setdefault("stages", {})
        stages[name] = new_stage(info, remote_for(project, raw=False))
        files.parameters.content[name] = mapping
        files.versions.content.update(versions)
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
    written = [_derived(project, pipeline, info) for info in listed(project, names)]
    changed = [one for one in written if one.changes]
    if dry_run or not changed:
        return written
    with transaction(project, "emdvc stage update") as journal:
        files = PipelineFiles(project, journal)
        for one in changed:
            stage = files.pipeline.content["stages"][one.info.name]
            stage["params"] = params_of(one.info, foreign_params(stage, one.info))
            write_deps(stage, one.info)
            if one.info.results != tuple(paths_of(stage.get("outs"))):
                write_results(stage, one.info, remote_for(project, raw=False))
            files.versions.content.update(one.info.versions)
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
    return [one for one in (_derived(project, pipeline, info) for info in pipeline.infos()) if one.changes]


def _derived(project: Project, pipeline: Pipeline, info: StageInfo) -> Written:
    step = registry.find(info.step, project.root)
    parameters = validate(step, info.parameters)
    stage_deps.check_there(project, pipeline, step, parameters)
    keys = minimal(step.metadata(parameters))
    sidecar = sidecar_path(pipeline.raw_input(info.input)) if keys else None
    changes = []
    if set(keys) != set(info.metadata) or sidecar != info.sidecar:
        before, after = ", ".join(info.metadata) or "nothing", ", ".join(keys) or "nothing"
        changes.append(f"reads {after} (declared: {before})")
    versions = stage_deps.declared_versions(step, parameters)
    for name in dict.fromkeys((*versions, *info.versions)):
        old, new = info.versions.get(name), versions.get(name)
        if old != new and new is not None:
            changes.append(f"version of {name} {old} -> {new}")
        elif old != new:
            changes.append(f"no longer runs {name}")
    if not info.declares_parameters:
        changes.append("depends on its parameters")
    now, recorded = stage_deps.needed(project, step, parameters), info.recorded
    if info.in_place:
        now, recorded = _pointers(project, pipeline, info.input, now)
    deps = stage_deps.complete(project, info, step, now)
    changes += [f"depends on the bytes that {path} records" for path in recorded if path not in info.recorded]
    changes += [f"no longer depends on what {path} records" for path in info.recorded if path not in recorded]
    changes += [f"depends on {path}" for path in deps if path not in info.deps]
    changes += [f"no longer depends on {path}" for path in info.deps if path not in deps]
    results = step.results(parameters, info.output)
    _refuse_results(project, pipeline, info.name, results)
    changes += [f"writes {path}" for path in results if path not in info.results]
    changes += [f"no longer writes {path}" for path in info.results if path not in results]
    derived = replace(
        info,
        metadata=keys,
        sidecar=sidecar,
        declares_parameters=True,
        versions=versions,
        deps=deps,
        results=results,
        recorded=recorded,
    )
    return Written(derived, tuple(changes))


def _pointers(
    project: Project, pipeline: Pipeline, source: PurePosixPath, others: Sequence[PurePosixPath]
) -> tuple[tuple[PurePosixPath, ...], tuple[PurePosixPath, ...]]:
    """Return what stands under ``deps`` of a stage that reads in place, and the sidecars that record its raw data."""
    found = pointers(project, pipeline, source, others)
    return found.deps, found.recorded


# --- what is checked first ------------------------------------------------------------------------------------------


def stage_name(name: str | None, target: PurePosixPath) -> str:
    """Return the name of a stage: as given, else made from that of its output.

    Raises
    ------
    UsageError
        It cannot name a stage.
    """
    if name is None:
        return re.sub(r"[^\w-]+", "_", target.stem).strip("_") or "stage"
    if not re.fullmatch(r"[\w-]+", name):
        raise UsageError(f"'{name}' cannot name a stage", hint="use letters, digits, _ and -")
    return name


def refuse_stage(project: Project, pipeline: Pipeline, name: str, target: PurePosixPath, force: bool) -> None:
    """Refuse a stage whose name is taken, unless it may be replaced, or whose output is not free.

    Raises
    ------
    ConflictError
        The stage exists, its output belongs to another, or raw data lies there.
    """
    if name in pipeline.stages and not force:
        raise ConflictError(
            f"there is a stage '{name}' already",
            code=Code.STAGE_EXISTS,
            evidence=f"cmd: {pipeline.stages[name].get('cmd')}",
            hint=f"--force replaces it, --name gives another name, `emdvc stage update {name}` follows params.yaml",
        )
    _refuse_results(project, pipeline, name, (target,))


def _refuse_results(project: Project, pipeline: Pipeline, name: str, results: Sequence[PurePosixPath]) -> None:
    for target in results:
        for output in (target, sidecar_path(target), target.with_suffix(".png")):
            other = pipeline.producer(output)
            if other is not None and other != name:
                raise ConflictError(
                    f"{output} is already written by the stage '{other}'",
                    code=Code.STAGE_EXISTS,
                    hint="give another OUTPUT",
                )
        if project.path(f"{target}.dvc").exists():
            evidence = f"{target}.dvc tracks it"
            raise ConflictError(f"{target} holds raw data", evidence=evidence, hint="give another OUTPUT")


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
    cores = {name: registry.find(name).core for name in registry.names()}
    fit = [name for name, core in cores.items() if core and all(dim in main.dims for dim in core)]
    raise StepError(
        f"{step.name} works on {' x '.join(step.core)}, which {source} does not have",
        code=Code.STEP_DIMENSIONS,
        evidence=f"its dimensions are {', '.join(main.dims)}",
        hint=f"steps that fit: {', '.join(fit)}" if fit else "emdvc steps lists what each step works on",
    )


def _unknown(sidecar: Sidecar, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys, and those below them, that the record does not know yet and a person could tell."""
    rare = {field.key for field in rec.FIELDS if field.rare}
    empty = [name for name, value in rec.leaves(sidecar.record) if value is None and name not in rare]
    return tuple(name for key in keys for name in empty if name == key or name.startswith(f"{key}."))
