"""``emdvc unlock``: give a lock back, or take another's away."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli import output
from emdvc.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def unlock(
    path: Annotated[str, typer.Argument(metavar="PATH", help="What you have locked.")],
    array: Annotated[str | None, typer.Option("--array", metavar="NAME", help="Only this array of it.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Although somebody else holds it; needs --reason.")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; the one who held it is told.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be free.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Give a lock back. Another's is taken away with --force and a reason, of which they are told."""
    from emdvc.history.locking.locking import unlock as give_back
    from emdvc.history.project import Project

    if force and not (reason or "").strip():
        hint = f'emdvc unlock {path} --force --reason "Ada is on leave"'
        raise UsageError("who loses a lock is to be told why", hint=hint)
    if reason and not force:
        raise UsageError("a reason is told to whoever loses a lock", hint="leave out --reason, or add --force")
    project = Project.find()
    free = give_back(project, project.relative(path), array=array, force=reason if force else None, dry_run=dry_run)
    if dry_run:
        output.note("dry run: nothing is free; it would be")
    if json:
        output.as_json("unlock", {"free": [one.to_dict() for one in free], "dry_run": dry_run})
        return
    for one in free:
        output.say(f"{one.name} is free{f'; {one.who} is told why' if force else ''}")
