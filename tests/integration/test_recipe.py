"""A recipe as a stage and by hand: one pass, each step with its own output, and what DVC is told of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Emdvc
from every_output import tree
from ruamel.yaml import YAML

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

SETTINGS = {
    "bright": {"step": "virtual_detector", "outer": "9px"},
    "com": {"step": "center_of_mass"},
    "field": {"step": "dpc", "source": "com", "rotation": "10deg", "flip": "no"},
    "radial_profile": {"bins": "12"},
    "sum_pattern": {"step": "sum_pattern"},
}
RECIPE = tuple(
    word
    for name, given in SETTINGS.items()
    for key, value in given.items()
    for word in ("--set", f"{name}.{key}={value}")
)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_zarr(tmp_path / "scan.zarr", DiffractionPhantom((12, 10), (32, 32)), scan_chunk=4)


def test_the_bytes_are_those_of_single_runs(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Stores and pictures are the same bytes; the sidecars speak of the same step and input."""
    emdvc("run", "recipe", scan, "all", *RECIPE)
    for name, given in SETTINGS.items():
        settings = [word for key, value in given.items() if key not in ("step", "source")
                    for word in ("--set", f"{key}={value}")]  # fmt: skip
        source = f"one/{given['source']}.zarr" if "source" in given else scan
        emdvc("run", given.get("step", name), source, f"one/{name}.zarr", *settings)
        assert tree(tmp_path / "all" / f"{name}.zarr") == tree(tmp_path / "one" / f"{name}.zarr"), name
        mine, theirs = (YAML().load(tmp_path / folder / f"{name}.zarr.em.yaml") for folder in ("all", "one"))
        assert mine["provenance"]["step"] == theirs["provenance"]["step"]
        assert mine["provenance"].get("parameters") == theirs["provenance"].get("parameters")
        assert mine["statistics"] == theirs["statistics"]
        assert mine.get("axes") == theirs.get("axes")


def test_a_dry_run(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    said = emdvc("run", "recipe", scan, "all", *RECIPE, "--dry-run").stdout
    for name in SETTINGS:
        assert f"all/{name}.zarr would hold" in said
    assert not (tmp_path / "all").exists()
    assert "EM-STEP" in emdvc("run", "recipe", scan, "all", "--set", "a.step=nothing", "--dry-run", status=2).stderr


def test_frames_of_two_kinds_do_not_share_a_pass(scan: Path, emdvc: Emdvc) -> None:
    line = ("run", "recipe", scan, "all", "--set", "a.step=sum_pattern", "--set", "b.step=sum_spectrum")
    done = emdvc(*line, status=2)
    assert "error[EM-STEP-DIMENSIONS]" in done.stderr


@pytest.mark.slow
def test_a_stage_follows_its_recipe(project: Path, scan: Path, emdvc: Emdvc) -> None:
    """dvc.yaml names every result; `stage update` takes those that were added and drops those that are gone."""
    emdvc("add", scan, cwd=project)
    emdvc("stage", "add", "recipe", "-d", "raw/scan.zarr", "-o", "results/all", "--name", "look", *RECIPE, cwd=project)
    stage = YAML().load(project / "dvc.yaml")["stages"]["look"]
    assert stage["cmd"] == "emdvc run recipe raw/scan.zarr results/all"
    named = ("bright", "com", "radial_profile", "sum_pattern", "field")
    assert list(stage["outs"]) == [f"results/all/{name}.zarr" for name in named]
    assert [next(iter(entry)) for entry in stage["metrics"]] == [f"{out}.em.yaml" for out in stage["outs"]]
    versions = next(entry[".emdvc/steps.yaml"] for entry in stage["params"] if ".emdvc/steps.yaml" in entry)
    assert set(versions) == {"virtual_detector", "center_of_mass", "dpc", "radial_profile", "sum_pattern"}
    _repro(project)
    listed = json.loads(emdvc("stage", "list", "--json", cwd=project).stdout)
    (one,) = listed["stages"]
    assert sorted(one["results"]) == sorted(stage["outs"])
    before = tree(project / "results" / "all" / "com.zarr")

    params = YAML().load(project / "params.yaml")
    del params["look"]["field"]
    params["look"]["peaks"] = {"step": "find_peaks", "min_distance": "4 px"}
    YAML().dump(params, project / "params.yaml")
    emdvc("stage", "update", "look", cwd=project)
    stage = YAML().load(project / "dvc.yaml")["stages"]["look"]
    assert "results/all/peaks.zarr" in stage["outs"]
    assert "results/all/field.zarr" not in stage["outs"]
    _repro(project)
    assert (project / "results" / "all" / "peaks.zarr" / "zarr.json").is_file()
    assert tree(project / "results" / "all" / "com.zarr") == before
    assert "up to date" in _repro(project)


@pytest.mark.slow
def test_a_recipe_in_a_clone(project: Path, scan: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    """The same bytes, computed again from the raw data in a fresh clone."""
    emdvc("add", scan, cwd=project)
    emdvc("stage", "add", "recipe", "-d", "raw/scan.zarr", "-o", "results/all", "--name", "look", *RECIPE, cwd=project)
    _repro(project)
    emdvc("save", "-m", "a recipe", "--no-push", cwd=project)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", project, clone], check=True)
    shutil.copytree(project / ".dvc" / "cache", clone / ".dvc" / "cache")
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "-q", "raw/scan.zarr.dvc"], cwd=clone, check=True)
    _repro(clone, "--force", "--no-run-cache")
    assert tree(clone / "results" / "all") == tree(project / "results" / "all")


def _repro(project: Path, *options: str) -> str:
    line = [sys.executable, "-m", "dvc", "repro", *options]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
