"""A killed run leaves the old result or none, nothing that git or DVC sees, and the next run works."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

pytestmark = pytest.mark.slow

LINE = ("run", "radial_profile", "raw/scan.zarr", "results/r.zarr", "--set", "bins=40")


def tree(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder that is no leftover."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".partial" not in path.as_posix()
    }


def git_status(project: Path) -> str:
    done = subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def scan(project: Path, emdvc: Emdvc, tmp_path: Path) -> Path:
    """Return a committed project with a scan."""
    write_zarr(tmp_path / "scan.zarr", DiffractionPhantom(scan_shape=(32, 32), detector_shape=(128, 128)))
    emdvc("add", tmp_path / "scan.zarr", cwd=project)
    emdvc("save", "-m", "a scan", "--no-push", cwd=project)
    return project


def test_killed_while_computing_or_writing(scan: Path, emdvc: Emdvc) -> None:
    emdvc(*LINE, cwd=scan)
    whole = tree(scan / "results")
    for old in (False, True):
        if not old:
            for name in ("r.zarr", "r.zarr.em.yaml", "r.png"):
                target = scan / "results" / name
                subprocess.run(
                    [sys.executable, "-c", "import shutil, sys; shutil.rmtree(sys.argv[1])", target]
                    if target.is_dir()
                    else [sys.executable, "-c", "import os, sys; os.remove(sys.argv[1])", target],
                    check=True,
                )
        before = tree(scan / "results")
        seen = git_status(scan)
        for moment in (0.3, 0.8, "partial"):
            process = subprocess.Popen([sys.executable, "-m", "emdvc", *LINE], cwd=scan, stderr=subprocess.DEVNULL)
            _wait(process, scan / "results", moment)
            process.kill()
            process.wait()
            after = tree(scan / "results")
            assert after in (before, whole), f"half written after a kill at {moment}"
            if after == before:
                assert git_status(scan) == seen, f"git sees a leftover of a kill at {moment}"
    emdvc(*LINE, cwd=scan)
    assert tree(scan / "results") == whole
    assert not [path for path in (scan / "results").iterdir() if path.name.endswith(".partial")]


def _wait(process: subprocess.Popen[bytes], folder: Path, moment: float | str) -> None:
    # either a number of seconds, or until the first partial file is there: the moment of writing
    end = time.monotonic() + (moment if isinstance(moment, float) else 60)
    while time.monotonic() < end and process.poll() is None:
        if moment == "partial" and any(path.name.endswith(".partial") for path in folder.iterdir()):
            return
        time.sleep(0.001)


def test_killed_under_dvc(scan: Path, emdvc: Emdvc) -> None:
    """``dvc repro`` whose step is killed fails; the next runs the stage and gives the same as an undisturbed one."""
    emdvc("stage", "add", "radial_profile", "-d", "raw/scan.zarr", "-o", "results/r.zarr", "--name", "r", cwd=scan)
    repro = [sys.executable, "-m", "dvc", "repro"]
    process = subprocess.Popen(repro, cwd=scan, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2.0)
    _kill_run(process)
    process.wait()
    assert subprocess.run(repro, cwd=scan, capture_output=True, check=False).returncode == 0
    first = tree(scan / "results")
    subprocess.run([*repro, "--force"], cwd=scan, capture_output=True, check=True)
    assert tree(scan / "results") == first
    assert not [path for path in (scan / "results").iterdir() if path.name.endswith(".partial")]


def _kill_run(repro: subprocess.Popen[bytes]) -> None:
    psutil = pytest.importorskip("psutil")  # comes with dvc
    for child in psutil.Process(repro.pid).children(recursive=True):
        if "run" in child.cmdline():
            child.kill()
