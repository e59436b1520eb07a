"""What DVC's files record of the data at a revision, read as text: which bytes each dataset had. DVC is not needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats import sidecar as sidecars
from emdvc.history.declared_outs import remotes_in
from emdvc.history.snapshot import Snapshot

LOCK = "dvc.lock"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file or a directory whose bytes are recorded.

    Parameters
    ----------
    path
        Relative to the project.
    md5
        Of its bytes; of a directory that of the list of its files, which ends in ``.dir``. Empty where none is noted.
    size, files
        Bytes, and number of files; None where unknown.
    where
        The ``.dvc`` file or the dvc.lock that records it.
    stage
        Name of the stage that wrote it; None for data that was added.
    remote
        Remote that it is kept on, where that is not the default one.
    shared
        Whether it is to be pushed at all.
    foreign
        Whether only DVC itself can move it: it is imported from another repository, or was recorded by DVC 2.
    kept
        What emdvc keeps of it in the ``.dvc`` file, under ``meta: emdvc:``; no part of what is recorded.
    source
        Of data that was recorded where it lies: ``{url, recorded, listing}``, under ``meta: emdvc_source:``.
    """

    path: PurePosixPath
    md5: str
    size: int | None
    files: int | None
    where: PurePosixPath
    stage: str | None = None
    remote: str | None = None
    shared: bool = True
    foreign: bool = False
    kept: Any = field(default=None, compare=False, repr=False)
    source: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.md5.endswith(".dir")


@dataclass(frozen=True, slots=True)
class LockedStage:
    """What dvc.lock records of the last run of a stage.

    Parameters
    ----------
    name
        Of the stage, with ``@...`` where it was made from a template.
    folder
        Folder of its dvc.yaml, relative to the project.
    cmd
        Its command line.
    deps, outs
        Path (relative to the project) -> md5.
    params
        File (relative to the project) -> dotted key -> value.
    """

    name: str
    folder: PurePosixPath
    cmd: Any
    deps: Mapping[PurePosixPath, str] = field(default_factory=dict)
    outs: Mapping[PurePosixPath, str] = field(default_factory=dict)
    params: Mapping[PurePosixPath, Mapping[str, Any]] = field(default_factory=dict)


def recorded(snapshot: Snapshot) -> dict[PurePosixPath, Recorded]:
    """Return everything whose bytes are recorded at a revision (or in the workspace), by path.

    Raises
    ------
    MetadataError
        A ``.dvc`` file or dvc.lock is no YAML.
    """
    return {entry.path: entry for file in _files(snapshot) for entry in _entries(snapshot, file)}


def recorded_by(snapshot: Snapshot, files: Iterable[PurePosixPath]) -> dict[PurePosixPath, Recorded]:
    """Return what some ``.dvc`` files or dvc.locks record, by path; one that is not there records nothing.

    Raises
    ------
    MetadataError
        As :func:`recorded`.
    """
    return {entry.path: entry for file in files for entry in _entries(snapshot, file)}


def recorded_in(old: Snapshot, new: Snapshot) -> tuple[dict[PurePosixPath, Recorded], dict[PurePosixPath, Recorded]]:
    """Return what is recorded at two revisions in those ``.dvc`` files and dvc.lock that are not the same in both.

    What is in neither of the two answers is recorded alike: a file with the same text need not be parsed.

    Raises
    ------
    MetadataError
        As :func:`recorded`.
    """
    files = set(_files(old)), set(_files(new))
    same = {file for file in files[0] & files[1] if old.text(file) == new.text(file)}
    before, after = (
        {entry.path: entry for file in sorted(found - same) for entry in _entries(snapshot, file)}
        for snapshot, found in zip((old, new), files, strict=True)
    )
    return before, after


def _files(snapshot: Snapshot) -> Iterator[PurePosixPath]:
    for file in snapshot.files():
        if file.name == LOCK or (file.suffix == ".dvc" and file.name != ".dvc"):
            yield file


def _entries(snapshot: Snapshot, file: PurePosixPath) -> Iterator[Recorded]:
    return _locked(snapshot, file) if file.name == LOCK else _pointed(snapshot, file)


def locked_stages(snapshot: Snapshot) -> dict[str, LockedStage]:
    """Return what dvc.lock records of each stage; those of a folder below the project as ``folder/dvc.yaml:name``."""
    found = {}
    for file in snapshot.files():
        if file.name != LOCK:
            continue
        stages = _load(snapshot, file).get("stages") or {}
        for name, said in stages.items():
            found[stage_address(str(name), file.parent)] = locked_stage(str(name), said, file.parent)
    return found


def locked_stage(name: str, said: Mapping[str, Any], folder: PurePosixPath) -> LockedStage:
    """Return what a dvc.lock says of one stage.

    Parameters
    ----------
    name
        Of the stage.
    said
        Its mapping in dvc.lock.
    folder
        Folder of that dvc.lock, relative to the project.
    """
    deps, outs = (
        {_below(folder, one["path"]): str(one.get("md5") or "") for one in said.get(part) or []}
        for part in ("deps", "outs")
    )
    params = {_below(folder, path): keys or {} for path, keys in (said.get("params") or {}).items()}
    return LockedStage(name, folder, said.get("cmd"), deps, outs, params)


def stage_address(name: str, folder: PurePosixPath) -> str:
    """Return how DVC speaks of a stage from the project's root: ``name``, or ``folder/dvc.yaml:name``."""
    return name if folder == PurePosixPath() else f"{folder}/dvc.yaml:{name}"


def _pointed(snapshot: Snapshot, file: PurePosixPath) -> Iterator[Recorded]:
    content = _load(snapshot, file)
    folder = _below(file.parent, content.get("wdir") or ".")
    meta = content.get("meta")
    kept = meta.get("emdvc") if isinstance(meta, dict) else None
    source = meta.get("emdvc_source") if isinstance(meta, dict) else None
    imported = any(isinstance(dep, dict) and "repo" in dep for dep in content.get("deps") or [])
    for out in content.get("outs") or []:
        entry = _entry(out, folder, file, None, imported)
        yield replace(entry, kept=kept, source=source if isinstance(source, dict) else None)


def _locked(snapshot: Snapshot, file: PurePosixPath) -> Iterator[Recorded]:
    remotes = remotes_in(snapshot, file.with_name("dvc.yaml"))
    for name, said in (_load(snapshot, file).get("stages") or {}).items():
        for out in said.get("outs") or []:
            entry = _entry(out, file.parent, file, str(name))
            # which remote an output goes to stands in dvc.yaml alone
            named = next((remote for pattern, remote in remotes if pattern.fullmatch(str(entry.path))), None)
            yield replace(entry, remote=named) if named is not None else entry


def _entry(
    out: Mapping[str, Any], folder: PurePosixPath, file: PurePosixPath, stage: str | None, imported: bool = False
) -> Recorded:
    return Recorded(
        _below(folder, out["path"]),
        str(out.get("md5") or ""),
        out.get("size"),
        out.get("nfiles"),
        file,
        stage,
        out.get("remote"),
        out.get("push") is not False,
        imported or out.get("hash") != "md5",
    )


def _load(snapshot: Snapshot, file: PurePosixPath) -> dict[str, Any]:
    text = snapshot.text(file)
    where = f"{file}@{snapshot.revision}" if snapshot.revision else str(file)
    content = sidecars.load_yaml(text, where) if text else None
    return content if isinstance(content, dict) else {}


def _below(folder: PurePosixPath, path: str) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(folder / path).replace(os.sep, "/"))
