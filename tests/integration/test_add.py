"""`emdvc add`: bytes, sidecar, pointer and index come together, and a second add changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.formats import sidecar as sidecars


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout


def state(project: Path) -> tuple[str, str]:
    """Return what git and dvc say, and every file with its bytes."""
    files = {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.rglob("*"))
        if path.is_file() and not {".git", "tmp", "cache"} & set(path.relative_to(project).parts)
    }
    return git("status", "--porcelain", "--untracked-files=all", cwd=project), json.dumps(files)


def scan(path: Path, seed: int = 1, shape: tuple[int, ...] = (4, 5, 16, 16)) -> Path:
    np.save(path, np.random.default_rng(seed).poisson(3, shape).astype("u2"))
    return path


@pytest.fixture
def project(project: Path) -> Path:
    git("commit", "-qm", "begin", cwd=project)
    return project


def test_a_file_comes_under_version_control(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "scan.npy")
    emdvc("add", source, "--set", "beam.energy=200kV", cwd=project)
    raw = project / "raw" / "scan.npy"
    assert raw.read_bytes() == source.read_bytes()
    assert not stat.S_IMODE(raw.stat().st_mode) & 0o222
    staged = git("diff", "--cached", "--name-only", cwd=project).split()
    assert staged == ["raw/.gitignore", "raw/scan.npy.dvc", "raw/scan.npy.em.yaml"]
    assert hashlib.md5(source.read_bytes()).hexdigest() in (project / "raw" / "scan.npy.dvc").read_text()
    sidecar = sidecars.read(raw)
    assert sidecar.source["files"] == [
        {"path": "scan.npy", "sha256": hashlib.sha256(source.read_bytes()).hexdigest(), "size": source.stat().st_size}
    ]
    assert sidecar.record["beam"]["energy"] == {"value": 200, "unit": "kV", "origin": "user"}
    assert sidecar.variables[sidecar.main].shape == (4, 5, 16, 16)
    assert source.exists()
    assert stat.S_IMODE(source.stat().st_mode) & stat.S_IWUSR  # what lies outside is copied, never changed


def test_the_same_bytes_again_change_nothing(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "scan.npy")
    emdvc("add", source, cwd=project)
    before = state(project)
    for again in (source, "raw/scan.npy", "raw/scan.npy.em.yaml"):
        assert emdvc("add", again, cwd=project).stdout.startswith("unchanged")
        assert state(project) == before


def test_setting_metadata_later_touches_only_the_record(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("add", scan(tmp_path / "scan.npy"), cwd=project)
    pointer = (project / "raw" / "scan.npy.dvc").read_bytes()
    done = emdvc("add", "raw/scan.npy", "--set", "scan.step=2nm", "--set", "operator=E. Ruska", "--json", cwd=project)
    assert json.loads(done.stdout)["action"] == "recorded"
    sidecar = sidecars.read(project / "raw" / "scan.npy")
    assert sidecar.record["scan"]["step"] == {"value": [2, 2], "unit": "nm", "origin": "user"}
    assert sidecar.record["operator"] == "E. Ruska"
    assert (project / "raw" / "scan.npy.dvc").read_bytes() == pointer


def test_metadata_of_data_that_was_not_fetched(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("add", scan(tmp_path / "scan.npy"), cwd=project)
    (project / "raw" / "scan.npy").unlink()
    emdvc("add", "raw/scan.npy", "--set", "beam.energy=80keV", cwd=project)
    assert sidecars.read(project / "raw" / "scan.npy").record["beam"]["energy"]["value"] == 80


def test_other_bytes_are_refused_and_replaced_on_purpose(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "scan.npy")
    emdvc("add", source, "--set", "beam.energy=200keV", cwd=project)
    first = hashlib.sha256(source.read_bytes()).hexdigest()
    before = state(project)
    scan(source, seed=2)
    refused = emdvc("add", source, cwd=project, status=4)
    assert "EM-RAW-EXISTS" in refused.stderr
    assert "--replace" in refused.stderr
    assert state(project) == before
    emdvc("add", source, "--replace", "the first export was cut off", cwd=project)
    sidecar = sidecars.read(project / "raw" / "scan.npy")
    assert sidecar.source["replaced"] == [{"reason": "the first export was cut off", "previous_digest": first}]
    assert sidecar.record["beam"]["energy"]["origin"] == "user"  # what a person set is kept
    assert (project / "raw" / "scan.npy").read_bytes() == source.read_bytes()


def test_a_changed_raw_file_is_not_taken_for_the_recorded_one(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    emdvc("add", scan(tmp_path / "scan.npy"), cwd=project)
    git("commit", "-qm", "scan", cwd=project)
    raw = project / "raw" / "scan.npy"
    raw.chmod(0o644)
    scan(raw, seed=9)
    assert "EM-RAW-EXISTS" in emdvc("add", "raw/scan.npy", cwd=project, status=4).stderr
    # not even after a plain `dvc add`, which knows nothing of the sidecar
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", "raw/scan.npy"], cwd=project, check=True)
    assert "EM-RAW-EXISTS" in emdvc("add", "raw/scan.npy", cwd=project, status=4).stderr
    emdvc("add", "raw/scan.npy", "--replace", "measured again", cwd=project)
    assert sidecars.read(raw).source["files"][0]["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()


def test_another_scan_shape_describes_the_same_bytes_anew(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    np.save(tmp_path / "frames.npy", np.arange(12 * 8 * 8, dtype="u2").reshape(12, 8, 8))
    emdvc("add", tmp_path / "frames.npy", "--set", "beam.energy=200keV", cwd=project)
    pointer = (project / "raw" / "frames.npy.dvc").read_bytes()
    emdvc("add", "raw/frames.npy", "--scan-shape", "3x4", cwd=project)
    sidecar = sidecars.read(project / "raw" / "frames.npy")
    assert sidecar.variables[sidecar.main].shape == (3, 4, 8, 8)
    assert sidecar.record["beam"]["energy"]["value"] == 200
    assert sidecar.record["scan"]["shape"] == [3, 4]
    assert (project / "raw" / "frames.npy.dvc").read_bytes() == pointer


def test_destinations(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "scan.npy")
    (project / "raw" / "monday").mkdir()
    emdvc("add", source, "raw/monday", cwd=project)
    emdvc("add", source, "raw/renamed.npy", cwd=project)
    emdvc("add", source, "new folder/", cwd=project)
    for place in ("raw/monday/scan.npy", "raw/renamed.npy", "new folder/scan.npy"):
        assert (project / place).read_bytes() == source.read_bytes()
        assert sidecars.path_of(project / place).is_file()
    assert "outside the project" in emdvc("add", source, tmp_path / "elsewhere" / "x.npy", cwd=project, status=2).stderr


def test_a_name_with_spaces_and_umlauts(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "Prüfling 1 @200kV.npy")
    emdvc("add", source, cwd=project)
    assert (project / "raw" / source.name).read_bytes() == source.read_bytes()
    assert "Prüfling 1 @200kV.npy.dvc" in git("-c", "core.quotepath=off", "ls-files", "raw", cwd=project)


def test_a_file_in_the_project_is_taken_in_place(project: Path, emdvc: Emdvc) -> None:
    raw = scan(project / "raw" / "scan.npy")
    inode = raw.stat().st_ino
    emdvc("add", "raw/scan.npy", cwd=project)
    assert raw.stat().st_ino == inode or sys.platform == "win32"
    assert not stat.S_IMODE(raw.stat().st_mode) & 0o222


def test_a_set_is_one_unit(project: Path, tmp_path: Path, emdvc: Emdvc, realdata: Path) -> None:
    done = emdvc("add", realdata / "tilt_HAADF.mrc", cwd=project)
    assert "belong together" in done.stdout
    folder = project / "raw" / "tilt_HAADF"
    assert sorted(path.name for path in folder.iterdir()) == ["tilt_HAADF.mrc", "tilt_HAADF.rawtlt"]
    assert (folder.with_name("tilt_HAADF.dvc")).is_file()
    entry = sidecars.read(folder).source["files"][0]
    assert entry["files"] == 2
    from emdvc.formats.digest import tree_sha256

    assert entry["sha256"] == tree_sha256(folder)["sha256"]
    before = state(project)
    for again in (realdata / "tilt_HAADF.mrc", "raw/tilt_HAADF", "raw/tilt_HAADF/tilt_HAADF.mrc"):
        assert emdvc("add", again, cwd=project).stdout.startswith("unchanged"), again
    assert state(project) == before


def test_a_set_in_the_project_is_moved_into_its_directory(project: Path, emdvc: Emdvc, realdata: Path) -> None:
    for name in ("tilt_HAADF.mrc", "tilt_HAADF.rawtlt"):
        (project / "raw" / name).write_bytes((realdata / name).read_bytes())
    assert "moved" in emdvc("add", "raw/tilt_HAADF.mrc", cwd=project).stdout
    assert not (project / "raw" / "tilt_HAADF.mrc").exists()
    assert (project / "raw" / "tilt_HAADF" / "tilt_HAADF.rawtlt").is_file()


def test_a_store_is_copied_as_a_directory(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    import zarr

    store = tmp_path / "scan.zarr"
    group = zarr.create_group(store=store, zarr_format=3)
    dims = ["y", "x", "ky", "kx"]
    array = group.create_array("counts", shape=(4, 4, 8, 8), chunks=(2, 2, 8, 8), dtype="u2", dimension_names=dims)
    array[...] = np.arange(4 * 4 * 64).reshape(4, 4, 8, 8)
    emdvc("add", store, cwd=project)
    copied = project / "raw" / "scan.zarr"
    assert {path.relative_to(store): path.read_bytes() for path in store.rglob("*") if path.is_file()} == {
        path.relative_to(copied): path.read_bytes() for path in copied.rglob("*") if path.is_file()
    }
    assert emdvc("add", store, cwd=project).stdout.startswith("unchanged")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["absent.npy"], "EM-NOT-FOUND"),
        (["scan.npy", "--set", "beam.enrgy=200keV"], "EM-METADATA-KEY"),
        (["scan.npy", "--set", "beam.energy=200nm"], "EM-METADATA-UNIT"),
        (["scan.npy", "--set", "beam.energy"], "EM-USAGE"),
        (["scan.npy", "--scan-shape", "3x3"], "EM-SCAN-SHAPE"),
        (["scan.npy", "--set", "axes.kx.scale=2nm"], "EM-METADATA-KEY"),
        (["broken.npy"], "EM-FORMAT-BROKEN"),
        (["notes.txt"], "EM-FORMAT-UNKNOWN"),
    ],
)
def test_what_cannot_be_added_leaves_no_trace(
    project: Path, tmp_path: Path, emdvc: Emdvc, arguments: list[str], code: str
) -> None:
    scan(tmp_path / "scan.npy")
    whole = scan(tmp_path / "broken.npy").read_bytes()
    (tmp_path / "broken.npy").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("nothing to see")
    before = state(project)
    done = emdvc("add", tmp_path / arguments[0], *arguments[1:], cwd=project, status=2)
    assert code in done.stderr
    assert "Traceback" not in done.stderr
    assert state(project) == before


def test_outside_a_project(tmp_path: Path, emdvc: Emdvc) -> None:
    scan(tmp_path / "scan.npy")
    assert "emdvc init" in emdvc("add", "scan.npy", cwd=tmp_path, status=2).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_a_full_disk_leaves_no_trace(project: Path, tmp_path: Path) -> None:
    import resource

    source = scan(tmp_path / "scan.npy", shape=(16, 16, 64, 64))
    before = state(project)

    def limit() -> None:  # no file may grow beyond half of the scan: the copy fails in its middle as on a full disk
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (source.stat().st_size // 2,) * 2)

    done = subprocess.run(
        [sys.executable, "-m", "emdvc", "add", str(source)],
        cwd=project, capture_output=True, text=True, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert state(project) == before
    assert not list(project.rglob("*.partial"))


def test_a_failing_dvc_is_undone(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    source = scan(tmp_path / "scan.npy")
    cache = project / ".dvc" / "cache"
    cache.write_text("a file where DVC needs a folder")
    before = state(project)
    done = emdvc("add", source, cwd=project, status=None)
    assert done.returncode in (2, 70)
    assert state(project) == before
    cache.unlink()
    emdvc("add", source, cwd=project)


def test_only_one_writer_at_a_time(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    from emdvc.history.lock import writing
    from emdvc.history.project import Project

    with writing(Project.find(project), "a long copy"):
        done = emdvc("add", scan(tmp_path / "scan.npy"), cwd=project, status=2)
    assert "EM-BUSY" in done.stderr
    assert "a long copy" in done.stderr
    assert str(os.getpid()) in done.stderr
    emdvc("add", tmp_path / "scan.npy", cwd=project)
