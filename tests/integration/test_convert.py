"""`emdvc convert` on measured files, as a stage, killed, and with little memory."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from command_line import Emdvc
from ruamel.yaml import YAML

from emdvc.formats.contract import ReadOptions
from emdvc.formats.digest import content_digest
from emdvc.formats.registry import find, open_file
from emdvc.formats.sidecar import read
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy

#: Measured files of one format each, and the signal that is meant where a file holds several.
FILES = {
    "merlin_4x2_6bit.mib": None,
    "eels_si_49x6x1024.dm3": None,
    "bi_polycryst.dm4": None,
    "tilt_HAADF.mrc": None,
    "au_xgrating_20cm.tif": None,
    "SiO2_HAADF_Image.hspy": None,
    "SiO2_EDS_Spectrum_Image.hspy": None,
    "astar_3x2x144x144.blo": None,
    "fpd_merlin_2x2x256x256.hdf5": "fpd_data",
}


def tree(folder: Path) -> dict[str, str]:
    """Return the md5 of every file below a folder that is no leftover and no lock."""
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".partial" not in path.as_posix() and ".dvc/tmp/" not in path.as_posix()
    }


@pytest.mark.parametrize(("name", "signal"), FILES.items(), ids=list(FILES))
def test_a_measured_file_keeps_its_numbers(
    realdata: Path, tmp_path: Path, emdvc: Emdvc, name: str, signal: str
) -> None:
    """The content digest of the store is that of the vendor's file, read by its own reader; zarr-python agrees."""
    try:
        find(realdata / name)
    except Exception as error:  # the reader's package is an extra
        pytest.skip(str(error))
    extra = ("--signal", signal) if signal else ()
    emdvc("convert", realdata / name, tmp_path / "a.zarr", *extra)
    sidecar = read(tmp_path / "a.zarr")
    original = open_file(realdata / name, ReadOptions(signal=signal))
    try:
        variable = original.variable(signal)
        stored = sidecar.variables[sidecar.main]
        assert stored.digest == content_digest(variable.array)
        numbers = variable.array.read(tuple(slice(0, n) for n in variable.array.shape))
        assert np.array_equal(zarr.open_group(tmp_path / "a.zarr", mode="r")[sidecar.main][...], numbers)
        assert stored.dims == variable.dims
    finally:
        original.close()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sidecar.vendor or not original.vendor
    # what the store says without its sidecar is what the file said
    again = open_file(tmp_path / "a.zarr")
    for dim, axis in original.axes.items():
        if dim in variable.dims and axis.scale is not None:
            assert again.axes[dim].coordinates() == pytest.approx(axis.coordinates(), rel=1e-12)


@pytest.fixture
def scan(project: Path, emdvc: Emdvc, tmp_path: Path) -> Path:
    """Return a project with a scan of 16 MiB."""
    write_npy(tmp_path / "scan.npy", DiffractionPhantom(scan_shape=(32, 16), detector_shape=(128, 128)))
    emdvc("add", tmp_path / "scan.npy", "--set", "beam.energy=200keV", cwd=project)
    return project


def repro(project: Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=project, check=True, capture_output=True, text=True
    ).stdout


def test_as_a_stage(scan: Path, emdvc: Emdvc) -> None:
    emdvc("stage", "add", "convert", "-d", "raw/scan.npy", "-o", "data/scan.zarr", "--set", "codec=blosc-lz4", cwd=scan)
    stage = YAML(typ="safe").load((scan / "dvc.yaml").read_text())["stages"]["scan"]
    assert stage["cmd"] == "emdvc run convert raw/scan.npy data/scan.zarr"
    repro(scan)
    sidecar, raw = read(scan / "data/scan.zarr"), read(scan / "raw/scan.npy")
    assert sidecar.inherits == "../raw/scan.npy"
    assert sidecar.variables["scan"].digest == raw.variables["scan"].digest
    assert "blosc" in (scan / "data/scan.zarr/scan/zarr.json").read_text()
    first = tree(scan / "data/scan.zarr")
    assert "didn't change" in repro(scan)
    # a correction of the record holds for the converted scan at once, and reruns nothing
    emdvc("add", "raw/scan.npy", "--set", "diffraction.pixel_size=0.02/angstrom", cwd=scan)
    assert "didn't change" in repro(scan)
    assert "0.02" in emdvc("inspect", "data/scan.zarr", cwd=scan).stdout
    # another codec does
    parameters = YAML(typ="safe").load((scan / "params.yaml").read_text())
    (scan / "params.yaml").write_text((scan / "params.yaml").read_text().replace("blosc-lz4", "zstd-1"))
    assert parameters == {"scan": {"codec": "blosc-lz4"}}
    repro(scan)
    second = tree(scan / "data/scan.zarr")
    assert second != first
    (scan / "params.yaml").write_text((scan / "params.yaml").read_text().replace("zstd-1", "blosc-lz4"))
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--no-run-cache"], cwd=scan, check=True)
    assert tree(scan / "data/scan.zarr") == first, "the same input gives the same bytes"


