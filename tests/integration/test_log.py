"""``emdvc log`` and the last change in ``emdvc inspect``: on a real project, and on a history of a thousand commits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Emdvc
from long_history import write_history
from own_machine import own_machine

from emdvc.history import notes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with three commits: a scan and its image, a parameter, a name."""
    folder = tmp_path_factory.mktemp("log")
    emdvc, root = Emdvc(folder), folder / "project"
    with own_machine(folder):
        emdvc("init", root)
        np.save(folder / "scan.npy", np.random.default_rng(1).poisson(3, (3, 4, 16, 16)).astype("u2"))
        emdvc("add", folder / "scan.npy", "--set", "diffraction.center=8,8px", cwd=root)
        emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/px.zarr", "--set", "outer=4px",
              cwd=root)  # fmt: skip
        _repro(root)
        _commit(root, "scan and image")
        params = root / "params.yaml"
        params.write_text(params.read_text().replace("outer: 4px", "outer: 6 px"))
        _repro(root)
        emdvc("save", "-m", "larger detector", "--no-push", cwd=root)
        emdvc("add", "raw/scan.npy", "--set", "operator=Ruska", cwd=root)
        _commit(root, "who measured")
    return root


@pytest.fixture
def science(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the project."""
    return Path(shutil.copytree(made, tmp_path / "project", symlinks=True))


def _commit(root: Path, message: str) -> None:
    _git(root, "add", "-A")
    _git(root, "commit", "-q", "-m", message)


def _repro(root: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=root, check=True)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _entries(emdvc: Emdvc, root: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(emdvc("log", *arguments, "--json", cwd=root).stdout)["entries"]
    return found


def test_the_history_of_a_scan_and_of_a_result(science: Path, emdvc: Emdvc) -> None:
    image = emdvc("log", "results/px.zarr", cwd=science).stdout.splitlines()
    assert len(image) == 2, "the operator's name is not the image's"
    ids = _git(science, "log", "--format=%h").splitlines()
    assert image[0].startswith(ids[1]) and "Ernst Ruska  values  sum" in image[0]
    assert image[0].endswith("because parameter px.outer 4 -> 6 px (+2 px)")
    assert image[1].startswith(ids[2]) and "added   map of the scan, 3 x 4 uint64" in image[1]
    newest, _ = _entries(emdvc, science, "results/px.zarr")
    assert [(cause["key"], cause["after"]["value"]) for cause in newest["causes"]] == [("px.outer", 6)]
    scan = _entries(emdvc, science, "raw/scan.npy.dvc")
    assert [(entry["verdict"], entry["subject"]) for entry in scan] == [
        ("metadata", "who measured"),
        ("structure", "scan and image"),
    ]
    assert scan[0]["what"] == "operator unknown -> Ruska"


def test_a_renamed_scan_and_what_is_not_committed(science: Path, emdvc: Emdvc) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "move", "-q", "raw/scan.npy", "raw/grid.npy"], cwd=science, check=True)
    (science / "raw/scan.npy.em.yaml").rename(science / "raw/grid.npy.em.yaml")
    told = emdvc("log", "raw/grid.npy", cwd=science)
    assert told.stdout.strip() == "" and "not committed yet: emdvc diff -- raw/grid.npy" in told.stderr
    sheet = json.loads(emdvc("inspect", "raw/grid.npy", "--json", cwd=science).stdout)
    assert sheet["last_change"]["uncommitted"] is True and sheet["last_change"]["commit"] is None
    _commit(science, "called by its sample")
    found = [(entry["status"], entry["path"]) for entry in _entries(emdvc, science, "raw/grid.npy")]
    assert found == [("renamed", "raw/grid.npy"), ("changed", "raw/scan.npy"), ("added", "raw/scan.npy")]
    first = emdvc("log", "raw/grid.npy", "--limit", "1", cwd=science)
    assert "renamed  renamed from raw/scan.npy" in first.stdout and "there are earlier ones" in first.stderr


def test_errors_say_what_to_type(science: Path, emdvc: Emdvc) -> None:
    unknown = emdvc("log", "raw/scam.npy", cwd=science, status=3).stderr
    assert "error[EM-NOT-FOUND]" in unknown and "did you mean raw/scan.npy?" in unknown
    assert "hint: emdvc log raw/scan.npy" in emdvc("log", "raw", cwd=science, status=3).stderr
    assert "EM-REVISION-UNKNOWN" in emdvc("log", "raw/scan.npy@v9", cwd=science, status=2).stderr
    assert "write --limit 10" in emdvc("log", "raw/scan.npy", "-n", "0", cwd=science, status=2).stderr
    assert "EM-PROJECT-NONE" in emdvc("log", "scan.npy", cwd=science.parent, status=2).stderr


def test_the_data_sheet_shows_the_last_change_and_keeps_it(science: Path, emdvc: Emdvc) -> None:
    def history(path: str = "raw/scan.npy") -> list[str]:
        return emdvc("inspect", path, cwd=science).stdout.partition("history\n")[2].splitlines()

    short = _git(science, "rev-parse", "--short", "HEAD")
    (line,) = history()
    assert line.endswith(f"Ernst Ruska: metadata, operator unknown -> Ruska  ({short})")
    assert history() == [line], "the second time from what was kept"
    assert [path.suffix for path in (science / ".dvc" / "tmp" / "emdvc" / "answers").iterdir()] == [".json"]
    assert "added" in history("raw/scan.npy@HEAD~1")[0]

    # each thing that it rests on makes it new: the sidecar, the commit, the notes
    sidecar = science / "raw" / "scan.npy.em.yaml"
    sidecar.write_text(sidecar.read_text().replace("Ruska", "Knoll"))
    assert history() == ["  workspace    not committed yet", line]
    _git(science, "commit", "-q", "-a", "-m", "corrected")
    assert "operator Ruska -> Knoll" in history()[0]
    assert "verified" not in history("results/px.zarr")[-1]
    entry = {"when": "2026-05-01T10:00:00Z", "who": "Knoll", "scope": "stages", "stages": {"px": "bit-identical"}}
    notes.add("HEAD", "verified", {**entry, "ok": True}, science)
    assert history("results/px.zarr")[-1] == "  verified     2026-05-01 10:00, Knoll: bit-identical"
    assert emdvc("log", "results/px.zarr", cwd=science).stdout.splitlines()[0].endswith("[verified: bit-identical]")


def test_inspect_needs_no_git_and_no_project(science: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    alone = tmp_path / "alone.npy.em.yaml"
    alone.write_text((science / "raw" / "scan.npy.em.yaml").read_text())
    assert "history" not in emdvc("inspect", alone).stdout
    assert json.loads(emdvc("inspect", alone, "--json").stdout)["last_change"] is None


#: Seconds of processor time for one dataset of twenty in a thousand commits; about 0.6 when this was written.
_MOST_LOG = 4.0


@pytest.mark.slow
def test_a_thousand_commits(tmp_path: Path, emdvc: Emdvc) -> None:
    names = write_history(tmp_path / "long", 1000)
    assert len(names) == 20
    for name, expected in (("raw/scan03.mib", "calibration"), ("results/image07.zarr", "values")):
        before = os.times()
        found = _entries(emdvc, tmp_path / "long", name)
        after = os.times()
        # the first commit brings all; each of the others changes one of the twenty in turn: numbers n, n + 20, ...
        place = names.index(name)
        changed = [number for number in range(999, 0, -1) if number % 20 == place]
        assert [entry["subject"] for entry in found] == [f"commit {number}" for number in (*changed, 0)]
        assert {entry["verdict"] for entry in found[:-1]} == {expected}
        seconds = sum(after[2:4]) - sum(before[2:4])  # of this process's children
        assert seconds < _MOST_LOG, f"{name}: {seconds:.1f} s"


def test_nothing_slow_is_imported_for_the_history(tmp_path: Path) -> None:
    write_history(tmp_path / "short", 45)
    code = (
        "import sys, typer; from emdvc.cli.log import app as log; from emdvc.cli.inspect import app as inspect\n"
        "for app in (log, inspect):\n"
        "    for path in ('raw/scan03.mib', 'results/image03.zarr'):\n"
        "        typer.main.get_command(app)([path], standalone_mode=False)\n"
        "heavy = {'numpy', 'xarray', 'zarr', 'dvc', 'pint', 'pydantic', 'rich', 'numba', 'h5py'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "short", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("history\n") == 2


def test_the_last_change_costs_little_once_it_is_known(tmp_path: Path, emdvc: Emdvc) -> None:
    write_history(tmp_path / "short", 45)
    (tmp_path / "short" / ".dvc" / "tmp").mkdir()
    alone = tmp_path / "alone" / "results"
    alone.mkdir(parents=True)
    text = (tmp_path / "short" / "results" / "image03.zarr.em.yaml").read_text()
    (alone / "image03.zarr.em.yaml").write_text(text)
    seconds: dict[str, list[float]] = {"alone": [], "short": []}
    for _ in range(8):  # in turn
        for folder, spent in seconds.items():
            start = os.times()
            emdvc("inspect", "results/image03.zarr.em.yaml", cwd=tmp_path / folder)
            end = os.times()
            spent.append(sum(end[2:4]) - sum(start[2:4]))
    # the best of each: other work on the machine only ever adds
    assert min(seconds["short"]) - min(seconds["alone"]) < 0.03, seconds
