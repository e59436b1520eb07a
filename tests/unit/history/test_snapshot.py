"""Sidecars at any revision, without a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from emdvc.errors import Code, DataMissingError, ProjectError, UsageError
from emdvc.history import git
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot, datasets, sidecar_at, split_revision, text_at
from emdvc.model import record as rec

RAW = """\
schema_version: 1
axes: {{ky: {{size: 4, role: detector, calibration: diffraction.pixel_size}}}}
diffraction: {{pixel_size: {{value: {size}, unit: 1/angstrom, origin: user}}}}
"""
RESULT = """\
schema_version: 1
axes: {ky: {size: 4, role: detector, calibration: inherited}}
provenance: {step: sum_pattern}
inherits: ../raw/Prüfling 1.mib
"""


@pytest.fixture(params=[".", "studies/one"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Return a project with two commits, at the git root and below it."""
    root = tmp_path / request.param
    for folder in (".dvc", "raw", "results"):
        (root / folder).mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    (root / ".dvc" / "config").write_text("")
    (root / "raw" / "Prüfling 1.mib.em.yaml").write_text(RAW.format(size=0.05), encoding="utf-8")
    (root / "results" / "sum.zarr.em.yaml").write_text(RESULT, encoding="utf-8")
    _commit(tmp_path, "one")
    subprocess.run(["git", "tag", "v1"], cwd=tmp_path, check=True)
    (root / "raw" / "Prüfling 1.mib.em.yaml").write_text(RAW.format(size=0.06), encoding="utf-8")
    (root / "raw" / "new.mib.em.yaml").write_text(RAW.format(size=1), encoding="utf-8")
    _commit(tmp_path, "two")
    return Project.find(root / "raw")


def _commit(root: Path, message: str) -> None:
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", "commit", "-qm", message], cwd=root, check=True)


def _size(project: Project, path: str, revision: str | None) -> float:
    quantity = rec.quantity(sidecar_at(project, path, revision).record, "diffraction.pixel_size")
    assert quantity is not None
    return float(quantity.values[0])


def test_what_a_result_inherits_is_read_at_the_same_revision(project: Project) -> None:
    (project.root / "raw" / "Prüfling 1.mib.em.yaml").write_text(RAW.format(size=0.07), encoding="utf-8")
    for path in ("results/sum.zarr", "results/sum.zarr.em.yaml", "results/sum.zarr.dvc", "raw/Prüfling 1.mib"):
        assert [_size(project, path, revision) for revision in ("v1", "HEAD", None)] == [0.05, 0.06, 0.07]
    axis = sidecar_at(project, "results/sum.zarr", "v1").axes["ky"]
    assert axis.scale is not None
    assert axis.scale.values == (0.05,)


def test_datasets_by_revision(project: Project) -> None:
    old = [PurePosixPath("raw/Prüfling 1.mib"), PurePosixPath("results/sum.zarr")]
    assert datasets(project, "HEAD~1") == old
    assert datasets(project, "HEAD") == [old[0], PurePosixPath("raw/new.mib"), old[1]]
    (project.root / "raw" / "new.mib.em.yaml").unlink()
    (project.root / "raw" / "untracked.mib.em.yaml").write_text(RAW.format(size=1))
    assert datasets(project) == [old[0], PurePosixPath("raw/untracked.mib"), old[1]]


def test_texts(project: Project) -> None:
    (project.root / "windows.txt").write_bytes(b"a\r\nb\r\n")
    assert text_at(project, "windows.txt") == "a\nb\n"
    assert text_at(project, "windows.txt", "HEAD") is None
    assert text_at(project, "raw", "HEAD") is None  # a folder is no text
    with Snapshot(project, "v1") as snapshot:
        assert snapshot.text("raw/new.mib.em.yaml") is None
        assert "0.05" in (snapshot.text("raw/Prüfling 1.mib.em.yaml") or "")


def test_unknown_names_are_suggested(project: Project) -> None:
    with pytest.raises(UsageError) as revision:
        sidecar_at(project, "raw/new.mib", "mian")
    assert revision.value.code == Code.REVISION_UNKNOWN
    assert "main" in str(revision.value.hint)
    with pytest.raises(DataMissingError) as path:
        sidecar_at(project, "raw/nwe.mib", "HEAD")
    assert "raw/new.mib" in str(path.value.hint)


def test_an_option_is_no_revision(project: Project) -> None:
    with pytest.raises(UsageError):
        git.resolve("--all", project.git_root)


def test_split_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("me@home.mib").touch()
    Path("only@sidecar.mib.em.yaml").touch()
    cases = {
        "scan.mib": ("scan.mib", None),
        "scan.mib@HEAD~1": ("scan.mib", "HEAD~1"),
        "me@home.mib": ("me@home.mib", None),
        "only@sidecar.mib": ("only@sidecar.mib", None),
        "me@home.mib@v1": ("me@home.mib", "v1"),
        "scan.mib@HEAD@{1}": ("scan.mib", "HEAD@{1}"),
        "scan.mib@@{upstream}": ("scan.mib", "@{upstream}"),
    }
    assert {text: split_revision(text) for text in cases} == cases
    for text in ("scan.mib@", "@HEAD"):
        with pytest.raises(UsageError):
            split_revision(text)


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as error:
        Project.find(tmp_path)
    assert error.value.hint == "emdvc init"
    assert Project.find_or_none(tmp_path) is None
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(ProjectError) as broken:
        Project.find(tmp_path)
    assert broken.value.code == Code.PROJECT_BROKEN


def test_reading_a_snapshot_imports_nothing_heavy() -> None:
    heavy = ("dvc", "numpy", "pint", "pydantic")
    code = f"import emdvc.history.snapshot, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
