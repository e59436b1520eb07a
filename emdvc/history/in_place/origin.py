"""Data that was recorded where it lies: its bytes are read from there, and checked against what was recorded.

The ``.dvc`` file of such data says under ``meta: emdvc_source:`` where it lies. It is no import of DVC's: that would
make every command of DVC need the package and the keys for that place, and ``dvc update`` would fetch the scan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emdvc.errors import Code, ConflictError, ProjectError
from emdvc.history.cache_place import cache_folder
from emdvc.history.dvc_manifest import manifest
from emdvc.history.in_place.place import Place, connection, place_of
from emdvc.history.project import Project
from emdvc.history.recorded import Recorded, recorded_by
from emdvc.history.snapshot import Snapshot
from emdvc.history.storage.contract import Advance, Stat, Storage, unseen
from emdvc.history.storage.remote import Arrived, Remote, remote_of
from emdvc.history.storage.trying import trying
from emdvc.history.workspace.hashing import file_md5


@dataclass(frozen=True, slots=True)
class Origin:
    """A dataset at its source.

    Parameters
    ----------
    record
        What is recorded of it.
    place
        Where it lies.
    since
        When it was recorded: date and time, ISO 8601.
    listing
        Digest of what the source listed then: :func:`emdvc.history.in_place.place.listing_digest`.
    """

    record: Recorded
    place: Place
    since: str
    listing: str

    def changed(self, file: str, evidence: str) -> ConflictError:
        """Return the error that says the source is not what was recorded any more.

        Parameters
        ----------
        file
            Path in the dataset; empty for a single file.
        evidence
            What shows it.
        """
        return ConflictError(
            f"{self.record.path} has changed at its source since it was recorded",
            code=Code.SOURCE_CHANGED,
            evidence=f"{self.place.url}{f'/{file}' if file else ''}: {evidence} (recorded {self.since or 'earlier'})",
            hint=f"ask who keeps it to put it back; on purpose: emdvc add {self.place.url} {self.record.path} "
            '--in-place --replace "why"',
        )


def origins(project: Project) -> list[Origin]:
    """Return the data of the workspace that was recorded where it lies."""
    with Snapshot(project) as now:
        # most projects have none: no file is parsed that does not speak of a source
        files = [file for file in now.files() if file.suffix == ".dvc" and "emdvc_source" in (now.text(file) or "")]
        return [_origin(project, entry) for entry in recorded_by(now, files).values() if entry.source is not None]


def source_of(project: Project, record: Recorded) -> Origin | None:
    """Return where data that was recorded in place lies; None of any other."""
    return _origin(project, record) if record.source is not None else None


def remote_or_origin(project: Project, name: str | None = None) -> Remote:
    """Return a remote that finds what was recorded in place at its source; without such data the remote itself.

    Parameters
    ----------
    name
        Of the remote; None for the default one. Where there is none, the sources alone are looked at.

    Raises
    ------
    ProjectError
        There is no such remote, and no data that was recorded in place.
    """
    known = origins(project)
    return WithOrigins(project, known, name) if known else remote_of(project, name)


class WithOrigins(Remote):
    """The objects of a remote, and those of data that lies at its source.

    Parameters
    ----------
    project
        The project.
    known
        Data that was recorded in place.
    name
        Of the remote; None for the default one.
    """

    def __init__(self, project: Project, known: Iterable[Origin], name: str | None) -> None:
        known = list(known)
        try:
            self._below: Remote | None = remote_of(project, name)
        except ProjectError:
            if name is not None:
                raise
            self._below = None  # a project without a remote: all there is lies at the sources
        super().__init__(self._below.settings if self._below is not None else known[0].place.settings)
        self._known, self._cache = known, cache_folder(project)
        self._files: dict[str, tuple[Origin, str]] = {}
        self._read: set[str] = set()

    async def storage(self) -> Storage:
        """Return the remote's storage, or that of a source where there is no remote."""
        return await (self._below or connection(self._known[0].place)).storage()

    async def there(self, md5s: Iterable[str]) -> dict[str, Stat]:
        """Return which of some objects the remote has; the sources are not asked."""
        return await self._below.there(md5s) if self._below is not None else {}

    async def read(self, md5: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of an object, from its source where it has one."""
        found = self._find(md5)
        if found is not None:
            origin, file = found
            storage = await connection(origin.place).storage()
            try:
                return await trying(lambda: storage.read(origin.place.key(file), start, stop))
            except FileNotFoundError as error:
                if self._below is None:
                    raise origin.changed(file, "it is not there any more") from error
        if self._below is None:
            raise FileNotFoundError(md5)
        return await self._below.read(md5, start, stop)

    async def fetch(self, md5: str, target: Path, advance: Advance = unseen) -> Arrived:
        """Fetch an object into a file and check it: from its source, else from the remote.

        Raises
        ------
        ConflictError
            The source has other bytes, and the remote has no copy.
        """
        found = self._find(md5)
        came = Arrived.ABSENT
        if found is not None:
            came = await fetch_from_origin(*found, md5, target, advance)
            if came is Arrived.GOOD:
                return came
        below = await self._below.fetch(md5, target, advance) if self._below is not None else Arrived.ABSENT
        if below is not Arrived.GOOD and found is not None:
            gone = came is Arrived.ABSENT
            raise found[0].changed(found[1], "it is not there any more" if gone else f"its md5 is not {md5}")
        return below

    def where(self, md5: str) -> str:
        """Return where an object lies, as a person would name it."""
        found = self._find(md5)
        if found is not None:
            return f"{found[0].place.url}/{found[1]}".rstrip("/")
        return self._below.where(md5) if self._below is not None else md5

    async def close(self) -> None:
        """Let the remote's connections go."""
        if self._below is not None:
            await self._below.close()

    def _find(self, md5: str) -> tuple[Origin, str] | None:
        """Return which file at which source an object is; the list of a directory may have come here meanwhile."""
        for origin in self._known:
            mark = origin.record.md5
            if mark in self._read:
                continue
            files: Mapping[str, str] | None = {"": mark}
            if origin.record.is_directory:
                files = manifest(self._cache, mark)
            if files is not None:
                self._read.add(mark)
                self._files.update({one: (origin, file) for file, one in files.items()})
        return self._files.get(md5)


async def fetch_from_origin(origin: Origin, file: str, md5: str, target: Path, advance: Advance = unseen) -> Arrived:
    """Fetch one file of data that was recorded in place, and check it; what is not what was recorded is removed.

    Parameters
    ----------
    origin
        The dataset.
    file
        Path in it; empty for a single file.
    md5
        As recorded.
    target
        Where the file is put.

    Raises
    ------
    EnvironmentFault
        The source did not answer.
    """
    storage = await connection(origin.place).storage()
    went_on = target.exists() and target.stat().st_size > 0
    try:
        await trying(lambda: storage.receive(origin.place.key(file), target, advance))
    except FileNotFoundError:
        return Arrived.ABSENT
    if await asyncio.to_thread(file_md5, str(target)) == md5:
        return Arrived.GOOD
    target.unlink(missing_ok=True)
    return await fetch_from_origin(origin, file, md5, target, advance) if went_on else Arrived.CORRUPT


def _origin(project: Project, record: Recorded) -> Origin:
    said = record.source or {}
    return Origin(
        record, place_of(project, str(said.get("url"))), str(said.get("recorded") or ""), str(said.get("listing") or "")
    )
