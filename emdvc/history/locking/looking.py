"""What is locked: asked with little patience, and remembered for when nobody answers."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass

from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars
from emdvc.history.locking import uses_locks
from emdvc.history.locking.note import Lock, Message, Page, Person
from emdvc.history.locking.pages import Found, Pages
from emdvc.history.locking.setting import Setting, me, setting
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.remote import connection_to
from emdvc.history.storage.settings import remote_settings


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of the locks on one remote.

    Parameters
    ----------
    remote
        Its name.
    page
        The page that holds, as last seen; None where it was never seen.
    age
        Seconds since it was seen; 0 where the remote has just been asked.
    problem
        Why it could not be asked now; None where it was.
    """

    remote: str
    page: Page | None
    age: float = 0.0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Locks:
    """What is known of the locks of a project.

    Parameters
    ----------
    me
        Who looks; None where git does not know.
    looks
        By remote.
    told
        What we have not been told yet.
    """

    me: Person | None
    looks: tuple[Look, ...]
    told: tuple[Message, ...] = ()

    @property
    def locks(self) -> list[Lock]:
        """All notes, expired ones too, by path."""
        found = [lock for one in self.looks if one.page for lock in one.page.locks]
        return sorted(found, key=lambda lock: (str(lock.path), lock.array or "", lock.since))

    @property
    def problems(self) -> list[Look]:
        """The remotes that could not be asked."""
        return [one for one in self.looks if one.problem]

    def is_mine(self, lock: Lock) -> bool:
        """Say whether a lock is held by who looks."""
        return self.me is not None and lock.who.is_same(self.me)


def look(project: Project, patience: float, said: Setting | None = None, *, ask: bool = True) -> Locks | None:
    """Return what is locked; None where the project uses no locks.

    Parameters
    ----------
    project
        The project.
    patience
        Seconds for all remotes together, after which what was seen last has to do.
    said
        Where to look; by default where the project says.
    ask
        Whether the remotes are asked at all.

    Raises
    ------
    MetadataError, ProjectError
        What the project says of locks is damaged.
    """
    said = said or setting(project)
    if said is None:
        return None
    until = time.monotonic() + patience
    looks = tuple(_look(project, name, said.project, until if ask else None) for name in said.remotes)
    try:
        who = me(project)
    except EmdvcError:
        who = None
    messages = [one for look in looks if look.page for one in look.page.messages]
    mine = [one for one in messages if who is not None and one.to.is_same(who)]
    known = _heard(project) if mine else set()
    return Locks(who, looks, tuple(one for one in mine if one.name not in known))


def heard(project: Project, messages: tuple[Message, ...]) -> None:
    """Note that somebody was told: once is enough."""
    if messages:
        names = _heard(project) | {one.name for one in messages}
        with suppress(OSError):
            project.journal_dir.mkdir(parents=True, exist_ok=True)
            sidecars.write_text(project.journal_dir / "locks-heard.json", json.dumps(sorted(names)))


def keep(project: Project, remote: str, page: Page) -> None:
    """Remember a page, for when the remote does not answer."""
    file = project.journal_dir / f"locks-{remote}.json"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        sidecars.write_text(file, json.dumps({"seen": time.time(), "page": page.text()}))


def _look(project: Project, name: str, folder: str, until: float | None) -> Look:
    if until is None:
        return _remembered(project, name, "--no-remote")
    try:
        remote = connection_to(remote_settings(project, name))  # the one that the command may have used already

        async def newest() -> Found:
            async with asyncio.timeout(max(0.1, until - time.monotonic())):
                return await Pages(remote, folder).newest()

        found = loop.run(newest())
    except TimeoutError:
        return _remembered(project, name, "it did not answer in time")
    except EmdvcError as error:
        text = error.cause + (f" ({error.evidence})" if error.evidence else "")
        return _remembered(project, name, text)
    if found.number == 0 and uses_locks(project):
        return _remembered(project, name, "it has no page of locks: is it the right place, and mounted?")
    keep(project, name, found.page)
    return Look(name, found.page)


def _remembered(project: Project, name: str, problem: str) -> Look:
    try:
        kept = json.loads((project.journal_dir / f"locks-{name}.json").read_text(encoding="utf-8"))
        page, seen = Page.parse(kept["page"]), float(kept["seen"])
    except (OSError, ValueError, KeyError, TypeError):
        return Look(name, None, 0.0, problem)
    return Look(name, page, max(0.0, time.time() - seen), problem)


def _heard(project: Project) -> set[str]:
    try:
        return set(map(str, json.loads((project.journal_dir / "locks-heard.json").read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return set()
