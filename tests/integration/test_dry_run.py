"""``--dry-run``: every check is made, what would be done is said, and nothing is written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"tmp", "index"} & set(path.relative_to(folder).parts)
    }


@pytest.fixture
def scan(project: Path, tmp_path: Path, emdvc: Emdvc) -> Path:
    emdvc("add", write_npy(tmp_path / "scan.npy", DiffractionPhantom((4, 5), (16, 16))), cwd=project)
    return project


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("add", "{other}", "--set", "operator=Ruska"), "added raw/other.npy"),
        (("add", "raw/scan.npy", "--set", "operator=Ruska"), "record completed of raw/scan.npy"),
        (("save",), "would commit raw/scan.npy.em.yaml"),
        (("stage", "add", "virtual_image", "-d", "raw/scan.npy", "-o", "results/v.zarr"), "stage v: virtual_image"),
        (("run", "virtual_image", "raw/scan.npy", "results/v.zarr"), "for each of 20 probe positions"),
    ],
)
def test_nothing_is_written(scan: Path, tmp_path: Path, emdvc: Emdvc, line: tuple[str, ...], says: str) -> None:
    other = write_npy(tmp_path / "other.npy", DiffractionPhantom((2, 3), (8, 8)))
    before = files(scan)
    done = emdvc(*(word.format(other=other) for word in line), "--dry-run", cwd=scan)
    assert says in done.stdout
    assert files(scan) == before


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("add", "raw/scan.npy", "--set", "oparator=Ruska"), "EM-METADATA-KEY"),
        (("add", "{other}", "raw/scan.npy"), "EM-RAW-EXISTS"),
        (("stage", "add", "sum_spectrum", "-d", "raw/scan.npy", "-o", "results/v.zarr"), "EM-STEP-DIMENSIONS"),
        (("run", "virtual_detector", "raw/scan.npy", "results/v.zarr", "--set", "outer=3mrad"), "EM-METADATA-MISSING"),
    ],
)
def test_the_checks_are_made(scan: Path, tmp_path: Path, emdvc: Emdvc, line: tuple[str, ...], code: str) -> None:
    other = write_npy(tmp_path / "other.npy", DiffractionPhantom((2, 3), (8, 8)))
    before = files(scan)
    done = emdvc(*(word.format(other=other) for word in line), "--dry-run", cwd=scan, status=None)
    assert done.returncode in (2, 4)
    assert f"error[{code}]" in done.stderr
    assert files(scan) == before
