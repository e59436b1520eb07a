"""Edited data with real git and DVC: declared, edited, saved, merged by two people; raw data stays what it was."""

from __future__ import annotations

import shutil
import stat
import subprocess
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from command_line import Emdvc
from edited_project import made

from emdvc.history import adding, saving
from emdvc.history.adding import Request
from emdvc.history.cache_place import cache_folder
from emdvc.history.initialise import initialise
from emdvc.history.project import Project

_OWN = shutil.ignore_patterns("*.dvc", "*.yaml", ".gitignore")


def _git(folder: Path, *words: str, status: int = 0) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def _dvc(folder: Path, *words: str) -> str:
    done = subprocess.run(["dvc", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def _paint(folder: Path, region: Any, value: int) -> None:
    zarr.open_array(folder / "raw/scan.zarr/labels", mode="r+")[region] = value


def _labels(folder: Path) -> Any:
    return zarr.open_array(folder / "raw/scan.zarr/labels", mode="r")[:]


def _writable(folder: Path) -> bool:
    return all(file.stat().st_mode & stat.S_IWUSR for file in folder.rglob("*") if file.is_file())


def _add(folder: Path, path: Path | str = "raw/scan.zarr", target: str | None = None, **said: Any) -> None:
    with chdir(folder):
        adding.add(Request(str(path), target, **said))


def _save(folder: Path, message: str, *, push: bool = False) -> None:
    with chdir(folder):
        saving.save(Project.find(folder), message, push=push)


def _initialised(folder: Path) -> Path:
    with chdir(folder.parent):
        initialise(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project with an edited dataset."""
    folder = _initialised(tmp_path / "one")
    made(shape=(8, 8), dimension_names=("y", "x"))(folder / "raw/scan.zarr")
    _add(folder, edited=True, mergeable=("labels",))
    _save(folder, "labels")
    return folder


@pytest.fixture
def shared(folder: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return the same on a git remote and on a remote for data."""
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(tmp_path / "up.git")], check=True)
    _git(folder, "remote", "add", "origin", str(tmp_path / "up.git"))
    emdvc("remote", "add", "lab", tmp_path / "remote", cwd=folder)
    _save(folder, "remote", push=True)
    return folder


def test_two_clones_edit_the_same_chunk_and_merge(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    other = tmp_path / "other"
    emdvc("get", tmp_path / "up.git", other)
    assert _writable(other / "raw/scan.zarr")
    _paint(shared, np.s_[0, 0], 5)
    _paint(shared, np.s_[6:, 6:], 6)
    _save(shared, "one", push=True)
    _paint(other, np.s_[1, 1], 7)
    _save(other, "other")
    # what the first one changed is on the remote alone
    before = {file.name for file in cache_folder(Project.find(other)).rglob("*")}
    emdvc("merge", "origin/main", cwd=_fetched(other))
    expected = np.zeros((8, 8), "u1")
    expected[0, 0], expected[1, 1], expected[6:, 6:] = 5, 7, 6
    np.testing.assert_array_equal(_labels(other), expected)
    assert {file.name for file in cache_folder(Project.find(other)).rglob("*")} > before
    _as_added(other)
    _save(other, "merged", push=True)
    # the other order: the same pointer and sidecar, byte for byte
    _git(shared, "switch", "--quiet", "--detach", "HEAD")
    second = _git(other, "rev-parse", "HEAD^1").strip()
    _git(shared, "fetch", "--quiet", "origin")
    _git(shared, "merge", "--quiet", "--no-edit", second)
    for name in ("raw/scan.zarr.dvc", "raw/scan.zarr.em.yaml"):
        assert (shared / name).read_bytes() == (other / name).read_bytes()
    _dvc(shared, "checkout", "--quiet", "--force", "raw/scan.zarr.dvc")
    np.testing.assert_array_equal(_labels(shared), expected)
    assert _writable(shared / "raw/scan.zarr")


def _fetched(folder: Path) -> Path:
    _git(folder, "fetch", "--quiet", "origin")
    return folder


def _as_added(folder: Path) -> None:
    """Check that the merged sidecar and pointer are those of a fresh add of the merged dataset."""
    fresh = _initialised(folder.parent / "fresh")
    shutil.copytree(folder / "raw", fresh / "raw", dirs_exist_ok=True, ignore=_OWN)
    _add(fresh, edited=True, mergeable=("labels",))
    for name in ("raw/scan.zarr.dvc", "raw/scan.zarr.em.yaml"):
        assert (fresh / name).read_text() == (folder / name).read_text()


def test_a_disputed_region_is_resolved_and_the_sidecar_follows(folder: Path, emdvc: Emdvc) -> None:
    _git(folder, "switch", "--quiet", "-c", "mine")
    _paint(folder, np.s_[0, :3], 5)
    _save(folder, "mine")
    _git(folder, "switch", "--quiet", "main")
    _dvc(folder, "checkout", "--quiet", "--force", "raw/scan.zarr.dvc")
    _paint(folder, np.s_[0, 2:4], 7)
    _save(folder, "theirs")
    _git(folder, "merge", "mine", status=1)
    assert "<<<<<<<" in (folder / "raw/scan.zarr.dvc").read_text()
    emdvc("save", "-m", "too early", cwd=folder, status=4)
    emdvc("merge", "--resolve", "raw/scan.zarr.dvc", "theirs", "--region", "labels[0:1, 2:3]", cwd=folder)
    emdvc("merge", "--continue", cwd=folder)
    assert _labels(folder)[0].tolist() == [5, 5, 5, 7, 0, 0, 0, 0]
    _as_added(folder)
    assert "nothing changed" in emdvc("status", "--no-remote", cwd=folder).stdout


def test_a_changed_dataset_is_something_to_save(folder: Path, emdvc: Emdvc) -> None:
    _paint(folder, np.s_[0, 0], 5)
    assert "edited data  raw/scan.zarr was changed" in emdvc("status", "--no-remote", cwd=folder).stdout
    assert "raw data: as it was recorded" in emdvc("verify", "--raw", cwd=folder).stdout
    assert "would record the edits of raw/scan.zarr" in emdvc("save", "--dry-run", cwd=folder).stdout
    added = emdvc("add", "raw/scan.zarr", "--json", cwd=folder).stdout
    assert '"action": "edited"' in added
    assert '"by_element": [' in added
    assert _writable(folder / "raw/scan.zarr")
    _paint(folder, np.s_[1, 1], 5)
    assert "recorded the edits of raw/scan.zarr" in emdvc("save", "-m", "more", cwd=folder).stdout
    assert _dvc(folder, "status").strip() == "Data and pipelines are up to date."
    assert "edited data (by element: labels)" in emdvc("inspect", "raw/scan.zarr", cwd=folder).stdout


def test_what_only_lost_files_is_not_taken_for_an_edit(folder: Path, emdvc: Emdvc) -> None:
    _paint(folder, np.s_[0, 0], 5)
    _save(folder, "one")
    _paint(folder, np.s_[0, 0], 0)  # zarr removes a chunk of nothing but the fill value
    refused = emdvc("save", "-m", "erased", cwd=folder, status=3)
    assert "EM-PARTIAL" in refused.stderr
    _add(folder, replace="the label was wrong")
    _save(folder, "erased")


def test_raw_data_is_made_editable_with_a_reason_only(tmp_path: Path, emdvc: Emdvc) -> None:
    folder = tmp_path / "project"
    _initialised(folder)
    made()(folder / "raw/scan.zarr")
    _add(folder)
    _save(folder, "scan")
    refused = emdvc("add", "raw/scan.zarr", "--edited", cwd=folder, status=4)
    assert "is recorded as raw data" in refused.stderr
    assert (
        "did you mean --mergeable labels?"
        in emdvc("add", "raw/scan.zarr", "--mergeable", "lables", cwd=folder, status=2).stderr
    )
    # past emdvc: the guard sees it, in the workspace and in a commit
    pointer = folder / "raw/scan.zarr.dvc"
    text = pointer.read_text()
    pointer.write_text(text + "meta:\n  emdvc_edited: {by_element: []}\n")
    refused = emdvc("save", "-m", "sly", cwd=folder, status=4)
    assert "declared as edited data" in refused.stderr
    _git(folder, "switch", "--quiet", "-c", "sly")
    _git(folder, "commit", "--quiet", "--no-verify", "-a", "-m", "sly")
    found = emdvc("verify", "--raw", "main..HEAD", cwd=folder, status=1)
    assert "made editable" in found.stdout
    # and through a merge
    _git(folder, "switch", "--quiet", "main")
    _git(folder, "merge", "--quiet", "--no-ff", "--no-edit", "--no-verify", "sly")
    assert "made editable" in emdvc("verify", "--raw", "HEAD~1..HEAD", cwd=folder, status=1).stdout
    _git(folder, "reset", "--quiet", "--hard", "HEAD~1")
    assert pointer.read_text() == text
    _add(folder, edited=True, mergeable=("labels",), replace="labels are drawn by hand")
    assert _writable(folder / "raw/scan.zarr")
    _save(folder, "by hand")
    assert "raw data: as it was recorded" in emdvc("verify", "--raw", cwd=folder).stdout


def test_raw_data_that_both_replaced_is_refused_and_one_side_can_be_chosen(tmp_path: Path, emdvc: Emdvc) -> None:
    folder = tmp_path / "project"
    _initialised(folder)
    np.save(folder / "scan.npy", np.zeros((4, 4), "u2"))
    _add(folder, "scan.npy")
    _save(folder, "scan")
    _git(folder, "branch", "other")
    for branch, value in (("main", 1), ("other", 2)):
        _git(folder, "switch", "--quiet", branch)
        np.save(tmp_path / f"{value}.npy", np.full((4, 4), value, "u2"))
        why = f"export {value} was cut off"
        _add(folder, tmp_path / f"{value}.npy", "scan.npy", replace=why)
        _save(folder, branch)
    _git(folder, "merge", "main", status=1)
    asked = (folder / "scan.npy.dvc.conflict.yaml").read_text()
    assert "raw data never merges" in asked
    assert 'ours replaced it: "export 2 was cut off"' in asked
    emdvc("merge", "--resolve", "scan.npy", "theirs", cwd=folder)
    emdvc("merge", "--continue", cwd=folder)
    assert np.load(folder / "scan.npy")[0, 0] == 1
    assert "raw data: as it was recorded" in emdvc("verify", "--raw", cwd=folder).stdout
    assert "chosen in a merge" in (folder / "scan.npy.em.yaml").read_text()
