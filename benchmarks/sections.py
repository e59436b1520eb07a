"""The measurements that are not against other packages: limits, streaming, scaling, memory, compilation."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from benchmarks import compilation, limits, ours
from benchmarks.compare import Session

#: Seconds between two looks at a process's memory.
LOOK = 0.005


def _medians(runs: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, float]:
    """Return the median seconds of each: all run once to warm up, then take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repetitions + 1):
        for name, run in runs.items():
            seconds = limits.timed(run)
            if turn:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def machine(session: Session) -> dict[str, Any]:
    """Return how fast memory is read and chunks are decoded, in bytes of counts per second, by threads."""
    counts = session.data.array("scan")
    array = limits.opened(limits.write_zarr(session.data)).variable().array
    runs = {}
    for threads in sorted({1, session.threads}):
        runs[f"read and add up, {threads} threads"] = limits.read_sum(counts, threads)
        runs[f"decode chunks, {threads} threads"] = limits.decode(array, threads)
    return {name: counts.nbytes / seconds for name, seconds in _medians(runs, session.runs).items()}


def streamed(session: Session) -> dict[str, float]:
    """Return the seconds of one pass over compressed Zarr and of the bare decode of the same chunks, in turn."""
    opened = limits.opened(limits.write_zarr(session.data))
    threads = session.threads
    runs = {
        "decode": limits.decode(opened.variable().array, threads),
        "pass": lambda: ours.run(ours.PASSES["pass"], opened, threads),
    }
    found = _medians(runs, session.runs)
    return {**found, "ratio": found["pass"] / found["decode"]}


def scaling(session: Session) -> dict[str, Any]:
    """Return bytes of counts per second of the one pass, by threads and by the size of the scan."""
    phantom, counts = session.data.phantoms["scan"], session.data.array("scan")
    whole = ours.as_dataset(phantom, counts)
    by_threads = _medians(
        {str(n): partial(ours.run, ours.PASSES["pass"], whole, n) for n in sorted({1, session.threads})},
        session.runs,
    )
    sizes, datasets = {}, {}
    for part in (8, 4, 2, 1):
        rows = len(counts) // part
        # a smaller scan, not fewer rows of a large one
        smaller = counts[:rows, : counts.shape[1] // part].copy() if part > 1 else counts
        name = f"{smaller.shape[0]} x {smaller.shape[1]}"
        sizes[name], datasets[name] = smaller.nbytes, ours.as_dataset(phantom, smaller)
    by_size = _medians(
        {name: partial(ours.run, ours.PASSES["pass"], one, session.threads) for name, one in datasets.items()},
        session.runs,
    )
    return {
        "threads": {name: counts.nbytes / seconds for name, seconds in by_threads.items()},
        "scan": {name: sizes[name] / seconds for name, seconds in by_size.items()},
    }


def memory(session: Session, budget: str = "512MB") -> dict[str, Any]:
    """Return seconds and peak memory of the one pass over a scan four times as large, with a limit and without."""
    source = limits.write_zarr(session.data)
    large = session.data.folder / "large.zarr"
    shape = _repeated(source, large)
    found: dict[str, Any] = {"shape": shape, "bytes": 2, "runs": {}}
    for size in shape:
        found["bytes"] *= size
    settings = []
    for step, given in ours.PASSES["pass"].items():
        settings += [f"{step}.step={step}", *_flat(step, given)]
    lines = {"without a limit": [], f"--memory {budget}": ["--memory", budget]}
    times: dict[str, list[tuple[float, int]]] = {name: [] for name in lines}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(min(session.runs, 3) + 1):
            for name, options in lines.items():
                output = Path(folder) / f"{turn}-{len(options)}"
                words = [word for setting in settings for word in ("--set", setting)]
                line = ["run", "recipe", str(large), str(output), *words, "--threads", str(session.threads), *options]
                measured = _watched([sys.executable, "-m", "emdvc", *line], Path(folder))
                if turn:
                    times[name].append(measured)
                shutil.rmtree(output, ignore_errors=True)
    shutil.rmtree(large)
    for name, values in times.items():
        found["runs"][name] = {
            "seconds": statistics.median(seconds for seconds, _ in values),
            "peak": max(peak for _, peak in values),
        }
    return found


def _flat(prefix: str, given: Mapping[str, Any]) -> list[str]:
    found = []
    for key, value in given.items():
        name = f"{prefix}.{key}"
        found += _flat(name, value) if isinstance(value, Mapping) else [f"{name}={value}"]
    return found


def _repeated(source: Path, target: Path) -> list[int]:
    """Write a scan twice as long along both directions, of the same chunk files; return its shape."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "counts").mkdir(parents=True)
    shutil.copy(source / "zarr.json", target / "zarr.json")
    described = json.loads((source / "counts" / "zarr.json").read_text(encoding="utf-8"))
    rows, columns = (described["shape"][axis] // limits.CHUNK for axis in (0, 1))
    described["shape"][:2] = [2 * n for n in described["shape"][:2]]
    (target / "counts" / "zarr.json").write_text(json.dumps(described), encoding="utf-8")
    for y in range(2 * rows):
        for x in range(2 * columns):
            os.link(source / "counts" / f"{y % rows}.{x % columns}.0.0", target / "counts" / f"{y}.{x}.0.0")
    return list(described["shape"])


def _watched(line: list[str], folder: Path) -> tuple[float, int]:
    """Run a command and return its seconds and the most memory that its processes held at once."""
    start, peak = time.perf_counter(), 0
    with (folder / "log.txt").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(line, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                held = [watched, *watched.children(recursive=True)]
                peak = max(peak, sum(one.memory_info().rss for one in held))
            except psutil.NoSuchProcess:
                pass
            time.sleep(LOOK)
        seconds = time.perf_counter() - start
        log.seek(0)
        told = log.read()
    if process.returncode != 0:
        raise RuntimeError(f"emdvc ended with status {process.returncode}: {told[-500:]}")
    return seconds, peak


def compiled() -> dict[str, Any]:
    """Return the seconds of compilation that a first and a second use cost."""
    cold, warm = compilation.in_new_processes()
    return {"cold": sum(cold.values()), "warm": sum(warm.values()), "functions": len(cold), "limit": compilation.LIMIT}
