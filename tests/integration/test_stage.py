"""`emdvc stage`: dvc.yaml as a person would have written it, with exactly the keys that a step reads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

from emdvc.formats.sidecar import dump_yaml


def repro(project: Path) -> None:
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=project, check=True)


@pytest.fixture
def project(project: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    np.save(tmp_path / "scan.npy", np.random.default_rng(1).poisson(3, (3, 4, 16, 16)).astype("u2"))
    emdvc("add", tmp_path / "scan.npy", "--set", "beam.energy=200keV", cwd=project)
    return project


def stages(project: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = YAML(typ="safe").load((project / "dvc.yaml").read_text())["stages"]
    return found


def test_the_stage_of_the_design(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/vdet.zarr",
          "--set", "inner=4mrad", "--set", "outer=9mrad", cwd=project)  # fmt: skip
    assert (
        (project / "dvc.yaml").read_text()
        == """\
stages:
  vdet:
    cmd: emdvc run virtual_detector raw/scan.npy results/vdet.zarr
    deps: [raw/scan.npy]
    params:
      - vdet
      - raw/scan.npy.em.yaml: [beam.energy, diffraction]
      - .emdvc/steps.yaml: [virtual_detector]
    outs: [results/vdet.zarr]
    metrics: [{results/vdet.zarr.em.yaml: {cache: false}}]
    plots: [{results/vdet.png: {cache: false}}]
