"""Every measured file through the whole path: add, inspect, and each step that fits; by plain ``dvc repro``."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import Emdvc
from ruamel.yaml import YAML

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class File:
    """One measured file: how it is added, and what is known of it."""

    source: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    options: tuple[str, ...] = ()
    counts: int | None = None
    steps: tuple[str, ...] = ()
    stored: str | None = None
    allow: tuple[str, ...] = field(default=())


PATTERNS = ("sum_pattern", "virtual_image", "virtual_detector", "center_of_mass", "radial_profile")
SPECTRA = ("sum_spectrum", "energy_map")
SCAN = ("y", "x", "ky", "kx")

FILES = [
    File("fpd_merlin_2x2x256x256.hdf5::/fpd_expt/fpd_data/data", (2, 2, 256, 256), SCAN, (), 3288875, PATTERNS),
    File("merlin_4x2_6bit.mib", (2, 4, 256, 256), SCAN, (), 3_623_664, PATTERNS, "merlin_4x2_6bit"),
    File("astar_3x2x144x144.blo", (3, 2, 144, 144), SCAN, (), 5_164_570, PATTERNS),
    File(
        "ebsd_ni_3x3x60x60.h5::/Scan 1/EBSD/Data/patterns",
        (3, 3, 60, 60),
        SCAN,
        ("--scan-shape", "3x3"),
        None,
        PATTERNS,
    ),
    File("arina/test_00_master.h5", (4, 4, 192, 192), SCAN, (), 0, PATTERNS, "test_00"),
    File("au_xgrating_20cm.tif", (256, 256), ("ky", "kx"), ("--dims", "ky,kx"), None, PATTERNS),
    File("bi_polycryst.dm4", (256, 256), ("ky", "kx"), (), None, PATTERNS, allow=("--set", "negative=allow")),
    File("eels_si_49x6x1024.dm3", (49, 6, 1024), ("y", "x", "energy"), (), None, SPECTRA),
    File("SiO2_EDS_Spectrum_Image.hspy", (128, 128, 2048), ("y", "x", "energy"), (), 823_049, SPECTRA),
    File("SiO2_HAADF_Image.hspy", (128, 128), ("y", "x")),
    File("fei_SI_EDS-HAADF-4detectors_2frames.emd", (16, 16, 4096), ("y", "x", "energy"), (), None, SPECTRA),
    File("tilt_HAADF.mrc", (77, 256, 256), ("tilt", "y", "x"), stored="tilt_HAADF"),
    File("serialem_test_000.mrc", (2, 1024, 1024), ("frame", "y", "x"), stored="serialem_test"),
]


def settings(step: str, file: File) -> list[str]:
    """Return the parameters of a step for a file."""
    if step == "virtual_detector":
        return [
            "--set",
            "detectors.bf.outer=10px",
            "--set",
            "detectors.adf.inner=10px",
            "--set",
            "detectors.adf.outer=25px",
        ]
    if step == "energy_map":
        first, last = ("1700eV", "1800eV") if file.source.startswith(("SiO2", "fei")) else ("440eV", "480eV")
        return ["--set", f"windows.line.start={first}", "--set", f"windows.line.stop={last}"]
    return []


def dvc(*arguments: str, cwd: Path) -> str:
    """Run dvc and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dvc_in_turn(*lines: str, cwd: Path) -> list[str]:
    """Run command lines of dvc one after the other in one process, and return what each printed."""
    program = (
        "import sys; from dvc.cli import main\n"
        "for line in sys.argv[1:]:\n"
        "    status = main(line.split())\n"
        "    assert status == 0, status\n"
        "    print('<<<', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *lines],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout.split("<<<\n")[: len(lines)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.source.partition("::")[0])
def test_from_the_instruments_file_to_results(file: File, realdata: Path, project: Path, emdvc: Emdvc) -> None:
    name, _, inner = file.source.partition("::")
    before = hashlib.sha256((realdata / name).read_bytes()).hexdigest()
    source = f"{realdata / name}::{inner}" if inner else str(realdata / name)
    emdvc("add", source, *file.options, cwd=project)
    stored = project / "raw" / (file.stored or Path(name).name)
    described = json.loads(emdvc("inspect", stored, "--json", cwd=project).stdout)
    main = described["variables"][described["main"]]
    assert tuple(main["shape"]) == file.shape
    assert tuple(main["dims"]) == file.dims
    kept = stored / Path(name).name if stored.is_dir() else stored
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == before, "the raw bytes changed"
    assert not kept.stat().st_mode & 0o222, "the raw file can be written to"
    assert emdvc("add", source, *file.options, cwd=project).stdout.startswith("unchanged")
    for step in file.steps:
        data = stored.relative_to(project).as_posix()
        emdvc(
            "stage",
            "add",
            step,
            "-d",
            data,
            "-o",
            f"results/{step}.zarr",
            *settings(step, file),
            *file.allow,
            cwd=project,
        )
    if not file.steps:
        return
    ran, again, shown = dvc_in_turn("repro", "repro", "metrics show", cwd=project)
    assert ran.count("Running stage") == len(file.steps)
    assert "Running stage" not in again
    statistics = {
        step: YAML(typ="safe").load(project / f"results/{step}.zarr.em.yaml")["statistics"] for step in file.steps
    }
    if file.counts is not None:
        for step, variable in (("virtual_image", "image"), ("sum_pattern", "sum"), ("sum_spectrum", "sum")):
            if step in statistics:
                assert statistics[step][variable]["sum"] == file.counts
    for step in file.steps:
        assert (project / f"results/{step}.png").read_bytes().startswith(b"\x89PNG")
    assert "sum" in shown


@pytest.fixture(scope="module")
def astar_made(
    realdata: Path, new_project: Path, machine: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a committed project with a measured scan and a stage of each kind of dependency, to be copied."""
    project = shutil.copytree(new_project, tmp_path_factory.mktemp("astar") / "project", symlinks=True)
    emdvc = Emdvc(project)
    emdvc("add", realdata / "astar_3x2x144x144.blo", "raw/scan.blo", "--set", "diffraction.center=75,72px", cwd=project)
    for name, step, *more in [
        ("pixels", "virtual_detector", "--set", "outer=20px"),
        ("angles", "virtual_detector", "--set", "outer=5mrad"),
        ("rings", "radial_profile", "--set", "unit=1/angstrom"),
        ("total", "virtual_image"),
    ]:
        if step == "radial_profile":  # this camera is calibrated as an angle: give the pixel as a spatial frequency
            emdvc("add", "raw/scan.blo", "--set", "diffraction.pixel_size=0.032/angstrom", cwd=project)
        emdvc(
            "stage", "add", step, "-d", "raw/scan.blo", "-o", f"results/{name}.zarr", "--name", name, *more, cwd=project
        )
    dvc("repro", cwd=project)
    emdvc("save", "-m", "first results", "--no-push", cwd=project)
    return project


@pytest.fixture
def astar(astar_made: Path, tmp_path: Path) -> Path:
    """Return a committed project with a measured scan and a stage of each kind of dependency."""
    return shutil.copytree(astar_made, tmp_path / "project", symlinks=True)


def rerun(project: Path) -> set[str]:
    """Return the names of the stages that ``dvc repro`` runs."""
    return {line.split("'")[1] for line in dvc("repro", cwd=project).splitlines() if line.startswith("Running stage")}


def edit(project: Path, **changes: Any) -> None:
    """Change keys of the raw data's sidecar as a person does in an editor."""
    yaml = YAML()
    path = project / "raw" / "scan.blo.em.yaml"
    tree = yaml.load(path)
    for key, value in changes.items():
        node = tree
        *parents, last = key.split("__")
        for parent in parents:
            node = node[parent]
        node[last] = value
    yaml.dump(tree, path)


def test_only_what_must_be_recomputed_is(astar: Path, emdvc: Emdvc) -> None:
    """The operator's name reruns nothing; each calibration reruns exactly the stages whose parameters need it."""
    edit(astar, operator="Marton")
    assert "up to date" in dvc("status", cwd=astar)
    assert rerun(astar) == set()
    edit(astar, scan__step={"value": [10.0, 10.0], "unit": "nm", "origin": "user"})
    assert rerun(astar) == set()
    edit(astar, diffraction__pixel_size={"value": 0.04, "unit": "1/angstrom", "origin": "user"})
    status = dvc("status", cwd=astar)
    assert "angles:" in status
    assert "rings:" in status
    assert "pixels:" not in status
    assert "total:" not in status
    ours = json.loads(emdvc("status", "--json", "--no-remote", cwd=astar).stdout)
    assert "diffraction.pixel_size" in json.dumps(ours)
    assert rerun(astar) == {"angles", "rings"}
    edit(astar, beam__energy={"value": 120.0, "unit": "keV", "origin": "user"})
    assert rerun(astar) == {"angles"}
    edit(astar, diffraction__center={"value": [74.0, 72.0], "unit": "px", "origin": "user"})
    assert rerun(astar) == {"pixels", "angles", "rings"}


def test_a_correction_shows_in_results_that_were_not_recomputed(astar: Path, emdvc: Emdvc) -> None:
    """The scan's step is kept once: corrected there, every map has it at once, without a rerun."""
    edit(astar, scan__step={"value": [10.0, 10.0], "unit": "nm", "origin": "user"})
    described = json.loads(emdvc("inspect", "results/total.zarr", "--json", cwd=astar).stdout)
    assert described["axes"]["x"]["scale"] == {"value": 10.0, "unit": "nm", "origin": "user"}
    # only the pictures have the old scale bar: they are named, and redrawn by the command that is named with them
    answer = json.loads(emdvc("status", "--json", "--no-remote", cwd=astar).stdout)
    assert answer["would_run"] == []
    assert {picture["stage"] for picture in answer["outdated_pictures"]} == {"pixels", "angles", "total"}
    assert "x=10.0 nm" in answer["outdated_pictures"][0]["now"]
    dvc("repro", "--force", "--single-item", "pixels", "angles", "total", cwd=astar)
    assert json.loads(emdvc("status", "--json", "--no-remote", cwd=astar).stdout)["outdated_pictures"] == []


def test_a_change_of_parameters_that_needs_more_metadata_is_caught(astar: Path, emdvc: Emdvc) -> None:
    """From px to mrad in params.yaml: the stage must now depend on the calibration, and says so until it does."""
    params = astar / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("20px", "4mrad"), encoding="utf-8")
    refused = emdvc("run", "virtual_detector", "raw/scan.blo", "results/pixels.zarr", cwd=astar, status=2)
    assert "EM-STAGE-UNDECLARED" in refused.stderr
    assert "emdvc stage update pixels" in refused.stderr
    emdvc("stage", "update", "pixels", cwd=astar)
    assert "pixels" in rerun(astar)


def digests(project: Path) -> dict[str, str]:
    """Return the digest of every file that a stage wrote."""
    return {
        path.relative_to(project).as_posix(): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in sorted((project / "results").rglob("*"))
        if path.is_file() and path.suffix != ".md" and path.name != ".gitignore"
    }


def test_two_clones_with_different_thread_counts(astar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is computed anew in two clones, by one thread and by two: identical md5 of every output."""
    found = []
    for threads in ("1", "2"):
        clone = tmp_path / f"clone{threads}"
        subprocess.run(["git", "clone", "-q", str(astar), str(clone)], check=True)
        dvc("cache", "dir", "--local", str(tmp_path / f"cache{threads}"), cwd=clone)
        dvc("remote", "add", "-d", "--local", "origin", str(astar / ".dvc" / "cache"), cwd=clone)
        dvc("pull", "raw/scan.blo", cwd=clone)
        monkeypatch.setenv("EMDVC_THREADS", threads)
        dvc("repro", "--force", cwd=clone)
        found.append(digests(clone))
        unchanged = subprocess.run(
            ["git", "diff", "--exit-code", "--stat"], cwd=clone, capture_output=True, text=True, check=False
        )
        assert unchanged.returncode == 0, unchanged.stdout
    assert found[0] == found[1] == digests(astar)
