"""`emdvc diff` on real projects: why results changed, where bytes come from, and what it writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from command_line import Emdvc

import emdvc as package
from emdvc.compare.verdict import Verdict

STEP = '''import emdvc


@emdvc.step(core=("ky", "kx"), outputs={"halo": "counts"})
def halo(frame, calibration: emdvc.Calibration, inner: emdvc.Radius = "20mrad"):
    """Counts beyond a radius."""
    return frame[calibration.mask(inner)].sum()
'''


def run(*command: object, cwd: Path) -> None:
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, capture_output=True)


def commit(project: Path, message: str) -> None:
    run("git", "add", "-A", cwd=project)
    run("git", "commit", "-q", "-m", message, cwd=project)


def repro(project: Path) -> None:
    run(sys.executable, "-m", "dvc", "repro", "-q", cwd=project)


def write_scan(path: Path, seed: int = 1) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    values = np.random.default_rng(seed).poisson(3, (6, 6, 16, 16)).astype("u2")
    array = zarr.create_group(path, zarr_format=3).create_array(
        "counts", shape=values.shape, dtype="u2", chunks=(2, 3, 16, 16), dimension_names=("y", "x", "ky", "kx"),
        chunk_key_encoding={"name": "v2", "separator": "."},
    )  # fmt: skip
    array[...] = values
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Return a folder with a project: a scan and three stages that ran, committed and pushed to the folder beside."""
    top = tmp_path_factory.mktemp("made")
    emdvc, project = Emdvc(top), top / "project"
    emdvc("init", project, "--remote", f"lab={top / 'store'}")
    emdvc("add", write_scan(top / "scan.zarr"), "--set", "beam.energy=200keV", "--set",
          "diffraction.pixel_size=2mrad", "--set", "diffraction.center=8,8px", cwd=project)  # fmt: skip
    emdvc("stage", "add", "virtual_detector", "-d", "raw/scan.zarr", "-o", "results/bf.zarr", "--set", "outer=9mrad",
          cwd=project)  # fmt: skip
    emdvc("stage", "add", "sum_pattern", "-d", "raw/scan.zarr", "-o", "results/sum.zarr", cwd=project)
    emdvc("stage", "add", "radial_profile", "-d", "results/sum.zarr", "-o", "results/profile.zarr", cwd=project)
    repro(project)
    emdvc("save", "-m", "first", cwd=project)
    return top


@pytest.fixture
def history(made: Path, tmp_path: Path) -> Path:
    """Return a copy of that project, with a remote of its own."""
    for name in ("project", "store", "scan.zarr"):
        shutil.copytree(made / name, tmp_path / name)
    config = tmp_path / "project" / ".dvc" / "config"
    config.write_text(config.read_text().replace(made.as_posix(), tmp_path.as_posix()))
    assert str(tmp_path) in config.read_text()
    return tmp_path / "project"


def answer(emdvc: Emdvc, project: Path, *arguments: object) -> dict[str, dict[str, Any]]:
    found = json.loads(emdvc("diff", "--json", *arguments, cwd=project).stdout)
    assert (found["schema"], found["version"]) == ("emdvc/diff", 2)
    return {dataset["path"]: dataset for dataset in found["datasets"]}


