"""``emdvc diff``: two revisions, or two datasets, compared as science."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from pathlib import PurePosixPath

    from emdvc.compare.project import ProjectDifference
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
            help="Revisions, then paths. A is HEAD by default, B the workspace; A..B is understood.",
            show_default=False,
        ),
    ] = None,
    between: Annotated[bool, typer.Option("--between", help="Compare two datasets given as PATH or PATH@REV.")] = False,
    stat: Annotated[bool, typer.Option("--stat", help="One line per dataset.")] = False,
    vendor: Annotated[bool, typer.Option("--vendor", help="List changes of the vendor's metadata, too.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something differs.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the difference as JSON.")] = False,
) -> None:
    """Compare two revisions as science: calibrations, axes, shapes, numbers, and how results came to be.

    Each dataset that differs gets a verdict: metadata (what is written about it), calibration (what its numbers mean),
    values (the numbers), structure (shape, type, arrays). 0.2 MeV and 200 keV are no difference.
    """
    from emdvc.cli import output
    from emdvc.render import differences

    arguments = what or []
    if between:
        from emdvc.compare.project import compare_datasets

        found = compare_datasets(*_two(arguments))
    else:
        found = _compared(arguments, context.meta.get(_AFTER))
    if json:
        output.as_json("diff", found.to_dict())
    else:
        output.say(differences.as_overview(found) if stat else differences.as_text(found, vendor=vendor))
    if exit_code and found:
        raise typer.Exit(1)


def _two(arguments: list[str]) -> tuple[str, str]:
    from emdvc.errors import UsageError

    if len(arguments) != 2:
        raise UsageError(
            "two datasets are compared with each other",
            evidence=f"{len(arguments)} given",
            hint="emdvc diff --between raw/a.mib raw/b.mib",
        )
    return arguments[0], arguments[1]


def _compared(arguments: list[str], after: int | None) -> ProjectDifference:
    from pathlib import Path

    from emdvc.compare.project import compare_datasets, compare_revisions
    from emdvc.errors import ProjectError
    from emdvc.history.project import Project

    try:
        project = Project.find()
    except ProjectError:
        if len(arguments) == 2 and all(Path(argument).exists() for argument in arguments):
            return compare_datasets(arguments[0], arguments[1])
        raise
    before, later, paths = _parted(arguments, after, project)
    return compare_revisions(project, before, later, paths)


def _parted(arguments: list[str], after: int | None, project: Project) -> tuple[str, str | None, list[PurePosixPath]]:
    """Return the two revisions and the paths among the arguments, told apart as git does."""
    from emdvc.compare.project import is_revision

    count = len(arguments) - after if after is not None else None
    words = list(arguments)
    revisions: list[str] = []
    if words and count != 0 and ".." in words[0] and not _there(words[0]):
        first, _, second = words.pop(0).replace("...", "..").partition("..")
        revisions = [first, second or "HEAD"]
    while words and len(revisions) < 2 and (count is None or len(arguments) - len(words) < count):
        if count is None and not is_revision(words[0], project):
            break
        revisions.append(words.pop(0))
    if count is not None and len(arguments) - len(words) < count:
        from emdvc.errors import UsageError

        raise UsageError("two revisions at most are compared", hint="emdvc diff A B -- PATHS")
    before, later = (*revisions, None, None)[:2]
    return before or "HEAD", later, [project.relative(word) for word in words]


def _there(word: str) -> bool:
    from pathlib import Path

    return Path(word).exists()
