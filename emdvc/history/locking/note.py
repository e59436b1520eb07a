"""What stands on the page of a project: who holds what, and what somebody is to be told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from emdvc.errors import EmdvcError
from emdvc.formats import sidecar as sidecars

_HEAD = (
    "# Who holds which data of a project; `emdvc lock` in a clone of it shows and changes it.\n"
    "# Of these pages the one with the highest number holds. Times are those of this server.\n"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, as git knows them; the same address is the same person."""

    name: str
    email: str

    def is_same(self, other: Person) -> bool:
        """Say whether this is the same person."""
        return self.email.casefold() == other.email.casefold()

    def __str__(self) -> str:
        """Return ``Ada Lovelace <ada@example.org>``."""
        return f"{self.name} <{self.email}>" if self.name else self.email


@dataclass(frozen=True, slots=True)
class Lock:
    """One note: somebody works on something by hand.

    Parameters
    ----------
    path
        Of the dataset or folder, relative to the project.
    array
        The one array of it that is meant; None: all of it.
    who
        Whose it is.
    since, until
        Seconds since 1970, by the clock of the remote.
    reason
        Why, in their words; may be empty.
    """

    path: PurePosixPath
    array: str | None
    who: Person
    since: float
    until: float
    reason: str = ""

    @property
    def name(self) -> str:
        """What is held: ``raw/labels.zarr``, or ``raw/labels.zarr [labels]``."""
        return f"{self.path} [{self.array}]" if self.array else str(self.path)

    @property
    def undo(self) -> str:
        """The command that gives it back."""
        return f"emdvc unlock {self.path}" + (f" --array {self.array}" if self.array else "")

    def holds(self, now: float) -> bool:
        """Say whether it has not expired."""
        return now < self.until

    def meets(self, path: PurePosixPath, array: str | None) -> bool:
        """Say whether both cannot be held by two people."""
        if path == self.path:
            return self.array is None or array is None or self.array == array
        return path.is_relative_to(self.path) or self.path.is_relative_to(path)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "path": str(self.path),
            "array": self.array,
            "who": {"name": self.who.name, "email": self.who.email},
            "since": moment(self.since),
            "until": moment(self.until),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody is to be told: that their lock was taken away, or not heeded.

    Parameters
    ----------
    name
        Tells it from all others.
    to
        Whom.
    at
        Seconds since 1970.
    text
        One sentence.
    """

    name: str
    to: Person
    at: float
    text: str

    @classmethod
    def new(cls, to: Person, at: float, text: str) -> Message:
        """Return one with a name of its own."""
        return cls(uuid.uuid4().hex[:12], to, at, text)


@dataclass(frozen=True, slots=True)
class Page:
    """All notes of a project at one time.

    Parameters
    ----------
    locks
        In the order in which they were taken.
    messages
        Oldest first.
    name
        Tells it from every other page, also from one with the same content.
    """

    locks: tuple[Lock, ...] = ()
    messages: tuple[Message, ...] = ()
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def text(self) -> str:
        """Return it as it lies on the remote."""
        content = {
            "version": 1,
            "page": self.name,
            "locks": [lock.to_dict() for lock in self.locks],
            "messages": [
                {"name": one.name, "to": {"name": one.to.name, "email": one.to.email}, "at": moment(one.at)}
                | {"text": one.text}
                for one in self.messages
            ],
        }
        return _HEAD + sidecars.dump_yaml(content)

    @classmethod
    def parse(cls, text: str) -> Page | None:
        """Return what a text says; None where it is no page."""
        try:
            said = sidecars.load_yaml(text, "a page of locks")
            if not isinstance(said, Mapping) or said.get("version") != 1:
                return None
            return cls(
                tuple(
                    Lock(
                        PurePosixPath(str(one["path"])),
                        str(one["array"]) if one.get("array") else None,
                        _person(one["who"]),
                        _seconds(one["since"]),
                        _seconds(one["until"]),
                        str(one.get("reason") or ""),
                    )
                    for one in said.get("locks") or ()
                ),
                tuple(
                    Message(str(one["name"]), _person(one["to"]), _seconds(one["at"]), str(one["text"]))
                    for one in said.get("messages") or ()
                ),
                str(said["page"]),
            )
        except (EmdvcError, KeyError, TypeError, ValueError, AttributeError):
            return None


def moment(seconds: float) -> str:
    """Return a time as ``2026-11-22T00:50:16Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: Any) -> float:
    if isinstance(text, datetime):  # YAML knows times
        return (text if text.tzinfo else text.replace(tzinfo=UTC)).timestamp()
    return datetime.fromisoformat(str(text)).timestamp()


def _person(said: Any) -> Person:
    return Person(str(said.get("name") or ""), str(said["email"]))
