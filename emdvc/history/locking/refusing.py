"""What ``emdvc save`` refuses for the sake of colleagues: a change of what somebody else holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from emdvc.errors import EmdvcError
from emdvc.history import edited, git, git_program
from emdvc.history.locking import looking
from emdvc.history.locking.changing import ignored, locked
from emdvc.history.locking.looking import Locks, Look
from emdvc.history.locking.note import Lock, Message
from emdvc.history.locking.pages import Pages, clock
from emdvc.history.locking.setting import Setting, me, setting, usual
from emdvc.history.locking.times import day, span
from emdvc.history.locking.touching import TRAILER, Step, relative, unshared
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.remote import connection_to
from emdvc.history.storage.settings import remote_settings

#: Seconds that a command which writes waits for a remote to tell of locks.
PATIENCE = 6.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking for locks.

    Parameters
    ----------
    notes
        Sentences for the person.
    ignored
        Locks of others that are not heeded on purpose.
    place
        Where they are noted.
    reason
        Why.
    told
        What of the notes was waiting for us; see :func:`~emdvc.history.locking.looking.heard`.
    """

    notes: tuple[str, ...] = ()
    ignored: tuple[Lock, ...] = ()
    place: Setting | None = None
    reason: str = ""
    told: tuple[Message, ...] = ()

    def message(self, message: str) -> str:
        """Return the message of a commit with the locks that are not heeded, and why."""
        if not self.ignored:
            return message
        lines = [f"{TRAILER}: {one.name} of {one.who}: {' '.join(self.reason.split())}" for one in self.ignored]
        return f"{message.rstrip()}\n\n" + "\n".join(lines) + "\n"


def refuse_locked(
    project: Project, paths: Iterable[PurePosixPath], *, ignoring: str | None = None, committed: bool = False
) -> Answer:
    """Refuse a change of what somebody else holds; go on where the remote cannot be asked.

    A project where nobody locks, and no edited data changes, asks nobody.

    Parameters
    ----------
    project
        The project.
    paths
        Files of git that are about to be committed, relative to the project.
    ignoring
        The reason for which locks are not heeded.
    committed
        Whether what was committed, and not shared yet, is looked at, too.

    Raises
    ------
    ConflictError
        It names who holds it, why, until when, and what to do.
    """
    paths = tuple(paths)
    place = setting(project) or _place_of_edited(project, paths)
    if place is None:
        return Answer()
    found = looking.look(project, PATIENCE, place)
    assert found is not None
    steps = _steps(project, paths, committed)
    asked = [look for look in found.looks if look.page is not None and not look.problem]
    hits = [(look, lock) for look in asked for lock in _hits(found, look, steps)]
    hits = [(look, lock) for look, lock in hits if lock.holds(_now(project, look))]
    notes = [note for look in found.problems for note in _not_asked(found, look, steps)]
    notes += [one.text for one in found.told]
    if hits and ignoring is None:
        lock = hits[0][1]
        hint = f"ask {lock.who}; after `{lock.undo}` save again"
        raise locked(lock, f'{hint}; against the lock: emdvc save --ignore-locks "why"')
    return Answer(tuple(notes), tuple(lock for _, lock in hits), place, ignoring or "", found.told)


def tell(project: Project, answer: Answer) -> None:
    """Let those know whose locks were not heeded, as far as the remote can be reached; the commit says it, too."""
    if not answer.ignored or answer.place is None or not answer.place.remotes:
        return
    with suppress(EmdvcError, TimeoutError):
        who = me(project)
        name = answer.place.remotes[0]
        pages = Pages(connection_to(remote_settings(project, name)), answer.place.project)

        async def told() -> None:
            async with asyncio.timeout(PATIENCE):
                await pages.change(lambda page, now: ignored(page, now, answer.ignored, who, answer.reason))

        loop.run(told())


def _place_of_edited(project: Project, paths: Sequence[PurePosixPath]) -> Setting | None:
    """Return where locks would be noted, where data changes that people edit: somebody may have locked it just now."""
    pointers = [project.path(path) for path in paths if path.suffix == ".dvc"]
    if not any(edited.of(pointer.with_suffix("")) is not None for pointer in pointers if pointer.is_file()):
        return None
    with suppress(EmdvcError):
        return usual(project)
    return None


def _steps(project: Project, paths: Sequence[PurePosixPath], committed: bool) -> list[Step]:
    head = git.head(project.git_root)
    paths = _not_merged_in(project, paths)
    steps = [Step(project, tuple(paths), head.oid if head else None)] if paths else []
    return [*steps, *(unshared(project) if committed else ())]


def _not_merged_in(project: Project, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
    """Return the files without those that an unfinished merge brings as its other side has them: that is their work."""
    root = project.git_root
    if not paths or git.ref("MERGE_HEAD", root) is None:
        return paths
    differing = git.run(["diff", "--name-only", "--no-renames", "-z", "MERGE_HEAD"], root).stdout
    ours = {*relative(project, git_program.paths(differing))}
    return [path for path in paths if path in ours]


def _hits(found: Locks, look: Look, steps: Sequence[Step]) -> list[Lock]:
    """Return the locks of others on what changes; what their holder committed is theirs."""
    others = [lock for lock in (look.page.locks if look.page else ()) if not found.is_mine(lock)]
    return [
        lock
        for lock in others
        if any(
            (step.author is None or step.author.casefold() != lock.who.email.casefold()) and step.touches(lock)
            for step in steps
        )
    ]


def _now(project: Project, look: Look) -> float:
    """Return the time of the remote, by whose clock locks expire; ours, where it does not tell."""
    with suppress(EmdvcError, TimeoutError):

        async def asked() -> float:
            async with asyncio.timeout(PATIENCE):
                return await clock(await connection_to(remote_settings(project, look.remote)).storage())

        return loop.run(asked())
    return time.time()


def _not_asked(found: Locks, look: Look, steps: Sequence[Step]) -> list[str]:
    """Say that a remote could not be asked, where that may matter for what changes."""
    if not steps:
        return []
    seen = [lock for lock in _hits(found, look, steps) if lock.holds(time.time())]
    known = "".join(
        f"; {span(look.age)} ago {lock.name} was locked by {lock.who} until {day(lock.until)}" for lock in seen
    )
    return [f"locks were not looked at: remote {look.remote}: {look.problem}{known}"]
