"""``emdvc verify``: results computed again and compared, or every byte read again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emdvc.cli import output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emdvc.compare.numbers.values import Tolerance
    from emdvc.history.project import Project
    from emdvc.history.verify.byte_check import ByteCheck
    from emdvc.history.verify.repairing import Repaired

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def verify(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STAGES",
            help="Stages to compute again; with --bytes datasets or folders; with --raw revisions or ranges.",
        ),
    ] = None,
    rev: Annotated[
        str | None,
        typer.Option("--rev", metavar="REV", help="Revision to verify; HEAD by default.", show_default=False),
    ] = None,
    rtol: Annotated[float, typer.Option("--rtol", min=0, help="Tolerated, relative to the recorded number.")] = 0.0,
    atol: Annotated[float, typer.Option("--atol", min=0, help="Tolerated, in the array's unit.")] = 0.0,
    ulp: Annotated[int, typer.Option("--ulp", min=0, help="Tolerated: steps between floating-point numbers.")] = 0,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Where to compute; by default on the project's disk.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the temporary folder.")] = False,
    bytes_: Annotated[
        bool, typer.Option("--bytes", help="Compute nothing: read cache and remote, and find corrupt files.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --bytes: what every branch and tag needs.")] = False,
    no_remote: Annotated[bool, typer.Option("--no-remote", help="With --bytes: read the cache alone.")] = False,
    remote: Annotated[
        list[str] | None, typer.Option("--remote", metavar="NAME", help="With --bytes: read this remote. Repeatable.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="With --bytes: replace a corrupt copy by the good one of the other side.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Compute nothing: find raw data that changed or went without a reason.")
    ] = False,
    index: Annotated[bool, typer.Option("--index", help="With --raw: only what is staged for a commit.")] = False,
    unshared: Annotated[bool, typer.Option("--unshared", hidden=True)] = False,
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not note the verdict of the commit.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Compute a revision's results again in a temporary clone, and compare them with what is recorded.

    Each output is bit-identical, within tolerance, or different, and then it is said how. Named stages are computed
    alone, on what is recorded of their inputs. Exit status 1 when something is different or failed.

    With --bytes every file that cache and remote hold of the project is read instead, and those that are not what was
    recorded are named. The verdict is noted of the commit, for `emdvc report` and `emdvc log`.

    With --raw every commit that was not pushed yet, what is staged and the workspace are compared with what was
    recorded of raw data before; given a REV, A..B or A...B, those commits. Nothing of it may change or go, unless
    `emdvc add --replace` or `emdvc remove --reason` wrote down why.
    """
    from emdvc.errors import UsageError

    if raw:
        given = {"--bytes": bytes_, "--rev": rev, "--all": every, "--remote": remote, "--repair": repair}
        wrong = [name for name, value in given.items() if value]
        if wrong:
            raise UsageError(f"{wrong[0]} is not for --raw", hint="emdvc verify --raw A..B")
        from emdvc.cli.verify_raw import verify_raw

        if not verify_raw(what or [], staged=index, unshared=unshared, json=json):
            raise typer.Exit(1)
        return
    from emdvc.compare.numbers.values import Tolerance
    from emdvc.history.project import Project

    if index or unshared:
        raise UsageError("--index is for --raw", hint="emdvc verify --raw --index")
    alone = {"--all": every, "--no-remote": no_remote, "--remote": remote, "--repair": repair}
    other = {"--rtol": rtol, "--atol": atol, "--ulp": ulp, "--folder": folder, "--keep": keep}
    wrong = [name for name, value in (other if bytes_ else alone).items() if value]
    if wrong:
        verb = "computes nothing again" if bytes_ else "is for --bytes"
        raise UsageError(f"{'--bytes' if bytes_ else wrong[0]} {verb}", evidence=f"{wrong[0]} was given")
    if no_remote and remote:
        raise UsageError("--no-remote and --remote contradict each other", hint="leave one of them out")
    if every and rev:
        raise UsageError("--all and --rev contradict each other", hint="leave one of them out")
    project = Project.find()
    if bytes_:
        places = {"ask_remotes": not no_remote, "only_remotes": remote or []}
        ok = _bytes(project, what or [], rev, every=every, places=places, mend=repair, record=not no_record, json=json)
    else:
        where = {"folder": folder, "keep": keep}
        tolerance = Tolerance(rtol, atol, ulp)
        ok = _stages(project, what or [], rev or "HEAD", tolerance, where=where, record=not no_record, json=json)
    if not ok:
        raise typer.Exit(1)


