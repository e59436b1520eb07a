"""Recorded objects on their way into DVC's cache: each is fetched once, whoever waits for it, and checked."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from emdvc.errors import Code, ConflictError, DataMissingError, EmdvcError, EnvironmentFault
from emdvc.history.cache_place import cache_folder, object_path
from emdvc.history.in_place.origin import remote_or_origin
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.remote import Arrived, Remote
from emdvc.history.workspace.hashing import file_md5

_T = TypeVar("_T")

_lock = threading.Lock()
#: What is on its way in this process, by its place in a cache: two readers of a chunk cause one request.
_under_way: dict[Path, Future[Path]] = {}
_passing: dict[tuple[int, Path], Path] = {}
_count = itertools.count()


class Arriving:
    """Objects of a dataset, from the cache, the workspace, or a remote.

    What is fetched is checked against its md5 and kept in DVC's cache, so that a later ``dvc pull`` fetches the rest.

    Parameters
    ----------
    project
        The project.
    name
        The dataset with its revision, for messages.
    remote
        Remote that it is kept on; None for the default one.
    """

    def __init__(self, project: Project, name: str, remote: str | None = None) -> None:
        self.project = project
        self.name = name
        self.cache = cache_folder(project)
        self._remote_name = remote
        self._remote: Remote | None = None

    @property
    def remote(self) -> Remote:
        """Where objects come from that are not here.

        Raises
        ------
        ProjectError
            There is no such remote.
        """
        if self._remote is None:
            self._remote = remote_or_origin(self.project, self._remote_name)
        return self._remote

    def here(self, md5: str) -> Path | None:
        """Return the cache's file of an object; None where the cache does not have it."""
        path = object_path(self.cache, md5)
        return path if path.is_file() else None

    def start(
        self, wanted: Mapping[str, str], beside: Mapping[str, Path] | None = None
    ) -> dict[str, Path | Future[Path]]:
        """Begin to fetch what is not here, all at the same time, and return at once.

        Parameters
        ----------
        wanted
            md5 -> what messages call it (a chunk's file).
        beside
            md5 -> a file of the workspace that may still hold these bytes.

        Returns
        -------
            md5 -> the cache's file, or what becomes of fetching it.

        Raises
        ------
        DataMissingError
            Something is not here, and there is no remote to ask.
        """
        found: dict[str, Path | Future[Path]] = {}
        for md5, said in wanted.items():
            target = object_path(self.cache, md5)
            if target.is_file():
                found[md5] = target
                continue
            with _lock:
                coming = _under_way.get(target)
                if coming is None and target.is_file():
                    found[md5] = target  # it arrived just now
                    continue
                if coming is None:
                    coming = loop.start(self._bring(md5, said, target, (beside or {}).get(md5)))
                    _under_way[target] = coming
                    fresh = True
                else:
                    fresh = False
            if fresh:
                coming.add_done_callback(lambda _, target=target: _arrived(target))  # type: ignore[misc]
            found[md5] = coming
        return found

    def wait(self, wanted: Mapping[str, str], beside: Mapping[str, Path] | None = None) -> dict[str, Path]:
        """Fetch what is not here, wait for it, and return the cache's files.

        Raises
        ------
        DataMissingError
            Some are neither in the cache nor on the remote, or what the remote has is corrupt; the first is named.
        EnvironmentFault
            The remote did not answer.
        """
        begun = self.start(wanted, beside)
        return {md5: one if isinstance(one, Path) else waited(one) for md5, one in begun.items()}

    async def _bring(self, md5: str, said: str, target: Path, beside: Path | None) -> Path:
        if beside is not None and await asyncio.to_thread(_holds, beside, md5):
            await asyncio.to_thread(self._copy, beside, target)
            return target
        try:
            remote = self.remote
        except EmdvcError as error:
            raise self.unreachable(said, error) from error
        passing = await asyncio.to_thread(_passing_file, self.cache)
        try:
            try:
                came = await remote.fetch(md5, passing)
            except ConflictError:
                raise  # data that is recorded where it lies changed there: said in full
            except EmdvcError as error:
                raise self.unreachable(said, error) from error
            if came is Arrived.ABSENT:
                raise self.absent(said, md5)
            if came is Arrived.CORRUPT:
                raise self.corrupt(said, f"its md5 is not {md5.removesuffix('.dir')}", md5)
            _keep(passing, target)
        finally:
            with suppress(OSError):  # Windows does not remove a read-only file; the folder goes at the end
                passing.unlink(missing_ok=True)
        return target

    def _copy(self, beside: Path, target: Path) -> None:
        passing = _passing_file(self.cache)
        shutil.copyfile(beside, passing)
        _keep(passing, target)

    def passing_file(self) -> Path:
        """Return a name for what is not yet whole, in the cache's own folder."""
        return _passing_file(self.cache)

    def keep(self, file: Path, md5: str) -> Path:
        """Put a checked file into the cache and return where it lies now.

        Raises
        ------
        EnvironmentFault
            The cache cannot be written.
        """
        target = object_path(self.cache, md5)
        _keep(file, target)
        return target

    def absent(self, said: str, md5: str) -> DataMissingError:
        """Return the error of an object that nobody has.

        Parameters
        ----------
        said
            What messages call it.
        md5
            Of the object.
        """
        return DataMissingError(
            f"a part of {self.name} is neither in the cache nor on the remote {self.remote.name}",
            evidence=f"missing: {said} ({self.remote.where(md5)})",
            hint="whoever computed or added it runs: emdvc push",
        )

    def unreachable(self, said: str, error: EmdvcError) -> DataMissingError:
        """Return the error of an object that is not here, where the remote cannot be asked.

        Parameters
        ----------
        said
            What messages call it.
        error
            What the remote said.
        """
        return DataMissingError(
            f"a part of {self.name} is not in the cache, and the remote cannot be asked",
            evidence=f"missing: {said} ({error.cause}{f': {error.evidence}' if error.evidence else ''})",
            hint=error.hint or "emdvc remote check",
        )

    def corrupt(self, said: str, evidence: str, md5: str) -> DataMissingError:
        """Return the error of an object that is not what was recorded.

        Parameters
        ----------
        said
            What messages call it.
        evidence
            What shows it.
        md5
            Of the object.
        """
        return DataMissingError(
            f"the remote's copy of a part of {self.name} is corrupt",
            code=Code.DATA_CORRUPT,
            evidence=f"{said}: {evidence} ({self.remote.where(md5)})",
            hint="emdvc verify --bytes --repair puts a good copy back where there is one",
        )


