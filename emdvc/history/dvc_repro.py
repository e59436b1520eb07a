"""The adapter over DVC: ``dvc repro``, with what it fetches on its way fetched by emdvc."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.dvc import repository
from emdvc.history.project import Project


class Outcome(StrEnum):
    """What became of a stage."""

    UNCHANGED = "unchanged"
    FETCHED = "fetched"
    RESTORED = "restored"
    RUNNING = "running"


#: Told what becomes of a stage, as soon as that is known: its name, its outcome, and its command.
Tell = Callable[[str, Outcome, str], None]


class Fetcher(Protocol):
    """Brings what a stage needs into the cache."""

    def records(self) -> None:
        """Fetch the records of runs."""

    def objects(self, md5s: Iterable[str], name: str) -> None:
        """Fetch objects; those that are to be had nowhere are left out."""

    def tracked(self, target: str) -> None:
        """Fetch what is recorded of a stage's results, or of a path, as far as it is to be had."""

    def there(self, md5s: Iterable[str]) -> bool:
        """Say whether the cache or the remote has all of these objects."""


def reproduce(
    project: Project, targets: Sequence[str], *, tell: Tell, fetcher: Fetcher | None = None, dry: bool = False
) -> None:
    """Bring stages up to date as ``dvc repro`` does.

    Parameters
    ----------
    project
        The project.
    targets
        Stages or dvc.yaml files as DVC names them; none: the project's dvc.yaml.
    tell
        Told of each stage.
    fetcher
        Fetches what is missing; None: only what is here is used, as by plain ``dvc repro``.
    dry
        Only tell.

    Raises
    ------
    EmdvcError
        A stage failed, or DVC cannot work with the project.
    """
    with repository(project) as repo:
        from dvc.exceptions import ReproductionError
        from dvc.repo.reproduce import _reproduce_stage

        fetched: set[str] = set()
        told: set[str] = set()
        if fetcher is not None:
            _fetch_by(repo, fetcher, fetched)
        _watch(repo, fetcher, told, tell)

        def each(stage: Any, **options: Any) -> Any:
            name = str(stage.addressing)
            done = _reproduce_stage(stage, **options)
            if name not in told and stage.cmd:
                idle = Outcome.FETCHED if name in fetched else Outcome.UNCHANGED
                tell(name, idle if done is None else Outcome.RUNNING, str(stage.cmd))
            return done

        try:
            repo.reproduce(list(targets) or None, dry=dry, pull=fetcher is not None, repro_fn=each)
        except ReproductionError as error:
            raise _failed(error) from error


def _failed(error: Exception) -> EmdvcError:
    """Return why a stage was not brought up to date: the innermost cause."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, EmdvcError):
        cause = cause.__cause__
    if isinstance(cause, EmdvcError):
        return cause
    first = (str(error).splitlines() or [""])[0].removeprefix("failed to reproduce ").strip("'\"")
    return EnvironmentFault(
        f"the stage {first} failed",
        code=Code.PROGRAM_FAILED,
        evidence=(str(cause).splitlines() or [type(cause).__name__])[0],
        hint="what it printed stands above; once mended, emdvc repro goes on from there",
    )


def _fetch_by(repo: Any, fetcher: Fetcher, fetched: set[str]) -> None:
    """Let emdvc fetch wherever DVC would: each object is then checked, and a silent server ends in an error."""

    def pull_objects(objs: Iterable[Any], *_: Any, **__: Any) -> None:
        wanted = list(objs)
        name = str(next((one.obj_name for one in wanted if one.obj_name), "results"))
        fetcher.objects([str(one.value) for one in wanted], name)

    def pull_tracked(targets: Any = None, *_: Any, **__: Any) -> None:
        fetched.add(str(targets))
        fetcher.tracked(str(targets))
        repo.checkout(targets=[str(targets)], allow_missing=True)

    repo.cloud.pull = pull_objects
    repo.stage_cache.pull = lambda *_, **__: fetcher.records()
    repo.pull = pull_tracked


def _watch(repo: Any, fetcher: Fetcher | None, told: set[str], tell: Tell) -> None:
    """Tell of a stage when DVC has looked for an earlier run of it."""
    from dvc.stage.cache import RunCacheNotFoundError

    restore = repo.stage_cache.restore

    def watched(stage: Any, *, dry: bool = False, **options: Any) -> Any:
        name, cmd = str(stage.addressing), str(stage.cmd)
        told.add(name)
        try:
            done = restore(stage, dry=dry, **options)
        except RunCacheNotFoundError:
            known = dry and fetcher is not None and _recorded(repo, fetcher, stage)
            tell(name, Outcome.RESTORED if known else Outcome.RUNNING, cmd)
            raise
        tell(name, Outcome.RESTORED, cmd)
        return done

    repo.stage_cache.restore = watched


def _recorded(repo: Any, fetcher: Fetcher, stage: Any) -> bool:
    """Say whether there is a record of this run whose results are to be had."""
    from dvc.stage.cache import _can_hash

    record = repo.stage_cache._load(stage) if _can_hash(stage) else None
    return record is not None and fetcher.there([str(out["md5"]) for out in record["outs"]])
