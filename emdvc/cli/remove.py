"""``emdvc remove``: take raw data out of the project, with the reason."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli import output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def remove(
    path: Annotated[str, typer.Argument(metavar="PATH", help="The raw data, its sidecar or its .dvc file.")],
    reason: Annotated[str, typer.Option("--reason", metavar="WHY", help="Why it goes; kept in .emdvc/removed.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be removed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Take raw data out of the project and write down why.

    Its pointer, its sidecar and the data itself go from the workspace; the bytes stay in the cache and on the remote,
    where older commits find them. Of raw data that is gone already, or went in a commit, only the reason is written.
    """
    from emdvc.history.project import Project
    from emdvc.history.raw.removing import remove as take_out

    removed = take_out(Project.find(), path, reason, dry_run=dry_run)
    if json:
        said = {"path": removed.path, "md5s": list(removed.md5s), "reason": removed.reason}
        output.as_json("remove", {**said, "data_removed": removed.data_removed, "dry_run": dry_run})
        return
    if dry_run:
        output.note("dry run: nothing is removed")
    output.say(f"{'would remove' if dry_run else 'removed'} {removed.path}: {removed.reason}")
    output.say("older commits still have it; the reason is in .emdvc/removed.yaml")
    output.say('next: emdvc save -m "..."')
