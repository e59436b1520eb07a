"""Reading a recorded scan that is not here: emdvc beside pulling it first and beside DVC's own file system.

``python -m benchmarks.lazy`` starts an S3 server (moto) on this machine and puts a line with a delay before it. Every
measurement is a process of its own with a fresh clone; time is counted from when the packages are imported.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCAN = "raw/scan.zarr"
BUCKET = "microscopy"
READS = {
    "one pattern": "100, 100",
    "region of 16 x 16": "96:112, 96:112",
    "everything": "...",
}
WAYS = {
    "emdvc": """
with emdvc.open_dataset(SCAN) as dataset:
    total = int(dataset["counts"][PART].sum().compute())
""",
    "DVC's file system": """
store = FsspecStore(AsyncFileSystemWrapper(DVCFileSystem(".", rev="HEAD"), asynchronous=True), path="/" + SCAN)
array = dask.array.from_zarr(zarr.open_group(store, mode="r", use_consolidated=False)["counts"])
total = int(array[PART].sum().compute())
""",
    "dvc pull, then open": """
subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], check=True)
array = dask.array.from_zarr(zarr.open_group(SCAN, mode="r")["counts"])
total = int(array[PART].sum().compute())
""",
}
PROGRAM = """
import json, subprocess, sys, time
import aiobotocore.session, dask.array, s3fs, xarray, zarr
from dvc.api import DVCFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from zarr.storage import FsspecStore
import emdvc, emdvc.history.lazy.source, emdvc.history.storage.s3
SCAN, PART = {scan!r}, eval("dask.array.core.np.s_[{part}]")
start = time.perf_counter()
{work}
print(json.dumps([time.perf_counter() - start, total]))
"""


def environment(folder: Path, endpoint: str) -> dict[str, str]:
    """Return the environment of all programs: keys for the server, and nothing of this machine's settings."""
    own = {name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "DVC_", "AWS_"))}
    names = {
        f"GIT_{who}_{what}": "benchmark@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    places = {"DVC_SITE_CACHE_DIR": str(folder / "site"), "AWS_CONFIG_FILE": str(folder / "none")}
    path = os.pathsep.join([str(Path(sys.executable).parent), own.get("PATH", "")])
    return {**own, **names, **keys, **places, "PATH": path, "AWS_ENDPOINT_URL": endpoint, "DVC_NO_ANALYTICS": "1"}


def project(folder: Path, endpoint: str) -> Path:
    """Make a project with a scan of 2 GiB, and put its data onto the server."""
    from large_scan import write_large_scan

    own, root = environment(folder, endpoint), folder / "project"

    def run(*words: str) -> None:
        subprocess.run(words, cwd=root if root.exists() else folder, env=own, check=True, stdout=subprocess.DEVNULL)

    run("emdvc", "init", str(root), "--remote", f"lab=s3://{BUCKET}/scans")
    write_large_scan(root / SCAN, distinct=True)
    run("emdvc", "add", SCAN)
    run("emdvc", "save", "-m", "a scan")
    return root


def measure(
    way: str, read: str, project: Path, folder: Path, port: int, delay: float, limit: float
) -> dict[str, float]:
    """Return seconds, requests and bytes of one way to read a part, from a clone with nothing pulled."""
    from line import Line

    clone = folder / "clone"
    shutil.rmtree(clone, ignore_errors=True)
    shutil.rmtree(folder / "site", ignore_errors=True)
    with Line("127.0.0.1", port, delay_ms=delay) as line:
        own = environment(folder, f"http://{line.address}")
        subprocess.run(["git", "clone", "-q", str(project), str(clone)], env=own, check=True)
        program = PROGRAM.format(scan=SCAN, part=READS[read], work=WAYS[way])
        try:
            done = subprocess.run(
                [sys.executable, "-c", program], cwd=clone, env=own, capture_output=True, text=True, timeout=limit,
                check=True,
            )  # fmt: skip
            seconds, total = json.loads(done.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            seconds, total = limit, -1
        return {"seconds": seconds, "requests": len(line.requests), "bytes": line.received + line.sent, "total": total}


def table(found: dict[str, dict[str, dict[str, float]]], limit: float) -> str:
    """Return the measurements as Markdown."""
    lines = ["| read | way | seconds | requests | MB |", "|---|---|---:|---:|---:|"]
    for read, ways in found.items():
        for way, one in ways.items():
            seconds = f"over {limit:.0f}" if one["total"] == -1 else f"{one['seconds']:.1f}"
            lines.append(f"| {read} | {way} | {seconds} | {one['requests']:.0f} | {one['bytes'] / 1e6:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=20, help="round trip of the line, in ms")
    parser.add_argument("--runs", type=int, default=3, help="of each read but `everything`; the median counts")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which a measurement is given up")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    from servers import _end, _free_port, _wait_for

    with tempfile.TemporaryDirectory(prefix="emdvc-lazy-") as name:
        folder, port = Path(name), _free_port()
        with (folder / "server.log").open("wb") as log:
            command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
            server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_for(port, server, folder / "server.log")
            endpoint = f"http://127.0.0.1:{port}"
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=30).close()
            root = project(folder, endpoint)
            found: dict[str, dict[str, dict[str, float]]] = {}
            for read in READS:
                for way in WAYS:
                    runs = 1 if read == "everything" else given.runs
                    measured = [measure(way, read, root, folder, port, given.delay, given.limit) for _ in range(runs)]
                    one = sorted(measured, key=lambda run: run["seconds"])[runs // 2]
                    found.setdefault(read, {})[way] = one
                    print(f"{time.strftime('%H:%M:%S')} {read}, {way}: {one}", file=sys.stderr)
        finally:
            _end(server)
    for read, ways in found.items():
        assert len({one["total"] for one in ways.values()} - {-1}) == 1, read
    print(table(found, given.limit))


if __name__ == "__main__":
    main()
