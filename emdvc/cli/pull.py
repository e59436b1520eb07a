"""``emdvc pull``: fetch data; of a large dataset only the part that is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.pulling.pulling import Pulled

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def pull(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="Datasets, or folders that hold some; default: all.")
    ] = None,
    scan: Annotated[
        str | None,
        typer.Option("--scan", metavar="Y,X", help="Only these probe positions: 0:64,0:64, or 12,40 for one."),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option("--detector", metavar="KY,KX", help="Only these detector pixels or energies: 32:96,32:96."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only what tells what the data are: metadata and pictures.")
    ] = False,
    remote: Annotated[
        str | None, typer.Option("-r", "--remote", metavar="NAME", help="From this remote; default: where it is kept.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be fetched.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Fetch data from the remote into the workspace, or of a large dataset only the part that is looked at.

    A part is kept in the cache and found there by emdvc.open_dataset, inspect, diff and run --in-place. It is not put
    into the dataset's folder, where it would be taken for the whole.
    """
    from emdvc.cli.progress import shown
    from emdvc.history.project import Project
    from emdvc.history.pulling.pulling import pull as pull_data
    from emdvc.history.pulling.selection import Selection

    project = Project.find()
    found = pull_data(
        project,
        [project.relative(path) for path in paths or ()],
        part=Selection.parse(scan, detector),
        preview=preview,
        remote=remote,
        dry_run=dry_run,
        progress=shown,
    )
    if json:
        output.as_json("pull", {"dry_run": dry_run, "datasets": [_plain(one) for one in found]})
        return
    if dry_run:
        output.note("dry run: nothing is fetched; it would be")
    for one in found:
        output.say(f"{one.path}  {_text(one)}")
    if not found:
        output.say("nothing to fetch" if preview else "the project tracks no data")


def _text(one: Pulled) -> str:
    from emdvc.render.columns import size

    if one.whole:
        many = f"{one.files} files" if one.files > 1 else "whole"
        return f"{many}, {size(one.size)} fetched" if one.fetched else f"{many}, nothing to fetch"
    many = f"{one.files} of {one.of} files" if one.of > 1 else "this part"
    fetched = f"{one.fetched} fetched ({size(one.size)})" if one.size else "nothing to fetch"
    return f"{many} in the cache" + (f", {fetched}" if one.of > 1 else "")


def _plain(one: Pulled) -> dict[str, object]:
    return {
        "path": str(one.path),
        "whole": one.whole,
        "files": one.files,
        "of": one.of,
        "fetched": one.fetched,
        "bytes": one.size,
    }
