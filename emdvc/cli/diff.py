"""``emdvc diff``: two revisions, or two datasets, compared as science."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli.numbers import number
from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from emdvc.compare.project import Asked, ProjectDifference
    from emdvc.history.project import Project

app = typer.Typer(rich_markup_mode=None, add_completion=False)

#: Where the command keeps how many arguments stood after ``--``; the parser itself forgets it.
_AFTER = "emdvc.after-separator"


class Separated(PlainCommand):
    """A command that remembers what stood after ``--``, as git does: those are paths, whatever they are called."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, counting those after ``--``."""
        ctx.meta[_AFTER] = len(args) - args.index("--") - 1 if "--" in args else None
        return super().parse_args(ctx, args)


@app.command(cls=Separated)
def diff(
    context: typer.Context,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A] [B] [--] [PATHS]...",
            help="Revisions, then paths. A is HEAD by default, B the workspace; A..B and A...B as in git.",
            show_default=False,
        ),
    ] = None,
    between: Annotated[bool, typer.Option("--between", help="Compare two datasets given as PATH or PATH@REV.")] = False,
    repo: Annotated[
        str | None, typer.Option("--repo", metavar="URL", help="Take A from another repository: a folder or a URL.")
    ] = None,
    stat: Annotated[bool, typer.Option("--stat", help="One line per dataset.")] = False,
    vendor: Annotated[bool, typer.Option("--vendor", help="List changes of the vendor's metadata, too.")] = False,
    values: Annotated[
        bool, typer.Option("--values/--no-values", help="Read the numbers that may differ, or compare sidecars alone.")
    ] = True,
    max_report: Annotated[
        str | None, typer.Option("--max-report", metavar="N", help="Stop after N probe positions that differ.")
    ] = None,
    rtol: Annotated[
        str | None,
        typer.Option("--rtol", metavar="NUMBER", help="Tolerated: |after - before| <= atol + rtol |before|."),
    ] = None,
    atol: Annotated[
        str | None, typer.Option("--atol", metavar="NUMBER", help="Tolerated, in the array's unit.")
    ] = None,
    ulp: Annotated[
        str | None, typer.Option("--ulp", metavar="N", help="Tolerated: steps between floating-point numbers.")
    ] = None,
    pictures: Annotated[
        str | None, typer.Option("--pictures", metavar="DIR", help="Write before, after and difference as PNG.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write one page that opens without a network.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown that fits a forge's comment.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the difference as JSON.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something differs.")] = False,
) -> None:
    """Compare two revisions as science: calibrations, axes, numbers, and how results came to be.

    Each dataset that differs gets a verdict, from the weakest: encoding only (the same numbers in other bytes),
    metadata (what is written about it), within tolerance, noise-equivalent (counts differ as two exposures do),
    calibration (what its numbers mean), values (the numbers), structure (shape, type, arrays). 0.2 MeV and 200 keV are
    no difference. Nothing is checked out; of the data only what differs is read, from the cache or the remote.
    """
    from emdvc.cli.progress import shown
    from emdvc.compare.numbers.values import Tolerance
    from emdvc.compare.project import Asked

    drawn = pictures is not None or html is not None
    arguments = what or []
    # numbers are text until here: what typer checks numbers with takes longer to import than a comparison takes
    most = int(number(max_report, "--max-report", whole=True, least=1)) if max_report is not None else None
    given = number(rtol, "--rtol"), number(atol, "--atol"), int(number(ulp, "--ulp", whole=True))
    with shown("comparing", None) as advance:
        asked = Asked.to_show(values=values, drawn=drawn, tolerance=Tolerance(*given), max_report=most, advance=advance)
        if between:
            from emdvc.compare.project import compare_datasets

            found = compare_datasets(*_two(arguments), asked=asked)
        elif repo is not None:
            found = _elsewhere(repo, arguments, context.meta.get(_AFTER), asked)
        else:
            found = _compared(arguments, context.meta.get(_AFTER), asked)
    # the files first: who reads the answer through a pipe may leave it early
    _write(found, Path(pictures) if pictures else None, Path(html) if html else None)
    _answer(found, stat=stat, vendor=vendor, markdown=markdown, json=json)
    if exit_code and found:
        raise typer.Exit(1)


def _answer(found: ProjectDifference, *, stat: bool, vendor: bool, markdown: bool, json: bool) -> None:
    from emdvc.cli import output

    if json:
        output.as_json("diff", found.to_dict(), version=2)
    elif markdown:
        from emdvc.render.difference.markdown import as_markdown

        output.say(as_markdown(found).rstrip("\n"))
    else:
        from emdvc.render.difference import text as differences

        for one in found.experiments:
            if one.others:
                output.note(differences.experiment(one))
        if stat:
            output.say(differences.as_overview(found))
            return
        colours = None
        if output.on_terminal():
            from emdvc.render.terminal import supported

            colours = supported()
        output.say(differences.as_text(found, vendor=vendor, colours=colours))


