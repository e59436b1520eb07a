"""``emdvc verify --raw``: raw data that changed or went without a reason, and conflicts that nobody resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emdvc.cli import output

if TYPE_CHECKING:
    from emdvc.history.merging.drivers.unresolved import Unresolved
    from emdvc.history.raw.checking import RawCheck


def verify_raw(what: list[str], *, staged: bool, unshared: bool, json: bool) -> bool:
    """Check, print the answer and say whether all is well.

    Parameters
    ----------
    what
        Revisions or ranges; none: what is not shared yet, what is staged, and the workspace.
    staged
        Only what is staged.
    unshared
        Of the revisions, only what no git remote has.
    json
        Print the answer as JSON.
    """
    from pathlib import Path

    from emdvc.history.batch import Batch
    from emdvc.history.merging.drivers.unresolved import unresolved, unresolved_at
    from emdvc.history.project import Project, git_root_of
    from emdvc.history.raw import revisions
    from emdvc.history.raw.checking import check
    from emdvc.history.raw.here import check_here
    from emdvc.history.raw.pointers import INDEX, GitTree

    root = git_root_of(Path.cwd())
    if root is None:
        root = Project.find().git_root  # says what lacks
    if staged:
        answer = check(root, [revisions.index(root)])
        conflicts = unresolved(Project(root, root))
    elif what:
        spans = [revisions.unshared(root, text) if unshared else revisions.span(text, root) for text in what]
        answer = check(root, spans)
        conflicts = unresolved_at(root, [span.tip for span in spans if span is not None])
    else:
        project = Project.find()
        with Batch(root) as batch:
            # what a commit lost may be staged again already
            spans = [revisions.rewritten(root), revisions.unshared(root), revisions.index(root)]
            answer = check(root, spans, GitTree(INDEX, batch))
        check_here(project, answer)
        conflicts = unresolved(project)
    if json:
        output.as_json("verify_raw", _plain(answer, conflicts))
    else:
        _say(answer, quiet=staged or unshared)
        _say_conflicts(conflicts)
    return answer.ok and not conflicts


def _plain(answer: RawCheck, conflicts: list[Unresolved]) -> dict[str, object]:
    return {
        "ok": answer.ok and not conflicts,
        "compared": answer.compared,
        "steps": answer.steps,
        "findings": [finding.to_dict() for finding in answer.findings],
        "absent": list(answer.absent),
        "made_read_only": list(answer.mended),
        "separated_from_cache": list(answer.separated),
        "unresolved": [one.to_dict() for one in conflicts],
    }


def _say_conflicts(conflicts: list[Unresolved]) -> None:
    from emdvc.errors import ConflictError
    from emdvc.history.merging.drivers.unresolved import refuse

    try:
        refuse(conflicts)
    except ConflictError as error:
        output.say(str(error))


def _say(answer: RawCheck, *, quiet: bool) -> None:
    for path in answer.mended:
        output.note(f"note: {path} could be written; it is read-only again")
    for path in answer.separated:
        output.note(f"note: {path} was the cache's own file; it has bytes of its own again")
    for path in answer.absent:
        output.note(f"note: {path} is recorded, but not here: emdvc pull {path}")
    for one in answer.findings:
        where = one.where if one.where in ("index", "workspace") else f"in {one.where}"
        output.say(f"{one.path}: {one.how} ({where})")
        now = f", now {one.now}" if one.now else ""
        known = f"recorded by {one.recorded_in}: " if one.recorded_in else ""
        output.say(f"    {known}{one.before}{now}")
        output.say(f"    back to what was recorded: {one.remedy}")
        output.say(f"    on purpose: {one.on_purpose}")
    if answer.findings:
        count = len(answer.findings)
        output.say(f"raw data: {count} change{'s' if count != 1 else ''} without a reason")
    elif not quiet:
        output.say(f"raw data: as it was recorded ({', '.join(answer.compared) or 'nothing is committed yet'})")
