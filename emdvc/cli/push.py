"""``emdvc push``: send data and records of runs to where they are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli import output
from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.history.transfer.pushing import Pushed, PushedTo

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def push(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Only these datasets or folders; by default all.")
    ] = None,
    remote: Annotated[
        str | None,
        typer.Option("-r", "--remote", metavar="NAME", help="Only to this remote; by default to each its own."),
    ] = None,
    rev: Annotated[
        list[str] | None,
        typer.Option("--rev", metavar="REV", help="Also the data of this revision. Repeatable."),
    ] = None,
    all_revisions: Annotated[bool, typer.Option("--all", help="Also the data of every branch and tag.")] = False,
    no_runs: Annotated[
        bool, typer.Option("--no-runs", help="Leave out the records of runs, and earlier results that only they name.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only ask the remote, and say what would be sent.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Send data, and the records of runs with their results, to the remote.

    The remote itself is asked for every file: what was lost there, or is not what it was, is sent again. What has
    arrived stays when the line breaks: run the same command again.
    """
    from emdvc.cli.progress import shown
    from emdvc.history.project import Project
    from emdvc.history.snapshot import data_path
    from emdvc.history.transfer.pushing import push as push_project
    from emdvc.history.transfer.sharing import share_notes
    from emdvc.history.verify.wanted_objects import branches_and_tags

    project = Project.find()
    revisions = [*(rev or ()), *(branches_and_tags(project) if all_revisions else ())]
    pushed = push_project(
        project,
        revisions,
        remote=remote,
        paths=[data_path(project.relative(path)) for path in paths or ()],
        run_cache=not no_runs,
        progress=shown,
        dry_run=dry_run,
    )
    notes = [] if dry_run else share_notes(project)
    if json:
        output.as_json("push", {**_plain(pushed), "dry_run": dry_run, "notes": notes})
        return
    for one in pushed.remotes:
        output.say(_sentence(one, dry_run))
        for name in one.repaired:
            output.say(f"  {'is' if dry_run else 'was'} corrupt there: {name}")
    if not pushed.remotes:
        output.say("nothing is recorded that could be pushed")
    for name in pushed.foreign:
        output.note(f"note: {name} is left to dvc push")
    for note in notes:
        output.note(f"note: {note}")


def _sentence(one: PushedTo, dry_run: bool) -> str:
    from emdvc.render.columns import size

    where = f"{one.name} ({one.url})"
    if not one.sent and not one.runs:
        return f"nothing to send: {where} has all {_count(one.there, 'file')}"
    parts = []
    if one.sent:
        parts.append(f"{_count(one.sent, 'file')} ({size(one.bytes)})")
    if one.runs:
        parts.append(_count(one.runs, "record of a run", "records of runs"))
    had = f"; {_count(one.there, 'file')} {'are' if one.there != 1 else 'is'} there already" if one.there else ""
    return f"{'would send' if dry_run else 'sent'} {' and '.join(parts)} to {where}{had}"


def _plain(pushed: Pushed) -> dict[str, object]:
    return {
        "remotes": [
            {
                "name": one.name,
                "url": one.url,
                "sent": one.sent,
                "bytes": one.bytes,
                "there": one.there,
                "repaired": list(one.repaired),
                "runs": one.runs,
            }
            for one in pushed.remotes
        ],
        "foreign": list(pushed.foreign),
    }


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
