"""A scan of 2 GiB is added and reduced with a peak memory below 1 GiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from large_scan import write_large_scan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "wait4"), reason="this system does not tell the peak memory of a process"),
]

GIB = 1 << 30


def peak(*command: str, cwd: Path) -> int:
    """Run a program and return its peak memory in bytes, its own or that of the largest process it waited for."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    printed = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, printed.decode()
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Return a Zarr store of 2 GiB."""
    return write_large_scan(tmp_path / "scan.zarr")


def test_two_gibibytes_in_less_than_one(scan: Path, project: Path) -> None:
    emdvc = (sys.executable, "-m", "emdvc")
    assert peak(*emdvc, "add", str(scan), cwd=project) < GIB
    for step, *settings in (
        ("sum_pattern",),
        ("center_of_mass",),
        ("virtual_detector", "--set", "outer=20px"),
        ("radial_profile",),
    ):
        used = peak(*emdvc, "run", step, "raw/scan.zarr", f"results/{step}.zarr", *settings, cwd=project)
        assert used < GIB, f"{step}: {used / GIB:.2f} GiB"
