"""How long a person waits for the first line: emdvc's help and inspection against dvc's help, in turn."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions
from emdvc.formats.describe import describe
from emdvc.formats.registry import open_file
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

RUNS = 7
REFERENCE = "dvc --help"
#: What each may take at most, relative to the reference.
LIMITS = {"emdvc --help": 0.75, "emdvc inspect SIDECAR": 1.0}


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the command lines, run as a person runs them: by the installed programs."""
    programs = Path(sys.executable).parent
    data = write_zarr(folder / "scan.zarr", DiffractionPhantom((4, 4), (32, 32)))
    opened = open_file(data, ReadOptions())
    sidecar = sidecars.write(data, describe(opened, options=ReadOptions(), files=[], digests={}))
    opened.close()
    return {
        REFERENCE: [str(programs / "dvc"), "--help"],
        "emdvc --help": [str(programs / "emdvc"), "--help"],
        "emdvc inspect SIDECAR": [str(programs / "emdvc"), "inspect", str(sidecar)],
    }


def measure(lines: dict[str, list[str]], runs: int = RUNS) -> dict[str, float]:
    """Return the median wall time of each command in seconds; the commands take turns, after one run to warm up."""
    times: dict[str, list[float]] = {name: [] for name in lines}
    for turn in range(runs + 1):
        for name, line in lines.items():
            start = time.perf_counter()
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """Measure, print a table, and return 1 when asked to require the limits and one is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--require", action="store_true", help="fail when a command takes longer than it may")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(commands(Path(folder)), arguments.runs)
    ratios = {name: seconds / medians[REFERENCE] for name, seconds in medians.items()}
    for name, seconds in medians.items():
        limit = f" (at most {LIMITS[name]:.2f})" if name in LIMITS else ""
        print(f"{name:24} {seconds * 1000:7.0f} ms   {ratios[name]:5.2f} of {REFERENCE}{limit}")
    return int(arguments.require and any(ratios[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
