"""`emdvc save`: one commit of everything, data before history, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def project(tmp_path: Path, emdvc: Emdvc) -> Path:
    folder = tmp_path / "project"
    emdvc("init", folder, "--remote", f"lab={tmp_path / 'storage'}")
    np.save(tmp_path / "scan.npy", np.ones((3, 4, 8, 8), "u2"))
    emdvc("add", tmp_path / "scan.npy", cwd=folder)
    return folder


def test_everything_in_one(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("init", "-q", "--bare", str(tmp_path / "hub.git"), cwd=tmp_path)
    git("remote", "add", "origin", str(tmp_path / "hub.git"), cwd=project)
    (project / "scripts" / "fit.py").write_text("print(1)\n")
    done = emdvc("save", "-m", "first scan", cwd=project)
    assert "committed" in done.stdout
    assert git("status", "--porcelain", cwd=project) == ""
    assert git("log", "-1", "--format=%s", "origin/main", cwd=project).strip() == "first scan"
    assert len([path for path in (tmp_path / "storage" / "files").rglob("*") if path.is_file()]) == 1
    again = emdvc("save", "-m", "nothing", cwd=project)
    assert "nothing to commit" in again.stdout
    assert git("rev-list", "--count", "HEAD", cwd=project).strip() == "1"


def test_a_message_is_needed(project: Path, emdvc: Emdvc) -> None:
    assert "needs a message" in emdvc("save", cwd=project, status=2).stderr


def test_changed_raw_data_is_refused_with_the_way_back(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("save", "-m", "first", cwd=project)
    raw = project / "raw" / "scan.npy"
    raw.chmod(0o644)
    raw.write_bytes(b"overwritten")
    done = emdvc("save", "-m", "oops", cwd=project, status=4)
    assert "EM-RAW-CHANGED" in done.stderr
    assert "dvc checkout --force raw/scan.npy" in done.stderr
    subprocess.run([sys.executable, "-m", "dvc", "checkout", "--force", "-q", "raw/scan.npy"], cwd=project, check=True)
    assert raw.read_bytes() == (tmp_path / "scan.npy").read_bytes()
    # past emdvc, by dvc alone: the sidecar does not know why
    raw.chmod(0o644)
    np.save(raw, np.zeros((3, 4, 8, 8), "u2"))
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "raw/scan.npy"], cwd=project, check=True)
    assert "EM-RAW-CHANGED" in emdvc("save", "-m", "oops", cwd=project, status=4).stderr
    emdvc("add", "raw/scan.npy", "--replace", "measured again", cwd=project)
    emdvc("save", "-m", "measured again", cwd=project)


def test_data_without_version_control_is_refused(project: Path, emdvc: Emdvc) -> None:
    for name, size in (("raw/next.mib", 10), ("big.bin", 11_000_000), ("raw/plain.npy", 10)):
        path = project / name
        path.write_bytes(bytes(size))
        done = emdvc("save", "-m", "x", cwd=project, status=2)
        assert f"emdvc add {name}" in done.stderr
        assert git("diff", "--cached", "--name-only", cwd=project)  # what was staged still is
        path.unlink()
    (project / "scripts" / "figure.tif").write_bytes(b"a small figure of the paper")
    emdvc("save", "-m", "fine", cwd=project)


def test_a_store_without_version_control_is_refused(project: Path, emdvc: Emdvc) -> None:
    import zarr

    zarr.create_array(store=project / "raw" / "stray.zarr", shape=(2,), dtype="u1")
    assert "emdvc add raw/stray.zarr" in emdvc("save", "-m", "x", cwd=project, status=2).stderr


def test_a_damaged_sidecar_is_refused(project: Path, emdvc: Emdvc) -> None:
    sidecar = project / "raw" / "scan.npy.em.yaml"
    good = sidecar.read_text()
    sidecar.write_text(good.replace("  energy:\n", "  energy: {value: 200, unit: nm}\n"))
    assert "EM-METADATA-UNIT" in emdvc("save", "-m", "x", cwd=project, status=2).stderr
    sidecar.write_text(good + "beam: [\n")
    assert "EM-SIDECAR-BROKEN" in emdvc("save", "-m", "x", cwd=project, status=2).stderr


def test_stale_results_are_said(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "virtual_image", "-d", "raw/scan.npy", "-o", "results/image.zarr", cwd=project)
    done = emdvc("save", "-m", "a stage", "--no-push", cwd=project)
    assert "image" in done.stderr
    assert "not up to date" in done.stderr


def test_a_failing_push_keeps_the_commit(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("remote", "add", "origin", str(tmp_path / "hub.git"), cwd=project)
    done = emdvc("save", "-m", "first", cwd=project, status=2)
    assert "emdvc save" in done.stderr
    assert git("log", "--format=%s", cwd=project).strip() == "first"
    git("init", "-q", "--bare", str(tmp_path / "hub.git"), cwd=tmp_path)
    assert "pushed history to origin/main" in emdvc("save", cwd=project).stdout


def test_data_of_commits_that_were_not_pushed_goes_too(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("save", "-m", "one", "--no-push", cwd=project)
    np.save(tmp_path / "scan.npy", np.zeros((3, 4, 8, 8), "u2"))
    emdvc("add", tmp_path / "scan.npy", "--replace", "measured again", cwd=project)
    emdvc("save", "-m", "two", cwd=project)
    assert len([path for path in (tmp_path / "storage" / "files").rglob("*") if path.is_file()]) == 2


def test_a_refusing_hook_leaves_the_index(project: Path, emdvc: Emdvc) -> None:
    hook = project / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 1\n")
    hook.chmod(0o755)
    (project / "notes.txt").write_text("x")
    before = git("status", "--porcelain", cwd=project)
    assert "EM-PROGRAM-FAILED" in emdvc("save", "-m", "x", cwd=project, status=2).stderr
    assert git("status", "--porcelain", cwd=project) == before


def test_others_have_pushed_meanwhile(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    git("init", "-q", "--bare", str(tmp_path / "hub.git"), cwd=tmp_path)
    git("remote", "add", "origin", str(tmp_path / "hub.git"), cwd=project)
    emdvc("save", "-m", "first", cwd=project)
    other = tmp_path / "other"
    git("clone", "-q", str(tmp_path / "hub.git"), str(other), cwd=tmp_path)
    git("checkout", "-q", "main", cwd=other)
    (other / "theirs.txt").write_text("x")
    git("add", ".", cwd=other)
    git("commit", "-qm", "theirs", cwd=other)
    git("push", "-q", cwd=other)
    (project / "mine.txt").write_text("x")
    assert "git pull --rebase" in emdvc("save", "-m", "mine", cwd=project, status=2).stderr
