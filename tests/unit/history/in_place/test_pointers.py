"""What a stage that reads in place depends on."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import Code, ProjectError
from emdvc.history.in_place.pointers import Pointers, pointers, undeclared
from emdvc.history.project import Project
from emdvc.history.stage_files import new_stage
from emdvc.history.stages import Pipeline

DVC_YAML = """\
stages:
  small:
    cmd: emdvc run convert raw/a.mib results/small.zarr
    deps: [raw/a.mib]
    outs: [results/small.zarr]
    metrics: [{results/small.zarr.em.yaml: {cache: false}}]
  own:
    cmd: python own.py
    outs: [results/own.npy]
  sum:
    cmd: emdvc run sum_pattern raw/a.mib results/sum.zarr --in-place
    deps: [scripts/mask.npy]
    params:
      - sum
      - raw/dark.npy.em.yaml: [source.files, data]
      - raw/a.mib.em.yaml: [source.files, data, diffraction.center]
    outs: [results/sum.zarr]
"""
RAW, SMALL = PurePosixPath("raw/a.mib"), PurePosixPath("results/small.zarr")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for folder in (".git", ".dvc", ".emdvc", "raw"):
        (tmp_path / folder).mkdir()
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    for name in ("a.mib.dvc", "a.mib.em.yaml", "dark.npy.dvc", "dark.npy.em.yaml", "plain.npy.dvc"):
        (tmp_path / "raw" / name).write_text("")
    return Project(tmp_path, tmp_path)


def test_what_stands_for_data(project: Project) -> None:
    """Of raw data keys of its sidecar; of a result its sidecar; of a file that git keeps the file."""
    pipeline = Pipeline.read(project)
    mask = PurePosixPath("scripts/mask.npy")
    assert pointers(project, pipeline, RAW, [SMALL, mask]) == Pointers(
        (PurePosixPath("raw/a.mib.em.yaml"),), (PurePosixPath("results/small.zarr.em.yaml"), mask)
    )
    assert pointers(project, pipeline, SMALL).recorded == ()


@pytest.mark.parametrize("path", ["results/own.npy", "raw/plain.npy", "raw/unknown.npy"])
def test_what_nothing_stands_for(project: Project, path: str) -> None:
    with pytest.raises(ProjectError) as found:
        pointers(project, Pipeline.read(project), PurePosixPath(path))
    assert found.value.code is Code.STAGE_UNDECLARED


def test_a_stage_is_read_as_it_was_written(project: Project) -> None:
    """Pointer keys are no metadata keys, and two sidecars do not get mixed up."""
    info = Pipeline.read(project).info("sum")
    assert info is not None
    assert info.in_place
    assert info.metadata == ("diffraction.center",)
    assert info.sidecar == PurePosixPath("raw/a.mib.em.yaml")
    assert set(info.recorded) == {PurePosixPath("raw/a.mib.em.yaml"), PurePosixPath("raw/dark.npy.em.yaml")}
    assert info.deps == (PurePosixPath("scripts/mask.npy"),)
    written = new_stage(info)
    assert written["cmd"].endswith("--in-place")
    assert written["deps"] == ["scripts/mask.npy"]
    assert {"raw/a.mib.em.yaml": ["source.files", "data", "diffraction.center"]} in written["params"]


def test_what_is_missing(project: Project) -> None:
    info = Pipeline.read(project).info("sum")
    assert info is not None
    assert undeclared(info, Pointers(info.recorded, info.deps)) == []
    more = Pointers((PurePosixPath("raw/flat.npy.em.yaml"),), (PurePosixPath("scripts/other.npy"),))
    assert undeclared(info, more) == [*more.recorded, *more.deps]
