"""``emdvc gc``: what nothing needs is looked for, shown, and only when that was asked for, removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from emdvc.errors import Code, EmdvcError, EnvironmentFault, UsageError
from emdvc.formats import sidecar as sidecars
from emdvc.history import dvc_busy, git
from emdvc.history.collecting import projects, repository
from emdvc.history.collecting.place import CACHE, Place, cache_of, remote_place
from emdvc.history.collecting.planning import Choice, Plan, is_cache, keys_of, plan
from emdvc.history.collecting.repository import Digests
from emdvc.history.journal import recover
from emdvc.history.lock import writing
from emdvc.history.project import Project
from emdvc.history.storage.remote import key_of
from emdvc.history.storage.settings import remote_names


@dataclass(slots=True)
class Collected:
    """The answer.

    Parameters
    ----------
    plans
        What would go, or went, from each place.
    done
        Whether it was removed.
    losing
        Commits that nothing leads to any more, and that lose data: id -> subject.
    locked
        Objects that a remote does not let go before their time.
    notes
        What a person should know.
    """

    plans: list[Plan] = field(default_factory=list)
    done: bool = False
    losing: dict[str, str] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def collect(
    project: Project,
    *,
    cache: bool,
    remotes: Sequence[str] = (),
    choice: Choice,
    reason: str | None = None,
    remove: bool = False,
) -> Collected:
    """Return what nothing needs, and remove it where that is asked for.

    Parameters
    ----------
    cache, remotes
        Where to look.
    choice
        What may go.
    reason
        Why raw data goes.
    remove
        Whether to remove it.

    Raises
    ------
    EnvironmentFault
        Something that is to be known first is not: a git remote or another project cannot be asked.
    DataMissingError
        Which files a recorded directory has is not known.
    UsageError
        Raw data is named without a reason.
    """
    for name in remotes:
        _refuse_archive(project, name)
    if choice.raw and not (reason or "").strip():
        raise UsageError("raw data goes for a reason only", hint='--raw PATH --reason "why"')
    recover(project)
    if dvc_busy.at_work(project):
        hint = "wait until it is done, then the same command again"
        raise EnvironmentFault("another DVC works in this project", code=Code.BUSY, hint=hint)
    answer = Collected()
    places = [*([cache_of(project)] if cache else []), *(remote_place(project, name) for name in remotes)]
    with writing(project, "emdvc gc"):
        try:
            digests = _digests(project, places, choice, answer)
            content = _lists(project, places)
            for place in places:
                answer.plans.append(_unlocked(plan(project, place, digests, choice, content), answer))
            commits = {gone.commit for one in answer.plans for gone in one.goes if gone.commit}
            for oid in sorted(commits):
                commit = git.commit_of(oid, project.git_root)
                answer.losing[oid] = commit.subject if commit else ""
            if remove:
                for one in answer.plans:
                    _remove(project, one, digests, choice, reason)
                answer.done = True
        finally:
            for place in places:
                place.close()
    return answer


def _refuse_archive(project: Project, name: str) -> None:
    from emdvc.history.remotes import profiles

    if not profiles.of(project, name).collected:
        raise UsageError(
            f"{name} is an archive: nothing is removed from it",
            hint=f"another profile, if it is none any more: remotes: profiles: {name}: in .emdvc/config.yaml",
        )


def _digests(project: Project, places: Sequence[Place], choice: Choice, answer: Collected) -> Digests:
    """Return what this project records, with what others have pushed to its git remotes."""
    with repository.fetched(project.git_root) as problems:
        for problem in problems:
            if any(place.shared for place in places):
                raise EnvironmentFault(
                    f"{problem.cause}: nothing is deleted",
                    code=Code.DATA_NEEDED,
                    evidence=problem.evidence,
                    hint="once it answers, the same command again; --cache alone needs no network",
                )
            answer.notes.append(f"{problem.cause}; the cache is your own, and others have theirs")
        return repository.recorded(project.git_root, choice.days)


def _lists(project: Project, places: Sequence[Place]) -> Callable[[str], bytes | None]:
    """Return what gives a list of files: from the cache, else from any remote of the project."""
    known: dict[str, bytes | None] = {}
    others = [place for place in places if place.name != CACHE]
    names = {place.name for place in others}
    sources = [cache_of(project), *others, *(remote_place(project, n) for n in remote_names(project) if n not in names)]

    def content(name: str) -> bytes | None:
        if name not in known:
            known[name] = None
            for place in sources:
                try:
                    found = place.read([key_of(name)])
                except EmdvcError:  # a remote that is away; another one may have it
                    continue
                if found:
                    known[name] = next(iter(found.values()))
                    break
        return known[name]

    return content


def _unlocked(found: Plan, answer: Collected) -> Plan:
    """Leave out what a remote keeps from being deleted until some day."""
    from emdvc.history.raw.object_lock import locked

    held = locked(found.place.storage(), [key_of(gone.name) for gone in found.goes])
    if held:
        kept = [gone for gone in found.goes if key_of(gone.name) in held]
        found.goes = [gone for gone in found.goes if key_of(gone.name) not in held]
        found.kept["are locked on the remote"] = len(kept), sum(gone.size for gone in kept)
        answer.locked |= {gone.name: held[key_of(gone.name)] for gone in kept}
    return found


def _remove(project: Project, one: Plan, digests: Digests, choice: Choice, reason: str | None) -> None:
    if not one.goes and not one.runs:
        return
    if one.place.shared:
        projects.register(project, one.place)
    if choice.raw:
        _note_raw(project, one, digests, reason or "")
    one.place.remove(keys_of(one))
    if is_cache(one):
        _forget_unpacked(one)


def _note_raw(project: Project, one: Plan, digests: Digests, reason: str) -> None:
    """Write down in the place itself which raw data went, when, and why."""
    gone = [{"md5": it.name, "path": it.dataset, "bytes": it.size} for it in one.goes if it.name in digests.raw]
    if gone:
        now = datetime.now(UTC)
        text = sidecars.dump_yaml({"when": now.isoformat(timespec="seconds"), "reason": reason, "removed": gone})
        key = f"{projects.FOLDER}/removed-{now:%Y%m%dT%H%M%S}-{projects.identity(project)}.yaml"
        one.place.write(key, text, project.journal_dir)


def _forget_unpacked(one: Plan) -> None:
    """Remove DVC's own copies of lists that went."""
    import shutil

    folder = one.place.folder
    for gone in one.goes if folder is not None else ():
        if gone.name.endswith(".dir"):
            assert folder is not None
            shutil.rmtree(folder / f"{key_of(gone.name)}.unpacked", ignore_errors=True)
