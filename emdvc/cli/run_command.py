"""``emdvc run-command``: run an external program in an environment of its own; what a stage's ``cmd`` calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emdvc.cli.output import note
from emdvc.cli.plain import PlainCommand

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand, context_settings={"allow_interspersed_args": False})
def run_command(
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
    record: Annotated[
        str | None, typer.Option("--record", metavar="FILE", help="Write what it ran with into this file.")
    ] = None,
    params: Annotated[
        str | None, typer.Option("--params", metavar="NAME", help="Section of params.yaml; default: the stage's name.")
    ] = None,
    version_command: Annotated[
        str | None, typer.Option("--version-command", metavar="COMMAND", help="Tells the version of program:NAME.")
    ] = None,
) -> None:
    """Run an external program and record what it ran with.

    Its parameters lie as JSON in the file that the variable EMDVC_PARAMS names. What it prints goes to stderr. When it
    fails, its exit status and its last lines are told, and what it had written is taken as no result.
    """
    from emdvc.engine.lifeline import follow_parents

    follow_parents()
    from emdvc.history.programs.called import run_command as run

    described = run(
        words,
        env=env,
        record=Path(record) if record else None,
        params=params,
        version=version_command,
        tell=note,
    )
    for path in described:
        note(f"described {path.name} in {path.name}.em.yaml")
