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
from emdvc.testing import phantoms, write

RUNS = 7


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the command lines, run as a person runs them: by the installed programs."""
    programs = Path(sys.executable).parent
    scan = phantoms.Scan(scan_shape=(4, 4), detector_shape=(32, 32))
    data = write.zarr_scan(folder / "scan.zarr", scan)
    from emdvc.formats.contract import ReadOptions
    from emdvc.formats.describe import describe
    from emdvc.formats.registry import open_file

    opened = open_file(data, ReadOptions())
    path = sidecars.write(data, describe(opened, options=ReadOptions(), files=[], digests={}))
    opened.close()
    return {
        "dvc --help": [str(programs / "dvc"), "--help"],
        "emdvc --help": [str(programs / "emdvc"), "--help"],
        "emdvc inspect SIDECAR": [str(programs / "emdvc"), "inspect", str(path)],
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


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        medians = measure(commands(Path(folder)), arguments.runs)
    reference = medians["dvc --help"]
    for name, seconds in medians.items():
        print(f"{name:24} {seconds * 1000:7.0f} ms   {seconds / reference:5.2f} of dvc --help")


if __name__ == "__main__":
    main()
