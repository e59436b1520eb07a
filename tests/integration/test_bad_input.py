"""Bad input gives one error in its form: code, cause, evidence, hint, exit status; and the project is as it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.formats import sidecar as sidecars
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EdxPhantom
from emdvc.testing.write import write_npy, write_zarr

Make = Callable[[Path], list[str]]


def truncated_npy(folder: Path) -> list[str]:
    whole = write_npy(folder / "scan.npy", DiffractionPhantom((4, 4), (16, 16))).read_bytes()
    (folder / "cut.npy").write_bytes(whole[:-100])
    return ["add", str(folder / "cut.npy")]


def foreign(folder: Path) -> list[str]:
    (folder / "holiday.mib").write_bytes(b"\xff\xd8\xff\xe0 this is a photograph" * 100)
    return ["add", str(folder / "holiday.mib")]


def unknown_format(folder: Path) -> list[str]:
    (folder / "notes.xyz").write_text("not data", encoding="utf-8")
    return ["add", str(folder / "notes.xyz")]


def absent(folder: Path) -> list[str]:
    return ["add", str(folder / "scan02.mib")]


def headerless(folder: Path) -> list[str]:
    (folder / "scan.raw").write_bytes(bytes(4096))
    return ["add", str(folder / "scan.raw")]


def scan_shape(folder: Path) -> list[str]:
    np.save(folder / "stack.npy", np.zeros((12, 8, 8), np.uint16))
    return ["add", str(folder / "stack.npy"), "--scan-shape", "5x3"]


def setting(text: str) -> Make:
    def make(folder: Path) -> list[str]:
        return ["add", str(write_npy(folder / "scan.npy", DiffractionPhantom((4, 4), (16, 16)))), "--set", text]

    return make


def lost_array(folder: Path) -> list[str]:
    store = write_zarr(folder / "scan.zarr", DiffractionPhantom((4, 4), (16, 16)))
    (store / "counts" / "zarr.json").write_text("{", encoding="utf-8")
    return ["add", str(store)]


#: How the command line is made, the code, a part of the text, the exit status.
WHILE_ADDING: dict[str, tuple[Make, str, str, int]] = {
    "truncated": (truncated_npy, "EM-FORMAT-BROKEN", "cut.npy", 2),
    "foreign": (foreign, "EM-FORMAT", "holiday.mib", 2),
    "unknown format": (unknown_format, "EM-FORMAT-UNKNOWN", "notes.xyz", 2),
    "no such file": (absent, "EM-NOT-FOUND", "scan02.mib", 2),
    "headerless": (headerless, "EM-FORMAT", "--shape", 2),
    "scan shape": (scan_shape, "EM-SCAN-SHAPE", "12 frames", 2),
    "unknown key": (setting("beam.enregy=200keV"), "EM-METADATA-KEY", "beam.energy", 2),
    "unknown unit": (setting("beam.energy=200keW"), "EM-METADATA-UNIT", "did you mean keV", 2),
    "wrong unit": (setting("beam.energy=200nm"), "EM-METADATA-UNIT", "keV", 2),
    "broken store": (lost_array, "EM-FORMAT-BROKEN", "counts", 2),
}


def state(project: Path) -> tuple[str, dict[str, str]]:
    """Return what git sees, and the digest of every file but git's and DVC's own."""
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(project.rglob("*"))
        if path.is_file() and path.relative_to(project).parts[0] not in (".git", ".dvc")
    }
    return status.stdout, files


def check(done: subprocess.CompletedProcess[str], code: str, says: str) -> None:
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    errors = [line for line in lines if line.startswith("error[")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith(f"error[{code}"), done.stderr
    assert says in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("name", WHILE_ADDING)
def test_while_adding(name: str, project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    make, code, says, status = WHILE_ADDING[name]
    folder = tmp_path / "instrument"
    folder.mkdir()
    line = make(folder)
    before = state(project)
    check(emdvc(*line, cwd=project, status=status), code, says)
    assert state(project) == before


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scans as they come, and as they should not."""
    folder = tmp_path_factory.mktemp("scans")
    write_zarr(folder / "good.zarr", DiffractionPhantom((4, 4), (16, 16)))
    write_zarr(folder / "spectra.zarr", EdxPhantom((4, 4)))
    for name, value in (("nan", np.nan), ("negative", -3.0)):
        values = np.ones((3, 4, 8, 8), np.float32)
        values[1, 2, 3, 4] = value
        np.save(folder / f"{name}.npy", values)
    return folder


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (("virtual_detektor", "good.zarr", "o.zarr"), "EM-STEP-UNKNOWN", "virtual_detector"),
        (("virtual_detector", "spectra.zarr", "o.zarr", "--set", "outer=3px"), "EM-STEP-DIMENSIONS", "energy_map"),
        (("sum_spectrum", "good.zarr", "o.zarr"), "EM-STEP-DIMENSIONS", "virtual_detector"),
        (("virtual_image", "nan.npy", "o.zarr"), "EM-STEP-COUNTS", "y=1, x=2, ky=3, kx=4"),
        (("virtual_image", "negative.npy", "o.zarr"), "EM-STEP-COUNTS", "negative=allow"),
        (("virtual_detector", "good.zarr", "o.zarr", "--set", "outer=3keV"), "EM-STEP-PARAMETER", "mrad"),
        (("virtual_detector", "good.zarr", "o.zarr", "--set", "otter=3px"), "EM-STEP-PARAMETER", "did you mean outer"),
        (("virtual_detector", "negative.npy", "o.zarr", "--set", "outer=3mrad"), "EM-METADATA-MISSING", "pixel_size"),
        (("virtual_image", "gone.zarr", "o.zarr"), "EM-NOT-FOUND", "gone.zarr"),
    ],
)
def test_while_running(line: tuple[str, ...], code: str, says: str, scans: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Nothing is written: no result, no sidecar, no picture, no partial file."""
    step, source, output, *settings = line
    done = emdvc("run", step, scans / source, tmp_path / output, *settings, status=None)
    assert done.returncode in (2, 3)
    check(done, code, says)
    assert list(tmp_path.glob("*o.zarr*")) == []
    assert list(tmp_path.glob("*o.png*")) == []


def test_an_unreadable_sidecar(project: Path, scans: Path, emdvc: Emdvc) -> None:
    """Axes that cannot be read: the damaged line is named, and how to get the committed one back."""
    emdvc("add", scans / "good.zarr", cwd=project)
    path = sidecars.path_of(project / "raw" / "good.zarr")
    whole = path.read_text(encoding="utf-8")
    for damaged, says in (
        (whole.replace("size: 16", "size: many"), "is damaged"),
        (whole + "\n  : [", "not valid YAML"),
        (whole.replace("size: 16", "size: 99"), "99"),
    ):
        path.write_text(damaged, encoding="utf-8")
        done = emdvc("run", "virtual_image", "raw/good.zarr", "results/o.zarr", cwd=project, status=2)
        assert "Traceback" not in done.stderr
        assert says in done.stderr
    assert not (project / "results" / "o.zarr").exists()


# Python's own way to say that a module cannot be had: nothing is found under the name, and an import fails
HIDE = """
import sys
sys.modules.update(dict.fromkeys(["rsciio", "tifffile", "mrcfile", "hdf5plugin"]))
from emdvc.cli.main import run
run()
"""


@pytest.mark.parametrize("name", ["scan.tif", "scan.mrc", "scan.blo", "scan.dm4"])
def test_a_missing_optional_reader_names_the_extra(name: str, project: Path, tmp_path: Path) -> None:
    """Where the optional packages are not installed: the file is known, and the extra that reads it is named."""
    heads = {"scan.tif": b"II*\0", "scan.blo": b"IMGBLO\x02\x01", "scan.dm4": b"\0\0\0\x04", "scan.mrc": b""}
    content = bytearray(heads[name].ljust(4096, b"\0"))
    content[208:216] = b"MAP DD\0\0" if name == "scan.mrc" else content[208:216]
    (tmp_path / name).write_bytes(content)
    before = state(project)
    done = subprocess.run(
        [sys.executable, "-c", HIDE, "add", str(tmp_path / name)],
        cwd=project, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    check(done, "EM-READER-MISSING", "pip install 'emdvc[formats]'")
    assert state(project) == before
    core = subprocess.run(
        [sys.executable, "-c", HIDE, "formats"], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert core.returncode == 0 and "no" in core.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a real file system of 8 MiB, or skip where this test may not make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.name == "nt" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be made by root only")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(small_disk: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Adding and running on a disk that fills up: one error, everything as before, and the room is free again."""
    project = small_disk / "project"
    emdvc("init", project, cwd=small_disk)
    np.save(tmp_path / "large.npy", np.ones((32, 32, 64, 64), np.uint16))
    before = state(project)
    free = _free(small_disk)
    check(emdvc("add", tmp_path / "large.npy", cwd=project, status=2), "EM-DISK-FULL", "full")
    assert state(project) == before
    assert _free(small_disk) >= free - 100_000
    (small_disk / "filler").write_bytes(bytes(_free(small_disk) - 200_000))
    line = ("run", "radial_profile", tmp_path / "large.npy", "results/r.zarr")
    check(emdvc(*line, cwd=project, status=2), "EM-DISK-FULL", "full")
    # what the run had finished is kept for the next; git needs some room to answer
    (small_disk / "filler").unlink()
    assert state(project) == before


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
