"""The records of DVC's run-cache: which inputs, parameters and command gave which results.

A record lies at ``runs/KK/KEY/VALUE`` beside the cache's objects and at the same place of a remote, as ``dvc push
--run-cache`` puts it. The key names what went in, the value all that the record says: a record never changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.errors import MetadataError
from emdvc.formats import sidecar as sidecars
from emdvc.history.cache_place import cache_folder
from emdvc.history.project import Project
from emdvc.history.storage import loop
from emdvc.history.storage.contract import Stat
from emdvc.history.storage.remote import Remote
from emdvc.history.storage.trying import trying
from emdvc.history.transfer.crowd import crowd

#: Folder of the records, of a remote and beside ``files`` of the cache.
RUNS = "runs"
_KEY = re.compile(r"runs/([0-9a-f]{2})/(\1[0-9a-f]{62})/([0-9a-f]{64})")
#: What the value of a record leaves out.
_UNNAMED = ("size", "nfiles")


@dataclass(frozen=True, slots=True)
class Run:
    """A record of a run.

    Parameters
    ----------
    key
        Where it lies, from ``runs`` on.
    path
        Its file here.
    outs
        Path of each result, relative to the stage's folder -> md5.
    """

    key: str
    path: Path
    outs: dict[str, str]


def folder(project: Project) -> Path:
    """Return where the cache keeps its records."""
    return cache_folder(project).parents[1] / RUNS


def local_runs(project: Project) -> list[Run]:
    """Return the records that the cache holds; what is no record is left out."""
    place = folder(project)
    found = []
    for path in sorted(place.glob("??/*/*")):
        key = f"{RUNS}/{path.relative_to(place).as_posix()}"
        outs = _outs(_content(path.read_bytes())) if _KEY.fullmatch(key) else None
        if outs is not None:
            found.append(Run(key, path, outs))
    return found


async def listed(remote: Remote) -> dict[str, Stat]:
    """Return the records that a remote holds, by key; none where its kind of storage cannot be listed."""
    if remote.settings.scheme in ("http", "https"):
        return {}
    storage = await remote.storage()
    found = await trying(lambda: storage.listing(RUNS))
    return {key: stat for key, stat in found.items() if _KEY.fullmatch(key)}


async def send(remote: Remote, run: Run) -> None:
    """Send a record.

    Raises
    ------
    EnvironmentFault
        The remote did not take it.
    """
    storage = await remote.storage()
    md5 = hashlib.md5(run.path.read_bytes(), usedforsecurity=False).hexdigest()
    await trying(lambda: storage.send(run.path, run.key, md5=md5))


def fetch_runs(project: Project, remote: Remote) -> int:
    """Fetch the records that the cache lacks; return how many came. One that is damaged there is left out.

    Raises
    ------
    EnvironmentFault
        The remote did not answer.
    """
    return loop.run(_fetch(project, remote))


async def _fetch(project: Project, remote: Remote) -> int:
    place = folder(project)
    lacking = [key for key in await listed(remote) if not (place.parent / key).is_file()]
    came = 0

    async def one(key: str) -> None:
        nonlocal came
        storage = await remote.storage()
        with suppress(FileNotFoundError):
            content = await trying(lambda: storage.read(key))
            if _value(_content(content)) == key.rpartition("/")[2]:
                _write(content, place.parent / key, place.parent)
                came += 1

    await crowd(one, lacking, (await remote.storage()).parallel)
    return came


def _write(content: bytes, target: Path, outside: Path) -> None:
    # DVC takes every file beside a record for one, too: what is not yet whole lies elsewhere
    passing = outside / f".{target.name}.{os.getpid()}.tmp"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        passing.write_bytes(content)
        passing.replace(target)
    finally:
        passing.unlink(missing_ok=True)


def _content(text: bytes) -> Any:
    try:
        return sidecars.load_yaml(text.decode(), RUNS)
    except (MetadataError, UnicodeDecodeError):
        return None


def _outs(said: Any) -> dict[str, str] | None:
    """Return the results that a record names; None where it is none, or one of DVC 2."""
    try:
        entries = said["outs"]
        if not said["cmd"] or not entries or any(entry["hash"] != "md5" for entry in entries):
            return None
        return {str(entry["path"]): str(entry["md5"]) for entry in entries}
    except (TypeError, KeyError):
        return None


def _value(said: Any) -> str:
    """Return the name that DVC gives to a record: the checksum of what it says, sizes left out."""
    return hashlib.sha256(json.dumps(_named(said), sort_keys=True).encode()).hexdigest()


def _named(said: Any) -> Any:
    if isinstance(said, dict):
        return {key: _named(value) for key, value in said.items() if key not in _UNNAMED}
    return [_named(one) for one in said] if isinstance(said, list) else said
