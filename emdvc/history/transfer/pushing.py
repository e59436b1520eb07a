"""What some revisions need, sent to the remotes that lack it, as the remotes themselves say.

DVC remembers what it once sent, and takes a directory for complete where its list is there. Here every object is asked
for, at the remote, each time: one that was lost there, or has another size, is sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import Code, DataMissingError, EmdvcError, EnvironmentFault, UsageError
from emdvc.history.cache_place import cache_folder
from emdvc.history.collecting.after_push import after_push
from emdvc.history.progress import Progress, silent
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.contract import RemoteSettings
from emdvc.history.storage.remote import Remote, remote_of
from emdvc.history.storage.settings import default_name, remote_settings
from emdvc.history.transfer import runs as run_cache_records
from emdvc.history.transfer.comparing import compared
from emdvc.history.transfer.lost import LostError, names
from emdvc.history.transfer.needed import Lot, add_runs, needed
from emdvc.history.transfer.runs import Run
from emdvc.history.transfer.sending import send


@dataclass(frozen=True, slots=True)
class PushedTo:
    """What one remote got.

    Parameters
    ----------
    name, url
        Of the remote.
    sent, bytes
        Number and size of the objects that were sent.
    there
        Number of those that it had.
    repaired
        Files of which it had other bytes; they are among the sent ones.
    runs
        Number of records of runs that were sent.
    """

    name: str
    url: str
    sent: int = 0
    bytes: int = 0
    there: int = 0
    repaired: tuple[str, ...] = ()
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was sent.

    Parameters
    ----------
    remotes
        By remote.
    foreign
        Datasets that only ``dvc push`` can send.
    """

    remotes: tuple[PushedTo, ...]
    foreign: tuple[str, ...] = ()

    @property
    def sent(self) -> int:
        """Number of objects that were sent to any remote."""
        return sum(one.sent for one in self.remotes)


def push(
    project: Project,
    revisions: Sequence[str] = (),
    *,
    remote: str | None = None,
    paths: Sequence[PurePosixPath] = (),
    run_cache: bool = True,
    progress: Progress = silent,
    dry_run: bool = False,
) -> Pushed:
    """Send the data of the workspace and of more revisions to where it belongs.

    An output with a remote of its own goes there, one with ``push: false`` nowhere. The list of a directory is sent
    when all of its files are there, the record of a run when all of its results are: who reads meanwhile never meets
    the one without the other.

    Parameters
    ----------
    project
        The project.
    revisions
        Names of commits.
    remote
        Only to this remote; what belongs to another one stays.
    paths
        Only these datasets or folders; the records of runs then stay, too.
    run_cache
        Whether to send records of runs, with those of their results that the cache still holds.
    progress
        Shows the bytes.
    dry_run
        Only compare.

    Raises
    ------
    LostError
        Some files are neither here nor there; all others were sent.
    DataMissingError
        Some files of the cache are corrupt and were not sent; all others were.
    EnvironmentFault
        A remote did not answer, or took only a part.
    ProjectError
        There is no such remote, or none at all.
    """
    cache = cache_folder(project)
    only = remote.lower() if remote else None
    found = needed(project, cache, (None, *revisions), paths, default=default_name(project), only=only)
    runs = run_cache_records.local_runs(project) if run_cache and not paths else []
    runs = add_runs(found, cache, runs)
    if not found.lots:
        _refuse_versions(remote_settings(project, remote))
    work = _Push(project, runs, progress, dry_run)
    for name, lot in found.lots.items():
        work.to(name, lot)
    work.send_runs(found.only or found.default)
    work.complain()
    return Pushed(tuple(work.done.values()), tuple(dict.fromkeys(found.foreign)))


