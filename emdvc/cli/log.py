"""``emdvc log``: the history of a dataset."""

from __future__ import annotations

from typing import Annotated

import typer

from emdvc.cli.plain import PlainCommand

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def log(
    path: Annotated[str, typer.Argument(metavar="PATH[@REV]", help="Data, sidecar, .dvc file, or a result.")],
    limit: Annotated[
        str | None, typer.Option("--limit", "-n", metavar="NUMBER", help="At most so many commits.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Only later commits, as in 2026-05-01 or '2 weeks ago'."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Commits of all branches and tags.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the history as JSON.")] = False,
) -> None:
    """Show each commit that changed a dataset: when, who, how much it matters, and what changed.

    Of a result also why, and whether `emdvc verify` could compute it again. The verdicts are those of `emdvc diff`,
    taken from what is recorded: no data is read. A dataset that was renamed is followed. PATH@REV begins at a revision.
    """
    from emdvc.cli import output
    from emdvc.compare.log import find as log_find
    from emdvc.render import log as rendered

    found = log_find.find(path, limit=_number(limit), since=since, everything=everything)
    if json:
        output.as_json("log", rendered.as_dict(found))
        return
    if found.entries:
        output.say(rendered.as_text(found))
    else:
        output.note(f"no commit changed {found.path}" + (f" since {since}" if since else ""))
    if found.more:
        output.note(f"there are earlier ones, beyond --limit {limit}")
    if found.uncommitted:
        output.note(f"not committed yet: emdvc diff -- {found.path}")


def _number(text: str | None) -> int | None:
    from emdvc.errors import UsageError

    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"'{text}' is no number of commits", hint="write --limit 10")
    return int(text)
