"""What ``emdvc run-notebook`` and ``emdvc run-command`` do: find the stage that they are, run it, record it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from emdvc.errors import Code, EmdvcError, EnvironmentFault, UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.formats.sidecar import write_text
from emdvc.history import dvc_pipeline
from emdvc.history.programs import environments, notebook_run, recording, running
from emdvc.history.programs.notebooks import COMMAND as RUN_NOTEBOOK
from emdvc.history.programs.notebooks import Stripped, strip_file
from emdvc.history.project import Project
from emdvc.history.stages import Pipeline, parameters_of, paths_of
from emdvc.steps.parameters import merge_settings, parse_settings

#: The command that an external program's stage calls.
RUN_COMMAND = "run-command"
#: The variable that names the file of parameters, JSON, for the program.
PARAMETERS = "EMDVC_PARAMS"

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """The stage that a run is.

    Parameters
    ----------
    name
        In dvc.yaml; its parameters have that name, without what follows ``@``.
    content
        What dvc.yaml says of it, with everything filled in.
    """

    name: str
    content: dict[str, Any]

    @property
    def section(self) -> str:
        """The section of params.yaml that holds its parameters."""
        return self.name.partition("@")[0]

    def paths(self, *kinds: str) -> list[PurePosixPath]:
        """Return what it depends on, or writes."""
        return [path for kind in kinds for path in paths_of(self.content.get(kind))]


def stage_of(project: Project, mine: Callable[[list[str]], bool]) -> Stage | None:
    """Return the stage that runs: the one that DVC names, else the one whose command line it is; None by hand.

    Parameters
    ----------
    mine
        Says whether the words after ``emdvc`` of a stage's command are those of this run.
    """
    pipeline = Pipeline.read(project)
    now = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    names = [now, *pipeline.stages] if now else list(pipeline.stages)
    for name in names:
        content = pipeline.stages.get(name)
        if name == now and ("@" in name or "${" in str(content)):  # a template: DVC has filled it in
            content = dvc_pipeline.resolved_stage(project, name)
        if content is not None and any(mine(line) for line in _commands(content)):
            return Stage(name, content)
    return None


def _commands(content: Mapping[str, Any]) -> list[list[str]]:
    """Return the words after ``emdvc`` of each line of a stage's command."""
    cmd = content.get("cmd")
    found = []
    for line in cmd if isinstance(cmd, list) else [cmd]:
        try:
            words = shlex.split(str(line))
        except ValueError:
            continue
        for index, word in enumerate(words[:-1]):
            if PurePosixPath(word.replace("\\", "/")).name.removesuffix(".exe") == "emdvc":
                found.append(words[index + 1 :])
                break
    return found


def _parameters(
    project: Project | None, stage: Stage | None, section: str | None, settings: Sequence[str]
) -> dict[str, Any]:
    if section is not None and project is not None:
        values: Mapping[str, Any] = parameters_of(project, section)
    elif stage is not None and project is not None:
        said = Pipeline.read(project).parameters.get(stage.section)
        values = said if isinstance(said, dict) else {}
    else:
        values = {}
    return dict(merge_settings(values, parse_settings(settings)))


# --- a notebook -----------------------------------------------------------------------------------------------------


def run_notebook(
    source: Path, target: Path, *, params: str | None, settings: Sequence[str], env: str | None, tell: Tell
) -> Stripped | None:
    """Run a notebook and write the executed copy; strip the notebook, as git keeps it.

    Parameters
    ----------
    source, target
        The notebook and its executed copy.
    params
        Section of params.yaml; by default that of the stage.
    settings
        ``KEY=VALUE`` texts that win over params.yaml.
    env
        The environment that runs the cells; None is that of emdvc.
    tell
        Told what takes time.

    Raises
    ------
    EmdvcError
        As :func:`emdvc.history.programs.notebook_run.execute`.
    """
    project = Project.of_pipeline()
    words = [source.as_posix(), target.as_posix()]
    stage = None
    if project is not None:
        stage = stage_of(project, lambda line: line[0] == RUN_NOTEBOOK and all(word in line for word in words))
    parameters = _parameters(project, stage, params, settings)
    kernel = notebook_run.Kernel.own() if env is None else _kernel(env, tell)
    section = params or (stage.section if stage is not None else "its stage's name")
    stripped = strip_file(project, source.absolute()) if project is not None and source.is_file() else None
    results, aside = _results(project, stage), _aside(project, stage)
    try:
        with running.whole_results(results or [target.absolute()], aside):
            notebook_run.execute(project, source, target, parameters, section, kernel)
    except EmdvcError as error:
        raise _with_remains(error, aside) from error
    return stripped


def _kernel(text: str, tell: Tell) -> notebook_run.Kernel:
    made = environments.ready(environments.parse(text), Path.cwd(), {}, tell)
    if made.python is None:
        raise UsageError(
            f"a notebook cannot run in {text}",
            evidence="only Python on this machine runs one",
            hint="give a file of requirements or an interpreter",
        )
    if not any(line.startswith("ipykernel==") for line in made.record):
        raise EnvironmentFault(
            f"{text} has no ipykernel, which runs the cells of a notebook",
            code=Code.PROGRAM_ENVIRONMENT,
            hint=f"add ipykernel to {text}",
        )
    variables = {key: value or "" for key, value in made.variables.items() if value is not None}
    return notebook_run.Kernel(made.python, made.python.parent.parent, variables)


