"""What taking, giving back and taking away a lock makes of a page.

Pure, so that it can be done again where somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from emdvc.errors import Code, ConflictError, UsageError
from emdvc.history.locking.note import Lock, Message, Page, Person
from emdvc.history.locking.times import day

#: Seconds for which a message waits for the one whom it is for, and for which an expired lock is shown.
_KEPT = 30 * 86_400.0


def taken(page: Page, now: float, wanted: Lock) -> Page:
    """Return the page after somebody took a lock, or made their own longer.

    Parameters
    ----------
    page
        The last one.
    now
        The remote's time.
    wanted
        The lock as it is to be; its `since` is that of a new one, an empty reason keeps the one that stands.

    Raises
    ------
    ConflictError
        Somebody else holds it, a part of it, or a folder that it is in.
    """
    others = [one for one in page.locks if one.meets(wanted.path, wanted.array) and not one.who.is_same(wanted.who)]
    for one in others:
        if one.holds(now):
            raise locked(one, f"ask {one.who}; emdvc lock shows all; after `{one.undo}`, again")
    before = own(page, wanted)
    if before is not None:
        since = before.since if before.holds(now) else wanted.since
        wanted = replace(wanted, since=since, reason=wanted.reason or before.reason)
    messages = [
        Message.new(
            one.who, now, f"your lock on {one.name} had expired ({day(one.until)}), and {wanted.who} holds it now"
        )
        for one in others
    ]
    left = [one for one in page.locks if one is not before and one not in others]
    return _page([*left, wanted], [*page.messages, *messages], now)


def own(page: Page, wanted: Lock) -> Lock | None:
    """Return the note that somebody has of just this already."""
    same = (one for one in page.locks if (one.path, one.array) == (wanted.path, wanted.array))
    return next((one for one in same if one.who.is_same(wanted.who)), None)


def released(
    page: Page, now: float, path: PurePosixPath, array: str | None, who: Person, force: str | None
) -> tuple[Page, list[Lock]]:
    """Return the page after somebody gave a lock back, or took another's away, and what is free now.

    Parameters
    ----------
    page, now
        As for :func:`taken`.
    path, array
        What is to be free; no array: all locks on the path.
    who
        Who asks for it.
    force
        The reason for which another's lock is taken away; None: it is not.

    Raises
    ------
    ConflictError
        Somebody else holds it.
    UsageError
        Nobody does.
    """
    meant = [one for one in page.locks if one.path == path and (array is None or one.array == array)]
    if not meant:
        held = f"locked: {', '.join(dict.fromkeys(one.name for one in page.locks)) or 'nothing'}"
        name = f"{path} [{array}]" if array else str(path)
        raise UsageError(f"{name} is not locked", code=Code.NOT_FOUND, evidence=held, hint="emdvc lock shows all locks")
    mine = [one for one in meant if one.who.is_same(who)]
    others = [one for one in meant if one not in mine]
    if others and not mine and force is None:
        holding = next((one for one in others if one.holds(now)), None)
        if holding is not None:
            raise locked(holding, f'ask {holding.who}; else: {holding.undo} --force --reason "why"')
    gone = meant if force is not None else mine or others  # what has expired anybody may clear away
    messages = [
        Message.new(one.who, now, f"{who} took your lock on {one.name} away: {force}")
        for one in gone
        if not one.who.is_same(who) and one.holds(now)
    ]
    return _page([one for one in page.locks if one not in gone], [*page.messages, *messages], now), gone


def ignored(page: Page, now: float, locks: Sequence[Lock], who: Person, reason: str) -> Page:
    """Return the page after somebody saved although others hold what it changes: they are told."""
    messages = [
        Message.new(one.who, now, f"{who} saved a change of {one.name}, which you hold: {reason}") for one in locks
    ]
    return _page(list(page.locks), [*page.messages, *messages], now)


def locked(lock: Lock, hint: str) -> ConflictError:
    """Return the error that names who holds something, and what to do."""
    why = f'"{lock.reason}", ' if lock.reason else ""
    return ConflictError(
        f"{lock.name} is locked by {lock.who}",
        code=Code.LOCKED,
        evidence=f"{why}since {day(lock.since)}, until {day(lock.until)}",
        hint=hint,
    )


def _page(locks: list[Lock], messages: list[Message], now: float) -> Page:
    """Return a page without what nobody needs any more."""
    return Page(
        tuple(one for one in locks if one.until > now - _KEPT),
        tuple(one for one in messages if one.at > now - _KEPT),
    )
