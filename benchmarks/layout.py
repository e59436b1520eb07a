"""Which chunks, codec and order a converted scan should have: size, speed and what version control costs, by layout.

All times are of the processor, by one thread, the shortest of some runs: what else the machine does, and its waiting
for a disk, is left out. Writes ``layout.json`` and ``layout.md`` into the folder that ``--out`` names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.how import How
from emdvc.engine.run import Request, run_steps
from emdvc.formats import zarr_writer
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Region, Variable
from emdvc.formats.converting import Form
from emdvc.formats.registry import open_file
from emdvc.formats.stored_array import StoredArray
from emdvc.formats.zarr_keys import pieces
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom

#: Probe positions of the small edit, along each direction; it begins within a chunk, as edits do.
EDIT, EDIT_AT = 16, 13

FORMS = {
    "one pattern, lz4": Form("1,1,all,all", "blosc-lz4", "none"),
    "4 x 4, lz4": Form("4,4,all,all", "blosc-lz4"),
    "8 x 8, lz4": Form("8,8,all,all", "blosc-lz4"),
    "16 x 16, lz4": Form("16,16,all,all", "blosc-lz4"),
    "8 x 8, not compressed": Form("8,8,all,all", "none"),
    "8 x 8, plain zstd-1": Form("8,8,all,all", "zstd-1"),
    "8 x 8, blosc zstd-1": Form("8,8,all,all", "blosc-zstd-1"),
    "8 x 8, blosc zstd-3": Form("8,8,all,all", "blosc-zstd-3"),
    "8 x 8, blosc zstd-5": Form("8,8,all,all", "blosc-zstd-5"),
    "16 x 16, blosc zstd-3": Form("16,16,all,all", "blosc-zstd-3"),
    "8 x 8, lz4, by pixel": Form("8,8,all,all", "blosc-lz4", layout="pixel"),
    "16 x 16, lz4, by pixel": Form("16,16,all,all", "blosc-lz4", layout="pixel"),
    "8 x 8, blosc zstd-3, by pixel": Form("8,8,all,all", "blosc-zstd-3", layout="pixel"),
    "16 x 16 x (32 x 32 px), lz4": Form("16,16,32,32", "blosc-lz4"),
    "8 x 8, lz4, shards of 32 x 32": Form("8,8,all,all", "blosc-lz4", "32,32,all,all"),
    "8 x 8, blosc zstd-3, shards of 32 x 32": Form("8,8,all,all", "blosc-zstd-3", "32,32,all,all"),
}


@dataclass(frozen=True)
class Measured:
    """What one layout costs; speeds in GB/s and core of uncompressed numbers, times in seconds, sizes in bytes."""

    layout: str
    ratio: float
    files: int
    encode: float
    decode: float
    reduce: float
    pattern_ms: float
    pixel_image_ms: float
    edit_bytes: int
    dvc_add: float
    dvc_status: float


def timed(work: Callable[[], Any], runs: int) -> float:
    """Return the shortest processor time of some runs, after one that does not count."""
    times = []
    for turn in range(runs + 1):
        start = time.process_time()
        work()
        if turn:
            times.append(time.process_time() - start)
    return min(times)


def write(stored: StoredArray, values: NDArray[Any], folder: Path) -> Path:
    """Write a store from memory."""
    shutil.rmtree(folder, ignore_errors=True)
    zarr_writer.create_group(folder)
    stored.create(folder)
    for index in stored.keys.indices():
        stored.write(folder, index, lambda region: values[region])
    return folder


def chunks(stored: StoredArray) -> Iterator[Region]:
    """Yield the region of every chunk."""
    whole = tuple(slice(0, n) for n in stored.shape)
    for _, _, place in pieces(whole, stored.chunk):
        yield place


def bare_decode(store: Path, stored: StoredArray) -> None:
    """Read every chunk and do nothing with it."""
    array = open_file(store).variable().array
    for region in chunks(stored):
        array.read(region)


def reduction(store: Path, phantom: DiffractionPhantom) -> None:
    """Run the sum of all patterns and four virtual detectors in one pass."""
    opened = open_file(store)
    radii = [0, 10, 20, 40, 60]
    rings = {f"r{a}": {"inner": f"{a}px", "outer": f"{b}px"} for a, b in itertools.pairwise(radii)}
    detectors = find("virtual_detector")
    ky, kx = phantom.center
    requests = [
        Request(find("sum_pattern"), find("sum_pattern").Parameters()),
        Request(detectors, detectors.Parameters.model_validate({"detectors": rings, "center": f"{ky},{kx}px"})),
    ]
    run_steps(requests, opened, name="scan", how=How(threads=1))


def small_edit(stored: StoredArray, values: NDArray[Any], folder: Path) -> int:
    """Return the bytes of the files that a change of some probe positions rewrites."""
    region = (*(slice(EDIT_AT, EDIT_AT + EDIT),) * 2, *(slice(0, n) for n in stored.shape[2:]))
    edited = values.copy()
    edited[region] += 1
    size = 0
    for index, _, _ in pieces(region, stored.keys.stored):
        stored.write(folder, index, lambda part: edited[part])
        size += (folder / stored.keys.key(index)).stat().st_size
    return size


def version_control(store: Path, runs: int) -> tuple[float, float]:
    """Return the processor time of ``dvc add`` and of a clean ``dvc status``, each as a program."""
    adds, looks = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="emdvc-layout-") as folder:
            project = Path(folder) / "project"
            project.mkdir()
            environment = {**os.environ, "DVC_SITE_CACHE_DIR": str(Path(folder) / "site"), "DVC_NO_ANALYTICS": "1"}

            def call(*words: str, where: Path = project, environment: dict[str, str] = environment) -> float:
                before = os.times()
                subprocess.run(words, cwd=where, env=environment, check=True, capture_output=True)
                after = os.times()
                used = after.children_user + after.children_system
                return used - before.children_user - before.children_system

            dvc = (sys.executable, "-m", "dvc")
            call("git", "init", "-q")
            call(*dvc, "init", "-q")
            shutil.copytree(store, project / "scan.zarr")
            adds.append(call(*dvc, "add", "-q", "scan.zarr"))
            looks.append(call(*dvc, "status", "-q"))
    return min(adds), min(looks)


def measure(
    name: str, form: Form, phantom: DiffractionPhantom, values: NDArray[Any], folder: Path, given: Any
) -> Measured:
    """Measure one layout."""
    axes = phantom.axes()
    opened = Opened((Variable("counts", phantom.dims, MemoryArray(values), "counts"),), axes)
    stored = form.of(opened.variable(), axes)
    store, size, runs = folder / "scan.zarr", values.nbytes / 1e9, given.runs
    encode = timed(lambda: write(stored, values, store), runs)
    files = [path for path in (store / "counts").iterdir() if path.name != "zarr.json"]
    held = sum(path.stat().st_size for path in files)
    array = open_file(store).variable().array
    places = [tuple(int(i) for i in place) for place in np.random.default_rng(0).integers(0, values.shape[0], (20, 2))]
    frame = tuple(slice(0, n) for n in values.shape[2:])
    scan = tuple(slice(0, n) for n in values.shape[:2])
    patterns = timed(lambda: [array.read((slice(y, y + 1), slice(x, x + 1), *frame)) for y, x in places], runs)
    image = timed(lambda: array.read((*scan, slice(64, 65), slice(70, 71))), runs)
    decode = timed(lambda: bare_decode(store, stored), runs)
    reduce = timed(lambda: reduction(store, phantom), runs)
    add, status = version_control(store, given.dvc_runs)
    return Measured(
        name,
        values.nbytes / held,
        len(files),
        size / encode,
        size / decode,
        size / reduce,
        1000 * patterns / len(places),
        1000 * image,
        small_edit(stored, values, store),
        add,
        status,
    )


def best(found: list[Measured]) -> set[str]:
    """Return the layouts that no other beats in everything: the Pareto front, by what a layout decides."""
    signs = {
        "ratio": 1,
        "encode": 1,
        "reduce": 1,
        "pattern_ms": -1,
        "pixel_image_ms": -1,
        "edit_bytes": -1,
        "files": -1,
    }

    def beaten(one: Measured) -> bool:
        return any(
            all(sign * getattr(other, key) >= sign * getattr(one, key) for key, sign in signs.items())
            and any(sign * getattr(other, key) > sign * getattr(one, key) for key, sign in signs.items())
            for other in found
        )

    return {one.layout for one in found if not beaten(one)}


def table(found: list[Measured], raw: int) -> str:
    """Return the Markdown table; layouts of the Pareto front are bold."""
    front = best(found)
    head = "chunk, codec|ratio|files|encode GB/s|decode GB/s|sum + 4 detectors GB/s|one pattern ms|one pixel's image ms"
    head += "|edit of 16 x 16 MB|dvc add s|dvc status s"
    lines = [f"| {' | '.join(head.split('|'))} |", f"|{'---|' * 11}"]
    for one in found:
        name = f"**{one.layout}**" if one.layout in front else one.layout
        cells = [
            name,
            f"{one.ratio:.1f}",
            str(one.files),
            f"{one.encode:.2f}",
            f"{one.decode:.2f}",
            f"{one.reduce:.2f}",
        ]
        cells += [f"{one.pattern_ms:.2f}", f"{one.pixel_image_ms:.0f}", f"{one.edit_bytes / 1e6:.2f}"]
        lines.append(f"| {' | '.join([*cells, f'{one.dvc_add:.1f}', f'{one.dvc_status:.1f}'])} |")
    return "\n".join([f"Of {raw / 1e6:.0f} MB of numbers.", "", *lines, ""])


def main() -> None:
    """Measure all layouts and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=int, default=96, help="probe positions along each side")
    parser.add_argument("--detector", type=int, default=128, help="pixels along each side")
    parser.add_argument("--brightness", type=float, default=32.0, help="counts per pixel in the bright-field disk")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dvc-runs", type=int, default=1)
    parser.add_argument("--only", help="only layouts whose name holds this text")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    phantom = DiffractionPhantom((given.scan,) * 2, (given.detector,) * 2, brightness=given.brightness)
    values = np.stack(list(phantom.rows()))
    found = []
    with tempfile.TemporaryDirectory(prefix="emdvc-layout-") as folder:
        tempfile.tempdir = folder  # other runs of emdvc, with which processors are shared, are not waited for
        for name, form in FORMS.items():
            if given.only is None or given.only in name:
                found.append(measure(name, form, phantom, values, Path(folder), given))
                print(table(found[-1:], values.nbytes).splitlines()[-1], flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    machine = {"processors": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    content = {
        "machine": machine,
        "phantom": {"shape": list(values.shape), "brightness": given.brightness},
        "front": sorted(best(found)),
        "layouts": [replace(one).__dict__ for one in found],
    }
    (given.out / "layout.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (given.out / "layout.md").write_text(table(found, values.nbytes), encoding="utf-8")


if __name__ == "__main__":
    main()
