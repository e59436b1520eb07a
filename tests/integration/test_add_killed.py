"""A killed `emdvc add` is taken back by the next command: git, dvc and the folder are as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")

#: What is looked for in the project: the process is killed as soon as it appears.
MOMENTS = {
    "the journal begins": ".dvc/tmp/emdvc/journal.jsonl",
    "the copy begins": "raw/.scan.npy.*.partial",
    "the copy is in place": "raw/scan.npy",
    "dvc ignores it": "raw/.gitignore",
    "dvc copies into its cache": ".dvc/cache/files/md5/*/.*",
    "the pointer is written": "raw/scan.npy.dvc",
    "the sidecar is written": "raw/scan.npy.em.yaml",
    "git's index is locked": ".git/index.lock",
}


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("instrument") / "scan.npy"
    np.save(path, np.random.default_rng(3).poisson(2, (32, 32, 160, 160)).astype("u2"))
    return path


def _start(project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "emdvc", *arguments],
        cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=_as_in_a_terminal,  # noqa: PLW1509 - this process has no threads
    )  # fmt: skip


def _as_in_a_terminal() -> None:
    # what a shell starts in its background ignores Ctrl-C, and so would all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _kill_when(process: subprocess.Popen[bytes], project: Path, pattern: str) -> bool:
    """Kill a process as soon as a file appears; return whether it was killed before it ended by itself."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if any(project.glob(pattern)):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.0005)
    return False


def _git(project: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True).stdout


def _require_untouched(project: Path, emdvc: Emdvc) -> None:
    emdvc("status", "--no-remote", cwd=project)
    assert _git(project, "status", "--porcelain", "--untracked-files=all") == ""
    command = [sys.executable, "-m", "dvc", "status"]
    dvc = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert "scan.npy" not in dvc.stdout
    left = [path for pattern in ("*.partial", "*.tmp") for path in project.rglob(pattern)]
    assert [path for path in left if path.is_file()] == []
    assert sorted(path.name for path in (project / "raw").iterdir()) == ["README.md"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at(project: Path, emdvc: Emdvc, scan: Path, moment: str) -> None:
    _git(project, "commit", "-qm", "begin")
    process = _start(project, "add", str(scan))
    killed = _kill_when(process, project, MOMENTS[moment])
    if killed and (project / ".dvc/tmp/emdvc/journal.jsonl").exists():
        _require_untouched(project, emdvc)
    elif killed:  # it had ended all its work
        assert (project / "raw" / "scan.npy.em.yaml").is_file()
    else:
        pytest.skip("it was done before the moment could be caught")
    emdvc("add", scan, cwd=project)
    assert (project / "raw" / "scan.npy").read_bytes() == scan.read_bytes()
    assert "raw/scan.npy.dvc" in _git(project, "diff", "--cached", "--name-only")
    assert subprocess.run([sys.executable, "-m", "dvc", "status", "-q"], cwd=project, check=False).returncode == 0


def test_killed_while_replacing(project: Path, emdvc: Emdvc, scan: Path, tmp_path: Path) -> None:
    first = tmp_path / "scan.npy"
    np.save(first, np.ones((4, 4, 8, 8), "u2"))
    emdvc("add", first, cwd=project)
    _git(project, "commit", "-qm", "first")
    process = _start(project, "add", str(scan), "--replace", "measured again")
    assert _kill_when(process, project, "raw/.scan.npy.*.partial")
    emdvc("status", "--no-remote", cwd=project)
    assert (project / "raw" / "scan.npy").read_bytes() == first.read_bytes()
    assert _git(project, "status", "--porcelain", "--untracked-files=all") == ""
    emdvc("add", scan, "--replace", "measured again", cwd=project)
    assert (project / "raw" / "scan.npy").read_bytes() == scan.read_bytes()


def test_interrupted_by_ctrl_c(project: Path, emdvc: Emdvc, scan: Path) -> None:
    _git(project, "commit", "-qm", "begin")
    process = _start(project, "add", str(scan))
    end = time.monotonic() + 120
    while not list(project.glob("raw/.scan.npy.*.partial")) and time.monotonic() < end:
        time.sleep(0.0005)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    # taken back by the interrupted command itself, before anybody looks
    assert _git(project, "status", "--porcelain", "--untracked-files=all") == ""
    assert not list(project.rglob("*.partial"))
    assert not (project / ".dvc/tmp/emdvc/journal.jsonl").exists()


def test_what_a_person_put_there_since_is_not_taken_away(project: Path, emdvc: Emdvc, scan: Path) -> None:
    _git(project, "commit", "-qm", "begin")
    process = _start(project, "add", str(scan))
    assert _kill_when(process, project, "raw/.scan.npy.*.partial")
    mine = project / "raw" / "scan.npy"
    mine.write_bytes(b"copied by hand meanwhile")
    emdvc("status", "--no-remote", cwd=project)
    assert mine.read_bytes() == b"copied by hand meanwhile"
