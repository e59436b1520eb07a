"""``emdvc merge``: another line of work into this one, and what is asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emdvc.cli import output
from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.history.merging.joining.merge_branch import Joined

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def merge(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="BRANCH", help="A branch here or on a remote, a tag, a commit."),
    ] = None,
    message: Annotated[str | None, typer.Option("-m", "--message", metavar="TEXT", help="Of the merge commit.")] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Leave the data in the workspace as it is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only try it, and say what would come of it.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Commit the merge whose conflicts are resolved.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Go back to before the merge.")] = False,
    resolve: Annotated[
        str | None,
        typer.Option("--resolve", metavar="PATH", help="Choose in a file: --resolve PATH ours, theirs, base or edit."),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="KEY", help="With --resolve: only this key. Repeatable.")
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="REGION", help="With --resolve: only this region: labels[0:16, 32:48]."),
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="VALUE", help="With --resolve PATH edit: the value, as in YAML.")
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="FILE", help="Ask about each conflict of a file; for git mergetool.")
    ] = None,
    check_index: Annotated[
        bool, typer.Option("--check-index", hidden=True, help="Refuse what is staged with open conflicts.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Merge another line of work: metadata by key, stages by what they read, data chunk by chunk.

    The merge is tried beside the workspace; then all of it is brought in, or nothing. What cannot be merged is asked
    about: `emdvc merge --resolve`, or any editor and `git add`; then `emdvc merge --continue`, or back with `--abort`.
    """
    from emdvc.errors import UsageError
    from emdvc.history.project import Project

    given = list(words or ())
    verbs = {"--continue": go_on, "--abort": abort, "--resolve": resolve, "--tool": tool, "--check-index": check_index}
    chosen = [name for name, set_ in verbs.items() if set_]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} contradict each other", hint="leave one of them out")
    if (key or region or value is not None) and resolve is None:
        raise UsageError("--key, --region and --value go with --resolve", hint="emdvc merge --help")
    project = Project.find()
    if resolve is not None:
        from emdvc.cli import merge_resolve

        merge_resolve.resolve(
            project, resolve, given, keys=key or [], regions=region or [], value=value, dry_run=dry_run, json=json
        )
        return
    if tool is not None:
        from emdvc.cli import merge_resolve

        merge_resolve.tool(project, tool)
        return
    if check_index:
        from emdvc.history.merging.drivers.unresolved import refuse_unresolved

        refuse_unresolved(project)
        return
    if chosen and given:
        raise UsageError(f"{chosen[0]} takes no branch", hint=f"emdvc merge {chosen[0]}")
    if not chosen and len(given) != 1:
        raise UsageError("one branch is merged at a time" if given else "which branch?", hint="emdvc merge BRANCH")
    _answer(_done(given[0] if given else None, message, no_data, dry_run, chosen), json=json)


def _done(branch: str | None, message: str | None, no_data: bool, dry_run: bool, chosen: list[str]) -> Joined:
    from emdvc.cli.progress import shown
    from emdvc.errors import UsageError
    from emdvc.history.project import Project

    project = Project.find()
    if branch is not None:
        from emdvc.history.merging.joining.merge_branch import merge as merge_branch

        return merge_branch(project, branch, message, with_data=not no_data, dry_run=dry_run, progress=shown)
    from emdvc.history.merging.joining import finishing

    if dry_run:
        raise UsageError(f"{chosen[0]} has no dry run", hint="emdvc status says where the merge stands")
    if chosen == ["--abort"]:
        return finishing.abort(project, with_data=not no_data, progress=shown)
    return finishing.go_on(project, message, with_data=not no_data, progress=shown)


def _answer(joined: Joined, *, json: bool) -> None:
    """Print what came of it, and end with 4 where something is asked."""
    from emdvc.errors import ConflictError
    from emdvc.render import merge as rendered

    for line in joined.complaints:
        output.note(line)
    if json:
        output.as_json("merge", rendered.as_dict(joined))
    else:
        for line in rendered.lines(joined):
            output.say(line)
    if joined.how == "conflicts":
        raise typer.Exit(ConflictError.exit_status)
