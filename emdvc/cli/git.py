"""``emdvc git``: let git itself show metadata and chunks, in its diff, log -p and blame, and merge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from emdvc.cli import output
from emdvc.cli.plain import PlainCommand, PlainParameters

if TYPE_CHECKING:
    from emdvc.history.project import Project
    from emdvc.history.textconv.install import Changes, State


class _Quick(PlainParameters, TyperGroup):
    """The group without the validation library: git waits for `emdvc git textconv` at every file."""


app = typer.Typer(
    cls=_Quick,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Let git show metadata and chunks in `git diff`, `git log -p` and `git blame --textconv`, and merge them.",
)


@app.command()
def install(
    lock: Annotated[bool, typer.Option("--lock", help="Show dvc.lock as text, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Let git show sidecars and .dvc pointers as text, and merge by key, stage and chunk.

    Values have their units, and chunks are told by the regions they hold. Settings and a script go into this clone,
    attributes into .gitattributes, which travels with the project. `emdvc init` and `emdvc get` do the same. Only what
    lacks is written. Where emdvc is not to be found, git shows the files as they are.

    Hooks before each commit, merge and push refuse raw data that changes or goes without a reason, and conflicts that
    nobody resolved (`emdvc verify --raw`); a hook that is there is kept, and called first.
    """
    from emdvc.history.project import Project
    from emdvc.history.textconv import install as git_install

    project = Project.find()
    changes = git_install.install(project, lock=lock, dry_run=dry_run)
    if json:
        output.as_json("git", _plain(project, changes))
        return
    _say(changes, "installed already: nothing to do", dry_run=dry_run)
    if not dry_run and any(part.startswith(".gitattributes") for part in changes.made):
        output.say('next: emdvc save -m "..." shares .gitattributes; the settings are this clone\'s')


