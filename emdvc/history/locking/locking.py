"""``emdvc lock`` and ``emdvc unlock``: take a lock, make it longer, give it back, take it away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import Code, UsageError, suggest
from emdvc.history import git
from emdvc.history.journal import recover, transaction
from emdvc.history.locking import looking
from emdvc.history.locking.changing import own, released, taken
from emdvc.history.locking.note import Lock, Page
from emdvc.history.locking.pages import Pages, clock
from emdvc.history.locking.setting import Setting, me, setting, usual, write
from emdvc.history.locking.times import USUAL, until
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded
from emdvc.history.snapshot import Snapshot, data_path
from emdvc.history.storage import loop
from emdvc.history.storage.remote import connection_to
from emdvc.history.storage.settings import CONFIG, remote_settings


@dataclass(frozen=True, slots=True)
class Taken:
    """What was done.

    Parameters
    ----------
    lock
        The lock.
    remote, url
        Where it is noted.
    renewed
        Whether it was ours before.
    setting
        Whether the project says only now that it uses locks there; that has to be saved.
    """

    lock: Lock
    remote: str
    url: str
    renewed: bool
    setting: bool


def lock(
    project: Project,
    path: PurePosixPath,
    *,
    array: str | None = None,
    reason: str = "",
    ends: str = USUAL,
    remote: str | None = None,
    dry_run: bool = False,
) -> Taken:
    """Take a lock, or make our own longer.

    Parameters
    ----------
    project
        The project.
    path
        A dataset or a folder; a ``.dvc`` file or a sidecar stands for its dataset.
    array
        Only this array of it.
    reason
        Why, for colleagues.
    ends
        Until when, as :func:`~emdvc.history.locking.times.until` takes it.
    remote
        Where to note it; by default where the project's locks are, else where the dataset is sent.
    dry_run
        Only say what would be.

    Raises
    ------
    ConflictError
        Somebody else holds it.
    UsageError
        There is no such dataset or array, or the time is not clear.
    EnvironmentFault
        The remote does not answer, or cannot do this.
    """
    until(ends, time.time())  # before anybody is asked
    data, entry = _named(project, path)
    if array is not None:
        _check_array(project, data, entry, array)
    who = me(project)
    route = entry.remote if entry is not None and setting(project) is None else None
    place = _place(project, remote or route)
    before: list[Lock] = []

    def change(page: Page, now: float) -> Page:
        wanted = Lock(data, array, who, now, until(ends, now), reason)
        found = own(page, wanted)
        before[:] = [found] if found is not None and found.holds(now) else []
        return taken(page, now, wanted)

    _refuse_elsewhere(project, place, change)
    if dry_run:
        page, written = _changed(project, place, change, dry_run=True), setting(project) != place
    elif setting(project) is None or place.remotes[0] not in (setting(project) or place).remotes:
        recover(project)
        with transaction(project, "emdvc lock") as journal:
            journal.will_change(project.path(CONFIG))
            written = write(project, place)
            page = _changed(project, place, change)
    else:
        page, written = _changed(project, place, change), False
    wanted = Lock(data, array, who, 0, 0)
    made = own(page, wanted)
    assert made is not None
    settings = remote_settings(project, place.remotes[0])
    return Taken(made, settings.name, settings.url, bool(before), written)


def unlock(
    project: Project,
    path: PurePosixPath,
    *,
    array: str | None = None,
    force: str | None = None,
    dry_run: bool = False,
) -> list[Lock]:
    """Give a lock back, or take another's away, and return what is free now.

    Parameters
    ----------
    project
        The project.
    path, array
        What; no array: all locks on it that are ours.
    force
        The reason for which another's lock is taken away; its holder is told.
    dry_run
        Only say what would be.

    Raises
    ------
    ConflictError
        Somebody else holds it.
    UsageError
        Nobody does.
    EnvironmentFault
        The remote does not answer.
    """
    said, who, data = usual(project), me(project), data_path(path)
    free: list[Lock] = []
    nobody: UsageError | None = None
    for name in said.remotes if said is not None else ():
        assert said is not None

        def change(page: Page, now: float) -> Page:
            made, gone = released(page, now, data, array, who, force)
            free[:] = gone
            return made

        try:
            _changed(project, Setting(said.project, (name,)), change, dry_run=dry_run)
        except UsageError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            nobody = error
            continue
        return free
    raise nobody or UsageError(f"{data} is not locked", code=Code.NOT_FOUND, hint="emdvc lock shows all locks")


def _place(project: Project, remote: str | None) -> Setting:
    name = remote_settings(project, remote).name if remote is not None else None
    place = usual(project, name)
    if place is None:
        remote_settings(project)  # raises, and says how to get one
        raise AssertionError("unreachable")
    return place


def _changed(project: Project, place: Setting, change: Callable[[Page, float], Page], *, dry_run: bool = False) -> Page:
    name = place.remotes[0]
    pages = Pages(connection_to(remote_settings(project, name)), place.project)

    async def would_be() -> Page:
        storage = await connection_to(remote_settings(project, name)).storage()
        return change((await pages.newest()).page, await clock(storage))

    page = loop.run(would_be() if dry_run else pages.change(change))
    if not dry_run:
        looking.keep(project, name, page)
    return page


def _refuse_elsewhere(project: Project, place: Setting, change: Callable[[Page, float], Page]) -> None:
    """Refuse what somebody has noted on another remote of the project."""
    for name in place.remotes[1:]:
        _changed(project, Setting(place.project, (name,)), change, dry_run=True)


def _named(project: Project, path: PurePosixPath) -> tuple[PurePosixPath, Recorded | None]:
    """Return the dataset, file or folder that a path means, and what is recorded of it."""
    data = data_path(path)
    with Snapshot(project) as now:
        known = recorded(now)
    if data in known:
        return data, known[data]
    if data == PurePosixPath("."):
        return data, None
    if git.tracked(project.git_root, [project.in_git(path)]) or any(one.is_relative_to(data) for one in known):
        return (data if data == path or project.path(data).exists() else path), None
    near = suggest(str(data), [str(one) for one in known])
    raise UsageError(
        f"{data} is nothing that the project has",
        code=Code.NOT_FOUND,
        evidence="neither a dataset, nor a file or a folder that git knows",
        hint=f"did you mean {near}?" if near else "emdvc status; dvc list . -R --dvc-only",
    )


def _check_array(project: Project, data: PurePosixPath, entry: Recorded | None, array: str) -> None:
    """Refuse an array that the dataset has not, as far as can be told without fetching anything."""
    if entry is None or not entry.is_directory:
        raise UsageError(
            f"{data} has no arrays that could be locked one by one",
            evidence="only a Zarr store of several arrays has",
            hint=f"emdvc lock {data}",
        )
    names = arrays(project, data, entry)
    if names is not None and array not in names:
        near = suggest(array, sorted(names)) or ", ".join(sorted(names)[:8])
        raise UsageError(f"{data} has no array {array}", code=Code.NOT_FOUND, hint=f"did you mean {near}?")


def arrays(project: Project, data: PurePosixPath, entry: Recorded) -> set[str] | None:
    """Return the names of the arrays of a Zarr store; None where it is not here."""
    from emdvc.history.dvc_manifest import cache_folder, manifest

    folder = project.path(data)
    if folder.is_dir():
        names = {file.parent.relative_to(folder).as_posix() for file in folder.rglob("zarr.json")}
        names |= {file.parent.relative_to(folder).as_posix() for file in folder.rglob(".zarray")}
    else:
        listed = manifest(cache_folder(project), entry.md5)
        if listed is None:
            return None
        names = {str(PurePosixPath(one).parent) for one in listed if one.rpartition("/")[2] in ("zarr.json", ".zarray")}
    return names - {"."}
