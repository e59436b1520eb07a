"""Stages that run side by side share the processors, and memory does not grow with the scan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Emdvc
from every_output import tree
from recipe_project import RECIPE, Counted, write_scan

from emdvc.engine.cores import processors

pytestmark = pytest.mark.slow

_EMDVC = [sys.executable, "-m", "emdvc"]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.zarr")


def test_runs_share_the_processors(scan: Path, tmp_path: Path) -> None:
    """Three runs of four threads each: never more blocks at once than there are processors, and all get done."""
    counted = Counted(tmp_path / "counted")
    env = {**os.environ, **counted.env, "EMDVC_THREADS": "4", "TMPDIR": str(tmp_path)}
    running = [
        subprocess.Popen([*_EMDVC, "run", "recipe", scan, f"out-{number}", *RECIPE], cwd=tmp_path, env=env,
                         stderr=subprocess.DEVNULL)
        for number in range(3)
    ]  # fmt: skip
    assert [process.wait() for process in running] == [0, 0, 0]
    times = counted.times()
    assert len(times) == 3 * 8  # four blocks, in a pass for whole positions and one for groups of them
    events = sorted([(began, 1) for began, _ in times] + [(end, -1) for _, end in times])
    now = most = 0
    for _, change in events:
        now += change
        most = max(most, now)
    assert 1 <= most <= len(processors())
    first, *others = (tree(tmp_path / f"out-{number}") for number in range(3))
    for other in others:
        assert {name: md5 for name, md5 in other.items() if not name.endswith(".yaml")} == {
            name: md5 for name, md5 in first.items() if not name.endswith(".yaml")
        }


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux")
def test_memory_does_not_grow_with_the_scan(tmp_path: Path) -> None:
    """512 MiB within 200 MB for blocks: at most 150 MB above a scan of one block, in which Python itself is counted."""
    small = write_scan(tmp_path / "small.zarr", (16, 16), distinct=False)
    large = write_scan(tmp_path / "large.zarr", (128, 64), distinct=False)
    peaks = [_peak(path, tmp_path / f"{path.stem}-out") for path in (small, small, large)]
    assert peaks[2] - peaks[1] < 150_000_000
    assert peaks[2] < 700_000_000


def _peak(scan: Path, output: Path) -> int:
    """Return the most bytes that a run took."""
    line = [*_EMDVC, "run", "recipe", str(scan), str(output), *RECIPE, "--memory", "200MB", "--threads", "2"]
    code = (
        f"import resource, subprocess; subprocess.run({line!r}, check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


def test_memory_for_not_even_one_block(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """A clear error that says how much it takes, and no output."""
    done = emdvc("run", "virtual_image", scan, "i.zarr", "--memory", "20MB", status=2)
    assert "a single block of this dataset does not fit" in done.stderr
    assert "--memory 51MB" in done.stderr
    assert not (tmp_path / "i.zarr").exists()
    emdvc("run", "virtual_image", scan, "i.zarr", "--memory", "51MB")
    assert "no size of memory" in emdvc("run", "virtual_image", scan, "i.zarr", "--memory", "much", status=2).stderr
