"""Projects whose data lies elsewhere, and clones of them that hold nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from command_line import Emdvc

from emdvc.formats import sidecar as sidecars
from emdvc.formats import zarr_writer

DVC = [sys.executable, "-m", "dvc"]
DETECTOR = ("virtual_detector", "--set", "outer=9px")
RECORD = ("--set", "diffraction.center=16,16px", "--set", "diffraction.pixel_size=0.1/nm")
#: Chunks of the scan: four of its eight rows of chunks make a block of the engine when blocks are small.
CHUNKS = 64


def write_scan(path: Path, seed: int = 3, *, shape: tuple[int, int] = (32, 32), frame: int = 32) -> Path:
    """Write a scan in 64 chunk files."""
    rows, columns = shape[0] // 8, shape[1] // 8
    rng = np.random.default_rng(seed)
    zarr_writer.create_group(path)
    dims, chunks = ("y", "x", "ky", "kx"), (rows, columns, frame, frame)
    zarr_writer.create_array(path / "counts", (*shape, frame, frame), np.dtype("<u2"), dims, chunks=chunks)
    for y in range(8):
        for x in range(8):
            values = rng.poisson(5, (rows, columns, frame, frame)).astype("<u2")
            zarr_writer.write_chunk(path / "counts", (y, x, 0, 0), values, chunks)
    return path


def dvc(folder: Path, *words: str, env: Mapping[str, str] | None = None, status: int | None = 0) -> str:
    """Run DVC; what it printed is returned."""
    done = subprocess.run(
        [*DVC, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **(env or {})},
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert status is None or done.returncode == status, said
    return said


def locked(folder: Path, stage: str) -> dict[str, Any]:
    """Return path -> md5 of a stage's outputs, as dvc.lock has them."""
    content = sidecars.load_yaml((folder / "dvc.lock").read_text(), "dvc.lock")
    return {one["path"]: one["md5"] for one in content["stages"][stage]["outs"]}


def clone_of(project: Path, target: Path) -> Path:
    """Clone a project; nothing is pulled."""
    subprocess.run(["git", "clone", "-q", str(project), str(target)], check=True)
    return target


def stage(emdvc: Emdvc, project: Path, source: str, target: str, *words: str) -> None:
    """Write a stage of the virtual detector."""
    emdvc("stage", "add", *DETECTOR, "-d", source, "-o", target, *words, cwd=project)


def cached(folder: Path) -> int:
    """Return the bytes of the objects that a project's cache holds."""
    return sum(file.stat().st_size for file in (folder / ".dvc" / "cache").rglob("*") if file.is_file())
