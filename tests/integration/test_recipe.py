"""A recipe as a stage and by hand: one pass, each step with its own output, and what DVC is told of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import every_output as every
import pytest
from command_line import Emdvc
from every_output import tree
from ruamel.yaml import YAML

from emdvc.engine.how import How
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EelsPhantom
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


def test_the_files_are_those_of_single_runs(scan: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Stores and pictures are the same bytes; the sidecars speak of the same step."""
    emdvc("run", "recipe", scan, "all", *RECIPE)
    for name, line in {
        "com": ("center_of_mass", scan, "one/com.zarr"),
        "field": ("dpc", "one/com.zarr", "one/field.zarr", "--set", "rotation=10deg", "--set", "flip=no"),
    }.items():
        emdvc("run", *line)
        assert tree(tmp_path / "all" / f"{name}.zarr") == tree(tmp_path / "one" / f"{name}.zarr"), name
        assert (tmp_path / "all" / f"{name}.png").is_file()
        mine, theirs = (YAML().load(tmp_path / folder / f"{name}.zarr.em.yaml") for folder in ("all", "one"))
        for part in ("step", "version", "parameters", "metadata"):
            assert mine["provenance"].get(part) == theirs["provenance"].get(part)
        assert mine["statistics"] == theirs["statistics"]
        assert mine.get("axes") == theirs.get("axes")


@pytest.mark.parametrize("kind", ["patterns", "spectra"])
def test_every_output_is_that_of_a_single_run(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps in one pass, and each alone: the same bits."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 17)
    phantom = DiffractionPhantom((16, 18), (32, 32)) if kind == "patterns" else EelsPhantom((9, 8))
    recipe = every.known(every.PATTERNS if kind == "patterns" else every.SPECTRA)
    path = write_zarr(tmp_path / "s.zarr", phantom, scan_chunk=4)
    together = every.digests(every.run(path, recipe, How(threads=2)))
    alone = {}
    for name, given in recipe.items():
        own = {name: given}
        if "source" in given:
            own[given["source"]] = recipe[given["source"]]
        alone.update(every.digests(every.run(path, own, How(threads=1))))
    assert together == alone


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
