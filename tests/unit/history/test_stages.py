"""What dvc.yaml says of the stages that run a step."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import Code, ProjectError, StepError
from emdvc.history.project import Project
from emdvc.history.stages import Pipeline, command, declared, declared_params, listed, parameters_of

DVC_YAML = """\
stages:
  sum:
    cmd: emdvc run sum_pattern raw/a.mib results/sum.zarr
    deps: [raw/a.mib]
    outs: [results/sum.zarr]
  fit:
    cmd: python scripts/fit.py results/sum.zarr
    deps: [scripts/fit.py, results/sum.zarr]
    outs: [results/fit: {cache: false}]
  profile:
    cmd:
      - mkdir -p results
      - emdvc run radial_profile "results/fit/my sum.zarr" results/profile.zarr --params rings
    deps: [results/fit]
    params:
      - rings
      - raw/a.mib.em.yaml: [diffraction, beam.energy]
      - .emdvc/steps.yaml: [radial_profile]
    outs: [results/profile.zarr]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in (".git", ".dvc", ".emdvc", "results"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("rings: {bins: 10}\n")
    (tmp_path / ".emdvc" / "steps.yaml").write_text("radial_profile: 3\n")
    return Project(tmp_path, tmp_path)


def test_commands() -> None:
    called = command('/env/bin/emdvc run step "a b" c')
    assert called is not None
    assert (called.step, called.source, called.target, called.params) == ("step", "a b", "c", None)
    assert command("python fit.py") is None
    assert command("emdvc run step a") is None
    assert command("echo 'unfinished") is None
    assert command(None) is None


def test_params() -> None:
    stage = {"params": ["a", "b.c", {"x.yaml": ["k"]}, {"whole.yaml": None}, {"x.yaml": ["l"]}]}
    assert declared_params(stage) == {"params.yaml": ("a", "b.c"), "x.yaml": ("k", "l"), "whole.yaml": ("",)}


def test_a_stage_of_an_output(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DVC_STAGE", raising=False)
    info = declared(project, project.root / "results" / "profile.zarr")
    assert info is not None
    assert (info.name, info.step, info.parameters) == ("profile", "radial_profile", {"bins": 10})
    assert info.versions == {"radial_profile": 3}
    assert info.metadata == ("diffraction", "beam.energy")
    assert info.sidecar == PurePosixPath("raw/a.mib.em.yaml")
    assert info.declares_parameters
    assert info.input == PurePosixPath("results/fit/my sum.zarr")
    monkeypatch.chdir(project.root / "results")
    assert declared(project, "sum.zarr") is not None
    assert declared(project, "nothing.zarr") is None
    assert declared(project, "../../outside.zarr") is None


def test_the_chain_ends_at_the_raw_data(project: Project) -> None:
    pipeline = Pipeline.read(project)
    for path in ("results/profile.zarr", "results/fit/my sum.zarr", "results/sum.zarr", "raw/a.mib"):
        assert pipeline.raw_input(PurePosixPath(path)) == PurePosixPath("raw/a.mib")


def test_unknown_names(project: Project) -> None:
    assert [info.name for info in listed(project)] == ["sum", "profile"]
    with pytest.raises(StepError) as error:
        listed(project, ["profil"])
    assert error.value.code == Code.STAGE_UNKNOWN
    assert "profile" in str(error.value.hint)
    with pytest.raises(StepError, match="runs no emdvc step"):
        listed(project, ["fit"])
    assert parameters_of(project, "rings") == {"bins": 10}
    with pytest.raises(StepError):
        parameters_of(project, "ring")


def test_damaged_files(project: Project) -> None:
    (project.root / "dvc.yaml").write_text("stages: [\n")
    with pytest.raises(ProjectError) as error:
        Pipeline.read(project)
    assert "line" in str(error.value.evidence)
