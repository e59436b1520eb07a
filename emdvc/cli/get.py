"""``emdvc get``: clone a project and fetch the data asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emdvc.cli import output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def get(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Of the project's git repository: anything that git clones.")
    ],
    folder: Annotated[str | None, typer.Argument(metavar="[DIR]", help="Where to; by default named like it.")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PATH", help="Fetch only this dataset or folder. Repeatable.")
    ] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Fetch no data; sidecars and history are here.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Clone a project and fetch its data, or the part of it that is asked for.

    What is not fetched can still be inspected and compared: its sidecar is here.
    """
    from emdvc.cli.progress import shown as show_progress
    from emdvc.history.getting import get as get_project
    from emdvc.history.project import shown

    got = get_project(url, Path(folder) if folder else None, data=not no_data, only=only or (), progress=show_progress)
    root = got.project.root
    if json:
        lists = {"fetched": list(got.fetched), "absent": list(got.absent), "notes": list(got.notes)}
        output.as_json("get", {"project": str(root), **lists})
        return
    output.say(f"project {root}")
    for note in got.notes:
        output.say(f"  note: {note}")
    output.say(f"  here: {', '.join(got.fetched) or 'no data'}")
    if got.absent:
        output.say(f"  not fetched: {', '.join(got.absent)} (emdvc pull PATH)")
    output.say(f"next: cd {shown(root)} && emdvc status")