def waited(coming: Future[_T]) -> _T:
    """Wait for what was begun; an error is raised anew, so that each who waits has its own.

    Raises
    ------
    DataMissingError, EnvironmentFault
        It did not arrive.
    """
    try:
        return coming.result()
    except EmdvcError as error:
        raise type(error)(error.cause, code=error.code, evidence=error.evidence, hint=error.hint) from error


def _arrived(target: Path) -> None:
    with _lock:
        _under_way.pop(target, None)


def _holds(file: Path, md5: str) -> bool:
    try:
        return file_md5(str(file)) == md5
    except OSError:
        return False


def _passing_file(cache: Path) -> Path:
    """Return a name for what is not yet whole: in the cache's own folder, so that it is renamed into its place."""
    with _lock:
        place = (os.getpid(), cache)
        folder = _passing.get(place)
        if folder is None or not folder.is_dir():
            try:
                cache.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix=".emdvc-", suffix=".tmp", dir=cache))
            except OSError as error:
                raise _unwritable(cache, error) from error
            _passing[place] = folder
            if len(_passing) == 1:
                atexit.register(_clear)
    return folder / f"{next(_count)}.part"


def _clear() -> None:
    for (pid, _), folder in list(_passing.items()):
        if pid == os.getpid():
            shutil.rmtree(folder, ignore_errors=True)


def _keep(file: Path, target: Path) -> None:
    """Put a checked file into the cache, read-only as DVC has it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a file system without permissions
            file.chmod(0o444)
        file.replace(target)
    except OSError as error:
        if not target.is_file():  # Windows refuses to replace what somebody reads; it is the same content
            raise _unwritable(target.parent, error) from error


def _unwritable(folder: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        "what was fetched cannot be kept in DVC's cache",
        evidence=f"{folder}: {error.strerror or error}",
        hint="make room or get the rights there, or use another cache: dvc cache dir",
    )
