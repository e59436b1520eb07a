"""Changes planted in a real project, run by ``dvc repro`` and committed: each result names what changed it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from command_line import Emdvc
from own_machine import own_machine

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.causes.search import causes
from emdvc.history.project import Project
from emdvc.history.snapshot import Snapshot
from emdvc.model.quantity import Quantity

pytestmark = pytest.mark.slow

TOTAL = """\
import json
import sys
import zarr
total = int(zarr.open_group(sys.argv[1])["image"][...].sum())
json.dump({"total": total * 1}, open(sys.argv[2], "w"))
"""
NOISE = "import os\nopen('results/noise.bin', 'wb').write(os.urandom(16))\n"
STAGES = """\
  total:
    cmd: python scripts/total.py results/px.zarr results/total.json
    deps: [results/px.zarr, scripts/total.py]
    outs: [results/total.json]
  noise:
    cmd: python scripts/noise.py
    deps: [scripts/noise.py]
    outs: [results/noise.bin]
"""
PART = """\
stages:
  size:
    cmd: python size.py
    deps: [size.py, ../raw/scan.npy]
    outs: [size.txt]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a project whose commits each plant changes: see the tests."""
    folder = tmp_path_factory.mktemp("causes")
    with own_machine(folder):
        yield _made(folder)


def _made(folder: Path) -> Path:
    emdvc, root = Emdvc(folder), folder / "project"
    emdvc("init", root)
    _scan(folder / "scan.npy", seed=1)
    emdvc("add", folder / "scan.npy", "--set", "beam.energy=200keV", "--set", "diffraction.pixel_size=0.05/angstrom",
          "--set", "diffraction.center=8,8px", cwd=root)  # fmt: skip
    raw = ("-d", "raw/scan.npy", "-o")
    emdvc("stage", "add", "virtual_detector", *raw, "results/px.zarr", "--set", "outer=4px", cwd=root)
    emdvc("stage", "add", "sum_pattern", *raw, "results/sum.zarr", cwd=root)
    emdvc("stage", "add", "radial_profile", "-d", "results/sum.zarr", "-o", "results/profile.zarr",
          "--set", "unit=1/angstrom", cwd=root)  # fmt: skip
    recipe = ("bright.step=virtual_detector", "bright.outer=4px", "com.step=center_of_mass", "dpc.step=dpc",
              "dpc.source=com", "dpc.rotation=10deg", "dpc.flip=no")  # fmt: skip
    emdvc("stage", "add", "recipe", *raw, "results/all", "--name", "all",
          *(word for one in recipe for word in ("--set", one)), cwd=root)  # fmt: skip
    with (root / "dvc.yaml").open("a", encoding="utf-8") as file:
        file.write(STAGES)
    _write(root, {"scripts/total.py": TOTAL, "scripts/noise.py": NOISE, "part/dvc.yaml": PART})
    _write(root, {"part/size.py": "import os\nopen('size.txt', 'w').write(str(os.stat('../raw/scan.npy').st_size))\n"})
    by_hand = ("run", "virtual_detector", "raw/scan.npy", "by_hand.zarr", "--set")
    emdvc(*by_hand, "outer=3px", cwd=root)
    _commit(root, "first")

    # a parameter of one stage and of one ingredient, a metadata key, a line of a script
    _replace(root / "params.yaml", "px:\n  outer: 4px", "px:\n  outer: 5 px")
    _replace(root / "params.yaml", "    outer: 4px", "    outer: 6px")
    _replace(root / "scripts" / "total.py", "total * 1", "total * 2")
    emdvc("add", "raw/scan.npy", "--set", "diffraction.pixel_size=0.055/angstrom", cwd=root)
    emdvc(*by_hand, "outer=4px", cwd=root)
    _commit(root, "keys")

    # the same parameter in another spelling, another command
    _replace(root / "params.yaml", "px:\n  outer: 5 px", "px:\n  outer: 5px")
    _replace(root / "dvc.yaml", "results/total.json\n    deps", "results/total.json --quietly\n    deps")
    _commit(root, "spelling")

    # other raw data, and a stage that is not the same twice
    _scan(folder / "scan.npy", seed=2)
    emdvc("add", folder / "scan.npy", "--replace", "another sample", cwd=root)
    _commit(root, "raw", "--force", "noise")
    return root


def _scan(path: Path, seed: int) -> None:
    np.save(path, np.random.default_rng(seed).poisson(3, (3, 4, 16, 16)).astype("u2"))


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def _commit(root: Path, message: str, *forced: str) -> None:
    if forced:
        subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", *forced], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q", "-R", "."], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    subprocess.run(["git", "commit", "-q", "-m", message], cwd=root, check=True)


def why(root: Path, path: str, old: str, new: str) -> tuple[Cause, ...]:
    found = Project.find(root)
    with Snapshot(found, old) as before, Snapshot(found, new) as after:
        return causes(before, after, PurePosixPath(path))


FIRST, KEYS, SPELLING, RAW = "HEAD~3", "HEAD~2", "HEAD~1", "HEAD"
OUTER = Cause(CauseKind.PARAMETER, "params.yaml", "px.outer", Quantity(4, "px"), Quantity(5, "px"))
PIXEL_SIZE = ("diffraction.pixel_size", "raw/scan.npy")


def test_a_parameter(project: Path) -> None:
    assert why(project, "results/px.zarr", FIRST, KEYS) == (OUTER,)


def test_a_line_of_a_script_and_through_a_stage_the_parameter(project: Path) -> None:
    script, parameter = why(project, "results/total.json", FIRST, KEYS)
    assert (script.kind, script.where, script.line, script.lines) == (CauseKind.SCRIPT, "scripts/total.py", 5, 1)
    assert script.before == TOTAL.splitlines()[4] and "total * 2" in script.after
    assert (parameter.key, parameter.before, parameter.after) == (OUTER.key, OUTER.before, OUTER.after)
    assert parameter.through == ("px",)


def test_a_metadata_key(project: Path) -> None:
    (cause,) = why(project, "results/profile.zarr", FIRST, KEYS)
    assert (cause.kind, cause.key, cause.where) == (CauseKind.METADATA, *PIXEL_SIZE)
    assert isinstance(cause.after, Quantity) and cause.after.same(Quantity(0.055, "1/angstrom"))


def test_each_result_of_a_recipe_has_its_own_causes(project: Path) -> None:
    assert [cause.key for cause in why(project, "results/all/bright.zarr", FIRST, KEYS)] == ["all.bright.outer"]
    assert [cause.key for cause in why(project, "results/all/com.zarr", FIRST, KEYS)] == [PIXEL_SIZE[0]]
    assert why(project, "results/all/dpc.zarr", FIRST, KEYS) == (), "computed anew, and the same"


def test_what_did_not_change_has_no_causes(project: Path) -> None:
    for path in ("results/sum.zarr", "part/size.txt", "raw/scan.npy"):
        assert why(project, path, FIRST, KEYS) == ()


def test_a_result_that_was_computed_by_hand(project: Path) -> None:
    (cause,) = why(project, "by_hand.zarr", FIRST, KEYS)
    assert (cause.kind, cause.where, cause.key) == (CauseKind.PARAMETER, "virtual_detector", "outer")
    assert (cause.before, cause.after) == (Quantity(3, "px"), Quantity(4, "px"))


def test_another_spelling_and_another_command(project: Path) -> None:
    assert why(project, "results/px.zarr", KEYS, SPELLING) == (), "5 px is 5px: the same bytes"
    assert why(project, "results/total.json", KEYS, SPELLING) == (), "the command changed, the result did not"
    found = why(project, "results/total.json", FIRST, SPELLING)
    assert [cause.kind for cause in found] == [CauseKind.SCRIPT, CauseKind.COMMAND, CauseKind.PARAMETER]


def test_raw_data_that_was_replaced(project: Path) -> None:
    raw = Cause(CauseKind.INPUT, "raw/scan.npy", after="values")
    assert why(project, "results/sum.zarr", SPELLING, RAW) == (raw,)
    (cause,) = why(project, "results/profile.zarr", SPELLING, RAW)
    assert (cause.where, cause.through) == ("raw/scan.npy", ("sum",))
    (cause,) = why(project, "results/total.json", SPELLING, RAW)
    assert (cause.where, cause.through) == ("raw/scan.npy", ("px",))


def test_a_stage_that_is_not_the_same_twice(project: Path) -> None:
    assert why(project, "results/noise.bin", SPELLING, RAW) == (Cause(CauseKind.NONE, "results/noise.bin"),)
