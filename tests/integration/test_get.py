"""`emdvc get`: a colleague has the same bytes, or only what was asked for."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc


@pytest.fixture
def shared(tmp_path: Path, emdvc: Emdvc) -> Path:
    project = tmp_path / "project"
    emdvc("init", project, "--remote", "lab=storage", cwd=tmp_path)
    for seed, name in enumerate(("one", "two")):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).poisson(3, (3, 4, 8, 8)).astype("u2"))
        emdvc("add", tmp_path / f"{name}.npy", cwd=project)
    emdvc("save", "-m", "two scans", cwd=project)
    return project


def test_the_same_bytes_read_only(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("get", shared, "clone", cwd=tmp_path)
    for name in ("one.npy", "two.npy"):
        copy = tmp_path / "clone" / "raw" / name
        assert copy.read_bytes() == (shared / "raw" / name).read_bytes()
        assert not stat.S_IMODE(copy.stat().st_mode) & 0o222
    assert "nothing changed" in emdvc("status", cwd=tmp_path / "clone").stdout


def test_a_relative_remote_is_found_from_elsewhere(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    done = emdvc("get", shared, "far/away/clone", cwd=tmp_path)
    assert "config.local" in done.stdout
    assert (tmp_path / "far" / "away" / "clone" / "raw" / "one.npy").is_file()


def test_without_data(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    done = emdvc("get", shared, "clone", "--no-data", cwd=tmp_path)
    assert "not fetched: raw/one.npy, raw/two.npy" in done.stdout
    assert not (tmp_path / "clone" / "raw" / "one.npy").exists()
    assert (tmp_path / "clone" / "raw" / "one.npy.em.yaml").is_file()
    # what was not fetched is neither a change nor a reason to compute
    status = emdvc("status", "--exit-code", cwd=tmp_path / "clone").stdout
    assert "not fetched" in status
    assert "nothing changed" in status


def test_only_what_is_asked(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("get", shared, "clone", "--only", "raw/two.npy", cwd=tmp_path)
    assert [path.name for path in (tmp_path / "clone" / "raw").glob("*.npy")] == ["two.npy"]
    emdvc("get", shared, "both", "--only", "raw", cwd=tmp_path)
    assert len(list((tmp_path / "both" / "raw").glob("*.npy"))) == 2
    done = emdvc("get", shared, "third", "--only", "raw/tow.npy", cwd=tmp_path, status=3)
    assert "raw/two.npy" in done.stderr


def test_what_the_remote_lost_is_named_and_the_rest_is_here(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    lost = (shared / "raw" / "two.npy").read_bytes()
    for stored in (tmp_path / "storage").rglob("*"):
        if stored.is_file() and stored.read_bytes() == lost:
            stored.unlink()
    done = emdvc("get", shared, "clone", cwd=tmp_path, status=3)
    assert "EM-DATA-MISSING" in done.stderr
    assert "raw/two.npy" in done.stderr
    assert "raw/one.npy" not in done.stderr
    assert (tmp_path / "clone" / "raw" / "one.npy").is_file()
    assert (tmp_path / "clone" / "raw" / "two.npy.em.yaml").is_file()


def test_a_damaged_object_is_not_delivered(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    whole = (shared / "raw" / "two.npy").read_bytes()
    for stored in (tmp_path / "storage").rglob("*"):
        if stored.is_file() and stored.read_bytes() == whole:
            stored.chmod(0o644)
            stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    emdvc("get", shared, "clone", cwd=tmp_path, status=3)
    assert not (tmp_path / "clone" / "raw" / "two.npy").exists()


def test_a_failing_clone_leaves_nothing(tmp_path: Path, emdvc: Emdvc) -> None:
    done = emdvc("get", tmp_path / "nowhere", "clone", cwd=tmp_path, status=2)
    assert "EM-PROGRAM-FAILED" in done.stderr
    assert not (tmp_path / "clone").exists()
    (tmp_path / "empty").mkdir()
    emdvc("get", tmp_path / "nowhere", "empty", cwd=tmp_path, status=2)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "thesis.tex").write_text("x")
    emdvc("get", shared, "clone", cwd=tmp_path, status=4)
    assert [path.name for path in (tmp_path / "clone").iterdir()] == ["thesis.tex"]


def test_a_repository_that_is_no_project(tmp_path: Path, emdvc: Emdvc) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "plain")], check=True)
    assert "not an emdvc project" in emdvc("get", tmp_path / "plain", "clone", cwd=tmp_path, status=2).stderr


def test_a_server_whose_default_branch_nobody_pushed(shared: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    hub = tmp_path / "hub.git"
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=trunk", str(hub)], check=True)
    subprocess.run(["git", "push", "-q", str(hub), "main"], cwd=shared, check=True)
    emdvc("get", hub, "clone", "--no-data", cwd=tmp_path)
    assert (tmp_path / "clone" / "raw" / "one.npy.em.yaml").is_file()
    shutil.rmtree(hub)