@app.command()
def uninstall(
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Take back the lines of .gitattributes, too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken back.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Take back what was installed in this clone.

    The lines of .gitattributes stay, for the other clones: without the settings they do nothing.
    """
    from emdvc.history.project import Project
    from emdvc.history.textconv import install as git_install

    project = Project.find()
    changes = git_install.uninstall(project, attributes=attributes, dry_run=dry_run)
    if json:
        output.as_json("git", _plain(project, changes))
        return
    _say(changes, "nothing of it is installed", dry_run=dry_run)


@app.command()
def status(
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when something lacks.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Say what is installed and what lacks, and whether git will find emdvc."""
    from emdvc.history.project import Project
    from emdvc.history.textconv import install as git_install

    project = Project.find()
    state = git_install.examine(project)
    if json:
        output.as_json("git", _plain(project, git_install.Changes()))
    else:
        _say_state(state)
    if exit_code and (state.lacking or state.hooks or state.merging):
        raise typer.Exit(1)


@app.command(cls=PlainCommand, hidden=True)
def textconv(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file that git asks for.")],
    keep: Annotated[str, typer.Option("--keep", metavar="PATH", help="Where the text is kept.")] = "",
) -> None:
    """Print the text that git shows instead of a file; what git's script calls."""
    import sys
    from pathlib import Path

    from emdvc.history.textconv import install as git_install
    from emdvc.history.textconv import texts as git_texts
    from emdvc.render.textconv.text import convert

    target = Path(keep) if keep else None
    if target is not None and target.parent.name != str(git_texts.FORM):
        # the script is one of another emdvc: from the next file on it looks where this one keeps its texts
        git_install.refresh(target.parents[3])
        target = target.parents[1] / str(git_texts.FORM) / target.name
    text = convert(Path(file), target)
    # the bytes as they are: a console's own line ends and encoding would be differences
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


@app.command(name="merge-file", cls=PlainCommand, hidden=True)
def merge_file(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The file in the last commit in common.")],
    ours: Annotated[str, typer.Argument(metavar="OURS", help="The file here; it is written.")],
    theirs: Annotated[str, typer.Argument(metavar="THEIRS", help="The file that is merged in.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="What it is called, from the git root.")],
    size: Annotated[str, typer.Argument(metavar="SIZE", help="Length of git's markers.")],
    virtual: Annotated[
        bool, typer.Option("--virtual", "--base", help="Merge two bases for a base of their own.")
    ] = False,
) -> None:
    """Merge a file that both sides changed; what git's script calls."""
    from pathlib import Path, PurePosixPath

    from emdvc.history.merging.drivers.driving import drive
    from emdvc.history.project import Project

    # git calls from the top of the working tree
    project = Project.find_or_none(Path.cwd() / path)
    files = (Path(base), Path(ours), Path(theirs))
    status = drive(project, PurePosixPath(path), *files, int(size) if size.isdigit() else 7, virtual=virtual)
    if status and not virtual and project is not None and path.endswith(".dvc"):
        from emdvc.render import conflict_picture

        conflict_picture.draw_missing(project)
    if status:
        raise typer.Exit(status)


@app.command(cls=PlainCommand, hidden=True)
def strip() -> None:
    """Print the notebook on stdin without outputs; what git's filter calls."""
    import sys

    from emdvc.errors import FormatError
    from emdvc.history.programs.notebook_text import strip as without_outputs

    whole = sys.stdin.buffer.read()
    try:
        found = without_outputs(whole.decode("utf-8")).encode("utf-8")
    except (FormatError, UnicodeDecodeError):  # half merged, or none at all: git keeps it as it is
        found = whole
    sys.stdout.buffer.write(found)
    sys.stdout.buffer.flush()


def _say(changes: Changes, nothing: str, *, dry_run: bool) -> None:
    if dry_run:
        output.note("dry run: nothing is written; it would be")
    for part in changes.made:
        output.say(f"wrote {part}")
    for part in changes.removed:
        output.say(f"took back {part}")
    for part in changes.kept:
        output.say(f"stays: {part}")
    if not (changes.made or changes.removed or changes.kept):
        output.say(nothing)


def _say_state(state: State) -> None:
    output.say("git shows metadata and chunks" if state.installed else "git shows files as they are")
    output.say(f"  clone       {state.git_dir}")
    shown = {"scan.em.yaml": "sidecars", "scan.dvc": ".dvc pointers", "dvc.lock": "dvc.lock"}
    files = [shown[name] for name, there in state.attributes.items() if there]
    output.say(f"  attributes  {', '.join(files) or 'of no file'}")
    how = "line by line" if state.merging else "by key, stage and chunk"
    output.say(f"  merges      {how}")
    output.say(f"  emdvc       {state.program or 'not to be found: files are shown as they are'}")
    checked = (
        "not checked at a " + ", ".join(state.hooks) if state.hooks else "checked before each commit, merge and push"
    )
    output.say(f"  raw data    {checked}")
    output.say(f"  kept        {state.texts.count} texts, {state.texts.size / 1e6:.1f} MB")
    for part in (*state.lacking, *state.merging):
        output.say(f"  lacks       {part}")
    if state.lacking or state.hooks or state.merging:
        output.say("next: emdvc git install")
    elif not state.attributes["dvc.lock"]:
        output.say("dvc.lock too: emdvc git install --lock")


def _plain(project: Project, changes: Changes) -> dict[str, Any]:
    from emdvc.history.textconv import install as git_install

    state = git_install.examine(project)
    names = {"scan.em.yaml": "sidecars", "scan.dvc": "pointers", "dvc.lock": "lock"}
    return {
        "installed": state.installed,
        "git_dir": str(state.git_dir),
        "settings": state.settings,
        "script": state.script,
        "attributes": {names[name]: there for name, there in state.attributes.items()},
        "program": state.program,
        "texts": {"count": state.texts.count, "bytes": state.texts.size},
        "hooks_lacking": list(state.hooks),
        "lacking": state.lacking,
        "merge_lacking": list(state.merging),
        "made": changes.made,
        "removed": changes.removed,
        "kept": changes.kept,
    }