def test_why_results_changed(history: Path, emdvc: Emdvc) -> None:
    # a parameter, with the unit spelt anew beside it
    params = history / "params.yaml"
    params.write_text(params.read_text().replace("9mrad", "11 mrad").replace("9 mrad", "11 mrad"))
    repro(history)
    found = answer(emdvc, history)
    assert list(found) == ["results/bf.zarr"]
    (cause,) = found["results/bf.zarr"]["causes"]
    assert (cause["kind"], cause["key"]) == ("parameter", "bf.outer")
    assert found["results/bf.zarr"]["verdict"] == "values"
    commit(history, "wider")

    # a key of the record that the stage declares
    emdvc("add", "raw/scan.zarr", "--set", "diffraction.pixel_size=1.5mrad", "--set", "operator=Knoll", cwd=history)
    repro(history)
    found = answer(emdvc, history)
    assert found["raw/scan.zarr"]["verdict"] == "calibration"
    (cause,) = found["results/bf.zarr"]["causes"]
    assert (cause["kind"], cause["where"], cause["key"]) == ("metadata", "raw/scan.zarr", "diffraction.pixel_size")
    assert "results/sum.zarr" not in {path for path, one in found.items() if one["values"]}
    commit(history, "calibrated")

    # other raw data: the result of a result tells through which stage
    write_scan(history.parent / "scan.zarr", seed=2)
    emdvc("add", history.parent / "scan.zarr", "--replace", "the right scan", cwd=history)
    repro(history)
    found = answer(emdvc, history)
    (cause,) = found["results/profile.zarr"]["causes"]
    assert (cause["kind"], cause["where"], cause["through"]) == ("input", "raw/scan.zarr", ["sum"])
    assert found["raw/scan.zarr"]["values"][0]["verdict"] == "noise-equivalent"
    assert "raw/scan.zarr" in emdvc("diff", cwd=history).stdout
    commit(history, "another scan")
    assert list(answer(emdvc, history, "HEAD~3", "HEAD~2")) == ["results/bf.zarr"]


def test_a_line_of_a_script_of_ones_own(history: Path, emdvc: Emdvc) -> None:
    step = history / "scripts" / "halo.py"
    step.write_text(STEP)
    emdvc("stage", "add", "scripts/halo.py", "-d", "raw/scan.zarr", "-o", "results/halo.zarr", "--set", "inner=4mrad",
          cwd=history)  # fmt: skip
    repro(history)
    commit(history, "a step of our own")
    step.write_text(STEP.replace("return frame", "return 2 * frame"))
    repro(history)
    (cause,) = answer(emdvc, history)["results/halo.zarr"]["causes"]
    assert (cause["kind"], cause["where"], cause["line"]) == ("script", "scripts/halo.py", 7)
    assert "2 * frame" in cause["after"] and "2 * frame" not in cause["before"]


def test_another_version_of_a_step(history: Path, emdvc: Emdvc) -> None:
    # what a future release would bring: dvc.lock and the sidecar of a result of version 2
    for file in ("dvc.lock", ".emdvc/steps.yaml"):
        path = history / file
        assert "sum_pattern: 1" in path.read_text()
        path.write_text(path.read_text().replace("sum_pattern: 1", "sum_pattern: 2"))
    store = zarr.open_group(history / "results" / "sum.zarr", mode="r+")
    array = store["sum"]
    assert isinstance(array, zarr.Array)
    array[...] = np.asarray(array[...]) + 1
    sidecar = history / "results" / "sum.zarr.em.yaml"
    text = sidecar.read_text()
    digest = next(line for line in text.splitlines() if "digest: sha256-units" in line)
    sidecar.write_text(text.replace(digest, digest[:-4] + "0000", 1).replace("\n  version: 1", "\n  version: 2"))
    run(sys.executable, "-m", "dvc", "commit", "-q", "-f", "sum", cwd=history)
    found = answer(emdvc, history)["results/sum.zarr"]
    assert found["causes"][0]["kind"] == "step version"
    assert (found["causes"][0]["before"], found["causes"][0]["after"]) == (1, 2)
    assert found["values"][0]["mean"] == 1.0


