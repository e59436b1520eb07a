"""The bytes of ``emdvc add``: which files belong together, where they go, and how they get there."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emdvc.errors import Code, EnvironmentFault, UsageError
from emdvc.formats import registry
from emdvc.formats.contract import ReadOptions
from emdvc.formats.digest import listing_sha256
from emdvc.formats.sidecar import SUFFIX
from emdvc.history.blocks import Summing
from emdvc.history.journal import Journal
from emdvc.history.progress import Advance, Progress
from emdvc.history.project import Project
from emdvc.history.protection import files_of

_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """The files of one dataset, and their place in the project.

    Parameters
    ----------
    start
        What a reader opens: the file, the store, or the main file of a set.
    base
        Folder that the names of a set's files are relative to; of a single file its folder.
    files
        Every file, in a stable order.
    target
        Where the dataset lies in the project.
    directory
        Whether it is tracked as one directory: a set or a store.
    here
        Whether the files lie in the project, so that they are taken, not copied.
    """

    start: Path
    base: Path
    files: tuple[Path, ...]
    target: Path
    directory: bool
    here: bool

    @property
    def in_place(self) -> bool:
        """Whether every file is already where it belongs."""
        return self.here and (self.base if self.directory else self.start) == self.target

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files)

    def name(self, file: Path) -> str:
        """Return a file's name inside the dataset's directory."""
        return file.relative_to(self.base).as_posix()

    def state(self) -> dict[Path, tuple[int, int]]:
        """Return what shows that a file is being written: its size and its time of change."""
        return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in self.files}


def locate(project: Project, start: Path, target: str | None, options: ReadOptions) -> Source:
    """Return the files that a path stands for, and where they belong.

    Parameters
    ----------
    start
        The path that was given, absolute.
    target
        DEST as typed, relative to the current folder; None for the usual place.

    Raises
    ------
    UsageError
        The source or the destination lies where no data may lie.
    FormatError
        No reader knows the file.
    """
    here = start.is_relative_to(project.root)
    if here and start.is_symlink():
        raise UsageError(
            f"{start.name} is a symbolic link",
            evidence=f"to {start.resolve()}",
            hint="remove it, then add the file itself",
        )
    for forbidden in (project.dvc_dir, project.git_root / ".git"):
        if start.is_relative_to(forbidden):
            raise UsageError(f"{start} belongs to {forbidden.name} itself", hint="add a file of your own")
    if start.is_dir():
        base, files, directory = start, tuple(files_of(start)), True
    else:
        files = registry.unit(start, options)
        directory = len(files) > 1
        base = start.parent
        if directory and any(not file.is_relative_to(base) for file in files):
            base = Path(os.path.commonpath([file.parent for file in files]))
        if directory and here and _pointer(base).exists():  # the main file of a set that was added before
            files = tuple(files_of(base))
    name = start.name if start.is_dir() or not directory else _set_name(start)
    return Source(start, base, tuple(files), _target(project, start, base, name, target, directory), directory, here)


def _target(project: Project, start: Path, base: Path, name: str, target: str | None, directory: bool) -> Path:
    if target is None:
        if not start.is_relative_to(project.root):
            return project.root / "raw" / name
        if start.is_dir() or not directory:
            return start
        return base if _pointer(base).exists() or base.name == name else base / name
    path = Path(os.path.abspath(target))  # noqa: PTH100
    inside = path.is_dir() and not _pointer(path).exists() and path != base and not registry.is_store(path)
    if inside or target.endswith(("/", os.sep)):
        path = path / name
    project.relative(path)
    if path.is_relative_to(project.dvc_dir) or path.is_relative_to(project.git_root / ".git"):
        raise UsageError(f"{target} is no place for data", hint="emdvc add SOURCE raw/")
    if path.name.endswith((SUFFIX, ".dvc", ".partial")):
        raise UsageError(f"a dataset cannot be named {path.name}", hint="that ending has a meaning of its own")
    return path


def _pointer(path: Path) -> Path:
    return path.with_name(path.name + ".dvc")


def _set_name(start: Path) -> str:
    # scan_master.h5 with scan_data_000001.h5 is the set "scan"
    return re.sub(r"_(master|000+1?)$", "", start.stem) or start.stem


def entries(source: Source, digests: dict[Path, str]) -> list[dict[str, Any]]:
    """Return what the sidecar says about the bytes: path, sha256, size, and for a directory the number of files."""
    total: dict[str, Any] = {"path": source.target.name, "size": sum(file.stat().st_size for file in source.files)}
    if not source.directory:
        return [total | {"sha256": digests[source.start]}]
    digest = listing_sha256({source.name(file): digests[file] for file in source.files})
    return [total | {"sha256": digest, "files": len(source.files)}]


def digest(source: Source, progress: Progress, sums: Mapping[Path, Summing] | None = None) -> dict[Path, str]:
    """Return the SHA-256 of every file where it lies.

    Parameters
    ----------
    sums
        What makes the checksums of some files' blocks in the same pass.
    """
    from emdvc.formats.digest import file_sha256

    with progress(f"checking {source.target.name}", source.size) as advance:
        return {file: file_sha256(file, advance, _update(sums, file)) for file in source.files}


def place(
    source: Source, journal: Journal, progress: Progress, sums: Mapping[Path, Summing] | None = None
) -> dict[Path, str]:
    """Bring the files to where they belong and return the SHA-256 of each.

    Files outside the project are copied under a temporary name and then renamed, so that nobody meets half a file;
    files inside it are moved.

    Parameters
    ----------
    sums
        What makes the checksums of some files' blocks in the same pass.
    """
    if source.in_place:
        return digest(source, progress, sums)
    if source.here:
        digests = digest(source, progress, sums)
        _move(source, journal)
        return digests
    partial = source.target.with_name(f".{source.target.name}.{os.getpid()}.partial")
    journal.will_create(partial)
    digests = {}
    with progress(f"copying {source.target.name}", source.size) as advance:
        for file in source.files:
            copy = partial / source.name(file) if source.directory else partial
            copy.parent.mkdir(parents=True, exist_ok=True)
            digests[file] = _copy(file, copy, advance, _update(sums, file))
    journal.will_move(partial, source.target)
    partial.rename(source.target)
    return digests


def _move(source: Source, journal: Journal) -> None:
    if not source.directory or source.start.is_dir():
        journal.will_move(source.start, source.target)
        source.start.rename(source.target)
        return
    journal.will_create(source.target)
    for file in source.files:
        place = source.target / source.name(file)
        place.parent.mkdir(parents=True, exist_ok=True)
        journal.will_move(file, place)
        file.rename(place)


def _update(sums: Mapping[Path, Summing] | None, file: Path) -> Callable[[memoryview], None] | None:
    return sums[file].update if sums and file in sums else None


def _copy(file: Path, copy: Path, advance: Advance, also: Callable[[memoryview], None] | None) -> str:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_BLOCK))
    with file.open("rb", buffering=0) as reading, copy.open("xb", buffering=0) as writing:
        while count := reading.readinto(buffer):
            digest.update(buffer[:count])
            if also is not None:
                also(buffer[:count])
            written = 0
            while written < count:  # a raw file may take less than it is given
                written += writing.write(buffer[written:count]) or 0
            advance(count)
        os.fsync(writing.fileno())
    return digest.hexdigest()


def require_still(source: Source, before: dict[Path, tuple[int, int]]) -> None:
    """Check that nobody wrote the source meanwhile.

    Raises
    ------
    EnvironmentFault
        A file has another size or time of change than before.
    """
    for file, state in source.state().items():
        if before.get(file) != state:
            raise EnvironmentFault(
                f"{file.name} changed while it was read",
                code=Code.BUSY,
                evidence=f"it had {before[file][0]} bytes, now it has {state[0]}",
                hint="wait until the instrument has finished writing, then run the same command again",
            )
