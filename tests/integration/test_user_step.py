"""A user's own step in a real project: a stage like any other, rerun when its script changes, by plain `dvc repro`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

HALO = '''\
import numpy as np
from shapes import beyond

import emdvc


@emdvc.step(core=("ky", "kx"), outputs={"halo": "counts", "mean": "counts"})
def halo(frame, calibration: emdvc.Calibration, inner: emdvc.Radius = "4px"):
    """Counts beyond a radius."""
    total = beyond(frame, calibration, inner)
    return {"halo": total, "mean": emdvc.Sum(np.sqrt(frame))}
'''
SHAPES = "def beyond(frame, calibration, inner):\n    return frame[calibration.mask(inner)].sum()\n"

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def project(project: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    """Return a project with a scan, a script with a step, and a module that the script imports."""
    np.save(tmp_path / "scan.npy", np.random.default_rng(1).poisson(3, (6, 7, 16, 16)).astype("u2"))
    emdvc("add", tmp_path / "scan.npy", "--set", "beam.energy=200keV", cwd=project)
    (project / "scripts" / "halo.py").write_text(HALO, encoding="utf-8")
    (project / "scripts" / "shapes.py").write_text(SHAPES, encoding="utf-8")
    return project


def repro(project: Path, status: int = 0) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=project, capture_output=True, text=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == (status == 0), done.stdout + done.stderr
    return done


def stage(project: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((project / "dvc.yaml").read_text())["stages"][name]
    return found


def add(emdvc: Emdvc, project: Path, *settings: str) -> Done:
    return emdvc("stage", "add", "scripts/halo.py::halo", "-d", "raw/scan.npy", "-o", "results/halo.zarr",
                 *(part for text in settings for part in ("--set", text)), cwd=project)  # fmt: skip


def test_the_script_is_a_dependency_and_needs_no_version(project: Path, emdvc: Emdvc) -> None:
    said = add(emdvc, project, "inner=4mrad").stdout
    assert "the data, scripts/halo.py, scripts/shapes.py" in said
    assert (
        (project / "dvc.yaml").read_text()
        == """\
stages:
  halo:
    cmd: emdvc run scripts/halo.py::halo raw/scan.npy results/halo.zarr
    deps: [raw/scan.npy, scripts/halo.py, scripts/shapes.py]
    params:
      - halo
      - raw/scan.npy.em.yaml: [beam.energy, diffraction]
    outs: [results/halo.zarr]
    metrics: [{results/halo.zarr.em.yaml: {cache: false}}]
    plots: [{results/halo.png: {cache: false}}]
"""
    )
    assert "halo" not in (project / ".emdvc" / "steps.yaml").read_text()
    assert emdvc("stage", "update", cwd=project).stdout == "halo: up to date\n"


def test_what_changes_it_and_what_does_not(project: Path, emdvc: Emdvc) -> None:
    add(emdvc, project, "inner=4px")
    assert "Running stage 'halo'" in repro(project).stdout
    assert "didn't change" in repro(project).stdout
    emdvc("add", "raw/scan.npy", "--set", "operator=Knoll", "--set", "beam.energy=300keV", cwd=project)
    assert "Stage 'halo' didn't change" in repro(project).stdout  # a radius in pixels needs neither
    before = YAML(typ="safe").load((project / "results" / "halo.zarr.em.yaml").read_text())
    script = project / "scripts" / "halo.py"
    script.write_text(HALO.replace('"halo": total,', '"halo": 2 * total,'))
    assert "halo  because scripts/halo.py changed" in emdvc("status", cwd=project).stdout
    assert "Running stage 'halo'" in repro(project).stdout
    after = YAML(typ="safe").load((project / "results" / "halo.zarr.em.yaml").read_text())
    assert after["statistics"]["halo"]["sum"] == 2 * before["statistics"]["halo"]["sum"]
    (project / "scripts" / "shapes.py").write_text(SHAPES.replace("mask(inner)", "mask(None, inner)"))
    assert "Running stage 'halo'" in repro(project).stdout
    provenance = after["provenance"]
    assert provenance["step"] == "scripts/halo.py::halo"
    assert sorted(provenance["inputs"]) == ["raw/scan.npy", "scripts/halo.py", "scripts/shapes.py"]


def test_a_stage_that_does_not_declare_its_script_is_refused(project: Path, emdvc: Emdvc) -> None:
    add(emdvc, project)
    (project / "scripts" / "halo.py").write_text(HALO.replace("import numpy as np", "import far\nimport numpy as np"))
    (project / "scripts" / "far.py").write_text("")
    failed = repro(project, 1)
    assert "EM-STAGE-UNDECLARED" in failed.stderr
    assert "reads scripts/far.py but does not depend on it" in failed.stderr
    assert "depends on scripts/far.py" in emdvc("stage", "update", cwd=project).stdout
    assert stage(project, "halo")["deps"] == ["raw/scan.npy", "scripts/halo.py", "scripts/shapes.py", "scripts/far.py"]
    repro(project)


def test_an_error_shows_the_line_of_the_script(project: Path, emdvc: Emdvc) -> None:
    """Under `dvc repro` as anywhere: one cause, the script's lines, no traceback."""
    data = np.ones((3, 4, 16, 16), "u2")
    data[2, 1] = 0
    np.save(project.parent / "gap.npy", data)
    emdvc("add", "../gap.npy", cwd=project)
    text = HALO.replace("    return {", "    share = 1 / int(total)\n    return {")
    (project / "scripts" / "halo.py").write_text(text)
    emdvc("stage", "add", "scripts/halo.py", "-d", "raw/gap.npy", "-o", "results/halo.zarr", cwd=project)
    said = repro(project, 1).stderr
    assert (
        "error[EM-STEP-USER]: halo failed at y=2, x=1\n"
        "  scripts/halo.py:11 in halo: ZeroDivisionError: division by zero\n"
        "    share = 1 / int(total)\n"
    ) in said
    assert "Traceback" not in said
    assert not (project / "results" / "halo.zarr").exists()
    done = emdvc("run", "scripts/halo.py::halo", "raw/gap.npy", "results/halo.zarr", cwd=project, status=2)
    assert "y=2, x=1" in done.stderr
    (project / "scripts" / "halo.py").write_text(text + "def (:\n")
    done = emdvc("run", "scripts/halo.py::halo", "raw/gap.npy", "results/halo.zarr", cwd=project, status=2)
    assert "scripts/halo.py:13: invalid syntax\n    def (:" in done.stderr


