"""A small project whose data lies on a remote that is a folder, and clones of it with nothing pulled."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from emdvc.cli.main import main
from emdvc.history.dvc_manifest import manifest
from emdvc.history.project import Project
from emdvc.history.recorded import recorded
from emdvc.history.snapshot import Snapshot

SHAPE = (8, 8, 6, 4)
CHUNK = (4, 4, 6, 4)
SCAN = "raw/scan.zarr"
#: Every file of the scan.
FILES = (
    "zarr.json",
    "counts/zarr.json",
    *(f"counts/{y}.{x}.0.0" for y in range(2) for x in range(2)),
    *(f"{dim}/{name}" for dim in ("y", "x", "ky", "kx") for name in ("zarr.json", "0")),
)


def numbers(seed: int = 1) -> np.ndarray:
    """Return the scan's counts."""
    return np.random.default_rng(seed).poisson(3, SHAPE).astype("u2")


def write_scan(path: Path, seed: int = 1, *, fill: tuple[slice, ...] | None = None) -> Path:
    """Write the scan with its coordinates; a region `fill` holds nothing but the fill value, and so has no chunk."""
    group = zarr.create_group(path, zarr_format=3, overwrite=True)
    counts = numbers(seed)
    if fill is not None:
        counts[fill] = 0
    keys = {"name": "v2", "separator": "."}
    array = group.create_array(
        "counts", shape=SHAPE, dtype="u2", chunks=CHUNK, dimension_names=("y", "x", "ky", "kx"),
        chunk_key_encoding=keys, config={"write_empty_chunks": False},
    )  # fmt: skip
    array[:] = counts
    for number, (dim, size) in enumerate(zip(("y", "x", "ky", "kx"), SHAPE, strict=True)):
        line = group.create_array(
            dim, shape=(size,), dtype="f8", dimension_names=(dim,), chunk_key_encoding=keys, attributes={"units": "nm"}
        )
        line[:] = np.arange(size) * 0.5 + number + 1
    return path


def write_shards(path: Path, *, checked: bool) -> Path:
    """Write 64 x 64 patterns in shards of 32 x 32, each pattern a chunk of its own; with checksums or without."""
    rng = np.random.default_rng(3)
    array = zarr.create_group(path, zarr_format=3, overwrite=True).create_array(
        "counts", shape=(64, 64, 16, 16), dtype="u2", chunks=(1, 1, 16, 16), shards=(32, 32, 16, 16),
        dimension_names=("y", "x", "ky", "kx"), chunk_key_encoding={"name": "v2", "separator": "."},
        serializer=BytesCodec(), compressors=[ZstdCodec(), Crc32cCodec()] if checked else [ZstdCodec()],
    )  # fmt: skip
    array[:] = rng.integers(0, 1 << 16, array.shape, "u2")
    return path


@dataclass(frozen=True)
class Lab:
    """The project and its remote.

    Parameters
    ----------
    project
        Where the data was added.
    remote
        The remote's folder.
    """

    project: Path
    remote: Path

    def clone(self, folder: Path) -> Path:
        """Clone the project, with nothing pulled."""
        git("clone", "--quiet", str(self.project), str(folder), cwd=self.project)
        return folder

    def add(self, name: str, message: str) -> None:
        """Record what lies at a path below the project (again), save, and push."""
        emdvc("add", name, cwd=self.project)
        emdvc("save", "-m", message, cwd=self.project)

    def objects(self, name: str = SCAN, rev: str = "HEAD") -> dict[str, Path]:
        """Return every file of a dataset with its object on the remote; its list under the name ``.dir``."""
        project = Project.find(self.project)
        with Snapshot(project, rev) as snapshot:
            md5 = recorded(snapshot)[PurePosixPath(name)].md5
        files = manifest(self.project / ".dvc" / "cache" / "files" / "md5", md5)
        assert files is not None
        found = {file: self.object(oid) for file, oid in files.items()}
        return {".dir": self.object(md5), **found}

    def object(self, md5: str) -> Path:
        """Return where an object lies on the remote."""
        return self.remote / "files" / "md5" / md5[:2] / md5[2:]


def new_lab(folder: Path) -> Lab:
    """Make a project with a remote, and nothing in it."""
    emdvc("init", str(folder / "project"), "--remote", f"lab={folder / 'remote'}", cwd=folder)
    return Lab(folder / "project", folder / "remote")


def emdvc(*arguments: str, cwd: Path) -> None:
    """Run a command in this process, which is quicker than a new one."""
    before = Path.cwd()
    os.chdir(cwd)
    try:
        assert main(list(arguments)) == 0
    finally:
        os.chdir(before)


def git(*arguments: str, cwd: Path) -> str:
    """Run git and return what it printed."""
    return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()
