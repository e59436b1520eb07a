"""``emdvc report``: the state of a project for people who never open a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from pathlib import Path

    from emdvc.compare.report.state import DatasetState, Report

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: How a report of emdvc begins: nothing else is overwritten.
_HTML = "<!doctype html>"


@app.command(cls=PlainCommand)
def report(
    markdown_file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="File for --markdown; without one it is printed.")
    ] = None,
    rev: Annotated[
        str, typer.Option("--rev", metavar="REV|A..B", help="State at a revision; with A..B what changed, too.")
    ] = "HEAD",
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page, at most 10 MB.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown that fits a comment of a merge request.")
    ] = False,
    values: Annotated[
        bool,
        typer.Option("--values/--no-values", help="With A..B: read the numbers that may differ, or sidecars alone."),
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the state as JSON.")] = False,
) -> None:
    """Write the state of the project at a revision.

    The pipeline as a drawing, each dataset with picture, axes and record, parameters, what changed, who ran what with
    which versions, and whether the results were reproduced. Nothing is checked out and no data is needed; pictures of
    raw data are drawn where the data is here. With A..B numbers that may differ are read, as `emdvc diff` does.
    """
    from emdvc.cli import output
    from emdvc.cli.progress import shown
    from emdvc.compare.naming import range_of
    from emdvc.compare.project import Asked
    from emdvc.compare.report.gather import gather
    from emdvc.errors import UsageError
    from emdvc.history.project import Project

    if markdown_file is not None and not markdown:
        raise UsageError(f"'{markdown_file}' is not asked for", hint=f"emdvc report --markdown {markdown_file}")
    if not (html or markdown or json):
        raise UsageError("say in which form the report is wanted", hint="emdvc report --html report.html")
    targets = [_target(name) for name in (html, markdown_file) if name is not None]
    project = Project.find()
    before, revision = range_of(rev, project) or (None, rev)
    with shown("comparing", None) as advance:
        asked = Asked.to_show(values=values and before is not None, drawn=html is not None, advance=advance)
        found = gather(project, revision, before, asked=asked)
    if html is not None:
        _write(targets[0], _page(found))
    if markdown:
        from emdvc.render.report.markdown import as_markdown

        written = as_markdown(found)
        if markdown_file is not None:
            _write(targets[-1], written)
        else:
            output.say(written)
    if json:
        from emdvc.render.report.as_json import as_dict

        output.as_json("report", as_dict(found))


def _page(report: Report) -> str:
    from emdvc.cli.progress import shown
    from emdvc.render.report.page import as_html, picture_of

    sizes = {one.path: one.recorded.size or 0 for one in report.datasets if one.recorded is not None}
    with shown("drawing", sum(sizes.values())) as advance:

        def draw(dataset: DatasetState) -> bytes | None:
            drawn = picture_of(report, dataset)
            advance(sizes.get(dataset.path, 0))
            return drawn

        return as_html(report, draw=draw)


def _target(name: str) -> Path:
    """Return the path of a file to write.

    Raises
    ------
    UsageError
        It has no folder, or is one.
    ConflictError
        There is a file that is no report.
    """
    from pathlib import Path

    from emdvc.errors import ConflictError, UsageError
    from emdvc.render.report.markdown import MARK

    path = Path(name)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"{name} cannot be written", evidence="it is a folder" if path.is_dir() else f"no folder {path.parent}"
        )
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            start = file.read(max(len(_HTML), len(MARK))).decode("utf-8", "replace")
        if not start.startswith((_HTML, MARK)):
            raise ConflictError(
                f"{name} exists and is no report", evidence="it is not overwritten", hint="name another file"
            )
    return path


def _write(path: Path, content: str) -> None:
    from emdvc.cli import output
    from emdvc.formats.sidecar import write_text
    from emdvc.render import columns

    write_text(path, content)
    output.note(f"{path}: {columns.size(path.stat().st_size)}")
