"""Git brings a new pointer and leaves the old data: what is saved then must not take back what came."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zarr
from command_line import Emdvc


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _label(folder: Path, y: int, x: int, value: int) -> None:
    zarr.open_group(folder / "labels" / "grains.zarr", mode="r+")["grains"][y, x] = value


def _labels(folder: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(folder / "labels" / "grains.zarr", mode="r")["grains"][:])


@pytest.fixture
def pulled(project: Path, emdvc: Emdvc) -> Path:
    """Return a project into which git has just brought somebody's labels, and DVC has not."""
    array = zarr.create_group(project / "labels" / "grains.zarr").create_array(
        "grains", shape=(8, 8), dtype="i4", chunks=(4, 4), dimension_names=("y", "x"), fill_value=0
    )
    array[:] = 9
    emdvc("add", "labels/grains.zarr", "--mergeable", "grains", cwd=project)
    emdvc("save", "-m", "First labels", "--no-push", cwd=project)
    _run(["dvc", "cache", "dir", "--local", str(project.parent / "cache")], project)
    shutil.copytree(project / ".dvc" / "cache", project.parent / "cache")
    theirs = project.parent / "theirs"
    shutil.copytree(project, theirs)
    _label(theirs, 0, 0, 1)
    emdvc("save", "-m", "A grain", "--no-push", cwd=theirs)
    _run(["git", "pull", "-q", str(theirs), "main"], project)
    return project


def test_an_earlier_state_is_not_recorded_as_an_edit(pulled: Path, emdvc: Emdvc) -> None:
    said = emdvc("save", "-m", "Nothing of mine", "--no-push", cwd=pulled, status=4).stderr
    assert "labels/grains.zarr is here as it was recorded earlier" in said
    assert 'First labels"' in said
    assert "dvc checkout labels/grains.zarr.dvc" in said
    _run(["dvc", "checkout", "-q", "labels/grains.zarr.dvc"], pulled)
    emdvc("save", "-m", "Nothing of mine", "--no-push", cwd=pulled)
    assert _labels(pulled)[0, 0] == 1


def test_edits_of_an_earlier_state_come_in_by_a_merge(pulled: Path, emdvc: Emdvc) -> None:
    """The command that the error names, typed as it stands, ends with both edits."""
    _label(pulled, 7, 7, 2)
    said = emdvc("add", "labels/grains.zarr", cwd=pulled, status=4).stderr
    assert "labels/grains.zarr was edited from an earlier state" in said
    assert "1 of its files differ from" in said
    hint = next(line for line in said.splitlines() if "hint:" in line).partition("hint: ")[2]
    _run(["sh", "-c", hint.replace("emdvc save", "emdvc save --no-push")], pulled)
    labels = _labels(pulled)
    assert (labels[0, 0], labels[7, 7], labels[4, 4]) == (1, 2, 9)


def test_going_back_needs_a_reason(pulled: Path, emdvc: Emdvc) -> None:
    said = emdvc("add", "labels/grains.zarr", cwd=pulled, status=4).stderr
    assert 'emdvc add labels/grains.zarr --replace "why"' in said
    emdvc("add", "labels/grains.zarr", "--replace", "the grain was an artefact", cwd=pulled)
    emdvc("save", "-m", "Back", "--no-push", cwd=pulled)
    assert _labels(pulled)[0, 0] == 9
