"""``emdvc repro``: what anybody has computed is fetched instead of computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.dvc_manifest import manifest
from emdvc.history.dvc_repro import Outcome, reproduce
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, stage_address
from emdvc.history.snapshot import Snapshot
from emdvc.history.storage import loop
from emdvc.history.storage.remote import Remote, remote_of
from emdvc.history.transfer.fetching import fetch, fetch_datasets
from emdvc.history.transfer.lost import LostError
from emdvc.history.transfer.runs import fetch_runs
from emdvc.history.verify.wanted_objects import kept_by_dvc

__all__ = ["Outcome", "Reproduced", "repro"]


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What became of a stage.

    Parameters
    ----------
    name
        As DVC names it.
    outcome
        What became of it.
    cmd
        Its command.
    """

    name: str
    outcome: Outcome
    cmd: str


def repro(
    project: Project,
    stages: Sequence[str] = (),
    *,
    pull: bool = False,
    dry: bool = False,
    tell: Callable[[Reproduced], None] = lambda _: None,
    progress: Progress = silent,
) -> list[Reproduced]:
    """Bring stages up to date as ``dvc repro`` does, and return what became of each.

    Parameters
    ----------
    project
        The project.
    stages
        Names of stages; those that they read from are brought up to date before them. None: all.
    pull
        Whether to fetch from the remotes what is missing: data that is not here, and the results of runs that somebody
        has pushed, with the same inputs, parameters and command.
    dry
        Only say what would be done. The records of runs are fetched all the same.
    tell
        Told of each stage when it is known what becomes of it.
    progress
        Shows bytes.

    Raises
    ------
    EmdvcError
        A stage failed, or a remote did not answer.
    """
    found: list[Reproduced] = []

    def note(name: str, outcome: Outcome, cmd: str) -> None:
        found.append(Reproduced(name, outcome, cmd))
        tell(found[-1])

    fetcher = _Fetcher(project, progress) if pull else None
    reproduce(project, stages, tell=note, fetcher=fetcher, dry=dry)
    return found


class _Fetcher:
    """Brings into the cache what a stage needs, from the remotes of the project."""

    def __init__(self, project: Project, progress: Progress) -> None:
        self.project, self.progress = project, progress
        with Snapshot(project) as snapshot:
            self.entries = list(kept_by_dvc(snapshot))
        named = dict.fromkeys(entry.remote for entry in self.entries if entry.remote)
        self.remotes: list[str | None] = [None, *named]

    def records(self) -> None:
        """Fetch the records of runs."""
        fetch_runs(self.project, remote_of(self.project))

    def objects(self, md5s: Iterable[str], name: str) -> None:
        """Fetch objects; those that are to be had nowhere are left out."""
        wanted = dict.fromkeys(md5s, name)
        cache = cache_folder(self.project)
        for remote in self.remotes:
            with suppress(LostError):
                fetch(self.project, {md5: md5 for md5 in wanted if md5.endswith(".dir")}, name, remote=remote)
            for md5 in [md5 for md5 in wanted if md5.endswith(".dir")]:
                wanted |= {one: f"{name}/{inside}" for inside, one in (manifest(cache, md5) or {}).items()}
            with suppress(LostError):
                fetch(self.project, wanted, name, remote=remote, progress=self.progress)
                return

    def tracked(self, target: str) -> None:
        """Fetch what is recorded of a stage's results, or of a path, as far as it is to be had."""
        with suppress(LostError):
            fetch_datasets(self.project, [one for one in self.entries if _is(one, target)], self.progress)

    def there(self, md5s: Iterable[str]) -> bool:
        """Say whether the cache or the remote has all of these objects."""
        cache = cache_folder(self.project)
        lacking = [md5 for md5 in md5s if not object_path(cache, md5).is_file()]
        places: list[Remote] = [remote_of(self.project, name) for name in self.remotes]
        for place in places:
            if lacking:
                found = loop.run(place.there(lacking))
                lacking = [md5 for md5 in lacking if md5 not in found]
        return not lacking


def _is(entry: Recorded, target: str) -> bool:
    if entry.stage is not None and stage_address(entry.stage, entry.where.parent) == target:
        return True
    return target in (str(entry.path), str(entry.where)) or str(entry.path).startswith(f"{target}/")
