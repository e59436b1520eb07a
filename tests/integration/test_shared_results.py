"""What one person has computed and pushed, nobody computes again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Emdvc

#: A stage's program: its result follows from a file and a parameter, and each run is noted where `RUNS` says.
POWER = """\
import os, sys
import yaml
source, target, key = sys.argv[1:]
power = yaml.safe_load(open("params.yaml"))[key]
values = [int(line) ** power for line in open(source)]
open(target, "w").write("".join(f"{value}\\n" for value in values))
open(target + ".count", "w").write(str(len(values)))
with open(os.environ["RUNS"], "a") as runs:
    runs.write(f"{target} {power}\\n")
print("computed", target)
"""

PIPELINE = """\
stages:
  first:
    cmd: {python} scripts/power.py raw/numbers.txt results/first.txt first
    deps: [raw/numbers.txt, scripts/power.py]
    params: [first]
    outs: [results/first.txt]
    metrics:
    - results/first.txt.count: {{cache: false}}
  second:
    cmd: {python} scripts/power.py results/first.txt results/second.txt second
    deps: [results/first.txt, scripts/power.py]
    params: [second]
    outs: [results/second.txt]
    metrics:
    - results/second.txt.count: {{cache: false}}
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """A project in which a chain of two stages was run with two values of a parameter."""
    folder = tmp_path_factory.mktemp("shared")
    machine.setenv("RUNS", str(folder / "runs"))
    project = folder / "mine"
    Emdvc(folder)("init", project, "--remote", f"lab={folder / 'store'}")
    (project / "raw" / "numbers.txt").write_text("2\n3\n5\n")
    _dvc("add", "-q", "raw/numbers.txt", cwd=project)
    (project / "scripts" / "power.py").write_text(POWER)
    (project / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable))
    for power in (2, 3):
        (project / "params.yaml").write_text(f"first: {power}\nsecond: 2\n")
        _dvc("repro", "-q", cwd=project)
    _git("add", "-A", cwd=project)
    _git("commit", "-qm", "to the third", cwd=project)
    assert len(_runs(project)) == 4
    return project


@pytest.mark.slow
def test_nothing_is_computed_twice(mine: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    before = len(_runs(mine))
    done = emdvc("push", cwd=mine)
    assert "4 records of runs" in done.stdout
    assert "nothing to send" in emdvc("push", cwd=mine).stdout

    theirs = tmp_path / "theirs"
    emdvc("get", mine, theirs)
    _dvc("repro", cwd=theirs)
    assert len(_runs(mine)) == before
    assert _git("status", "--porcelain", cwd=theirs) == ""  # the same md5s in dvc.lock
    assert (theirs / "results" / "second.txt").read_text() == "64\n729\n15625\n"

    # a state that no commit holds and whose results are on the remote alone
    (theirs / "params.yaml").write_text("first: 2\nsecond: 2\n")
    said = json.loads(emdvc("repro", "--pull", "--dry", "--json", cwd=theirs).stdout)
    assert said["schema"] == "emdvc/repro"
    assert (said["dry"], said["stages"][0]["outcome"]) == (True, "restored")
    done = emdvc("repro", "--pull", cwd=theirs)
    assert "first: restored from an earlier run" in done.stdout
    assert "0 of 2 stages ran, 2 restored" in done.stdout
    assert len(_runs(mine)) == before
    assert (theirs / "results" / "second.txt").read_text() == "16\n81\n625\n"
    assert (theirs / "results" / "first.txt.count").read_text() == "3"

    # a new state is computed, and what the stage prints is told apart from the answer
    (theirs / "params.yaml").write_text("first: 2\nsecond: 1\n")
    done = emdvc("repro", "--pull", "--json", cwd=theirs)
    assert [one["outcome"] for one in json.loads(done.stdout)["stages"]] == ["unchanged", "running"]
    assert "computed results/second.txt" in done.stderr
    assert _runs(mine)[before:] == ["results/second.txt 1"]


@pytest.mark.slow
def test_plain_dvc_finds_what_was_pushed_too(mine: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    before = len(_runs(mine))
    emdvc("push", cwd=mine)
    emdvc("get", mine, tmp_path / "theirs", "--no-data")
    (tmp_path / "theirs" / "params.yaml").write_text("first: 2\nsecond: 2\n")
    _dvc("repro", "--pull", cwd=tmp_path / "theirs")
    assert len(_runs(mine)) == before
    assert (tmp_path / "theirs" / "results" / "second.txt").read_text() == "16\n81\n625\n"


@pytest.mark.slow
def test_a_clone_without_data_and_a_stage_that_fails(mine: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    before = len(_runs(mine))
    emdvc("push", cwd=mine)
    theirs = tmp_path / "theirs"
    emdvc("get", mine, theirs, "--no-data")
    done = emdvc("repro", "--pull", cwd=theirs)
    assert "first: up to date, fetched" in done.stdout
    assert len(_runs(mine)) == before
    assert (theirs / "results" / "second.txt").read_text() == "64\n729\n15625\n"
    (theirs / "params.yaml").write_text("first: x\nsecond: 2\n")
    done = emdvc("repro", cwd=theirs, status=2)
    assert "error[EM-PROGRAM-FAILED]: the stage first failed" in done.stderr
    assert "TypeError" in done.stderr  # what the stage itself said


def _runs(project: Path) -> list[str]:
    return (project.parent / "runs").read_text().splitlines()


def _dvc(*words: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _git(*words: str, cwd: Path) -> str:
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=True).stdout