def test_one_and_two_threads_write_the_same_bytes(project: Path, emdvc: Emdvc) -> None:
    written = []
    for threads in (1, 2):
        out = project / f"results/halo{threads}.zarr"
        emdvc("run", "scripts/halo.py", "raw/scan.npy", out, "--threads", threads, cwd=project)
        written.append({path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()})
    assert written[0] == written[1]
    assert any("halo" in str(path) for path in written[0])


def test_named_from_another_folder(project: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "halo.py", "-d", "../raw/scan.npy", "-o", "../results/halo.zarr", cwd=project / "scripts")
    assert stage(project, "halo")["cmd"] == "emdvc run scripts/halo.py::halo raw/scan.npy results/halo.zarr"
    outside = project.parent / "halo.py"
    outside.write_text(HALO.replace("from shapes import beyond\n", ""))
    done = emdvc("stage", "add", outside, "-d", "raw/scan.npy", "-o", "results/b.zarr", cwd=project, status=2)
    assert "lies outside the project" in done.stderr


def test_a_name_with_spaces(project: Path, emdvc: Emdvc) -> None:
    (project / "scripts" / "my halo.py").write_text(HALO)
    emdvc("stage", "add", "scripts/my halo.py", "-d", "raw/scan.npy", "-o", "results/halo.zarr", cwd=project)
    repro(project)
    assert emdvc("stage", "update", cwd=project).stdout == "halo: up to date\n"


def test_steps_are_listed_and_explained(project: Path, emdvc: Emdvc) -> None:
    (project / "scripts" / "broken.py").write_text("import nonesuch\n" + HALO)
    done = emdvc("steps", cwd=project)
    (listed,) = [line for line in done.stdout.splitlines() if line.startswith("scripts/")]
    assert listed.split(maxsplit=4) == ["scripts/halo.py::halo", "ky", "x", "kx", "Counts beyond a radius"]
    assert "scripts/broken.py:1: ModuleNotFoundError: No module named 'nonesuch'" in done.stderr
    explained = emdvc("steps", "scripts/halo.py", cwd=project).stdout
    assert "inner  (quantity in px, 1/angstrom or mrad, default 4px)" in explained
    plain = json.loads(emdvc("steps", "scripts/halo.py::halo", "--json", cwd=project).stdout)
    assert plain["step"]["name"] == "scripts/halo.py::halo"


# --- other datasets that a step reads ---------------------------------------------------------------------------------

DARK = '''\
import emdvc


@emdvc.step(core=("ky", "kx"), outputs="counts")
def bright(frame, dark: emdvc.DataPath):
    """Sum of what lies above the dark image."""
    return (frame.astype("i8") - dark).clip(0).sum()
'''