def test_what_follows_reads_the_converted_scan(scan: Path, emdvc: Emdvc) -> None:
    """A step gives the same bytes from the vendor's file and from the converted one."""
    for form in (
        ("--codec", "blosc-lz4"),
        ("--layout", "pixel", "--shards", "16,16,all,all", "--chunks", "4,8,all,all"),
    ):
        emdvc("convert", "raw/scan.npy", "data/scan.zarr", *form, cwd=scan)
        for source, target in (("raw/scan.npy", "a"), ("data/scan.zarr", "b")):
            emdvc("run", "radial_profile", source, f"results/{target}.zarr", cwd=scan)
        assert tree(scan / "results/a.zarr") == tree(scan / "results/b.zarr")


@pytest.mark.parametrize("form", [(), ("--codec", "blosc-zstd-1", "--shards", "16,16,all,all", "--layout", "pixel")])
def test_the_same_files_for_any_number_of_threads(scan: Path, emdvc: Emdvc, form: tuple[str, ...]) -> None:
    trees = []
    for threads in ("1", "2"):
        emdvc("convert", "raw/scan.npy", "data/scan.zarr", "--threads", threads, *form, cwd=scan)
        trees.append(tree(scan / "data"))
        shutil.rmtree(scan / "data")
    assert trees[0] == trees[1]
    assert len(trees[0]) > 4


def test_dry_run_writes_nothing(scan: Path, emdvc: Emdvc) -> None:
    said = emdvc("convert", "raw/scan.npy", "data/scan.zarr", "--chunks", "8,8,all,all", "--dry-run", cwd=scan).stdout
    assert "chunks of 8 x 8 x 128 x 128 in 8 files" in said
    assert not (scan / "data").exists()


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("raw/scan.npy", "data/a.zarr", "--chunks", "8,8"), 2, "does not fit"),
        (("raw/scan.npy", "data/a.zarr", "--chunks", "eight"), 2, "as in 16,16,all,all"),
        (("raw/scan.npy", "data/a.zarr", "--codec", "blosc-lz5"), 2, "blosc-lz4"),
        (("raw/scan.npy", "data/a.zarr", "--layout", "column"), 2, "'frame' or 'pixel'"),
        (("raw/scan.npy", "data/a.zarr", "--memory", "1kB"), 2, "memory"),
        (("raw/scan.npy", "raw/scan.npy"), 4, "cannot be written"),
        (("raw/scan.np", "data/a.zarr"), 2, "does not exist"),
    ],
)
def test_what_cannot_be_done(scan: Path, emdvc: Emdvc, words: tuple[str, ...], status: int, says: str) -> None:
    before = tree(scan)
    assert says in emdvc("convert", *words, cwd=scan, status=status).stderr
    assert tree(scan) == before


@pytest.mark.slow
def test_killed_midway(scan: Path, emdvc: Emdvc) -> None:
    line = ("convert", "raw/scan.npy", "data/scan.zarr", "--chunks", "2,2,all,all", "--codec", "zstd-9")
    emdvc("convert", "raw/scan.npy", "data/scan.zarr", "--chunks", "4,4,all,all", cwd=scan)
    old = tree(scan / "data")
    seen = 0
    for files in (1, 20, 60):
        process = subprocess.Popen([sys.executable, "-m", "emdvc", *line], cwd=scan, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < end:
            partial = next((scan / "data").glob(".scan.zarr.*.partial"), None)
            if partial is not None and len(list(partial.glob("scan/*.*.*.*"))) >= files:
                seen += 1
                break
            time.sleep(0.002)
        process.kill()
        process.wait()
        assert tree(scan / "data") == old
        status = subprocess.run(
            ["git", "status", "--porcelain", "data"], cwd=scan, capture_output=True, text=True, check=True
        ).stdout
        assert "partial" not in status
    assert seen == 3, "each was killed while it wrote"
    emdvc(*line, cwd=scan)
    assert not list((scan / "data").glob(".*partial*")), "what the killed ones left is cleared"
    whole = tree(scan / "data")
    assert whole != old
    shutil.rmtree(scan / "data")
    emdvc(*line, cwd=scan)
    assert tree(scan / "data") == whole


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="this system does not tell the peak memory of a process")
@pytest.mark.parametrize("shards", ["none", "all,all,all,all"])
def test_memory_is_bounded(tmp_path: Path, shards: str) -> None:
    """2 GiB, whole or in one shard, by what takes not even a quarter of that; imports included."""
    with (tmp_path / "scan.npy").open("wb") as file:
        header = {"descr": "<u2", "fortran_order": False, "shape": (256, 256, 128, 128)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + (2 << 30))
    command = [sys.executable, "-m", "emdvc", "convert", "scan.npy", "a.zarr", "--memory", "200MB", "--shards", shards]
    # asked of a small process between: a program's peak counts from that of the process that started it
    between = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    asked = [sys.executable, "-c", between, *command, "--codec", "blosc-lz4"]
    said = subprocess.run(asked, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert int(said) * (1 if sys.platform == "darwin" else 1024) < 512 << 20
