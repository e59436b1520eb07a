"""``emdvc gc``: free the space of data that nothing needs; shown first, removed only with --yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.collecting.collecting import Collected
    from emdvc.history.collecting.planning import Plan

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: Datasets that are named of each place.
_SHOWN = 10


@app.command()
def gc(
    remote: Annotated[
        list[str] | None, typer.Option("--remote", metavar="NAME", help="Look at this remote. Repeatable.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Look at the local cache; so it is where no remote is named.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is shown. Without it nothing is removed.")] = False,
    keep_days: Annotated[
        float,
        typer.Option(
            "--keep-days", metavar="N", min=0, help="Keep what only commits and runs of the last N days need."
        ),
    ] = 90,
    fresh_hours: Annotated[
        float, typer.Option("--fresh-hours", metavar="N", min=0, help="Keep what came within the last N hours.")
    ] = 24,
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Also what no project told of, where several use the place.")
    ] = False,
    raw: Annotated[
        list[str] | None,
        typer.Option("--raw", metavar="PATH", help="Raw data (or its md5) that may go where nothing needs it."),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="WHY", help="With --raw: why.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Show which stored data nothing needs, and remove it with --yes.

    Needed is what any branch, tag, stash, worktree or file of the workspace records, here and on the git remotes, at
    any commit; what commits of the last days need that nothing leads to any more; what other projects need that use the
    same remote or cache; and what came within the last day. Raw data goes only when it is named, with a reason.
    """
    from emdvc.history.collecting.collecting import collect
    from emdvc.history.collecting.planning import Choice
    from emdvc.history.project import Project

    answer = collect(
        Project.find(),
        cache=cache or not remote,
        remotes=remote or [],
        choice=Choice(keep_days, unknown, tuple(raw or ()), fresh_hours),
        reason=reason,
        remove=yes,
    )
    if json:
        output.as_json("gc", _plain(answer))
        return
    for one in answer.plans:
        _say(one, done=answer.done)
    for oid, subject in answer.losing.items():
        output.say(
            f'commit {oid[:10]} "{subject}", which nothing leads to any more, {"lost" if yes else "would lose"} data'
        )
    for name, until in list(answer.locked.items())[:_SHOWN]:
        output.say(f"locked: {name}, {until}")
    for note in answer.notes:
        output.note(f"note: {note}")
    if not answer.done:
        going = any(one.goes for one in answer.plans)
        output.say("nothing was removed; the same command with --yes removes it" if going else "nothing to remove")


def _say(one: Plan, *, done: bool) -> None:
    verb = "removed" if done else "would go"
    count = len(one.goes)
    sizes = f"{_bytes(one.freed)} of {_bytes(one.size)}"
    output.say(f"{one.place.name} ({one.place.url}): {count} of {one.count} files {verb}, {sizes}")
    for dataset, (number, size) in list(_by_dataset(one).items())[:_SHOWN]:
        output.say(f"    {dataset}: {number} file{'s' if number != 1 else ''}, {_bytes(size)}")
    for why, (number, size) in one.kept.items():
        output.say(f"  kept: {number} file{'s' if number != 1 else ''}, {_bytes(size)}, that {why}")


def _by_dataset(one: Plan) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for gone in one.goes:
        at = f" at {gone.commit[:10]}" if gone.commit else ""
        name = f"{gone.dataset.removesuffix('.dvc')}{at}" if gone.dataset else "in no commit that is known"
        number, size = found.get(name, (0, 0))
        found[name] = number + 1, size + gone.size
    return dict(sorted(found.items(), key=lambda pair: -pair[1][1]))


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _plain(answer: Collected) -> dict[str, Any]:
    return {
        "removed": answer.done,
        "places": [
            {
                "name": one.place.name,
                "url": one.place.url,
                "files": one.count,
                "bytes": one.size,
                "goes": [
                    {"md5": gone.name, "bytes": gone.size, "dataset": gone.dataset, "commit": gone.commit or None}
                    for gone in one.goes
                ],
                "runs": one.runs,
                "kept": {why: {"files": number, "bytes": size} for why, (number, size) in one.kept.items()},
            }
            for one in answer.plans
        ],
        "losing": answer.losing,
        "locked": answer.locked,
        "notes": answer.notes,
    }