def test_without_data_here_only_what_differs_is_fetched(history: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    array = zarr.open_group(tmp_path / "scan.zarr", mode="r+")["counts"]
    assert isinstance(array, zarr.Array)
    array[5, 5, 0, 0] = 77
    emdvc("add", tmp_path / "scan.zarr", "--replace", "one pixel", cwd=history)
    emdvc("save", "-m", "second", cwd=history)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", history, clone, cwd=tmp_path)
    found = answer(emdvc, clone, "HEAD~1", "HEAD", "--", "raw")["raw/scan.zarr"]["values"][0]
    assert (found["positions"], found["chunks"], found["chunks_of"]) == (1, 1, 6)
    objects = [path for path in (clone / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    assert len(objects) == 2 + 2 + 2, "two lists, the store's metadata, one chunk of each revision"
    assert all(path.stat().st_mode & 0o222 == 0 for path in objects), "read-only, as DVC keeps them"
    # what was fetched stays, and DVC is content with it
    run(sys.executable, "-m", "dvc", "pull", "-q", "raw/scan.zarr.dvc", cwd=clone)
    assert not list((clone / ".dvc/tmp/emdvc/look").iterdir())

    # nothing of the data is anywhere: what the sidecars tell is told, and why the numbers were not compared
    shutil.rmtree(clone)
    run("git", "clone", "-q", history, clone, cwd=tmp_path)
    shutil.move(tmp_path / "store", tmp_path / "gone")
    lonely = answer(emdvc, clone, "HEAD~1", "HEAD", "--", "raw")["raw/scan.zarr"]
    assert lonely["verdict"] == "values" and lonely["values"] == []
    assert "neither in the cache nor on the remote" in lonely["unread"]
    assert "the numbers were not compared" in emdvc("diff", "HEAD~1", "HEAD", cwd=clone).stdout


def test_a_corrupt_object_is_not_compared(history: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.zarr", seed=5)
    emdvc("add", tmp_path / "scan.zarr", "--replace", "again", cwd=history)
    emdvc("save", "-m", "second", cwd=history)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", history, clone, cwd=tmp_path)
    for path in (tmp_path / "store").rglob("*"):
        if path.is_file() and not path.name.endswith(".dir") and b"zarr_format" not in path.read_bytes():
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-1] + b"\0")
    found = answer(emdvc, clone, "HEAD~1", "HEAD", "--", "raw")["raw/scan.zarr"]
    assert "corrupt" in found["unread"] and found["values"] == []

    # also where the list of a directory's files, in the cache, is none any more
    pointer = (history / "raw" / "scan.zarr.dvc").read_text()
    md5 = next(line.split()[-1] for line in pointer.splitlines() if line.endswith(".dir"))
    listed = history / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    listed.chmod(0o644)
    listed.write_text("{}")
    found = answer(emdvc, history, "HEAD~1", "HEAD", "--", "raw")["raw/scan.zarr"]
    assert "the list of the files of raw/scan.zarr@HEAD is corrupt" in found["unread"]


@pytest.mark.server
def test_from_an_s3_remote(tmp_path: Path, emdvc: Emdvc, s3_remote: str) -> None:
    project = tmp_path / "project"
    emdvc("init", project, "--remote", f"lab={s3_remote}")
    emdvc("add", write_scan(tmp_path / "scan.zarr"), cwd=project)
    emdvc("save", "-m", "first", cwd=project)
    write_scan(tmp_path / "scan.zarr", seed=2)
    emdvc("add", tmp_path / "scan.zarr", "--replace", "again", cwd=project)
    emdvc("save", "-m", "second", cwd=project)
    clone = tmp_path / "clone"
    run("git", "clone", "-q", project, clone, cwd=tmp_path)
    found = answer(emdvc, clone, "HEAD~1", "HEAD")["raw/scan.zarr"]
    assert found["verdict"] == "noise-equivalent" and found["values"][0]["positions"] == 36


def test_everything_that_it_writes(history: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.zarr", seed=3)
    emdvc("add", tmp_path / "scan.zarr", "--replace", "again", cwd=history)
    page, folder = tmp_path / "out" / "page.html", tmp_path / "pictures"
    done = emdvc("diff", "--html", page, "--pictures", folder, "--exit-code", cwd=history, status=1)
    assert "raw/scan.zarr  noise-equivalent" in done.stdout and "wrote" in done.stderr
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    pictures = list(folder.glob("*.png"))
    assert len(pictures) >= 3 and all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    markdown = emdvc("diff", "--markdown", cwd=history).stdout
    assert "raw/scan.zarr" in markdown and "| " in markdown
    assert emdvc("diff", "--no-values", "--stat", cwd=history).stdout.split()[:2] == ["raw/scan.zarr", "values"]


def test_two_files_one_of_them_elsewhere(history: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    other = write_scan(tmp_path / "elsewhere" / "scan.zarr")
    done = emdvc("diff", "raw/scan.zarr", other, "--stat", cwd=history)
    assert done.stdout.split()[1] == "calibration", "its record was completed here"
    zarr.open_group(other, mode="r+")["counts"][0, 0] = 0  # type: ignore[index]
    assert emdvc("diff", "raw/scan.zarr", other, "--stat", cwd=history).stdout.split()[1] == "values"


def test_another_repository(history: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    run("git", "clone", "-q", history, theirs, cwd=tmp_path)
    emdvc("add", "raw/scan.zarr", "--set", "scan.step=1nm", cwd=history)
    commit(history, "step")
    for url in (theirs, theirs.as_uri()):
        found = answer(emdvc, history, "--repo", url)
        assert found["raw/scan.zarr"]["verdict"] == "calibration"
        assert found["raw/scan.zarr"]["record"][0]["key"] == "scan.step"
    done = emdvc("diff", "--repo", theirs, "HEAD", "HEAD", cwd=history, status=2)
    assert "must stand before --" in done.stderr and "HEAD HEAD --" in done.stderr
    emdvc("diff", "--repo", theirs, "HEAD", "HEAD", "--", cwd=history)
    assert "error[" in emdvc("diff", "--repo", tmp_path / "nothing", cwd=history, status=2).stderr


def test_settings_of_the_project(history: Path, emdvc: Emdvc) -> None:
    config = history / ".emdvc" / "config.yaml"
    config.write_text("version: 1\ncompare:\n  volatile: [operator]\n")
    emdvc("add", "raw/scan.zarr", "--set", "operator=Knoll", cwd=history)
    assert answer(emdvc, history) == {}
    config.write_text("version: 1\ncompare:\n  tolerances: {}\n")
    done = emdvc("diff", cwd=history, status=2)
    assert "compare: tolerances" in done.stderr and "volatile, tolerance" in done.stderr
    config.write_text("version: 1\ncompare:\n  tolerance: {'*': {rtol: -1}}\n")
    assert "none may be negative" in emdvc("diff", cwd=history, status=2).stderr


def test_in_python(history: Path, emdvc: Emdvc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_scan(tmp_path / "scan.zarr", seed=3)
    emdvc("add", tmp_path / "scan.zarr", "--replace", "again", cwd=history)
    monkeypatch.chdir(history)
    found = package.diff()
    assert found and found.verdict is Verdict.NOISE_EQUIVALENT
    assert found.to_dict()["datasets"][0]["path"] == "raw/scan.zarr"
    assert found.datasets == package.diff("HEAD", None, ["raw"]).datasets
    assert "raw/scan.zarr" in str(found)
    shown = found._repr_html_()
    assert shown.startswith("<iframe") and "&lt;!doctype html&gt;" in shown and "<script" not in shown
    assert not package.diff("HEAD", "HEAD")
    assert package.diff("raw/scan.zarr@HEAD", "raw/scan.zarr").verdict is Verdict.NOISE_EQUIVALENT
    with pytest.raises(AttributeError):
        found.before = "x"  # type: ignore[misc]


def test_files_without_a_sidecar(history: Path, emdvc: Emdvc) -> None:
    """What a script of the project's own wrote: numbers where a reader knows the file, else that its bytes differ."""
    script = history / "scripts" / "table.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "value = 1\n"
        "Path('results/table.txt').write_text(f'{value}\\n')\n"
        "np.save('results/table.npy', np.arange(12.0).reshape(3, 4) * value)\n"
    )
    run(
        sys.executable, "-m", "dvc", "stage", "add", "-q", "-n", "table", "-d", "scripts/table.py",
        "-o", "results/table.txt", "-o", "results/table.npy", "python scripts/table.py", cwd=history,
    )  # fmt: skip
    repro(history)
    commit(history, "a table")
    script.write_text(script.read_text().replace("value = 1", "value = 2"))
    repro(history)
    found = answer(emdvc, history)
    assert list(found) == ["results/table.npy", "results/table.txt"]
    text, numbers = found["results/table.txt"], found["results/table.npy"]
    assert text["verdict"] == numbers["verdict"] == "values"
    assert (numbers["values"][0]["differing"], numbers["values"][0]["largest"]) == (11, 11.0)
    assert text["values"] == [] and text["unread"]
    assert [cause["line"] for cause in text["causes"]] == [4]
    assert "results/table.txt  values" in " ".join(emdvc("diff", "--stat", cwd=history).stdout.split(" "))
