"""What a remote is for, and what may be done to what lies on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from emdvc.errors import UsageError, suggest
from emdvc.history.project import Project
from emdvc.history.storage.settings import own_settings


@dataclass(frozen=True, slots=True)
class Profile:
    """What a remote is for.

    Parameters
    ----------
    name
        ``facility``, ``archive`` or ``scratch``.
    collected
        Whether ``emdvc gc`` may remove from it what nothing recorded needs.
    keeps_raw
        Whether raw data may be kept there, so that it is looked for there.
    lasting
        Whether what lies there counts as kept: what is only on a remote that may be cleaned does not.
    lock_days
        Days for which an object is locked against removal where the server locks objects; None: not asked for.
    read_only
        Whether nothing is sent to it from here.
    """

    name: str
    collected: bool = True
    keeps_raw: bool = True
    lasting: bool = True
    lock_days: int | None = None
    read_only: bool = False


PROFILES: dict[str, Profile] = {
    "facility": Profile("facility"),
    "archive": Profile("archive", collected=False),
    "scratch": Profile("scratch", keeps_raw=False, lasting=False),
}
USUAL = "facility"


def of(project: Project, name: str) -> Profile:
    """Return what a remote is for; one of which nothing is said is a facility's.

    Parameters
    ----------
    project
        The project.
    name
        Of the remote.

    Raises
    ------
    UsageError
        The project's settings name a profile that there is not, or no number of days.
    MetadataError
        ``.emdvc/config.yaml`` is no YAML.
    """
    return from_settings(_said(own_settings(project), name))


def from_settings(said: dict[str, Any]) -> Profile:
    """Return the profile that a mapping of ``profile``, ``lock_days`` and ``read_only`` describes.

    Raises
    ------
    UsageError
        As :func:`of`.
    """
    name = str(said.get("profile") or USUAL)
    if name not in PROFILES:
        near = suggest(name, list(PROFILES))
        hint = f"did you mean {near}?" if near else f"use {', '.join(PROFILES)}"
        raise UsageError(f"there is no profile '{name}' of a remote", hint=hint)
    days = said.get("lock_days")
    if days is not None and (isinstance(days, bool) or not isinstance(days, int) or days < 1):
        raise UsageError("lock_days is a whole number of days, from 1 on", evidence=f"it is {days!r}")
    if days is not None and PROFILES[name].collected:
        raise UsageError(f"a {name} remote is cleaned: objects on it are not locked", hint="--profile archive")
    return replace(PROFILES[name], lock_days=days, read_only=said.get("read_only") is True)


def _said(own: dict[str, Any], name: str) -> dict[str, Any]:
    profiles = own.get("profiles")
    found = {str(key).lower(): value for key, value in profiles.items()} if isinstance(profiles, dict) else {}
    said = found.get(name.lower())
    return dict(said) if isinstance(said, dict) else {"profile": said}
