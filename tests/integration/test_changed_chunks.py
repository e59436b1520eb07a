"""Some probe positions of the raw data changed: ``dvc repro`` computes these alone, with the bytes of a full run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zarr
from command_line import Emdvc
from every_output import tree
from recipe_project import Counted, repro, write_scan

pytestmark = pytest.mark.slow

#: Steps that give every output position by position.
MAPS = (
    *("--set", "bright.step=virtual_detector", "--set", "bright.outer=20px"),
    *("--set", "com.step=center_of_mass", "--set", "image.step=virtual_image"),
    *("--set", "rotated.step=dpc", "--set", "rotated.source=com", "--set", "rotated.rotation=10deg"),
    *("--set", "rotated.flip=no"),
)
#: 1024 probe positions of 64 KiB in blocks of 16 MiB.
EVERYTHING = ["0:8 0:32", "8:16 0:32", "16:24 0:32", "24:32 0:32"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the project is made, once: that takes longer than the tests."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def pipeline(made: Path, emdvc: Emdvc, tmp_path: Path) -> Path:
    """Return a copy of a project whose recipe has run: chunks of 2 x 2 positions, 0.4 % of them each."""
    project = made / "project"
    if not project.exists():
        scan = write_scan(made / "scan.zarr", chunk=2)
        emdvc("init", project)
        emdvc("add", scan, cwd=project)
        emdvc("stage", "add", "recipe", "-d", "raw/scan.zarr", "-o", "results/all", "--name", "all", *MAPS, cwd=project)
        emdvc("stage", "add", "radial_profile", "-d", "raw/scan.zarr", "-o", "results/rings.zarr", cwd=project)
        repro(project)
        emdvc("save", "-m", "a scan and two stages", "--no-push", cwd=project)
    shutil.copytree(project, tmp_path / "project", symlinks=True)
    shutil.copytree(made / "scan.zarr", tmp_path / "changed" / "scan.zarr")
    return tmp_path / "project"


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "counted")


@pytest.fixture
def change(pipeline: Path, emdvc: Emdvc, tmp_path: Path) -> Callable[..., None]:
    """Return what changes some positions of the raw data, as a person does."""

    def changed(y: slice, x: slice) -> None:
        path = tmp_path / "changed" / "scan.zarr"
        array = zarr.open_array(path / "counts", mode="r+")
        array[y, x] += 1
        emdvc("add", path, "raw/scan.zarr", "--replace", "the detector was read out twice", cwd=pipeline)

    return changed


def test_only_the_chunks_that_changed(pipeline: Path, change: Callable[..., None], counted: Counted) -> None:
    """0.4 % of the positions: one chunk of 256. Then two chunks in two blocks, on top of what was computed so."""
    before = tree(pipeline / "results" / "all")
    for y, x, expected in (
        (slice(10, 12), slice(20, 22), ["10:12 20:22"]),
        (slice(23, 25), slice(31, 32), ["22:24 30:32", "24:26 30:32"]),
    ):
        change(y, x)
        repro(pipeline, "all", env=counted.env)
        assert sorted(counted.blocks()) == expected
    found = tree(pipeline / "results" / "all")
    assert found != before
    repro(pipeline, "--force", "all", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)
    assert tree(pipeline / "results" / "all") == found


def test_a_full_run_where_something_else_changed(
    pipeline: Path, change: Callable[..., None], counted: Counted, emdvc: Emdvc
) -> None:
    """A parameter, a metadata key that is read, or the array itself changed together with the data."""
    change(slice(0, 2), slice(0, 2))
    params = pipeline / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("outer: 20px", "outer: 21px"), encoding="utf-8")
    repro(pipeline, "all", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)
    change(slice(0, 2), slice(2, 4))
    emdvc("add", "raw/scan.zarr", "--set", "diffraction.pixel_size=0.2 1/nm", cwd=pipeline)
    repro(pipeline, "all", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)
    changed = pipeline.parent / "changed" / "scan.zarr" / "counts" / "zarr.json"
    said = json.loads(changed.read_text(encoding="utf-8"))
    said["attributes"] = {"units": "counts", "long_name": "electrons"}
    changed.write_text(json.dumps(said), encoding="utf-8")
    change(slice(0, 2), slice(4, 6))
    repro(pipeline, "all", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)


def test_a_full_run_where_the_cache_has_no_more(pipeline: Path, change: Callable[..., None], counted: Counted) -> None:
    """One object of the earlier result, or the list of the earlier data's files, is gone from DVC's cache."""
    repro(pipeline)
    change(slice(4, 6), slice(8, 10))
    image = pipeline / "results" / "all" / "com.zarr" / "com_y" / "0.0"
    import hashlib

    md5 = hashlib.md5(image.read_bytes()).hexdigest()
    (pipeline / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    repro(pipeline, "all", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)


def test_what_depends_on_all_positions_is_computed_from_all(
    pipeline: Path, change: Callable[..., None], counted: Counted
) -> None:
    """The radial profile's mean is over all positions."""
    change(slice(30, 32), slice(0, 2))
    repro(pipeline, "rings", env=counted.env)
    assert sorted(counted.blocks()) == sorted(EVERYTHING)
    found = tree(pipeline / "results" / "rings.zarr")
    repro(pipeline, "--force", "rings")
    assert tree(pipeline / "results" / "rings.zarr") == found
