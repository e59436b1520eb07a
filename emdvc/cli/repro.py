"""``emdvc repro``: compute what is out of date, except what somebody has computed already."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli import output
from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.history.transfer.reproducing import Reproduced

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def repro(
    stages: Annotated[
        list[str] | None, typer.Argument(metavar="[STAGE]...", help="Only these, and what they read; by default all.")
    ] = None,
    pull: Annotated[
        bool, typer.Option("--pull", help="Fetch missing data, and results that somebody has computed and pushed.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry", "--dry-run", help="Only say what would be done.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Bring results up to date: `dvc repro`, and with --pull nothing is computed that anybody has computed.

    A run with the same inputs, parameters and command as an earlier one is not repeated: its results are restored. With
    --pull the records of runs that others have pushed count, too.
    """
    from emdvc.cli.progress import shown
    from emdvc.history.programs.notebooks import stripped_lines
    from emdvc.history.project import Project
    from emdvc.history.transfer.reproducing import repro as repro_stages

    for line in stripped_lines(Project.find(), dry_run=dry):  # one that was only run in Jupyter has not changed
        output.note(line)
    with _stages_on_stderr() if json else nullcontext():
        found = repro_stages(
            Project.find(),
            stages or (),
            pull=pull,
            dry=dry,
            tell=(lambda _: None) if json else lambda one: _say(one, dry),
            progress=shown,
        )
    if json:
        output.as_json(
            "repro",
            {
                "dry": dry,
                "stages": [{"stage": one.name, "outcome": str(one.outcome), "cmd": one.cmd} for one in found],
            },
        )
        return
    output.say(_sum(found, dry))


def _say(one: Reproduced, dry: bool) -> None:
    text = {
        "unchanged": "up to date",
        "fetched": "up to date, fetched",
        "restored": "would be restored from an earlier run" if dry else "restored from an earlier run",
        "running": f"{'would run' if dry else 'running'}: {one.cmd}",
    }[one.outcome]
    output.say(f"{one.name}: {text}")
    sys.stdout.flush()  # what the stage prints comes after it


def _sum(found: list[Reproduced], dry: bool) -> str:
    ran, restored = (sum(one.outcome == outcome for one in found) for outcome in ("running", "restored"))
    said = f"{ran} of {len(found)} stage{'s' if len(found) != 1 else ''} {'would run' if dry else 'ran'}"
    return f"{said}, {restored} restored" if restored else said


@contextmanager
def _stages_on_stderr() -> Iterator[None]:
    """Let what the stages print go to stderr, so that stdout is JSON alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
