"""`emdvc status` says what changed, what would run because of which key, and what is not shared."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Emdvc


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def ask(emdvc: Emdvc, project: Path, *options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(emdvc("status", "--json", *options, cwd=project).stdout)
    return answer


def repro(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)


@pytest.fixture
def saved(tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return a project with a scan, three stages that ran, and everything committed and pushed."""
    project = tmp_path / "project"
    emdvc("init", project, "--remote", f"lab={tmp_path / 'storage'}")
    np.save(tmp_path / "scan.npy", np.random.default_rng(1).poisson(3, (3, 4, 16, 16)).astype("u2"))
    emdvc("add", tmp_path / "scan.npy", "--set", "beam.energy=200keV", "--set", "diffraction.pixel_size=0.05/angstrom",
          "--set", "diffraction.center=8,8px", "--set", "operator=Ruska", cwd=project)  # fmt: skip
    emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/px.zarr", "--set", "outer=4px",
          cwd=project)  # fmt: skip
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.npy", "-o", "results/sum.zarr", cwd=project)
    emdvc("stage", "add", "radial_profile", "-d", "results/sum.zarr", "-o", "results/profile.zarr",
          "--set", "unit=1/angstrom", cwd=project)  # fmt: skip
    repro(project)
    emdvc("save", "-m", "first", cwd=project)
    return project


def test_the_life_of_a_project(saved: Path, emdvc: Emdvc) -> None:
    clean = ask(emdvc, saved)
    assert clean["clean"] is True
    assert clean["where"]["subject"] == "first"
    emdvc("status", "--exit-code", cwd=saved)

    # what no step reads reruns nothing
    emdvc("add", "raw/scan.npy", "--set", "operator=Knoll", cwd=saved)
    answer = ask(emdvc, saved)
    assert [(change["key"], change["old"], change["new"]) for change in answer["changed"]["metadata"]] == [
        ("operator", "Ruska", "Knoll")
    ]
    assert answer["would_run"] == []
    emdvc("status", "--exit-code", "--no-remote", cwd=saved, status=1)

    # a calibration reruns exactly what reads it, and says from what to what
    emdvc("add", "raw/scan.npy", "--set", "diffraction.pixel_size=0.055/angstrom", cwd=saved)
    answer = ask(emdvc, saved)
    assert [rerun["stage"] for rerun in answer["would_run"]] == ["profile"]
    assert answer["would_run"][0]["keys"][0]["key"] == "diffraction.pixel_size"
    assert "0.05 -> 0.055 1/Å" in emdvc("status", cwd=saved).stdout

    # a parameter reruns its stage, and what reads its result
    params = saved / "params.yaml"
    params.write_text(params.read_text().replace("outer: 4px", "outer: 5px"))
    answer = ask(emdvc, saved)
    assert {rerun["stage"] for rerun in answer["would_run"]} == {"px", "profile"}
    assert [(change["key"], change["old"], change["new"]) for change in answer["changed"]["parameters"]] == [
        ("px.outer", "4px", "5px")
    ]
    repro(saved)
    answer = ask(emdvc, saved)
    assert answer["would_run"] == []
    assert {change["path"] for change in answer["changed"]["results"]} == {"results/px.zarr", "results/profile.zarr"}
    assert "results/px.zarr" in answer["shared"]["lacking"]


def test_the_same_energy_in_another_unit_is_no_change(saved: Path, emdvc: Emdvc) -> None:
    sidecar = saved / "raw" / "scan.npy.em.yaml"
    sidecar.write_text(sidecar.read_text().replace("unit: keV, value: 200", "unit: MeV, value: 0.2"))
    assert ask(emdvc, saved, "--no-remote")["changed"]["metadata"] == []


def test_changed_raw_data_is_said_loudly(saved: Path, emdvc: Emdvc) -> None:
    raw = saved / "raw" / "scan.npy"
    raw.chmod(0o644)
    with raw.open("ab") as file:
        file.write(b"x")
    answer = ask(emdvc, saved, "--no-remote")
    assert answer["changed"]["raw"] == [{"path": "raw/scan.npy", "how": "modified"}]
    # downstream of a stage that reruns
    assert {rerun["stage"] for rerun in answer["would_run"]} == {"px", "sum", "profile"}
    because = {rerun["stage"]: rerun["because"] for rerun in answer["would_run"]}
    assert because["profile"] == ["results/sum.zarr is recomputed"]
    assert "IS NOT WHAT WAS RECORDED" in emdvc("status", "--no-remote", cwd=saved).stdout


def test_scripts_stages_and_new_data(saved: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (saved / "scripts" / "fit.py").write_text("print(1)\n")
    np.save(tmp_path / "two.npy", np.ones((2, 2, 8, 8), "u2"))
    emdvc("add", tmp_path / "two.npy", cwd=saved)
    emdvc("stage", "add", "virtual_image", "-d", "raw/two.npy", "-o", "results/two.zarr", cwd=saved)
    answer = ask(emdvc, saved)
    assert answer["changed"]["files"] == [{"path": "scripts/fit.py", "how": "added"}]
    assert answer["changed"]["raw"] == [{"path": "raw/two.npy", "how": "added"}]
    assert answer["changed"]["stages"] == [{"path": "two", "how": "added"}]
    assert answer["would_run"][0]["because"] == ["it never ran"]
    assert answer["shared"]["lacking"] == ["raw/two.npy"]


def test_a_remote_that_does_not_answer_is_no_error(saved: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    config = saved / ".dvc" / "config"
    config.write_text(config.read_text().replace(str(tmp_path / "storage"), "s3://nowhere/x"))
    (saved / ".dvc" / "config.local").write_text(
        "['remote \"lab\"']\nendpointurl = http://127.0.0.1:9\naccess_key_id = a\nsecret_access_key = b\n"
    )
    answer = ask(emdvc, saved)
    assert answer["shared"]["problem"]
    assert answer["would_run"] == []


def test_ahead_of_the_colleagues(saved: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("init", "-q", "--bare", str(tmp_path / "hub.git"), cwd=tmp_path)
    git("remote", "add", "origin", str(tmp_path / "hub.git"), cwd=saved)
    emdvc("save", cwd=saved)
    (saved / "notes.txt").write_text("x")
    emdvc("save", "-m", "notes", "--no-push", cwd=saved)
    where = ask(emdvc, saved, "--no-remote")["where"]
    assert (where["upstream"], where["ahead"], where["behind"]) == ("origin/main", 1, 0)
    assert "1 ahead of origin/main" in emdvc("status", "--no-remote", cwd=saved).stdout


def test_before_the_first_commit(project: Path, emdvc: Emdvc) -> None:
    assert "before the first commit" in emdvc("status", cwd=project).stdout
    assert "EM-PROJECT-NONE" in emdvc("status", cwd=project.parent, status=2).stderr
