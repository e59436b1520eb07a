"""``emdvc inspect --pattern`` and ``--picture``: here, at a revision, in a clone with nothing pulled."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.formats import picture_text

ROOT = Path(__file__).resolve().parents[2]


def values() -> np.ndarray:
    """Return a scan of 3 x 4 patterns, each with one bright pixel on a weak ground."""
    scan = np.ones((3, 4, 20, 24), "u2")
    for y in range(3):
        for x in range(4):
            scan[y, x, 5 + y, 6 + x] = 1000
    return scan


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Path:
    """Return a folder with a project (a calibrated scan, spectra, a stack, an image) and a clone without data."""
    folder = tmp_path_factory.mktemp("shared")
    run = Emdvc(folder)
    project = folder / "project"
    run("init", project, "--remote", f"lab={folder / 'store'}")
    np.save(project / "scan.npy", values())
    np.save(project / "spectra.npy", np.arange(2 * 3 * 10, dtype="f4").reshape(2, 3, 10))
    np.save(project / "stack.npy", np.arange(5 * 6 * 7, dtype="i4").reshape(5, 6, 7) - 40)
    np.save(project / "image.npy", np.eye(16, dtype="f4"))
    run("add", "scan.npy", "--set", "diffraction.pixel_size=0.01 1/angstrom", "--set", "scan.step=2nm", cwd=project)
    run("add", "spectra.npy", "--dims", "y,x,energy", cwd=project)
    run("add", "stack.npy", cwd=project)
    run("add", "image.npy", "--dims", "y,x", cwd=project)
    run("save", "-m", "first", cwd=project)
    shutil.copytree(project / ".dvc" / "cache" / "files", folder / "store" / "files", dirs_exist_ok=True)
    subprocess.run(["git", "clone", "-q", project, folder / "clone"], check=True)
    return folder


def here(shared: Path, where: str) -> tuple[Path, str]:
    return {
        "workspace": (shared / "project", "scan.npy"),
        "revision": (shared / "project", "scan.npy@HEAD"),
        "clone": (shared / "clone", "scan.npy"),
        "clone at a revision": (shared / "clone", "scan.npy@HEAD"),
    }[where]


@pytest.mark.parametrize("where", ["workspace", "revision", "clone", "clone at a revision"])
def test_the_same_pattern_everywhere(shared: Path, emdvc: Emdvc, where: str) -> None:
    folder, name = here(shared, where)
    done = emdvc("inspect", name, "--pattern", "2,1", cwd=folder)
    lines = done.stdout.splitlines()
    assert lines[0] == f"{name}, scan at y = 2, x = 1 (4, 2 nm)"
    said = {line.split("  ")[1].strip(): line.strip() for line in lines[1:]}
    assert said["sum"].endswith("1479")
    assert "1000 at ky = 7, kx = 7 px (0.07, 0.07 Å⁻¹)" in said["maximum"]
    # by hand: (sum of ky over all pixels + 999 * 7) / 1479
    ky, kx = (24 * 190 + 999 * 7) / 1479, (20 * 276 + 999 * 7) / 1479
    assert f"ky = {ky:.2f}, kx = {kx:.2f} px" in said["center"]


def test_as_json_with_its_picture(shared: Path, emdvc: Emdvc, tmp_path: Path) -> None:
    picture = tmp_path / "pattern.png"
    done = emdvc("inspect", "scan.npy@HEAD", "--pattern", "1,3", "--json", "--picture", picture, cwd=shared / "clone")
    found = json.loads(done.stdout)
    assert found["schema"] == "emdvc/pattern" and found["version"] == 1
    assert (found["path"], found["revision"], found["variable"]) == ("scan.npy", "HEAD", "scan")
    assert found["position"] == {
        "y": {"index": 1, "value": 2.0, "unit": "nm"},
        "x": {"index": 3, "value": 6.0, "unit": "nm"},
    }
    assert found["dims"] == ["ky", "kx"] and found["shape"] == [20, 24] and found["dtype"] == "uint16"
    assert (found["sum"], found["minimum"], found["maximum"], found["not_finite"]) == (1479, 1, 1000, 0)
    assert found["highest"]["ky"]["index"] == 6 and found["highest"]["kx"]["index"] == 9
    assert found["highest"]["kx"]["value"] == pytest.approx(0.09) and found["highest"]["kx"]["unit"] == "1/angstrom"
    assert found["center"]["ky"]["index"] == pytest.approx((24 * 190 + 999 * 6) / 1479)
    assert found["picture"] == str(picture)
    assert "kx=0.01 1/angstrom" in picture_text.read(picture)[picture_text.AXES]
    assert f"picture: {picture}" in done.stderr


def test_a_spectrum_and_a_frame(shared: Path, emdvc: Emdvc) -> None:
    spectrum = emdvc("inspect", "spectra.npy", "--pattern", "1,2", cwd=shared / "clone").stdout
    assert "spectra.npy, spectra at y = 1, x = 2" in spectrum
    assert "10 (energy), float32" in spectrum and "59 at energy = 9" in spectrum
    stack = json.loads(emdvc("inspect", "stack.npy", "--pattern", "4", "--json", cwd=shared / "clone").stdout)
    assert stack["shape"] == [6, 7] and stack["sum"] == sum(range(4 * 42 - 40, 5 * 42 - 40))
    first = json.loads(emdvc("inspect", "stack.npy", "--pattern", "0", "--json", cwd=shared / "clone").stdout)
    assert first["minimum"] == -40 and first["center"] is None  # no centre of mass with negative numbers


@pytest.mark.parametrize("name", ["scan.npy", "spectra.npy@HEAD", "stack.npy", "image.npy"])
def test_the_picture_of_all(shared: Path, emdvc: Emdvc, tmp_path: Path, name: str) -> None:
    picture = tmp_path / "all.png"
    done = emdvc("inspect", name, "--picture", picture, cwd=shared / "clone")
    assert name in done.stdout  # the sheet, as without it
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [picture]


def test_a_file_under_no_version_control(tmp_path: Path, emdvc: Emdvc) -> None:
    np.save(tmp_path / "frames.npy", values().reshape(12, 20, 24))
    done = emdvc("inspect", "frames.npy", "--scan-shape", "3x4", "--pattern", "2,1")
    assert "1000 at ky = 7, kx = 7" in done.stdout


def test_a_zarr_store(tmp_path: Path, emdvc: Emdvc) -> None:
    import zarr

    array = zarr.create_array(tmp_path / "a.zarr", shape=(3, 4, 20, 24), chunks=(1, 1, 20, 24), dtype="u2")
    array[:] = values()
    done = emdvc("inspect", "a.zarr", "--pattern", "2,1")
    assert "1000 at" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan.npy", "--pattern", "3,0"), "3 × 4 probe positions, counted from 0"),
        (("scan.npy", "--pattern", "3"), "write --pattern 1,2"),
        (("scan.npy", "--pattern", "middle"), "'middle' is no probe position"),
        (("scan.npy", "--pattern", "-1,0"), "'-1,0' is no probe position"),
        (("image.npy", "--pattern", "0"), "it is a single one"),
        (("scan.npy", "--pattern", "0,0", "--picture", "a.jpg"), "cannot be written as a.jpg"),
        (("scan.npy", "--picture", "nowhere/a.png"), "there is no folder nowhere"),
        (("scan.npy@v9", "--pattern", "0,0"), "v9"),
        (("scam.npy", "--pattern", "0,0"), "scam.npy"),
    ],
)
def test_what_cannot_be_meant(shared: Path, emdvc: Emdvc, words: tuple[str, ...], said: str) -> None:
    done = emdvc("inspect", *words, cwd=shared / "project", status=None)
    assert done.returncode in (2, 3)
    assert said in done.stderr
    assert done.stdout == "" and "Traceback" not in done.stderr


def test_preview_is_what_the_small_picture_is_called(shared: Path, emdvc: Emdvc) -> None:
    help_text = emdvc("inspect", "--help").stdout
    assert "--no-preview" in help_text and "--no-picture" not in help_text
    assert emdvc("inspect", "image.npy", "--no-preview", cwd=shared / "project").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudoterminals in Python")
def test_a_terminal_shows_the_pattern(shared: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import pty, sys; pty.spawn([sys.executable, '-m', 'emdvc', *sys.argv[1:]])",
         "inspect", "scan.npy", "--pattern", "0,0"],
        cwd=shared / "project", capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
    assert "center" in done.stdout and "▀" in done.stdout