def _stages(
    project: Project,
    names: list[str],
    revision: str,
    tolerance: Tolerance,
    *,
    where: dict[str, Any],
    record: bool,
    json: bool,
) -> bool:
    from emdvc.cli.progress import shown
    from emdvc.compare.settings import settings
    from emdvc.compare.verification import Outcome, verdicts
    from emdvc.history import git
    from emdvc.history.snapshot import Snapshot
    from emdvc.history.verify.stages import recomputed
    from emdvc.render.verification import stages_text

    with Snapshot(project, revision) as snapshot:
        wanted = settings(snapshot).with_tolerance(tolerance)
    if any(not change.untracked for change in git.changes(project.git_root)):
        output.note("note: changes that are not committed are not verified")
    with recomputed(project, revision, names, **where, listen=output.note, progress=shown) as found:
        stages = verdicts(found, wanted)
        kept = found.clone.root
    for name, why in found.left_out.items():
        output.note(f"note: {name} was not computed again: {why}")
    if where["keep"]:
        output.note(f"note: the clone stays in {kept}")
    outcomes = {stage.name: str(stage.outcome) for stage in stages}
    ok = set(outcomes.values()) <= {Outcome.IDENTICAL, Outcome.TOLERATED}
    if json:
        said = {"revision": revision, "commit": found.commit.oid, "ok": ok}
        left = [{"name": name, "why": why} for name, why in found.left_out.items()]
        output.as_json("verify", {**said, "stages": [stage.to_dict() for stage in stages], "left_out": left})
    else:
        output.say(stages_text(stages, found.commit.short))
    if record:
        _note(project, found.commit.oid, "stages", ok, outcomes)
    return ok


def _bytes(
    project: Project,
    paths: list[str],
    revision: str | None,
    *,
    every: bool,
    places: dict[str, Any],
    mend: bool,
    record: bool,
    json: bool,
) -> bool:
    from emdvc.cli.progress import shown
    from emdvc.history import git
    from emdvc.history.verify.byte_check import check_bytes
    from emdvc.history.verify.wanted_objects import branches_and_tags
    from emdvc.render.byte_check import BytesAnswer, bytes_text

    head = git.head(project.git_root)
    revisions: list[str | None] = [revision] if revision else [None, *(["HEAD"] if head else [])]
    if every:
        revisions += branches_and_tags(project)
    chosen = [project.relative(path) for path in paths]
    check = check_bytes(project, revisions, chosen, **places, progress=shown)
    if mend and _brought_back(project, check):
        check = check_bytes(project, revisions, chosen, **places, progress=shown)
    faults = tuple(check.faults())
    answer = BytesAnswer(check, faults, _repaired(project, check) if mend else ())
    if json:
        output.as_json("verify_bytes", answer.to_dict())
    else:
        output.say(bytes_text(answer))
    if record and head is not None and not paths:
        name = revision or "HEAD"
        names = [place.name for place in check.places]
        _note(project, git.resolve(name, project.git_root), "bytes", answer.ok_for(name), {}, names)
    return answer.ok


def _brought_back(project: Project, check: ByteCheck) -> bool:
    """Say whether something that was removed from a remote which keeps versions is there again."""
    lost = [one.md5 for one in check.lost()]
    if not lost:
        return False
    from emdvc.history.raw.object_lock import revive

    found = revive(project, [place.name for place in check.places[1:]], lost)
    for remote, md5s in found.items():
        output.note(f"note: {len(md5s)} removed from {remote} {'are' if len(md5s) != 1 else 'is'} there again")
    return any(found.values())


def _repaired(project: Project, check: ByteCheck) -> tuple[Repaired, ...]:
    from emdvc.cli.progress import shown
    from emdvc.history import lock
    from emdvc.history.verify.repairing import repair

    with lock.writing(project, "verify --bytes --repair"):
        return tuple(repair(check, shown))


def _note(
    project: Project, commit: str, scope: str, ok: bool, stages: Mapping[str, str], places: list[str] | None = None
) -> None:
    from emdvc.errors import EnvironmentFault
    from emdvc.history.verify import noted as verified

    try:
        verified.note(project, commit, scope, ok=ok, stages=stages, places=places or ())
    except EnvironmentFault as error:  # the answer counts; a repository that cannot be written is no fault of it
        output.note(f"note: the verdict was not noted of the commit: {error.evidence or error.cause}")
