"""How long a person waits for the state of a project of many files: emdvc beside ``dvc data status --granular``."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

#: What emdvc may take at most, relative to DVC.
LIMIT = 0.1
REFERENCE = "dvc data status --granular"
COMMANDS = {
    REFERENCE: ["dvc", "data", "status", "--granular"],
    "emdvc status": ["emdvc", "status"],
    "emdvc diff": ["emdvc", "diff"],
}
#: Detector pixels along each side of a pattern; every pattern is a chunk.
PIXELS = 16
LAYOUTS = {
    "flat": {"name": "v2", "configuration": {"separator": "."}},
    # what Zarr writes when nothing is said: each chunk in a folder of its own
    "deep": {"name": "default", "configuration": {"separator": "/"}},
}


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of all programs: compiled modules are kept, and DVC keeps its notes to itself."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    own.pop("PYTHONDONTWRITEBYTECODE", None)
    names = {
        f"GIT_{who}_{what}": "benchmark@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
    (folder / "site").mkdir(parents=True, exist_ok=True)
    return {**own, **names, "PATH": path, "DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "1"}


def write_scan(path: Path, side: int, layout: str) -> Path:
    """Write a scan of ``side`` x ``side`` patterns, each in a file of its own."""
    import zarr

    shape, chunks = (side, side, PIXELS, PIXELS), (1, 1, PIXELS, PIXELS)
    group = zarr.create_group(path, zarr_format=3)
    group.create_array(
        "counts",
        shape=shape,
        chunks=chunks,
        dtype="u2",
        compressors=None,
        chunk_key_encoding=LAYOUTS[layout],
        dimension_names=("y", "x", "ky", "kx"),
    )
    rng = np.random.default_rng(1)
    for y in range(side):
        values = rng.poisson(3, (side, PIXELS, PIXELS)).astype("<u2")
        for x in range(side):
            key = f"{y}.{x}.0.0" if layout == "flat" else f"c/{y}/{x}/0/0"
            file = path / "counts" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(values[x].tobytes())
    return path


def project(folder: Path, side: int, layout: str) -> Path:
    """Make a project with that scan, a stage that reads it, and a folder as remote that has all of it."""
    own = environment(folder)
    root = folder / layout

    def run(*words: object) -> None:
        subprocess.run([str(word) for word in words], cwd=root if root.exists() else folder, env=own, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    scan = write_scan(folder / f"scan-{layout}" / "scan.zarr", side, layout)
    run("emdvc", "init", root, "--remote", f"lab={folder / f'storage-{layout}'}")
    run("emdvc", "add", scan)
    run("emdvc", "stage", "add", "sum_pattern", "-d", "raw/scan.zarr", "-o", "results/sum.zarr")
    run("dvc", "repro", "-q")
    run("emdvc", "save", "-m", "a scan")
    return root


def measure(folder: Path, side: int, layout: str, runs: int) -> dict[str, float]:
    """Return the median wall time of each command in seconds; the commands take turns, after one run to warm up."""
    root = project(folder, side, layout)
    time.sleep(2.5)  # what was written just now is not remembered
    return in_turn(root, environment(folder), runs)


def in_turn(root: Path, own: dict[str, str], runs: int) -> dict[str, float]:
    """Return the median wall time of each command in a project, in seconds."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(runs + 1):
        for name, line in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(line, cwd=root, env=own, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def status(session: Any) -> dict[str, Any]:
    """Return the seconds of each command for each way to name chunk files; 10,000 of them for the usual scan."""
    side = max(8, int(session.data.phantoms["scan"].shape[0]) * 100 // 256)
    found = {}
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory(prefix="emdvc-status-") as folder:
            found[layout] = measure(
                Path(folder), side, layout, session.runs if layout == "flat" else min(session.runs, 3)
            )
    return {"chunks": side**2, "limit": LIMIT, "layouts": found}


def main() -> int:
    """Measure, print a table, and return 1 when asked to require the limit and it is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="144 chunks and one run: that all of it works")
    parser.add_argument("--side", type=int, default=100, metavar="N", help="patterns along each side of the scan")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="default: both")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--require",
        action="append",
        choices=list(COMMANDS)[1:],
        default=[],
        help="fail when it takes longer than it may",
    )
    asked = parser.parse_args()
    failed = False
    for layout in asked.layout or LAYOUTS:
        with tempfile.TemporaryDirectory(prefix="emdvc-status-") as folder:
            side, runs = (12, 1) if asked.quick else (asked.side, asked.runs)
            medians = measure(Path(folder), side, layout, runs)
        for name, seconds in medians.items():
            ratio = seconds / medians[REFERENCE]
            limit = f" (at most {LIMIT:g})" if name != REFERENCE else ""
            print(f"{side**2} chunks, {layout}: {name:28} {seconds:8.3f} s   {ratio:6.3f}{limit}", flush=True)
            failed |= name in asked.require and ratio > LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
