"""``emdvc stage``: write, update and list the stages of dvc.yaml that run a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.stage_writing import Written
    from emdvc.history.stages import StageInfo

app = typer.Typer(
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
