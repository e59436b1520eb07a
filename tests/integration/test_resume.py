"""A recipe under ``dvc repro``, killed at any moment: the next goes on, with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from command_line import Emdvc
from every_output import tree
from recipe_project import DVC, Counted, ended, finished_blocks, make, repro, runs, start, wait_until, write_scan

from emdvc.engine.file_lock import acquire

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL"),
]

#: Four, in a pass over single positions and one over groups of 2 x 2.
BLOCKS = 8


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a scan of four blocks."""
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.zarr")


@pytest.fixture(scope="module")
def made(scan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the project is made, once: that takes longer than the tests."""
    return tmp_path_factory.mktemp("made") / "project"


@pytest.fixture
def pipeline(made: Path, scan: Path, emdvc: Emdvc, tmp_path: Path) -> Path:
    """Return a copy of a committed project with a scan and a recipe."""
    if not made.exists():
        emdvc("init", made)
        make(made, emdvc, scan)
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    """Return what counts the blocks, each of which takes long enough for a kill."""
    return Counted(tmp_path / "counted", slowly=0.6)


def test_killed_at_any_moment(pipeline: Path, counted: Counted) -> None:
    """The run or the DVC above it, before, during and after the blocks: never other bytes, nothing left over."""
    repro(pipeline, env=counted.env)
    whole = tree(pipeline / "results")
    assert sum(1 for name in whole if name.endswith("em.yaml")) == 8
    assert len(counted.blocks()) == BLOCKS
    for victim, threads in (("run", 1), ("dvc", 2)):
        env = {**counted.env, "EMDVC_THREADS": str(threads)}
        for blocks in (0, 1, 5):
            _kill(pipeline, victim, blocks, env)
        repro(pipeline, "--force", env=env)
        assert tree(pipeline / "results") == whole, victim
        # each of the three kills costs at most the block that each thread was at
        assert BLOCKS <= len(counted.blocks()) <= BLOCKS + 3 * threads
    assert not list(pipeline.glob(".dvc/tmp/emdvc/runs/*/*/"))


def _kill(project: Path, victim: str, blocks: int, env: dict[str, str]) -> None:
    process = start(project, env)
    reached = wait_until(lambda: bool(runs(process)) and finished_blocks(project) >= blocks, process)
    assert reached, f"the run ended before {blocks} blocks were done"
    below = runs(process)
    for one in [psutil.Process(process.pid)] if victim == "dvc" else below:
        one.kill()
    process.wait()
    assert ended(below)  # with the DVC that started it, within about a second
    assert not list(project.glob("results/all/*.em.yaml"))
    assert finished_blocks(project) < BLOCKS


def test_other_parameters_start_anew(pipeline: Path, counted: Counted) -> None:
    """What was kept for one outer radius is not taken for another."""
    _kill(pipeline, "run", 1, {**counted.env, "EMDVC_THREADS": "1"})
    params = pipeline / "params.yaml"
    text = params.read_text(encoding="utf-8")
    counted.blocks()
    assert "outer: 20px" in text
    params.write_text(text.replace("outer: 20px", "outer: 21px"), encoding="utf-8")
    repro(pipeline, env=counted.env)
    assert len(counted.blocks()) == BLOCKS
    first = tree(pipeline / "results")
    repro(pipeline, "--force")
    assert tree(pipeline / "results") == first


def test_no_two_write_the_same_output(pipeline: Path, emdvc: Emdvc) -> None:
    """The second waits; when the first is not done after some seconds, it ends with an error and writes nothing."""
    repro(pipeline)
    before = tree(pipeline / "results")
    lock = next(iter(pipeline.glob(".dvc/tmp/emdvc/runs/*/lock")))
    with lock.open("a+") as held:
        assert acquire(held)
        began = time.monotonic()
        done = emdvc("run", "recipe", "raw/scan.zarr", "results/all", cwd=pipeline, status=None)
        assert time.monotonic() - began >= 5.0
    assert "error[EM-BUSY]" in done.stderr
    assert done.returncode == 2
    assert tree(pipeline / "results") == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a real file system of 24 MiB, or skip where this test may not make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.name == "nt" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be made by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_in_mid_run(small_disk: Path, scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """The disk fills up while blocks are kept: an error, no output; with room again it goes on, with the same bytes."""
    project = small_disk / "project"
    emdvc("init", project, cwd=small_disk)
    line = ("run", "crop", scan, "results/part.zarr", "--set", "ky=[40, 64]", "--set", "kx=[40, 64]")
    emdvc(*line, cwd=project)
    whole = tree(project / "results")
    shutil.rmtree(project / "results" / "part.zarr")
    for name in ("part.png", "part.zarr.em.yaml"):
        (project / "results" / name).unlink()
    filler = small_disk / "filler"
    found = os.statvfs(small_disk)
    filler.write_bytes(bytes(found.f_bavail * found.f_frsize - 1_300_000))
    done = emdvc(*line, cwd=project, status=2)
    assert "error[EM-DISK-FULL]" in done.stderr
    assert not list(project.glob("results/part*"))
    kept = finished_blocks(project)
    filler.unlink()
    assert kept >= 1
    emdvc(*line, cwd=project)
    assert tree(project / "results") == whole


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_shell_between_and_above(shell: str, pipeline: Path, counted: Counted) -> None:
    """The run ends with DVC, whatever shell DVC takes; it goes on when only what started DVC ends (a terminal)."""
    if not Path(shell).exists():
        pytest.skip(f"no {shell} here")
    above = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({[*DVC, 'repro', '--force']!r})"],
        cwd=pipeline,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **counted.env, "SHELL": shell, "EMDVC_THREADS": "1"},
    )
    assert wait_until(lambda: bool(runs(above)), above)
    below = runs(above)
    dvc = psutil.Process(above.pid).children()[0]
    above.kill()
    above.wait()
    time.sleep(0.6)
    assert all(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in below)
    dvc.kill()
    assert ended(below)
