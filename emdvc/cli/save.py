"""``emdvc save``: commit all changes and push data and history."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli import output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def save(
    message: Annotated[
        str | None, typer.Option("-m", "--message", metavar="TEXT", help="What changed and why.")
    ] = None,
    no_push: Annotated[bool, typer.Option("--no-push", help="Only commit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be committed.")] = False,
    ignore_locks: Annotated[
        str | None,
        typer.Option("--ignore-locks", metavar="REASON", help="Although somebody else has locked what changed."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Commit all changes, push the data, then push the history.

    Raw data that was changed is refused, and so are data that is under no version control and a change of what somebody
    else has locked (`emdvc lock`); a reason for not heeding that goes into the commit's message. When a push fails the
    commit stays, and `emdvc save` pushes again.
    """
    from emdvc.cli.progress import shown
    from emdvc.history.project import Project
    from emdvc.history.saving import save as save_project

    saved = save_project(
        Project.find(), message, push=not no_push, dry_run=dry_run, ignore_locks=ignore_locks, progress=shown
    )
    if json:
        output.as_json(
            "save",
            {
                "commit": saved.commit.oid if saved.commit else None,
                "files": saved.files,
                "sent": saved.sent,
                "pushed_to": saved.pushed_to,
                "stale": list(saved.stale),
                "notes": list(saved.notes),
            },
        )
        return
    if saved.commit is not None:
        plural = "s" if saved.files != 1 else ""
        output.say(f'committed {saved.files} file{plural} as {saved.commit.short} "{saved.commit.subject}"')
    elif not (dry_run and saved.notes):
        output.say("nothing to commit")
    if saved.sent is not None:
        output.say(f"pushed {saved.sent} data files" if saved.sent else "all data is on the remote")
    if saved.pushed_to is not None:
        output.say(f"pushed history to {saved.pushed_to}")
    for note in saved.notes:
        output.say(note)
    if saved.stale:
        output.note(f"warning: results of {', '.join(saved.stale)} are not up to date; dvc repro, then emdvc save")
