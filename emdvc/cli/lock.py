"""``emdvc lock`` and ``emdvc unlock``: tell colleagues on the shared remote who works on what by hand."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output
from emdvc.errors import UsageError

if TYPE_CHECKING:
    from emdvc.history.locking.looking import Locks
    from emdvc.history.locking.note import Lock

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def lock(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="A dataset, file or folder; without it all locks are listed.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for your colleagues.")] = "",
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="8h, 3d, 2w or 2026-12-01; by default 7d.")
    ] = None,
    array: Annotated[str | None, typer.Option("--array", metavar="NAME", help="Only this array of it.")] = None,
    remote: Annotated[
        str | None, typer.Option("-r", "--remote", metavar="NAME", help="Where to note it; by default where data goes.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would be noted.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Tell colleagues that you work on something by hand: their `emdvc save` refuses to change it meanwhile.

    A lock is a note on the shared remote: who, why, until when. It ends by itself; the same command makes your own
    longer. It holds for all branches.
    """
    from emdvc.history.project import Project

    project = Project.find()
    if path is None:
        if reason or until or array or remote:
            raise UsageError("what is to be locked?", hint="emdvc lock PATH; without options all locks are listed")
        _list(project, json)
        return
    from emdvc.history.locking.locking import lock as take
    from emdvc.history.locking.times import USUAL, day

    data = project.relative(path)
    made = take(
        project, data, array=array, reason=reason, ends=until or USUAL, remote=remote, dry_run=dry_run
    )  # fmt: skip
    if dry_run:
        output.note("dry run: nothing is noted; it would be")
    if json:
        content = {**_plain(made.lock, True), "remote": made.remote, "url": made.url, "renewed": made.renewed}
        output.as_json("lock", {**content, "setting_written": made.setting, "dry_run": dry_run})
        return
    why = f": {made.lock.reason}" if made.lock.reason else ""
    word = "stays yours" if made.renewed else "is yours"
    output.say(f"{made.lock.name} {word} until {day(made.lock.until)}, noted on remote {made.remote}{why}")
    if made.setting:
        output.say("  the project says now that it uses locks (.emdvc/config.yaml); so that everybody's emdvc looks:")
        output.say('  emdvc save -m "Use locks"')
    output.say(f"next: when you are done and have saved: {made.lock.undo}")


def _list(project: Any, json: bool) -> None:
    from emdvc.history.locking.looking import heard, look
    from emdvc.history.locking.setting import usual

    found = look(project, 10.0, usual(project))
    if json:
        output.as_json("locks", as_plain(found))
    elif found is None:
        output.say("nothing is locked: the project has no remote for a note; next: emdvc remote add NAME URL")
    else:
        for label, text in lines(found):
            output.say(f"{label}  {text}" if label else text)
        if not found.locks and not found.problems:
            output.say("nothing is locked; next: emdvc lock PATH --reason TEXT")
    if found is not None:
        heard(project, found.told)


def lines(found: Locks) -> list[tuple[str, str]]:
    """Return who holds what, as a person reads it: what, and a sentence on it."""
    from emdvc.history.locking.times import span

    told = [(one.name, _sentence(one, found.is_mine(one))) for one in found.locks]
    width = max((len(name) for name, _ in told), default=0)
    told = [(f"{name:<{width}}", text) for name, text in told]
    for one in found.problems:
        age = f"as it was {span(one.age)} ago" if one.page is not None else "what is locked is not known"
        told.append(("", f"{age}: remote {one.remote} was not asked ({one.problem})"))
    return [*told, *(("", one.text) for one in found.told)]


def _sentence(one: Lock, mine: bool) -> str:
    from emdvc.history.locking.times import day, span

    why = f': "{one.reason}"' if one.reason else ""
    now = time.time()
    if not one.holds(now):
        whose = "your lock" if mine else f"the lock of {one.who}"
        return f"{whose} expired {span(now - one.until)} ago{why}"
    who = "you" if mine else str(one.who)
    undo = f"; {one.undo}" if mine else ""
    return f"locked by {who} until {day(one.until)} ({span(one.until - now)} left){why}{undo}"


def as_plain(found: Locks | None) -> dict[str, Any]:
    """Return who holds what as plain values."""
    if found is None:
        return {"locks": [], "problems": [], "told": []}
    return {
        "locks": [_plain(one, found.is_mine(one)) for one in found.locks],
        "problems": [{"remote": one.remote, "problem": one.problem, "age": one.age} for one in found.problems],
        "told": [one.text for one in found.told],
    }


def _plain(one: Lock, mine: bool) -> dict[str, Any]:
    return {**one.to_dict(), "mine": mine, "expired": not one.holds(time.time())}
