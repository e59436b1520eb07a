"""Whether data that was recorded where it lies is still what was recorded: by a look at its source, or by its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from emdvc.errors import EmdvcError
from emdvc.history.in_place.origin import Origin, origins
from emdvc.history.in_place.place import connection, listed, listing_digest
from emdvc.history.project import Project
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.stored_file import open_stored


class SourceChange(NamedTuple):
    """Data that is not, or may not be, what was recorded.

    Parameters
    ----------
    path
        Relative to the project.
    url
        Where it lies.
    text
        What was seen there.
    answered
        Whether the source could be asked.
    """

    path: PurePosixPath
    url: str
    text: str
    answered: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"path": str(self.path), "url": self.url, "text": self.text, "answered": self.answered}


def changed_sources(project: Project) -> list[SourceChange]:
    """Return the data whose source lists something else than when it was recorded, or does not answer.

    Nothing is read: sizes, and the server's marks or the times of change, are compared.
    """
    found = []
    for origin in origins(project):
        said = (origin.record.path, origin.place.url)
        try:
            files = listed(project, origin.place)
        except EmdvcError as error:
            found.append(SourceChange(*said, ": ".join(filter(None, (error.cause, error.evidence))), answered=False))
            continue
        if listing_digest(files) != origin.listing:
            found.append(SourceChange(*said, _difference(origin, files)))
    return found


def _difference(origin: Origin, files: dict[str, Stat]) -> str:
    """Return what tells that a source changed; of single files only the times are known."""
    record = origin.record
    if record.is_directory and record.files is not None and len(files) != record.files:
        return f"it has {len(files)} files, recorded were {record.files}"
    size = sum(stat.size for stat in files.values())
    if record.size is not None and size != record.size:
        return f"it has {size} bytes, recorded were {record.size}"
    last = max(files, key=lambda file: files[file].modified or 0.0)
    modified = files[last].modified
    if modified is None:
        return "the server's mark of its content is another one"
    when = datetime.fromtimestamp(modified, UTC).isoformat(timespec="seconds")
    return f"{last or origin.place.name} was written {when}, the data was recorded {origin.since or 'earlier'}"


@dataclass(frozen=True, slots=True)
class SourceObjects:
    """The objects of data that was recorded in place, at its source; a place as those of ``emdvc verify --bytes``.

    Parameters
    ----------
    origin
        The data.
    lists
        md5 of a directory -> its files with theirs, as far as they are known when an object is asked for.
    """

    origin: Origin
    lists: Mapping[str, Mapping[str, str]]

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"source of {self.origin.record.path}"

    def where(self, md5: str) -> str:
        """Return where an object lies there."""
        return f"{self.origin.place.url}/{self._file(md5) or ''}".rstrip("/")

    def open(self, md5: str) -> AbstractContextManager[IO[bytes]]:
        """Open an object; FileNotFoundError where the source does not have it."""
        file = self._file(md5)
        if file is None:
            raise FileNotFoundError(md5)
        return open_stored(connection(self.origin.place), self.origin.place.key(file))

    def _file(self, md5: str) -> str | None:
        """Return which file an object is: its path in the dataset, empty for a single file; None for no file."""
        mark = self.origin.record.md5
        if mark == md5:
            return None if self.origin.record.is_directory else ""
        return next((file for file, one in self.lists.get(mark, {}).items() if one == md5), None)


def sources(project: Project, lists: Mapping[str, Mapping[str, str]]) -> list[SourceObjects]:
    """Return the sources of the workspace's data that was recorded in place.

    Parameters
    ----------
    lists
        md5 of a directory -> its files with theirs; looked at when an object is asked for.
    """
    return [SourceObjects(origin, lists) for origin in origins(project)]