# --- an external program --------------------------------------------------------------------------------------------


def run_command(
    words: Sequence[str], *, env: str, record: Path | None, params: str | None, version: str | None, tell: Tell
) -> list[Path]:
    """Run an external program in its environment and record it; return the datasets that were described.

    Parameters
    ----------
    words
        The program's command line.
    env
        Its environment.
    record
        The file that says what it ran with; None writes none.
    params
        Section of params.yaml; by default that of the stage.
    version
        The command that tells its version.
    tell
        Told what takes time.

    Raises
    ------
    EnvironmentFault
        The environment cannot be made ready.
    StepError
        The program failed.
    FormatError
        A dataset that it should have written is none.
    """
    began = monotonic()
    project = Project.of_pipeline()
    own = list(words)
    stage = None
    if project is not None:
        stage = stage_of(project, lambda line: line[0] == RUN_COMMAND and line[-len(own) :] == own)
    root = project.root if project is not None else Path.cwd()
    results, aside = _results(project, stage), _aside(project, stage)
    parameters = _parameters(project, stage, params, ())
    with TemporaryDirectory(prefix=".emdvc-", dir=_scratch(project), ignore_cleanup_errors=True) as folder:
        said = Path(folder).absolute() / "params.json"
        write_text(said, json.dumps(parameters, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        # a container sees the whole project, in which a pipeline may have a folder of its own
        whole = Project.find(project.root).root if project is not None else said.parent
        seen = f"/project/{said.relative_to(whole).as_posix()}"
        made = environments.ready(environments.parse(env), whole, {PARAMETERS: seen}, tell, version)
        line = environments.program_in(made, own)
        text = recording.record_text(env, made.record)
        try:
            with running.whole_results(results, aside):
                running.call(line, {**made.variables, PARAMETERS: str(said)})
                if record is not None:
                    write_text(record, text)
                written = _describe(root, stage, own, env, text, parameters)
        except EmdvcError as error:
            raise _with_remains(error, aside) from error
    _remember(project, written, monotonic() - began, made.versions)
    return [path for path, _ in written]


def _results(project: Project | None, stage: Stage | None) -> list[Path]:
    """Return what a stage writes where nothing lies; what DVC leaves in place before a run is not among it."""
    if project is None or stage is None:
        return []
    left = {path for entry in stage.content.get("outs") or [] for path in _persistent(entry)}
    return [project.path(path) for path in stage.paths("outs", "metrics", "plots") if path not in left]


def _aside(project: Project | None, stage: Stage | None) -> Path | None:
    """Return where what a run leaves is kept: in DVC's temporary folder."""
    if project is None:
        return None
    return Project.find(project.root).journal_dir / "programs" / (stage.name if stage is not None else "by-hand")


def _persistent(entry: Any) -> list[PurePosixPath]:
    """Return an output that DVC leaves in place before a run."""
    if not isinstance(entry, dict):
        return []
    return [PurePosixPath(str(path)) for path, said in entry.items() if isinstance(said, dict) and said.get("persist")]


def _scratch(project: Project | None) -> Path | None:
    """Return a folder for the file of parameters: inside the project, where a container sees it."""
    if project is None:
        return None
    folder = Project.find(project.root).journal_dir
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _describe(
    root: Path, stage: Stage | None, words: list[str], env: str, text: str, parameters: Mapping[str, Any]
) -> list[tuple[Path, Any]]:
    if stage is None:
        return []
    beside = set(stage.paths("outs", "metrics", "plots"))
    described = [path for path in stage.paths("outs") if sidecars.path_of(Path(path)).as_posix() in map(str, beside)]
    if not described:
        return []
    inputs = [(str(path), root / path) for path in stage.paths("deps")]
    origin = recording.provenance(shlex.join(words), env, text, parameters, inputs)
    for path in described:
        if not (root / path).exists():
            raise UsageError(
                f"the program has not written {path}",
                evidence=f"it is among the outs of the stage '{stage.name}'",
                hint="let the program write it, or take it out of dvc.yaml",
            )
    return [(root / path, recording.write_sidecar(root / path, origin)) for path in described]


def _with_remains(error: EmdvcError, aside: Path | None) -> EmdvcError:
    """Return an error with where that lies which the program had written."""
    from emdvc.history.project import shown

    failed = aside / "failed" if aside is not None else None
    if failed is not None and failed.is_dir() and error.hint is None:
        error.hint = f"what it had written lies in {shown(failed)}"
    return error


def _remember(
    project: Project | None, written: list[tuple[Path, Any]], seconds: float, versions: Mapping[str, str]
) -> None:
    from emdvc.history.run_records import remember

    for path, sidecar in written:
        remember(project, path, sidecar, seconds, versions=versions)
