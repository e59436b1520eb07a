"""A scan of 2 GiB is added and reduced with a peak memory below 1 GiB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from emdvc.testing.phantoms import DiffractionPhantom

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
    """Return a Zarr store of 256 x 256 patterns of 128 x 128 px, uint16: 2 GiB, eight rows again and again."""
    rows = np.stack(list(DiffractionPhantom(scan_shape=(8, 256)).rows()))
    path = tmp_path / "scan.zarr"
    group = zarr.create_group(path, zarr_format=3)
    array = group.create_array(
        "counts",
        shape=(256, *rows.shape[1:]),
        dtype="u2",
        chunks=(8, 8, 128, 128),
        dimension_names=("y", "x", "ky", "kx"),
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    for start in range(0, 256, 8):
        array[start : start + 8] = rows
    assert array.nbytes == 2 * GIB
    return path


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
