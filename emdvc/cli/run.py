"""``emdvc run``: one step on one input; what a stage's ``cmd`` calls, and what also works alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emdvc.cli.output import note, say

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def run(
    step: Annotated[str, typer.Argument(metavar="STEP", help="Name of the step; `emdvc steps` lists them.")],
    source: Annotated[str, typer.Argument(metavar="INPUT", help="A dataset.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the result goes, such as results/vdet.zarr.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter; wins over params.yaml.")
    ] = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="NAME", help="Section of params.yaml; default: the stage's name.")
    ] = None,
    signal: Annotated[str | None, typer.Option(help="Which array, where the input holds several.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be computed.")] = False,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of threads; default: EMDVC_THREADS, or all.")
    ] = None,
) -> None:
    """Run one step on one input and write the result: a Zarr store, its sidecar, and a picture.

    Parameters come from params.yaml when a stage of dvc.yaml has this output, and from --set.
    """
    from emdvc.cli.progress import probe_positions
    from emdvc.engine.run import foresee, run_step
    from emdvc.formats.dataset import open_lazy
    from emdvc.formats.results import write_result
    from emdvc.history.running import context
    from emdvc.render.picture import draw

    run = context(step, source, output, params=params, settings=settings or [])
    opened, sidecar = open_lazy(run.source)
    try:
        if dry_run:
            for planned in foresee(run.step, run.parameters, opened, name=run.name, signal=signal):
                say(f"{output} would hold {planned}")
            return
        with probe_positions(opened.variable(signal), run.step.core) as advance:
            result = run_step(
                run.step,
                run.parameters,
                opened,
                name=run.name,
                signal=signal,
                inputs=run.inputs(sidecar),
                threads=threads,
                advance=advance,
            )
    finally:
        opened.close()
    written = write_result(output, result, source=run.inherited, picture=draw(result))
    for name, values in written.statistics.items():
        note(f"{output} {name}: {'  '.join(f'{key} {value:.6g}' for key, value in values.items() if key != 'count')}")
