"""A part of a dataset is never taken for the whole, where plain DVC records the part without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from command_line import Emdvc

COUNT = 16  # chunk files of the scan


def dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout + done.stderr


def write_scan(path: Path) -> Path:
    array = zarr.create_group(path, zarr_format=3).create_array(
        "counts",
        shape=(16, 16, 8, 8),
        dtype="u2",
        chunks=(4, 4, 8, 8),
        dimension_names=("y", "x", "ky", "kx"),
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    array[:] = np.random.default_rng(1).poisson(3, array.shape)
    return path


@pytest.fixture
def original(tmp_path: Path, emdvc: Emdvc) -> Path:
    project = tmp_path / "project"
    emdvc("init", project, "--remote", f"lab={tmp_path / 'storage'}", cwd=tmp_path)
    emdvc("add", write_scan(tmp_path / "scan.zarr"), cwd=project)
    emdvc("save", "-m", "a scan", cwd=project)
    return project


@pytest.fixture
def clone(original: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    """A clone whose scan lacks a row of chunks, as `dvc pull raw/scan.zarr/counts/...` leaves it."""
    emdvc("get", original, "clone", "--no-data", cwd=tmp_path)
    folder = tmp_path / "clone"
    names = [f"raw/scan.zarr/counts/{y}.{x}.0.0" for y in range(3) for x in range(4)]
    dvc(folder, "pull", "raw/scan.zarr/zarr.json", "raw/scan.zarr/counts/zarr.json", *names)
    return folder


def test_status_says_how_much_is_here(clone: Path, emdvc: Emdvc) -> None:
    said = emdvc("status", cwd=clone).stdout
    assert f"raw/scan.zarr  {COUNT + 2 - 4} of {COUNT + 2} files; the rest: emdvc pull raw/scan.zarr" in said
    assert "IS NOT WHAT WAS RECORDED" not in said


def test_add_refuses_a_part(clone: Path, emdvc: Emdvc) -> None:
    pointer = (clone / "raw" / "scan.zarr.dvc").read_bytes()
    for more in ([], ["--replace", "smaller now"]):
        said = emdvc("add", "raw/scan.zarr", *more, cwd=clone, status=3).stderr
        assert "error[EM-PARTIAL]: only a part of raw/scan.zarr is here: 14 of 18 files" in said
        assert "first missing: counts/3.0.0.0" in said
        assert "hint: emdvc pull raw/scan.zarr" in said
    assert (clone / "raw" / "scan.zarr.dvc").read_bytes() == pointer


def test_save_refuses_what_plain_dvc_recorded_of_a_part(clone: Path, emdvc: Emdvc) -> None:
    before = (clone / "raw" / "scan.zarr.dvc").read_text(encoding="utf-8")
    dvc(clone, "add", "raw/scan.zarr")
    assert "nfiles: 14" in (clone / "raw" / "scan.zarr.dvc").read_text(encoding="utf-8")  # plain DVC shrinks it
    said = emdvc("save", "-m", "smaller", cwd=clone, status=4).stderr
    assert "error[EM-PARTIAL]: raw/scan.zarr was recorded from a part of itself: 14 of 18 files" in said
    hint = said.partition("hint: ")[2].strip()
    assert hint == "git checkout HEAD -- raw/scan.zarr.dvc && emdvc pull raw/scan.zarr"
    git, _, pull = hint.partition(" && ")
    subprocess.run(git.split(), cwd=clone, check=True)
    emdvc(*pull.split()[1:], cwd=clone)
    assert (clone / "raw" / "scan.zarr.dvc").read_text(encoding="utf-8") == before
    assert "nothing changed, every result is up to date" in emdvc("status", cwd=clone).stdout


def test_no_step_computes_from_a_part(clone: Path, emdvc: Emdvc) -> None:
    said = emdvc("run", "sum_pattern", "raw/scan.zarr", "results/sum.zarr", cwd=clone, status=3).stderr
    assert "error[EM-PARTIAL]: only a part of raw/scan.zarr is here: 14 of 18 files" in said
    assert not (clone / "results" / "sum.zarr").exists()


def test_a_reason_given_for_fewer_files_is_one(original: Path, emdvc: Emdvc) -> None:
    store = original / "raw" / "scan.zarr"
    for name in ("0.0.0.0", "0.1.0.0"):
        (store / "counts" / name).chmod(0o644)
        (store / "counts" / name).unlink()
    (store / "counts" / "0.2.0.0").chmod(0o644)
    (store / "counts" / "0.2.0.0").write_bytes((store / "counts" / "0.3.0.0").read_bytes())
    emdvc("add", "raw/scan.zarr", "--replace", "beam was off in the first chunks", cwd=original)
    emdvc("save", "-m", "without the dark corner", cwd=original)


@pytest.fixture
def empty(original: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    emdvc("get", original, "clone", "--no-data", cwd=tmp_path)
    return tmp_path / "clone"


def test_a_part_is_fetched_into_the_cache_alone(empty: Path, emdvc: Emdvc) -> None:
    said = emdvc("pull", "raw/scan.zarr", "--scan", "0:4,0:8", "--dry-run", cwd=empty).stdout
    assert said.startswith("raw/scan.zarr  2 of 18 files in the cache, 2 fetched (")
    assert emdvc("pull", "raw/scan.zarr", "--scan", "0:4,0:8", cwd=empty).stdout == said
    assert not (empty / "raw" / "scan.zarr").exists()
    again = emdvc("pull", "raw/scan.zarr", "--scan", "0:4,0:8", cwd=empty).stdout
    assert again == "raw/scan.zarr  2 of 18 files in the cache, nothing to fetch\n"
    status = emdvc("status", cwd=empty).stdout
    assert "raw/scan.zarr  4 of 18 files in the cache, for emdvc.open_dataset and stages in place; the rest:" in status
    # the whole takes what is here and fetches the rest
    assert "18 files" in emdvc("pull", cwd=empty).stdout
    assert "nothing changed, every result is up to date" in emdvc("status", cwd=empty).stdout


def test_a_preview_fetches_no_numbers(empty: Path, emdvc: Emdvc) -> None:
    said = emdvc("pull", "--preview", cwd=empty).stdout
    assert said.startswith("raw/scan.zarr  2 of 18 files in the cache")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--scan", "0:4"], "--scan names 1 part\n  raw/scan.zarr has y, x"),
        (["--scan", "0:17,0:4"], "raw/scan.zarr ends at y = 15\n  asked for 0:17"),
        (["--scan", "4:2,:"], "'4:2,:' is empty"),
        (["--detector", "a:b"], "'a:b' is no region"),
    ],
)
def test_a_region_that_is_none(typed: list[str], said: str, empty: Path, emdvc: Emdvc) -> None:
    assert f"error[EM-USAGE]: {said}" in emdvc("pull", "raw/scan.zarr", *typed, cwd=empty, status=2).stderr


def test_no_folder_is_left_with_a_part(empty: Path, emdvc: Emdvc) -> None:
    said = emdvc("pull", "raw/scan.zarr/counts", cwd=empty, status=3).stderr
    assert "error[EM-PARTIAL]: raw/scan.zarr/counts is a part of raw/scan.zarr" in said
    assert not (empty / "raw" / "scan.zarr").exists()


def test_a_part_is_seen_where_only_dvc_knows_what_is_ignored(clone: Path, emdvc: Emdvc) -> None:
    (clone / ".dvcignore").write_text("*.partial\n/.venv\n", encoding="utf-8")
    said = emdvc("run", "sum_pattern", "raw/scan.zarr", "results/sum.zarr", cwd=clone, status=3).stderr
    assert "error[EM-PARTIAL]: only a part of raw/scan.zarr is here: 14 of 18 files" in said