@pytest.fixture
def with_dark(project: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    for name, level in (("dark", 1), ("darker", 2)):
        np.save(tmp_path / f"{name}.npy", np.full((16, 16), level, "i4"))
        emdvc("add", tmp_path / f"{name}.npy", "--dims", "ky,kx", cwd=project)
    (project / "scripts" / "bright.py").write_text(DARK)
    return project


def test_the_datasets_that_a_step_reads_are_dependencies(with_dark: Path, emdvc: Emdvc) -> None:
    project = with_dark
    arguments = ("stage", "add", "scripts/bright.py", "-d", "raw/scan.npy", "-o", "results/bright.zarr", "--set")
    done = emdvc(*arguments, "dark=raw/dark_.npy", cwd=project, status=3)
    assert "raw/dark_.npy is neither recorded data nor the output of a stage" in done.stderr
    assert "did you mean raw/dark.npy?" in done.stderr
    assert not (project / "dvc.yaml").exists()
    emdvc(*arguments, "dark=../elsewhere.npy", cwd=project, status=2)
    emdvc(*arguments, "dark=raw/dark.npy", cwd=project)
    assert stage(project, "bright")["deps"] == ["raw/scan.npy", "scripts/bright.py", "raw/dark.npy"]
    repro(project)
    scan = np.load(project / "raw" / "scan.npy").astype("i8")
    sidecar = YAML(typ="safe").load((project / "results" / "bright.zarr.em.yaml").read_text())
    assert sidecar["statistics"]["bright"]["sum"] == (scan - 1).clip(0).sum()


def test_update_follows_the_datasets(with_dark: Path, emdvc: Emdvc) -> None:
    """Another dark image takes the place of the first; what a person declared stays."""
    project = with_dark
    emdvc("stage", "add", "scripts/bright.py", "-d", "raw/scan.npy", "-o", "results/bright.zarr",
          "--set", "dark=raw/dark.npy", cwd=project)  # fmt: skip
    pipeline = project / "dvc.yaml"
    (project / "notes.txt").write_text("mine\n")
    pipeline.write_text(pipeline.read_text().replace("raw/dark.npy]", "raw/dark.npy, notes.txt]"))
    repro(project)
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("raw/dark.npy", "raw/darker.npy"))
    assert "EM-STAGE-UNDECLARED" in repro(project, 1).stderr
    said = emdvc("stage", "update", cwd=project).stdout
    assert "depends on raw/darker.npy; no longer depends on raw/dark.npy" in said
    assert stage(project, "bright")["deps"] == ["raw/scan.npy", "scripts/bright.py", "notes.txt", "raw/darker.npy"]
    repro(project)
    params.write_text(params.read_text().replace("raw/darker.npy", "raw/darkest.npy"))
    assert "EM-NOT-FOUND" in emdvc("stage", "update", cwd=project, status=3).stderr


def test_in_a_recipe_with_steps_of_emdvc(project: Path, emdvc: Emdvc) -> None:
    """One pass, with the same bytes as on its own; the stage depends on the script, and on no version of it."""
    emdvc("stage", "add", "recipe", "-d", "raw/scan.npy", "-o", "results/look", "--set", "sum.step=sum_pattern",
          "--set", "halo.step=scripts/halo.py::halo", "--set", "halo.inner=5px", cwd=project)  # fmt: skip
    assert stage(project, "look")["deps"] == ["raw/scan.npy", "scripts/halo.py", "scripts/shapes.py"]
    assert YAML(typ="safe").load((project / ".emdvc" / "steps.yaml").read_text()) == {"sum_pattern": 1}
    repro(project)
    emdvc("run", "scripts/halo.py", "raw/scan.npy", "alone.zarr", "--set", "inner=5px", cwd=project)
    for name in ("halo", "mean"):
        stores = (project / "results" / "look" / "halo.zarr" / name, project / "alone.zarr" / name)
        files = [{path.name: path.read_bytes() for path in store.rglob("*") if path.is_file()} for store in stores]
        assert files[0] == files[1]
        assert len(files[0]) > 1


@pytest.mark.slow
def test_the_page_on_testing_tests_the_step_of_the_tutorial(project: Path) -> None:
    """Both pages hold what their readers paste: the last script of the one passes the tests of the other."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    block = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    *_, script = block.findall((docs / "tutorial" / "your-own-step.md").read_text(encoding="utf-8"))
    (test,) = block.findall((docs / "how-to" / "test-your-own-step.md").read_text(encoding="utf-8"))
    (project / "scripts" / "halo.py").write_text(script, encoding="utf-8")
    (project / "tests").mkdir()
    (project / "tests" / "test_halo.py").write_text(test, encoding="utf-8")

    def passes() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    done = passes()
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    (project / "scripts" / "halo.py").write_text(script.replace("beyond / frame", "2 * beyond / frame"))
    assert "2 failed" in passes().stdout
