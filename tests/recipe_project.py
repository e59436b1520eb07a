"""A project with a scan of several blocks and a recipe as its stage, and how its run is watched and stopped."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import psutil
from command_line import Emdvc

from emdvc.formats import zarr_writer

#: Every kind of output; the frames of `crop` are many files.
SETTINGS = (
    "sum_pattern.step=sum_pattern",
    "frame_statistics.step=frame_statistics",
    "bright.step=virtual_detector",
    "bright.outer=20px",
    "com.step=center_of_mass",
    "rotated.step=dpc",
    "rotated.source=com",
    "rotated.rotation=10deg",
    "rotated.flip=no",
    "radial_profile.bins=24",
    "find_peaks.max_peaks=6",
    "rebin.scan=2,2",
    "rebin.detector=8,8",
)
RECIPE = tuple(word for setting in SETTINGS for word in ("--set", setting))
DVC = [sys.executable, "-m", "dvc"]


def write_scan(
    path: Path, scan: tuple[int, int] = (32, 32), frame: int = 128, chunk: int = 8, *, distinct: bool = True
) -> Path:
    """Write counts of 32 bits, uncompressed: 64 MiB in 4 blocks of 4 chunks each, if nothing else is said.

    Without `distinct` all chunks hold the same counts, which is faster.
    """
    dims = ("y", "x", "ky", "kx")
    shape, chunks = (*scan, frame, frame), (chunk, chunk, frame, frame)
    zarr_writer.create_group(path)
    zarr_writer.create_array(path / "counts", shape, np.dtype("<u4"), dims, chunks=chunks)
    rng = np.random.default_rng(8)
    distance = np.hypot(*np.meshgrid(*(np.arange(frame) - frame / 2,) * 2))
    means = 40.0 * np.exp(-((distance / 15.0) ** 2)) + 2.0
    for y in range(scan[0] // chunk):
        for x in range(scan[1] // chunk):
            if distinct or (y, x) == (0, 0):
                values = rng.poisson(means, (chunk, chunk, frame, frame)).astype("<u4")
            zarr_writer.write_chunk(path / "counts", (y, x, 0, 0), values, chunks)
    return path


def make(project: Path, emdvc: Emdvc, scan: Path) -> Path:
    """Add the scan and a recipe stage to a project, and commit."""
    emdvc("add", scan, cwd=project)
    emdvc(
        *("stage", "add", "recipe", "-d", f"raw/{scan.name}", "-o", "results/all", "--name", "all"),
        *RECIPE,
        cwd=project,
    )
    emdvc("save", "-m", "a scan and a recipe", "--no-push", cwd=project)
    return project


def repro(project: Path, *options: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``dvc repro`` to its end; it must work."""
    done = subprocess.run(
        [*DVC, "repro", *options],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def start(project: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start ``dvc repro``; what ran already runs again."""
    return subprocess.Popen(
        [*DVC, "repro", "--force"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    )


def finished_blocks(project: Path) -> int:
    """Return how many blocks a run in work has written down as finished."""
    found = 0
    for path in project.glob(".dvc/tmp/emdvc/runs/*/*/pass-*/done"):
        try:
            found += sum(1 for line in path.read_bytes().splitlines() if line)
        except FileNotFoundError:
            continue
    return found


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120.0) -> bool:
    """Wait until something is so; say whether it was before the process ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if reached():
            return True
        time.sleep(0.002)
    return False


def runs(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the ``emdvc run`` processes below another."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if "run" in words and any(word.endswith("emdvc") for word in words) and "-c" not in words:
            found.append(child)
    return found


def ended(processes: list[psutil.Process], seconds: float = 2.0) -> bool:
    """Wait for processes of others; say whether all ended (one that nobody has waited for is a zombie)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(map(_alive, processes)):
            return True
        time.sleep(0.02)
    return False


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


_COUNTING = """
import os, sys, time
if "run" in sys.orig_argv and "COUNTED" in os.environ:
    from emdvc.engine.block_task import BlockTask
    real = BlockTask.__call__

    def counted(self, array, region):
        began = time.monotonic()
        found = real(self, array, region)
        name = " ".join(f"{part.start}:{part.stop}" for part in region)
        with open(os.environ["COUNTED"], "a") as file:
            file.write(f"{name},{began},{time.monotonic()}\\n")
        time.sleep(float(os.environ.get("SLOWLY", "0")))
        return found

    BlockTask.__call__ = counted
"""


class Counted:
    """Counts the blocks that ``emdvc run`` computes in other processes, by what Python loads there at its start.

    Parameters
    ----------
    folder
        Where its files lie.
    slowly
        Seconds that each block takes longer, so that a run can be killed between two of them.
    """

    def __init__(self, folder: Path, slowly: float = 0.0) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(_COUNTING, encoding="utf-8")
        self._list = folder / "computed"
        self.env = {"PYTHONPATH": str(folder), "COUNTED": str(self._list), "SLOWLY": str(slowly)}

    def blocks(self) -> list[str]:
        """Return the blocks that were computed since the last call, as ``0:8 0:32``."""
        found = [line.partition(",")[0] for line in self._lines()]
        self._list.unlink(missing_ok=True)
        return found

    def times(self) -> list[tuple[float, float]]:
        """Return when the work on each block began and ended, by the clock that all processes share."""
        return [(float(began), float(end)) for _, began, end in (line.split(",") for line in self._lines())]

    def _lines(self) -> list[str]:
        return self._list.read_text(encoding="utf-8").splitlines() if self._list.exists() else []
