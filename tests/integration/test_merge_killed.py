"""A merge that is killed leaves the project as before or as after, never between, and the same merge works then."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from two_lines import Clone, made

from emdvc.history.merging.joining import finishing
from emdvc.history.merging.joining.merge_branch import merge
from emdvc.history.project import Project
from emdvc.history.status import status

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")]

KILLS = 20
#: Steps of the journal: every other merge is killed as soon as one of them is announced.
STEPS = ("worktree", "rewrite", "index", "head", "rewrite")
NEW = "raw/second.npy"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Clone:
    return made(tmp_path_factory.mktemp("kept"))


@pytest.fixture(params=["clean", "conflicts"])
def begin(request: pytest.FixtureRequest, kept: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    # the same commit whenever it is made
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_DATE", "2026-11-20T12:00:00+00:00")
    clone = kept.copy(tmp_path / "begin")
    if request.param == "conflicts":
        clone.commit("another beginning", shared_txt="none of it\n")
    return clone


def _start(clone: Clone) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "emdvc", "merge", "tilt"]
    return subprocess.Popen(
        command, cwd=clone.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def _wait_for(step: str, clone: Clone, process: subprocess.Popen[bytes]) -> None:
    journal = clone.folder / ".dvc" / "tmp" / "emdvc" / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and f'"step": "{step}"' in journal.read_text()):
        time.sleep(0.0005)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _merged(clone: Clone) -> None:
    merge(Project(clone.folder, clone.folder), "tilt")


def _left_behind(clone: Clone) -> list[str]:
    folder = clone.folder
    names = [path.name for path in (folder / ".dvc" / "tmp" / "emdvc").iterdir()]
    found = [name for name in names if name.startswith(("emdvc-merge", "journal", "undo"))]
    found += [
        str(path) for pattern in ("*.partial", "*.lock") for path in folder.rglob(pattern) if path.name != "dvc.lock"
    ]
    return [name for name in found if not name.endswith(("tmp/lock", "rwlock.lock"))]


def test_before_or_after(begin: Clone, tmp_path: Path) -> None:
    reference = begin.copy(tmp_path / "reference")
    began = time.monotonic()
    _start(reference).wait()
    duration = time.monotonic() - began
    before, after = begin.state(), reference.state()
    chance = random.Random(len(str(after["index"])))
    seen = []
    for number in range(KILLS // 2):
        clone = begin.copy(tmp_path / f"clone{number}")
        process = _start(clone)
        if number % 2:
            _wait_for(STEPS[number // 2], clone, process)
        else:  # the first tenths are Python's own start
            time.sleep(duration * (0.15 + 0.85 * (number + 2 * chance.random()) / (KILLS // 2)))
        _kill(process)
        project = Project(clone.folder, clone.folder)
        found = status(project, ask_remote=False)
        assert _left_behind(clone) == []
        if found.to_place:
            assert found.to_place == (NEW,)
            clone.emdvc("pull", NEW)
        state = clone.state()
        seen.append("before" if state == before else "after" if state == after else "between")
        if seen[-1] == "before":
            _merged(clone)
        assert clone.state() == after, seen
    assert {"before", "after"} <= set(seen)


@pytest.mark.parametrize("begin", ["conflicts"], indirect=True)
def test_aborting_is_killed(begin: Clone, tmp_path: Path) -> None:
    before = begin.state()
    _merged(begin)
    during = begin.state()
    for number in range(3):
        clone = begin.copy(tmp_path / f"clone{number}")
        process = subprocess.Popen(
            [sys.executable, "-m", "emdvc", "merge", "--abort"], cwd=clone.folder, start_new_session=True
        )
        journal = clone.folder / ".dvc" / "tmp" / "emdvc" / "journal.jsonl"
        while process.poll() is None and not journal.exists():
            time.sleep(0.001)
        time.sleep(0.02 * number)
        _kill(process)
        project = Project(clone.folder, clone.folder)
        status(project, ask_remote=False)
        assert _left_behind(clone) == []
        state = clone.state()
        assert state in (during, before)
        if state == during:
            finishing.abort(project)
        assert clone.state() == before
