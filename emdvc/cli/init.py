"""``emdvc init``: make a folder a project, or complete one."""

from __future__ import annotations

from pathlib import Path

import typer

from emdvc.cli import output

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def init(
    folder: str = typer.Argument(".", metavar="[DIR]", help="Folder of the project; made when it does not exist."),
    remote: str | None = typer.Option(
        None,
        "--remote",
        metavar="NAME=URL",
        help="Where data is shared: a folder, s3://, ssh:// or webdav(s)://. Becomes the default remote.",
    ),
    ci: str | None = typer.Option(
        None,
        "--ci",
        metavar="github|gitlab",
        help="Write the forge's workflow file: checks, reports on merge requests, verification by schedule.",
    ),
    json: bool = typer.Option(False, "--json", help="Print the answer as JSON."),
) -> None:
    """Make a folder a project, or complete one.

    Git, DVC with settings that cannot corrupt data, folders raw/, results/ and scripts/, params.yaml, attributes for
    diffs. Safe to run again: what is there stays as it is.
    """
    from emdvc.history.initialise import initialise
    from emdvc.history.project import shown

    report = initialise(Path(folder), remote, ci)
    root = report.project.root
    if json:
        output.as_json("init", {"project": str(root), "made": report.made, "kept": report.kept, "notes": report.notes})
        return
    if report.made:
        output.say(f"project {root}")
        output.say("  made: " + ", ".join(_short(report.made)))
        if report.kept:
            output.say("  was there: " + ", ".join(_short(report.kept)))
    else:
        output.say(f"project {root}: complete, nothing to do")
    for note in report.notes:
        output.say(f"  note: {note}")
    if report.made:
        place = shown(root)
        output.say("next:")
        if place != ".":
            output.say(f"  cd {place}")
        output.say("  emdvc add FILE                 put a file of your instrument under version control")
        output.say('  emdvc save -m "first scan"     commit, and push data and history')


def _short(parts: list[str]) -> list[str]:
    settings = [part for part in parts if part.startswith("setting ")]
    others = [part for part in parts if part not in settings]
    return [*others, f"{len(settings)} settings"] if len(settings) > 1 else [*others, *settings]
