"""Writing stages that run a notebook or an external program into dvc.yaml, as a person would have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emdvc.errors import Code, DataMissingError, UsageError, suggest
from emdvc.history import dvc_pipeline, git
from emdvc.history.journal import transaction
from emdvc.history.programs import environments, notebook_filter, notebook_run, notebook_text, recording
from emdvc.history.programs.called import RUN_COMMAND
from emdvc.history.programs.notebooks import COMMAND as RUN_NOTEBOOK
from emdvc.history.programs.notebooks import Stripped, strip_file
from emdvc.history.project import Project
from emdvc.history.remotes.routing import lead_out, remote_for
from emdvc.history.snapshot import Snapshot, sidecar_path
from emdvc.history.stage_writing import refuse_stage, stage_name
from emdvc.history.stages import Pipeline, paths_of
from emdvc.history.textconv import install as git_install
from emdvc.history.yaml_files import YamlFile, flow
from emdvc.steps.parameters import merge_settings, parse_settings


@dataclass(frozen=True, slots=True)
class Added:
    """A stage that was written.

    Parameters
    ----------
    name
        In dvc.yaml.
    content
        What stands there.
    parameters
        What params.yaml holds for it.
    stripped
        The notebook, where outputs were taken out of it.
    installed
        What was written for git besides.
    """

    name: str
    content: dict[str, Any]
    parameters: Mapping[str, Any]
    stripped: Stripped | None = None
    installed: tuple[str, ...] = ()


def add_notebook(
    project: Project,
    notebook: PurePosixPath,
    *,
    executed: PurePosixPath | None = None,
    name: str | None = None,
    deps: Sequence[PurePosixPath] = (),
    outs: Sequence[PurePosixPath] = (),
    params: str | None = None,
    settings: Sequence[str] = (),
    env: str | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Added:
    """Write a stage that runs a notebook, and let git keep the notebook without outputs.

    Parameters
    ----------
    notebook
        Relative to the project, as all paths here.
    executed
        The executed copy; by default ``results/`` and the notebook's name.
    name
        Of the stage; by default the notebook's.
    deps, outs
        Data that it reads and writes.
    params
        Its section of params.yaml; by default the stage's name.
    settings
        ``NAME=VALUE`` texts; what is not set is what params.yaml has, else what the notebook assigns.
    env
        The environment that runs the cells.
    force
        Whether a stage with this name may be replaced.
    dry_run
        Only check, and tell what would be written.

    Raises
    ------
    EmdvcError
        There is no such notebook, it does not take these parameters, or the stage cannot be written.
    """
    path = project.path(notebook)
    if not path.is_file():
        raise UsageError(f"there is no notebook {notebook}", code=Code.NOT_FOUND)
    executed = executed or PurePosixPath("results", notebook.name)
    if executed.parent == notebook.parent:
        raise UsageError(
            f"{executed} would lie beside the notebook",
            evidence="git strips the notebooks of that folder, and an executed copy is kept whole",
            hint=f"--executed results/{notebook.name}",
        )
    name = stage_name(name, notebook)
    content = notebook_text.load(path.read_text(encoding="utf-8"), str(notebook))
    pipeline = Pipeline.read(project)
    section = params or name
    values = _values(pipeline, section, settings, notebook_text.defaults(content) or {})
    notebook_run.check_parameters(content, values, str(notebook), section)
    words = [RUN_NOTEBOOK, *_environment(env), str(notebook), str(executed), *_section(params, name)]
    stage = _stage(project, words, (*deps, notebook), env, section, (executed, *outs))
    _check(project, pipeline, name, stage, deps, force)
    if dry_run:
        return Added(name, stage, values)
    lines = notebook_filter.lacking_attributes(project, [notebook])
    with transaction(project, "emdvc stage add notebook") as journal:
        for changed in (path, project.root / ".gitattributes"):
            journal.will_change(changed)
        notebook_filter.add_attributes(project, lines) if lines else None
        _write(project, journal, name, stage, section, values, [".gitattributes"] if lines else [])
        stripped = strip_file(project, path)
    made = notebook_filter.install_clone(project, git_install.git_dir(project))
    installed = (*(f".gitattributes: {line}" for line in lines), *made)
    return Added(name, stage, values, stripped, installed)


def add_command(
    project: Project,
    words: Sequence[str],
    *,
    env: str,
    name: str | None = None,
    deps: Sequence[PurePosixPath] = (),
    outs: Sequence[PurePosixPath] = (),
    params: str | None = None,
    settings: Sequence[str] = (),
    version: str | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> Added:
    """Write a stage that runs an external program in an environment of its own.

    Parameters
    ----------
    words
        The program's command line; ``${name.key}`` in it is a value of params.yaml, which DVC fills in.
    env
        The environment.
    version
        The command that tells the version of a program.
    name, deps, outs, params, settings, force, dry_run
        As of :func:`add_notebook`; the name is by default that of the first output.

    Raises
    ------
    EmdvcError
        There is no such environment, or the stage cannot be written.
    """
    if not outs:
        raise UsageError("a stage needs something that it writes", hint="-o results/peaks.csv")
    environments.parse(env)
    name = stage_name(name, outs[0])
    pipeline = Pipeline.read(project)
    section = params or name
    values = _values(pipeline, section, settings, {})
    record = outs[0].parent / f"{name}{recording.RECORD}"
    options = [*_environment(env), "--record", str(record), *_section(params, name)]
    options += ["--version-command", version] if version else []
    line = [RUN_COMMAND, *options, "--", *words]
    scripts = [
        PurePosixPath(word) for word in words if project.path(word).is_file() and PurePosixPath(word) not in outs
    ]
    read = tuple(dict.fromkeys((*deps, *scripts)))
    stage = _stage(project, line, read, env, section, outs, record)
    _check(project, pipeline, name, stage, read, force)
    if not dry_run:
        with transaction(project, "emdvc stage add command") as journal:
            _write(project, journal, name, stage, section, values, [])
    return Added(name, stage, values)


def _values(pipeline: Pipeline, section: str, settings: Sequence[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    known = pipeline.parameters.get(section)
    below = {key: value for key, value in defaults.items() if value is not None}
    return dict(merge_settings({**below, **(known if isinstance(known, dict) else {})}, parse_settings(settings)))


def _environment(env: str | None) -> list[str]:
    return ["--env", env] if env else []


def _section(params: str | None, name: str) -> list[str]:
    return ["--params", params] if params and params != name else []


def _stage(
    project: Project,
    words: Sequence[str],
    deps: Sequence[PurePosixPath],
    env: str | None,
    section: str,
    outs: Sequence[PurePosixPath],
    record: PurePosixPath | None = None,
) -> dict[str, Any]:
    from ruamel.yaml.comments import CommentedMap

    described = [out for out in outs if recording.readable(out.name)] if record is not None else []
    file = environments.parse(env).file if env else None
    remote = remote_for(project, raw=False)
    stage = CommentedMap()
    stage["cmd"] = " ".join(["emdvc", *map(_quoted, words)])
    # the data first: what is told of a result is told of the first
    stage["deps"] = flow([str(dep) for dep in dict.fromkeys((*deps, *([file] if file else ())))])
    stage["params"] = flow([section])
    stage["outs"] = flow([lead_out(str(out), remote) if remote else str(out) for out in outs])
    if record is not None:
        stage["outs"].append(flow({str(record): {"cache": False}}))
    if described:
        stage["metrics"] = flow([{str(sidecar_path(out)): {"cache": False}} for out in described])
    return stage


def _check(
    project: Project,
    pipeline: Pipeline,
    name: str,
    stage: Mapping[str, Any],
    deps: Sequence[PurePosixPath],
    force: bool,
) -> None:
    outs = paths_of(stage["outs"])
    for out in outs:
        refuse_stage(project, pipeline, name, out, force)
    with Snapshot(project) as snapshot:
        for dep in deps:
            if project.path(dep).exists() or project.path(f"{dep}.dvc").exists() or pipeline.producer(dep):
                continue
            written = [path for one in pipeline.stages.values() for path in paths_of(one.get("outs"))]
            near = suggest(str(dep), [str(known) for known in (*snapshot.datasets(), *written)])
            raise DataMissingError(
                f"{dep} is neither there nor the output of a stage",
                code=Code.NOT_FOUND,
                hint=f"did you mean {near}?" if near else f"emdvc add {dep}",
            )


def _write(
    project: Project,
    journal: Any,
    name: str,
    stage: Mapping[str, Any],
    section: str,
    values: Mapping[str, Any],
    others: Sequence[str],
) -> None:
    pipeline, parameters = YamlFile(project.root / "dvc.yaml"), YamlFile(project.root / "params.yaml")
    pipeline.content.setdefault("stages", {})[name] = stage
    if parameters.content.get(section) != values:
        parameters.content[section] = dict(values)
    written = [pipeline.path, parameters.path, *(project.root / other for other in others)]
    for file in (pipeline, parameters):
        journal.will_change(file.path)
        file.write()
    dvc_pipeline.check(project)
    journal.will_stage(written)
    git.add([path.relative_to(project.git_root).as_posix() for path in written], project.git_root)


def _quoted(word: str | Path) -> str:
    """Return a word of a command line for any shell; ``${...}`` stays as it is, DVC fills it in."""
    text = str(word)
    if re.fullmatch(r"(?:[\w./+@%:=,-]|\$\{[\w.\[\]-]+\})+", text):
        return text
    parts = re.split(r"(\$\{[\w.\[\]-]+\})", text)
    return '"' + "".join(part if part.startswith("${") else re.sub(r'(["$`\\])', r"\\\1", part) for part in parts) + '"'
