"""``emdvc status``: what changed, what would be recomputed and why, what is not shared."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output
from emdvc.cli.plain import PlainCommand

if TYPE_CHECKING:
    from emdvc.history.change import FileChange
    from emdvc.history.changes import Changes, KeyChange
    from emdvc.history.in_place.checking import SourceChange
    from emdvc.history.locking.looking import Locks
    from emdvc.history.partial import Part
    from emdvc.history.pictures import Outdated
    from emdvc.history.programs.notebooks import Outputs
    from emdvc.history.status import Shared, Status, Where

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=PlainCommand)
def status(
    no_remote: Annotated[bool, typer.Option("--no-remote", help="Do not ask the remote what it has.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 when there is anything to do.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Say where the project stands.

    What changed since the last commit (raw data, metadata by key, parameters, scripts), what `dvc repro` would run and
    because of which key, and what is not yet on the remote.
    """
    from emdvc.history.project import Project
    from emdvc.history.status import status as find_status

    project = Project.find()
    found = find_status(project, ask_remote=not no_remote, note=_reading)
    if json:
        output.as_json("status", _plain(found))
    else:
        _print(found)
    if found.locks is not None and found.locks.told:
        from emdvc.history.locking.looking import heard

        heard(project, found.locks.told)  # once is enough
    if exit_code and found:
        raise typer.Exit(1)


#: Bytes that take long enough to read for a person to wonder.
_MUCH = 500_000_000


def _reading(files: int, size: int) -> None:
    """Say on a terminal that data is about to be read."""
    if size > _MUCH and sys.stderr.isatty():
        output.note(f"reading {files} files ({size / 1e9:.1f} GB) whose checksums are not known yet: once")


def _print(found: Status) -> None:
    if found.undone:
        output.note(f"an interrupted `{found.undone}` was taken back")
    output.say(_where(found.where))
    if found.underway is not None:
        output.say(_underway(found))
    for heading, lines in (
        ("changed since then", _changes(found)),
        ("dvc repro would run", [(rerun.stage, f"because {_joined(rerun.because)}") for rerun in found.reruns]),
        ("data at its source", [(str(one.path), _at_source(one)) for one in found.sources]),
        ("scale bars of an older calibration", [_redraw(picture) for picture in found.pictures]),
        ("partly here", [_part(part) for part in found.parts]),
        ("merged, not put here yet", [(path, f"emdvc pull {path}") for path in found.to_place]),
        ("locks", _locks(found.locks)),
        ("notebooks with outputs", [(str(one.path), _outputs(one)) for one in found.notebooks]),
        ("not fetched", [(path, f"emdvc pull {path}") for path in found.absent]),
        *([_sharing(one) for one in (found.shared, *found.shared.others)] if found.shared is not None else []),
    ):
        if lines:
            output.say(heading)
            width = max(len(label) for label, _ in lines)
            for label, text in lines:
                output.say(f"  {label:<{width}}  {text}".rstrip())
    if not found:
        output.say("nothing changed, every result is up to date" + _shared_too(found.shared))
    elif not (found.changes or found.conflicts or found.raw_problems or found.edited or found.reruns):
        output.say("nothing changed, every result is up to date")


def _at_source(one: SourceChange) -> str:
    if not one.answered:
        return f"{one.url} could not be asked: {one.text}"
    command = f'emdvc add {one.url} {one.path} --in-place --replace "why"'
    return f"MAY HAVE CHANGED: {one.text}; `emdvc verify --bytes {one.path}` reads it, on purpose: {command}"


def _redraw(picture: Outdated) -> tuple[str, str]:
    command = f"dvc repro --force --single-item {picture.stage}"
    return str(picture.picture), f"drawn with {picture.drawn}, now {picture.now}; `{command}` redraws it"


def _part(part: Part) -> tuple[str, str]:
    where = "" if part.in_workspace else " in the cache, for emdvc.open_dataset and stages in place"
    rest = "the rest" if part.missing else "into the workspace"
    return str(part.path), f"{part}{where}; {rest}: emdvc pull {part.path}"


def _outputs(one: Outputs) -> str:
    git = "" if one.filtered else "git would commit them (emdvc git install); "
    return f"{git}`emdvc save` takes them out, and keeps a copy"


def _locks(found: Locks | None) -> list[tuple[str, str]]:
    if found is None:
        return []
    from emdvc.cli.lock import lines

    return lines(found)


def _where(where: Where) -> str:
    branch = f"on {where.branch}" if where.branch else "on no branch"
    if where.commit is None:
        return f"{branch}, before the first commit"
    text = f'{branch} at {where.commit.short} "{where.commit.subject}"'
    if where.upstream:
        parts = [f"{count} {word}" for count, word in ((where.ahead, "ahead of"), (where.behind, "behind")) if count]
        text += f", {' and '.join(parts)} {where.upstream}" if parts else f", as {where.upstream}"
    return text


def _underway(found: Status) -> str:
    assert found.underway is not None
    count = len({*found.changes.unmerged, *(str(kept.path) for kept in found.conflicts)})
    text = f"{count} file{'s' if count != 1 else ''} in conflict" if count else "nothing is in conflict any more"
    return f"{found.underway.doing}: {text}; {found.underway.command} --continue|--abort"


def _joined(because: tuple[str, ...], most: int = 3) -> str:
    rest = len(because) - most
    return "; ".join(because[:most]) + (f"; and {rest} more" if rest > 0 else "")


