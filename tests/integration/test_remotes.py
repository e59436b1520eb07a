"""A project saved to each kind of storage arrives in a colleague's folder with the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy


def test_local_folder(tmp_path: Path, emdvc: Emdvc) -> None:
    _round_trip(tmp_path, emdvc, str(tmp_path / "storage"))


@pytest.mark.server
def test_s3(tmp_path: Path, emdvc: Emdvc, s3_remote: str) -> None:
    _round_trip(tmp_path, emdvc, s3_remote)


@pytest.mark.server
def test_ssh(tmp_path: Path, emdvc: Emdvc, ssh_remote: str) -> None:
    _round_trip(tmp_path, emdvc, ssh_remote)


def _round_trip(tmp_path: Path, emdvc: Emdvc, url: str) -> None:
    scan = write_npy(tmp_path / "scan.npy", DiffractionPhantom(scan_shape=(4, 5), detector_shape=(32, 32)))
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    emdvc("init", mine, "--remote", f"lab={url}")
    emdvc("add", scan, cwd=mine)
    emdvc("save", "-m", "a scan", cwd=mine)

    emdvc("get", mine, theirs)

    original, copy = scan.read_bytes(), (theirs / "raw" / "scan.npy").read_bytes()
    assert hashlib.sha256(copy).hexdigest() == hashlib.sha256(original).hexdigest()
    assert np.load(theirs / "raw" / "scan.npy").shape == (4, 5, 32, 32)