class _Push:
    """One push, remote by remote: a fault of one does not keep the data from the others."""

    def __init__(self, project: Project, runs: list[Run], progress: Progress, dry_run: bool) -> None:
        self.project, self.cache = project, cache_folder(project)
        self.runs, self.progress, self.dry_run = runs, progress, dry_run
        self.done: dict[str, PushedTo] = {}
        self.safe: set[str] = set()
        self.absent: dict[str, str] = {}
        self.corrupt: dict[str, str] = {}
        self.faults: list[EmdvcError] = []

    def to(self, name: str | None, lot: Lot) -> None:
        """Send what one remote lacks."""
        place = remote_of(self.project, name)
        _refuse_versions(place.settings)
        try:
            plan = compared(place, lot, self.cache)
            sent, size = len(plan.send), plan.size
            if not self.dry_run and plan.send:
                with self.progress(f"pushing to {place.name}", plan.size) as advance:
                    corrupt = loop.run(send(place, plan, self.cache, advance))
                self.corrupt |= {md5: lot.names[md5] for md5 in corrupt if md5 not in lot.optional}
                sent, size = len(plan.sent), sum(plan.sizes[md5] for md5 in plan.sent)
        except EnvironmentFault as error:
            self.faults.append(error)
            return
        if not self.dry_run:
            try:
                after_push(self.project, place.name, plan.there | plan.sent, sent=bool(plan.sent))
            except EnvironmentFault as error:  # the data is there; that it is not locked is said
                self.faults.append(error)
        self.safe |= plan.safe(dry_run=self.dry_run)
        self.absent |= {md5: lot.names[md5] for md5 in plan.absent if md5 not in lot.optional}
        self.done[place.name] = PushedTo(
            place.name, place.url, sent, size, len(plan.there), tuple(lot.names[md5] for md5 in plan.repaired)
        )

    def send_runs(self, name: str | None) -> None:
        """Send the records of runs whose results are all on their remotes."""
        ready = [run for run in self.runs if self.safe.issuperset(run.outs.values())]
        if not ready:
            return
        place = remote_of(self.project, name)
        if place.settings.scheme in ("http", "https"):
            return
        try:
            count = loop.run(_send_runs(place, ready, self.dry_run))
        except EnvironmentFault as error:
            self.faults.append(error)
            return
        before = self.done.get(place.name) or PushedTo(place.name, place.url)
        self.done[place.name] = PushedTo(
            place.name, place.url, before.sent, before.bytes, before.there, before.repaired, count
        )

    def complain(self) -> None:
        """Raise what could not be done."""
        if self.faults:
            raise self.faults[0]
        if self.absent:
            absent = sorted(self.absent.values())
            raise LostError(
                f"{_files(len(absent))} {'are' if len(absent) > 1 else 'is'} neither in the cache nor on the remote",
                evidence=f"missing: {names(absent)}; all else is on the remote",
                hint="whoever has the data runs: emdvc push; or look for it: emdvc verify --bytes",
                absent=absent,
            )
        if self.corrupt:
            corrupt = sorted(self.corrupt.values())
            raise DataMissingError(
                f"the cache's copy of {_files(len(corrupt))} is corrupt and was not sent",
                code=Code.DATA_CORRUPT,
                evidence=f"corrupt: {names(corrupt)}; all else is on the remote",
                hint="emdvc verify --bytes --repair",
            )


async def _send_runs(place: Remote, runs: list[Run], dry_run: bool) -> int:
    from emdvc.history.transfer.crowd import crowd

    there = await run_cache_records.listed(place)
    lacking = [run for run in runs if run.key not in there or there[run.key].size != run.path.stat().st_size]
    if not dry_run:
        await crowd(lambda run: run_cache_records.send(place, run), lacking, (await place.storage()).parallel)
    return len(lacking)


def _refuse_versions(settings: RemoteSettings) -> None:
    if keeps_versions(settings):
        raise UsageError(
            f"the remote {settings.name} keeps versions in its own way",
            evidence="version_aware or worktree is set for it",
            hint=f"dvc push -r {settings.name}",
        )


def keeps_versions(settings: RemoteSettings) -> bool:
    """Say whether a remote keeps files under their own names, with the storage's versions: only DVC moves those."""
    return bool(settings.flag("version_aware") or settings.flag("worktree"))


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