"""
    )
    parameters = YAML(typ="safe").load((project / "params.yaml").read_text())
    assert parameters == {"vdet": {"inner": "4mrad", "outer": "9mrad"}}
    assert (project / "params.yaml").read_text().startswith("# Parameters of the stages")
    assert YAML(typ="safe").load((project / ".emdvc" / "steps.yaml").read_text()) == {"virtual_detector": 1}


def test_the_unit_decides_what_is_read(project: Path, emdvc: Emdvc) -> None:
    for name, radius in (("px", "4px"), ("k", "0.1/angstrom"), ("angle", "4mrad")):
        emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", f"results/{name}.zarr",
              "--set", f"outer={radius}", "--set", "center=8,8px", cwd=project)  # fmt: skip
    listed = json.loads(emdvc("stage", "list", "--json", cwd=project).stdout)["stages"]
    reads = {stage["name"]: set(stage["metadata"]) for stage in listed}
    assert reads["px"] == set()
    assert "beam.energy" not in reads["k"]
    assert {key.split(".")[0] for key in reads["k"]} == {"diffraction"}
    assert {key.split(".")[0] for key in reads["angle"]} == {"diffraction", "beam"}


def test_comments_and_other_stages_stay(project: Path, emdvc: Emdvc) -> None:
    mine = "# our pipeline\nstages:\n  own:  # by hand\n    cmd: echo 1\n    deps:\n    - raw/scan.npy\n"
    (project / "dvc.yaml").write_text(mine)
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.npy", "-o", "results/sum.zarr", cwd=project)
    assert (project / "dvc.yaml").read_text().startswith(mine)
    assert list(stages(project)) == ["own", "sum"]


def test_a_chain_reads_the_raw_sidecar(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.npy", "-o", "results/sum.zarr", cwd=project)
    emdvc("stage", "add", "radial_profile", "-d", "results/sum.zarr", "-o", "results/profile.zarr",
          "--set", "unit=1/angstrom", cwd=project)  # fmt: skip
    params = stages(project)["profile"]["params"]
    assert isinstance(params, list)
    assert list(params[1]) == ["raw/scan.npy.em.yaml"]
    emdvc("add", "raw/scan.npy", "--set", "diffraction.pixel_size=0.05/angstrom", cwd=project)
    repro(project)
    assert (project / "results" / "profile.zarr" / "zarr.json").is_file()


def test_what_exists_is_not_overwritten(project: Path, emdvc: Emdvc) -> None:
    arguments = ("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/vdet.zarr", "--set")
    emdvc(*arguments, "outer=4px", cwd=project)
    before = (project / "dvc.yaml").read_bytes()
    assert "EM-STAGE-EXISTS" in emdvc(*arguments, "outer=5px", cwd=project, status=4).stderr
    assert "EM-STAGE-EXISTS" in emdvc(*arguments, "outer=5px", "--name", "b", cwd=project, status=4).stderr
    assert (project / "dvc.yaml").read_bytes() == before
    emdvc(*arguments, "outer=5px", "--force", cwd=project)
    assert YAML(typ="safe").load((project / "params.yaml").read_text())["vdet"] == {"outer": "5px"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["virtual_detektor", "-d", "raw/scan.npy"], "did you mean virtual_detector?"),
        (["virtual_detector", "-d", "raw/scam.npy", "--set", "outer=4px"], "did you mean raw/scan.npy?"),
        (["virtual_detector", "-d", "raw/scan.npy", "--set", "outr=4px"], "did you mean outer?"),
        (["virtual_detector", "-d", "raw/scan.npy", "--set", "detectors.bf.outr=4px"], "mean detectors.bf.outer?"),
        (["virtual_detector", "-d", "raw/scan.npy", "--set", "outer=4nm"], "outer"),
        (["virtual_detector", "-d", "raw/scan.npy"], "give at least one radius"),
        (["energy_map", "-d", "raw/scan.npy"], ""),
        (["sum_spectrum", "-d", "raw/scan.npy"], "EM-STEP-DIMENSIONS"),
    ],
)
def test_mistakes_write_nothing(project: Path, emdvc: Emdvc, arguments: list[str], said: str) -> None:
    done = emdvc("stage", "add", *arguments, "-o", "results/x.zarr", cwd=project, status=None)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / "dvc.yaml").exists()


def test_a_cycle_is_taken_back(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.npy", "-o", "results/sum.zarr", cwd=project)
    text = (project / "dvc.yaml").read_text().replace("deps: [raw/scan.npy]", "deps: [results/end.zarr]")
    (project / "dvc.yaml").write_text(text)
    before = (project / "params.yaml").read_bytes()
    emdvc("stage", "add", "virtual_image", "-d", "results/sum.zarr", "-o", "results/end.zarr", cwd=project, status=2)
    assert (project / "dvc.yaml").read_text() == text
    assert (project / "params.yaml").read_bytes() == before


def test_update_follows_the_parameters(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/vdet.zarr",
          "--set", "outer=4px", "--set", "center=8,8px", cwd=project)  # fmt: skip
    assert "up to date" in emdvc("stage", "update", cwd=project).stdout
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("4px", "4mrad"))
    run = emdvc("run", "virtual_detector", "raw/scan.npy", "results/vdet.zarr", cwd=project, status=None)
    assert "EM-STAGE-UNDECLARED" in run.stderr
    done = emdvc("stage", "update", "vdet", cwd=project)
    assert "beam.energy" in done.stdout
    assert "beam.energy" in (project / "dvc.yaml").read_text()
    assert "up to date" in emdvc("stage", "update", cwd=project).stdout
    assert "there is no stage" in emdvc("stage", "update", "vdett", cwd=project, status=2).stderr


def test_keys_that_the_sidecar_lacks_are_written_as_null(project: Path, emdvc: Emdvc) -> None:
    sidecar = project / "raw" / "scan.npy.em.yaml"
    mapping = YAML(typ="safe").load(sidecar.read_text())
    del mapping["beam"]
    sidecar.write_text(dump_yaml(mapping))
    done = emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/vdet.zarr",
                 "--set", "outer=4mrad", cwd=project)  # fmt: skip
    assert "not known yet: " in done.stdout
    assert YAML(typ="safe").load(sidecar.read_text())["beam"]["energy"] is None


def test_names_with_spaces(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    np.save(tmp_path / "my scan.npy", np.ones((3, 4, 8, 8), "u2"))
    emdvc("add", tmp_path / "my scan.npy", cwd=project)
    emdvc("stage", "add", "virtual_image", "-d", "raw/my scan.npy", "-o", "results/my image.zarr", cwd=project)
    assert list(stages(project)) == ["my_image"]
    repro(project)
    assert (project / "results" / "my image.zarr").is_dir()
    assert emdvc("stage", "update", cwd=project).stdout == "my_image: up to date\n"