def _write(found: ProjectDifference, pictures: Path | None, html: Path | None) -> None:
    from emdvc.cli import output

    if pictures is not None:
        from emdvc.render.difference.pictures import write

        written = [path for dataset in found.datasets for path in write(pictures, dataset)]
        output.note(f"{len(written)} picture{'' if len(written) == 1 else 's'} in {pictures}")
    if html is not None:
        from emdvc.formats.sidecar import write_text
        from emdvc.render.difference.page import as_html

        html.parent.mkdir(parents=True, exist_ok=True)
        write_text(html, as_html(found))
        output.note(f"wrote {html}")


def _two(arguments: list[str]) -> tuple[str, str]:
    from emdvc.errors import UsageError

    if len(arguments) != 2:
        raise UsageError(
            "two datasets are compared with each other",
            evidence=f"{len(arguments)} given",
            hint="emdvc diff --between raw/a.mib raw/b.mib",
        )
    return arguments[0], arguments[1]


def _compared(arguments: list[str], after: int | None, asked: Asked) -> ProjectDifference:
    from emdvc.compare.project import compare_datasets, compare_revisions
    from emdvc.errors import ProjectError
    from emdvc.history.project import Project

    try:
        project = Project.find()
    except ProjectError:
        if len(arguments) == 2 and all(Path(argument).exists() for argument in arguments):
            return compare_datasets(arguments[0], arguments[1], asked=asked)
        raise
    if len(arguments) == 2 and _outside(arguments, project):
        return compare_datasets(arguments[0], arguments[1], asked=asked)
    before, later, paths = _parted(arguments, after, project)
    return compare_revisions(project, before, later, paths, asked=asked)


def _outside(arguments: list[str], project: Project) -> bool:
    """Say whether two files are meant, one of which lies outside the project."""
    from emdvc.history.snapshot import split_revision

    paths = [Path(split_revision(argument)[0]) for argument in arguments]
    inside = [Path.absolute(path).resolve().is_relative_to(project.root.resolve()) for path in paths]
    return not all(inside) and all(path.exists() for path, within in zip(paths, inside, strict=True) if not within)


def _elsewhere(repo: str, arguments: list[str], after: int | None, asked: Asked) -> ProjectDifference:
    """Compare a revision of another repository with one of this project."""
    from emdvc.compare.project import compare_revisions
    from emdvc.errors import UsageError
    from emdvc.history.elsewhere import elsewhere
    from emdvc.history.project import Project

    project = Project.find()
    words = arguments[: len(arguments) - after] if after is not None else []
    paths = arguments[len(words) :]
    if after is None and arguments and not Path(arguments[0]).exists():
        raise UsageError(
            "with --repo, what is a revision must stand before --",
            evidence=f"'{arguments[0]}' is no path here, and revisions of two repositories cannot be told apart",
            hint=f"emdvc diff --repo {repo} {' '.join(arguments)} --",
        )
    if len(words) > 2:
        raise UsageError("two revisions at most are compared", hint="emdvc diff --repo URL A B -- PATHS")
    before, later = (*words, None, None)[:2]
    with elsewhere(repo) as other:
        chosen = [project.relative(path) for path in paths]
        return compare_revisions(project, before or "HEAD", later, chosen, asked=asked, other=other)


def _parted(arguments: list[str], after: int | None, project: Project) -> tuple[str, str | None, list[PurePosixPath]]:
    """Return the two revisions and the paths among the arguments, told apart as git does."""
    from emdvc.compare.naming import is_revision, range_of

    count = len(arguments) - after if after is not None else None
    words = list(arguments)
    revisions: list[str] = []
    between = range_of(words[0], project) if words and count != 0 and not Path(words[0]).exists() else None
    if between is not None:
        revisions = list(between)
        words.pop(0)
    while words and len(revisions) < 2 and (count is None or len(arguments) - len(words) < count):
        if count is None and not is_revision(words[0], project):
            break
        revisions.append(words.pop(0))
    if count is not None and len(arguments) - len(words) < count:
        from emdvc.errors import UsageError

        raise UsageError("two revisions at most are compared", hint="emdvc diff A B -- PATHS")
    before, later = (*revisions, None, None)[:2]
    return before or "HEAD", later, [project.relative(word) for word in words]
