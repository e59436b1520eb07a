"""``emdvc run-notebook``: run a Jupyter notebook and keep the executed copy; what a stage's ``cmd`` calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emdvc.cli.output import note
from emdvc.cli.plain import PlainCommand

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def run_notebook(
    notebook: Annotated[str, typer.Argument(metavar="NOTEBOOK", help="The notebook, as notebooks/analysis.ipynb.")],
    output: Annotated[str, typer.Argument(metavar="OUTPUT", help="The executed copy, as results/analysis.ipynb.")],
    params: Annotated[
        str | None, typer.Option("--params", metavar="NAME", help="Section of params.yaml; default: the stage's name.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A parameter; wins over params.yaml.")
    ] = None,
    env: Annotated[
        str | None,
        typer.Option("--env", metavar="ENV", help="The environment that runs the cells; default: that of emdvc."),
    ] = None,
) -> None:
    """Run a notebook in its folder and write the executed copy, without times, host names and paths of this machine.

    The cell with the tag `parameters` is given the values of params.yaml. When a cell fails, the error names it and no
    copy is written: what had run until then is kept aside. The notebook itself is stripped of outputs, as git keeps it.
    """
    from emdvc.engine.lifeline import follow_parents

    follow_parents()
    from emdvc.history.programs.called import run_notebook as run

    stripped = run(Path(notebook), Path(output), params=params, settings=settings or [], env=env, tell=note)
    if stripped is not None and stripped.kept is not None:
        note(str(stripped))