_CHANGED = "IS NOT WHAT WAS RECORDED; `dvc checkout --force {0}` brings it back"


def _changes(found: Status) -> list[tuple[str, str]]:
    changes: Changes = found.changes
    lines = _conflicts(found)
    lines += [("raw data", f"{raw.path} {_CHANGED.format(raw.path)}") for raw in found.raw_problems]
    lines += [("edited data", f"{change.path} was changed; `emdvc save` records it") for change in found.edited]
    lines += [_data(change) for change in changes.raw]
    lines += [("metadata", f"{change.where}: {change.key} {change}") for change in changes.metadata]
    lines += [("parameter", f"{change.key} {_parameter(change)}") for change in changes.parameters]
    lines += [("stage", f"{change.path} {change.how}") for change in changes.pipeline]
    lines += [("result", f"{change.path} {change.how}") for change in changes.results]
    lines += [("file", f"{change.path} {change.how}") for change in changes.files]
    return lines


def _conflicts(found: Status) -> list[tuple[str, str]]:
    """Return what a merge asks about, by file and key, with the command that answers."""
    lines = []
    asked = {str(kept.path): kept for kept in found.conflicts}
    for path in dict.fromkeys([*found.changes.unmerged, *asked]):
        keys = [one.key for one in asked[path].open if one.key] if path in asked else []
        what = f": {', '.join(keys[:3])}{f' and {len(keys) - 3} more' if len(keys) > 3 else ''}" if keys else ""
        lines.append(("conflict", f"{path}{what}; emdvc merge --resolve {path} ours|theirs|edit"))
    return lines


def _data(change: FileChange) -> tuple[str, str]:
    from emdvc.history.edited import of
    from emdvc.history.project import Project

    if of(Project.find().path(change.path)) is None:
        return "raw data", f"{change.path} {change.how}"
    return "edited data", f"{change.path} {'edited' if change.how == 'replaced' else change.how}"


def _parameter(change: KeyChange) -> str:
    if change.old is None:
        return "added" if change.new in (None, {}) else f"set to {change.new}"
    return f"removed (was {change.old})" if change.new is None else str(change)


def _sharing(shared: Shared) -> tuple[str, list[tuple[str, str]]]:
    if shared.remote is None and shared.others:
        return "", []  # everything has a remote of its own
    if shared.remote is None:
        return "not shared", [("no remote", "emdvc remote add NAME URL adds one")]
    if shared.problem is not None:
        return f"remote {shared.remote} could not be asked", [("", shared.problem)]
    lines = [(path, "emdvc save, or emdvc push") for path in shared.lacking]
    lines += [(path, "NEITHER HERE NOR THERE") for path in shared.lost]
    return f"not on remote {shared.remote} ({shared.url})", lines


def _shared_too(shared: Shared | None) -> str:
    names = [one.remote for one in (shared, *shared.others) if one.remote] if shared is not None else []
    return f", everything is on {' and '.join(names)}" if names else ""


def _plain(found: Status) -> dict[str, Any]:
    commit, changes, shared = found.where.commit, found.changes, found.shared
    return {
        "clean": not found,
        "where": {
            "branch": found.where.branch,
            "commit": commit.oid if commit else None,
            "subject": commit.subject if commit else None,
            "date": commit.date if commit else None,
            "upstream": found.where.upstream,
            "ahead": found.where.ahead,
            "behind": found.where.behind,
        },
        "changed": {
            "raw": [change.to_dict() for change in (*found.raw_problems, *changes.raw)],
            "edited": [change.to_dict() for change in found.edited],
            "metadata": [change.to_dict() for change in changes.metadata],
            "parameters": [change.to_dict() for change in changes.parameters],
            "stages": [change.to_dict() for change in changes.pipeline],
            "results": [change.to_dict() for change in changes.results],
            "files": [change.to_dict() for change in changes.files],
            "unmerged": list(changes.unmerged),
        },
        "would_run": [rerun.to_dict() for rerun in found.reruns],
        "shared": None
        if shared is None
        else {
            "remote": shared.remote,
            "url": shared.url,
            "lacking": list(shared.lacking),
            "lost": list(shared.lost),
            "problem": shared.problem,
            "others": [
                {"remote": one.remote, "url": one.url, "lacking": list(one.lacking), "lost": list(one.lost)}
                | {"problem": one.problem}
                for one in shared.others
            ],
        },
        "absent": list(found.absent),
        "parts": [
            {"path": str(part.path), "here": part.here, "of": part.of, "in_workspace": part.in_workspace}
            for part in found.parts
        ],
        "sources": [one.to_dict() for one in found.sources],
        "outdated_pictures": [
            {"path": str(picture.picture), "stage": picture.stage, "drawn": picture.drawn, "now": picture.now}
            for picture in found.pictures
        ],
        "undone": found.undone,
        "underway": found.underway and {"what": found.underway.what, "name": found.underway.name},
        "to_place": list(found.to_place),
        "conflicts": [{"path": str(kept.path), "keys": [one.key for one in kept.open]} for kept in found.conflicts],
        "locks": _plain_locks(found.locks),
        "notebooks": [{"path": str(one.path), "filtered": one.filtered} for one in found.notebooks],
    }


def _plain_locks(found: Locks | None) -> dict[str, Any] | None:
    if found is None:
        return None
    from emdvc.cli.lock import as_plain

    return as_plain(found)
