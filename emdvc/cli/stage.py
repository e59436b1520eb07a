"""``emdvc stage``: write, update and list the stages of dvc.yaml that run a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.programs.stage_writing import Added
    from emdvc.history.stage_writing import Written
    from emdvc.history.stages import StageInfo


class _WithPrograms(TyperGroup):
    """The group in which `add notebook` and `add command` are commands of their own: they take other options."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that the first word names, or the first two."""
        if len(args) > 1 and f"{args[0]} {args[1]}" in self.commands:
            args = [f"{args[0]} {args[1]}", *args[2:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_WithPrograms,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Write and update pipeline stages in dvc.yaml.",
)


@app.command()
def add(
    step: Annotated[str, typer.Argument(metavar="STEP", help="Name of the step; `emdvc steps` lists them.")],
    source: Annotated[str, typer.Option("-d", "--input", metavar="INPUT", help="Raw data, or the output of a stage.")],
    target: Annotated[str, typer.Option("-o", "--output", metavar="OUTPUT", help="The result: results/vdet.zarr.")],
    name: Annotated[str | None, typer.Option(help="Name of the stage; by default that of the output.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter, as outer=20mrad. Repeatable."),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Read the data where they are: nothing need be pulled to run it.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the stage of that name.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be written.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Write a stage that runs a step.

    It depends on its input, on its parameters in params.yaml, and on those metadata keys that the step reads with these
    parameters: nothing else reruns it. dvc.yaml keeps its comments; you may edit it as you like. With --in-place it
    depends on what git records of the data instead, and reads them from the cache or the remote as it needs them.

    Of a Jupyter notebook: `emdvc stage add notebook --help`; of another program: `emdvc stage add command --help`.
    """
    from emdvc.history import stage_writing
    from emdvc.history.project import Project

    project = Project.find()
    written = stage_writing.add(
        project,
        step,
        project.relative(source),
        project.relative(target),
        name=name,
        settings=settings or (),
        in_place=in_place,
        force=force,
        dry_run=dry_run,
    )
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    if json:
        output.as_json("stage", {"stages": [_plain(written)]})
        return
    info = written.info
    output.say(f"stage {info.name}: {info.step} {info.input} -> {info.output}")
    output.say(f"  reruns when these change: {_reads(info)}")
    if written.unknown:
        output.say(f"  not known yet: {', '.join(written.unknown)}")
        raw = str(info.sidecar).removesuffix(".em.yaml")
        output.say(f"next: emdvc add {raw} --set {written.unknown[0]}=..., then dvc repro")
    else:
        output.say("next: dvc repro")


_Name = Annotated[str | None, typer.Option("-n", "--name", help="Name of the stage; by default that of the file.")]
_Deps = Annotated[list[str] | None, typer.Option("-d", "--deps", metavar="INPUT", help="What it reads. Repeatable.")]
_Outs = Annotated[list[str] | None, typer.Option("-o", "--outs", metavar="OUTPUT", help="What it writes. Repeatable.")]
_Params = Annotated[
    str | None, typer.Option("--params", metavar="KEY", help="Its section of params.yaml; by default its name.")
]
_Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter, as width=3. Repeatable.")
]
_Force = Annotated[bool, typer.Option("--force", help="Replace the stage of that name.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be written.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


@app.command(name="add notebook")
def add_notebook(
    notebook: Annotated[
        str, typer.Argument(metavar="NOTEBOOK", help="A notebook for Python: notebooks/analysis.ipynb.")
    ],
    name: _Name = None,
    deps: _Deps = None,
    outs: _Outs = None,
    executed: Annotated[
        str | None,
        typer.Option("--executed", metavar="OUTPUT", help="The executed copy; by default results/NOTEBOOK."),
    ] = None,
    params: _Params = None,
    settings: _Settings = None,
    env: Annotated[
        str | None, typer.Option("--env", metavar="ENV", help="What runs the cells: requirements .txt, an interpreter.")
    ] = None,
    force: _Force = False,
    dry_run: _DryRun = False,
    json: _Json = False,
) -> None:
    """Write a stage that runs a Jupyter notebook.

    The cell with the tag `parameters` is given what params.yaml holds for the stage; the executed copy is a result.
    The notebook itself is kept without outputs, by git and in the workspace.
    """
    from emdvc.history.programs import stage_writing
    from emdvc.history.project import Project

    project = Project.find()
    added = stage_writing.add_notebook(
        project,
        project.relative(notebook),
        executed=project.relative(executed) if executed else None,
        name=name,
        deps=[project.relative(dep) for dep in deps or ()],
        outs=[project.relative(out) for out in outs or ()],
        params=params,
        settings=settings or (),
        env=env,
        force=force,
        dry_run=dry_run,
    )
    _say_added(added, dry_run, json)


@app.command(name="add command", context_settings={"allow_interspersed_args": False})
def add_command(
    words: Annotated[list[str], typer.Argument(metavar="PROGRAM", help="The program's command line.")],
    env: Annotated[
        str,
        typer.Option(
            "--env",
            metavar="ENV",
            help="What it runs with: requirements .txt, conda's .yml, an interpreter, conda:NAME, docker:IMAGE@DIGEST, "
            "apptainer:FILE, program:NAME.",
        ),
    ],
    name: _Name = None,
    deps: _Deps = None,
    outs: _Outs = None,
    params: _Params = None,
    settings: _Settings = None,
    version_command: Annotated[
        str | None, typer.Option("--version-command", metavar="COMMAND", help="Tells the version of program:NAME.")
    ] = None,
    force: _Force = False,
    dry_run: _DryRun = False,
    json: _Json = False,
) -> None:
    """Write a stage that runs an external program in an environment of its own.

    It depends on its inputs, on the scripts among its words, on the file of its environment and on its parameters. What
    it ran with is recorded beside the first output. The program finds its parameters as JSON in the file that the
    variable EMDVC_PARAMS names; where a word is '${NAME.KEY}', DVC fills in that value of params.yaml.
    """
    from emdvc.history.programs import stage_writing
    from emdvc.history.project import Project

    project = Project.find()
    added = stage_writing.add_command(
        project,
        words,
        env=env,
        name=name,
        deps=[project.relative(dep) for dep in deps or ()],
        outs=[project.relative(out) for out in outs or ()],
        params=params,
        settings=settings or (),
        version=version_command,
        force=force,
        dry_run=dry_run,
    )
    _say_added(added, dry_run, json)


def _say_added(added: Added, dry_run: bool, json: bool) -> None:
    from emdvc.history.stages import paths_of

    deps, outs = ([str(path) for path in paths_of(added.content[kind])] for kind in ("deps", "outs"))
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    if json:
        plain = {"name": added.name, "cmd": str(added.content["cmd"]), "deps": deps, "outs": outs}
        output.as_json("stage", {"stages": [plain | {"parameters": dict(added.parameters)}]})
        return
    output.say(f"stage {added.name}: {added.content['cmd']}")
    output.say(f"  reruns when these change: {', '.join(deps)}; params.yaml: {added.content['params'][0]}")
    output.say(f"  writes {', '.join(outs)}")
    for part in added.installed:
        output.say(f"  wrote {part}")
    if added.stripped is not None and added.stripped.kept is not None:
        output.say(f"  {added.stripped}")
    output.say("next: dvc repro")


@app.command()
def update(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Stages; by default all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Follow params.yaml: declare the metadata keys that the steps read now, and take the steps' present versions.

    Needed after a radius was changed from px to mrad, or after emdvc was upgraded.
    """
    from emdvc.history import stage_writing
    from emdvc.history.project import Project

    written = stage_writing.update(Project.find(), names or None)
    if json:
        output.as_json("stage", {"stages": [_plain(one) for one in written]})
        return
    for one in written:
        output.say(f"{one.info.name}: {'; '.join(one.changes) or 'up to date'}")
    if not written:
        output.say("no stage runs an emdvc step")
    elif any(one.changes for one in written):
        output.say("next: dvc repro")


@app.command(name="list")
def list_stages(json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False) -> None:
    """List the stages that run a step."""
    from emdvc.history import stages
    from emdvc.history.project import Project

    found = stages.listed(Project.find())
    if json:
        output.as_json("stage", {"stages": [_info(info) for info in found]})
        return
    for info in found:
        output.say(f"{info.name}: {info.step} {info.input} -> {info.output}{', in place' if info.in_place else ''}")
        said = ", ".join(f"{key} {value}" for key, value in info.parameters.items())
        output.say(f"  parameters: {said or 'none set'}; metadata: {', '.join(info.metadata) or 'none'}")
    if not found:
        output.say("no stage runs an emdvc step; next: emdvc stage add STEP -d INPUT -o OUTPUT")


def _reads(info: StageInfo) -> str:
    data = "the record of the data" if info.in_place else "the data"
    parts = [", ".join([data, *map(str, info.deps)]), f"params.yaml: {info.name}"]
    if info.metadata:
        parts.append(f"{info.sidecar}: {', '.join(info.metadata)}")
    return "; ".join(parts)


def _info(info: StageInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "step": info.step,
        "input": str(info.input),
        "output": str(info.output),
        "parameters": info.parameters,
        "metadata": list(info.metadata),
        "sidecar": str(info.sidecar) if info.sidecar else None,
        "version": info.versions.get(info.step),
        "results": [str(path) for path in info.results],
        "in_place": info.in_place,
    }


def _plain(written: Written) -> dict[str, Any]:
    return _info(written.info) | {"changes": list(written.changes), "unknown": list(written.unknown)}
