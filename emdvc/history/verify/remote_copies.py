"""The copies of objects on a remote: opened by their md5, and replaced."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.remote import Remote, key_of, remote_of
from emdvc.history.storage.stored_file import open_stored


@dataclass(frozen=True, slots=True)
class RemoteCopies:
    """The objects on one remote.

    Parameters
    ----------
    name
        What a person calls it.
    remote
        Where they lie.
    """

    name: str
    remote: Remote = field(repr=False)

    def where(self, md5: str) -> str:
        """Return where an object lies, as a person would name it."""
        return self.remote.where(md5)

    def open(self, md5: str) -> AbstractContextManager[IO[bytes]]:
        """Open an object for reading.

        Raises
        ------
        FileNotFoundError, OSError, EnvironmentFault
            As :func:`emdvc.history.storage.stored_file.open_stored`.
        """
        return open_stored(self.remote, key_of(md5))

    def replace(self, md5: str, source: Path) -> None:
        """Put a file in the place of an object, in one step.

        Raises
        ------
        EnvironmentFault
            The remote did not take it.
        """
        loop.run(self.remote.send(md5, source))


def remote_copies(project: Project, names: Sequence[str]) -> list[RemoteCopies]:
    """Return some remotes by name, ready to be read.

    Raises
    ------
    ProjectError
        There is no such remote.
    EnvironmentFault
        One cannot be reached, or its package is not installed.
    """
    found = [RemoteCopies(name, remote_of(project, name)) for name in names]
    for one in found:
        loop.run(one.remote.storage())
    return found
