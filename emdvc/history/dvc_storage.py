"""A remote of a kind that has no driver here (gs, azure, oss, hdfs, ...): through the file system that DVC has for it.

Slower than a driver of our own, since each request waits in a thread; but whatever DVC has a package for works.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from emdvc.errors import Code, EmdvcError, EnvironmentFault
from emdvc.history.storage.contract import (
    ARRIVING,
    Advance,
    InterruptedFault,
    RemoteSettings,
    Stat,
    fault,
    not_its_name,
    not_kept,
    not_there,
    too_short,
    unseen,
)
from emdvc.history.storage.creating import cannot_create
from emdvc.history.storage.line_faults import line_fault
from emdvc.history.storage.patience import patient
from emdvc.history.workspace.hashing import file_md5

_T = TypeVar("_T")

#: Kinds where a file shows while it is written: it is written under another name first.
_SHOWS_HALVES = frozenset({"hdfs", "webhdfs", "gdrive", "local", "folder"})
_PIECE = 4 << 20


class DvcStorage:
    """Files below the URL of a remote, as DVC's file system for its scheme gives them."""

    parallel = 8
    #: Whether :meth:`create` can do anything.
    creates = False

    def __init__(self, settings: RemoteSettings) -> None:
        self.settings = settings
        self._fs: Any = None
        self._root = ""

    async def open(self) -> None:
        """Make DVC's file system from the settings."""
        if self._fs is None:
            self._fs, self._root = await self._working("connecting", lambda _: self._made())

    async def close(self) -> None:
        """Let the file system go; the library behind it closes its connections."""
        self._fs = None

    async def stat(self, key: str) -> Stat | None:
        """Return what is known of a file."""

        def look(_: Callable[[], None]) -> Stat | None:
            try:
                found = self._fresh().info(self._path(key))
            except (FileNotFoundError, NotADirectoryError):
                return None
            return _stat(found) if found.get("type") != "directory" else None

        return await self._working(f"looking for {key}", look)

    async def listing(self, folder: str) -> dict[str, Stat]:
        """Return every file below a folder."""

        def find(alive: Callable[[], None]) -> dict[str, Stat]:
            top = self._path(folder)
            fs = self._fresh()
            try:
                found = fs.find(top, detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            if not isinstance(found, dict):  # some know no details
                found = {path: fs.info(path) for path in found}
            alive()
            root = self._root.strip("/")
            below = {path.strip("/").removeprefix(root).strip("/"): info for path, info in found.items()}
            return {key: _stat(info) for key, info in below.items() if key != folder.strip("/")}

        return await self._working(f"listing {folder}", find)

    async def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return a part of a file."""

        def get(_: Callable[[], None]) -> bytes:
            content = self._fresh().cat_file(self._path(key), start=start, end=stop)
            return bytes(content)

        size = None
        if stop is not None or start:  # what lies outside of the file is answered differently by each library
            found = await self.stat(key)
            if found is None:
                raise not_there(self.settings, key)
            size = found.size
            if stop is not None and stop > size:
                raise too_short(self.settings, key, size, stop)
            if start >= (size if stop is None else stop):
                return b""
        content = await self._working(f"reading {key}", get, key)
        wanted = None if size is None else (size if stop is None else stop) - start
        if wanted is not None and len(content) != wanted:
            raise fault(
                self.settings,
                "broke off in the middle of a file",
                f"{key}: {len(content)} of {wanted} bytes arrived",
                f"emdvc remote check {self.settings.name}",
                kind=InterruptedFault,
            )
        return content

    async def receive(self, key: str, target: Path, advance: Advance = unseen) -> None:
        """Fetch a file, from where the target ends."""
        loop = asyncio.get_running_loop()
        held = target.stat().st_size if target.exists() else 0
        found = await self.stat(key)
        if found is None:
            raise not_there(self.settings, key)
        if held >= found.size > 0:
            return

        def copy(alive: Callable[[], None]) -> None:
            with self._fresh().open(self._path(key), "rb") as source, target.open("ab") as file:
                source.seek(held)
                while piece := source.read(_PIECE):
                    file.write(piece)
                    alive()
                    loop.call_soon_threadsafe(advance, len(piece))

        await self._working(f"reading {key}", copy, key)

    async def send(self, source: Path, key: str, *, md5: str | None = None, advance: Advance = unseen) -> None:
        """Put a file, where halves would show under another name first, and compare the size."""
        size = source.stat().st_size
        if md5 is not None and (found := await asyncio.to_thread(file_md5, str(source))) != md5:
            raise not_its_name(source, found, md5)
        await self._working(f"writing {key}", lambda alive: self._put(source, key, alive))
        advance(size)
        there = await self.stat(key)
        if there is None or there.size != size:
            raise not_kept(self.settings, key, there, size)

    async def create(self, key: str, content: bytes) -> bool:
        """Refuse: the libraries behind DVC promise nothing of two who write at once."""
        why = f"{self.settings.scheme} is used through DVC's library, which overwrites what somebody else has just put"
        raise cannot_create(self.settings, why)

    async def remove(self, key: str) -> None:
        """Remove a file."""

        def remove(_: Callable[[], None]) -> None:
            with suppress(FileNotFoundError):
                self._fresh().rm_file(self._path(key))

        await self._working(f"removing {key}", remove)

    def _made(self) -> tuple[Any, str]:
        from dvc.fs import get_cloud_fs

        kind, options, path = get_cloud_fs({}, url=self.settings.url, **self.settings.options)
        found = kind(**options)
        return found, str(path).rstrip("/")

    def _fresh(self) -> Any:
        """Return the library's file system, which is to remember no listing."""
        found = self._fs.fs
        with suppress(NotImplementedError):
            found.invalidate_cache()
        return found

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    def _put(self, source: Path, key: str, alive: Callable[[], None]) -> None:
        fs, target = self._fresh(), self._path(key)
        halves = self.settings.scheme in _SHOWS_HALVES
        passing = self._path(f"{ARRIVING}/{uuid.uuid4().hex}.part") if halves else target
        for path in {passing, target}:
            with suppress(FileExistsError, NotImplementedError):
                fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        try:
            with source.open("rb") as reading, fs.open(passing, "wb") as writing:
                while piece := reading.read(_PIECE):
                    writing.write(piece)
                    alive()
            if halves:
                fs.mv(passing, target)
        except BaseException:
            if halves:
                with suppress(Exception):
                    fs.rm_file(passing)
            raise

    async def _working(self, doing: str, work: Callable[[Callable[[], None]], _T], key: str | None = None) -> _T:
        loop = asyncio.get_running_loop()
        async with patient(self.settings, doing) as alive:

            def still() -> None:
                with suppress(RuntimeError):  # the wait is over already
                    alive()

            def soon() -> None:
                loop.call_soon_threadsafe(still)

            with self._faults(doing, key):
                return await asyncio.to_thread(work, soon)

    @contextmanager
    def _faults(self, doing: str, key: str | None) -> Iterator[None]:
        from dvc.config import ConfigError as SettingsError
        from dvc.fs import AuthError, ConfigError, RemoteMissingDepsError

        settings, check = self.settings, f"emdvc remote check {self.settings.name}"
        try:
            yield
        except (EmdvcError, TimeoutError):
            raise
        except FileNotFoundError as error:
            if key is None:
                raise fault(settings, f"has no place for {doing}", error, check, code=Code.REMOTE_PLACE) from error
            raise not_there(settings, key) from error
        except (PermissionError, AuthError) as error:
            hint = f"look at its keys (dvc remote list, .dvc/config.local) and rights, then: {check}"
            raise fault(settings, "does not let us in", error, hint, code=Code.REMOTE_REFUSED) from error
        except (RemoteMissingDepsError, ImportError) as error:
            hint = f"pip install dvc-{settings.scheme}"
            raise fault(settings, "needs a package that is not installed", error, hint) from error
        except (ConfigError, SettingsError) as error:
            hint = f"dvc remote modify {settings.name} OPTION VALUE"
            raise fault(settings, "has settings that do not fit", error, hint) from error
        except Exception as error:
            found = line_fault(settings, error, settings.url)
            if found is not None:
                raise found from error
            kind = InterruptedFault if isinstance(error, OSError) else EnvironmentFault
            raise fault(settings, f"failed while {doing}", error, check, kind=kind) from error


def _stat(info: dict[str, Any]) -> Stat:
    """Return what a library's words for a file say."""
    etag = info.get("ETag") or info.get("etag")
    modified = info.get("LastModified") or info.get("mtime") or info.get("last_modified") or info.get("created")
    if isinstance(modified, datetime):
        modified = modified.timestamp()
    return Stat(
        int(info.get("size") or 0),
        str(etag).strip('"') if etag else None,
        float(modified) if isinstance(modified, (int, float)) else None,
    )
