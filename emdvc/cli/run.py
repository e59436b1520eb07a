"""``emdvc run``: one step, or a recipe of several, on one input; what a stage's ``cmd`` calls, and what works alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli.output import note, say

if TYPE_CHECKING:
    from emdvc.engine.how import How
    from emdvc.formats.results import Result
    from emdvc.history.in_place.reading import Reading
    from emdvc.history.running import Run
    from emdvc.model.sidecar import Sidecar

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def run(
    step: Annotated[
        str, typer.Argument(metavar="STEP", help="Name of the step, or `recipe`; `emdvc steps` lists them.")
    ],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A dataset.")],
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="Where the result goes, as results/vdet.zarr; of a recipe a folder."),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter; wins over params.yaml.")
    ] = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="NAME", help="Section of params.yaml; default: the stage's name.")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="Which array, where the input holds several.")] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Read what is recorded where it is: the cache, else the remote.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be computed.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; default: EMDVC_THREADS, or all.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory for the blocks that are held at once: 512MB; default: EMDVC_MEMORY, or a quarter.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on a dask cluster: tcp://host:8786, or a profile file for SLURM; default: EMDVC_SCHEDULER.",
        ),
    ] = None,
) -> None:
    """Run one step on one input and write the result: a Zarr store, its sidecar, and a picture.

    Parameters come from params.yaml when a stage of dvc.yaml has this output, and from --set. A run that was killed
    goes on from its finished blocks when it is started again. Threads, memory and cluster change the speed, never the
    result.
    """
    from emdvc.engine.lifeline import follow_parents

    follow_parents()  # before the slow imports: DVC may be killed meanwhile
    from time import monotonic

    began = monotonic()
    from emdvc.engine.how import How
    from emdvc.engine.memory import parse
    from emdvc.history.in_place.reading import reading
    from emdvc.history.resuming import kept, key
    from emdvc.history.running import context

    run = context(step, source, output, params=params, settings=settings or [], in_place=in_place)
    allowed = parse(memory) if memory else None
    if run.step.name == "convert":
        from emdvc.cli.convert import convert_run

        convert_run(run, output, signal=signal, memory=allowed, threads=threads, dry_run=dry_run)
        return
    read = reading(run)
    try:
        if dry_run:
            _foresee(run, read, signal)
            return
        how = How(threads=threads, memory=allowed)
        digest = key(
            run.step,
            run.parameters,
            run.source,
            read.opened,
            read.sidecar,
            signal=signal,
            folder=run.folder,
            state=read.state,
        )
        with kept(run.project, output, digest) as folder:
            written = _run(run, read, signal, how, folder, scheduler)
    finally:
        read.opened.close()
    from emdvc.history.run_records import remember

    for path, result in written:
        remember(run.project, path, result, monotonic() - began)


def _foresee(run: Run, read: Reading, signal: str | None) -> None:
    from emdvc.engine.run import foresee

    for one, path in run.products():
        if one.source is not None:
            say(f"{path} would hold {one.step.name} of {one.source}")
            continue
        for planned in foresee(
            one.step,
            one.parameters,
            read.opened,
            name=run.name,
            signal=signal,
            folder=run.folder,
            others=read.others,
        ):
            say(f"{path} would hold {planned}")


def _run(
    run: Run, read: Reading, signal: str | None, how: How, folder: Path, scheduler: str | None
) -> list[tuple[Path, Sidecar]]:
    from dataclasses import replace

    from emdvc.cli.progress import probe_positions
    from emdvc.engine.executors import executor
    from emdvc.engine.recipe import run_recipe
    from emdvc.history.earlier import earlier

    products = run.products()
    core = next((one.step.core for one, _ in products if one.source is None), ())
    variable = read.opened.variable(signal)
    before = earlier(run, read.opened, signal)
    with probe_positions(variable, core) as advance, executor(scheduler) as place:
        results = run_recipe(
            [one for one, _ in products],
            read.opened,
            name=run.name,
            signal=signal,
            inputs=run.inputs(read.sidecar),
            earlier=before,
            how=replace(how, folder=folder, executor=place, advance=advance),
            source=read.source,
            folder=run.folder,
            others=read.others,
        )
    paths = {one.name: path for one, path in products}
    return [
        (path, _write(path, results[one.name], run.inherited if one.source is None else paths[one.source]))
        for one, path in products
    ]


def _write(path: Path, result: Result, inherited: Path | None) -> Sidecar:
    from emdvc.formats.results import write_result
    from emdvc.render.picture import draw

    written = write_result(path, result, source=inherited, picture=draw(result))
    for name, values in written.statistics.items():
        note(f"{path} {name}: {'  '.join(f'{key} {value:.6g}' for key, value in values.items() if key != 'count')}")
    return written
