"""A project saved to each kind of storage arrives in a colleague's folder with the same bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc
from moving_places import place

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


@pytest.mark.server
def test_webdav(tmp_path: Path, emdvc: Emdvc) -> None:
    with place("wsgidav") as where:
        options = {name: value for name, value in where.options.items() if name != "url"}
        _round_trip(tmp_path, emdvc, where.options["url"], options)


def _round_trip(tmp_path: Path, emdvc: Emdvc, url: str, options: Mapping[str, str] | None = None) -> None:
    scan = write_npy(tmp_path / "scan.npy", DiffractionPhantom(scan_shape=(4, 5), detector_shape=(32, 32)))
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    emdvc("init", mine, "--remote", f"lab={url}")
    if options:  # a person has them in the machine's settings
        lines = ["['remote \"lab\"']", *(f"    {name} = {value}" for name, value in options.items())]
        (Path(os.environ["DVC_GLOBAL_CONFIG_DIR"]) / "config").write_text("\n".join(lines) + "\n")
    emdvc("add", scan, cwd=mine)
    emdvc("save", "-m", "a scan", cwd=mine)

    emdvc("get", mine, theirs)

    original, copy = scan.read_bytes(), (theirs / "raw" / "scan.npy").read_bytes()
    assert hashlib.sha256(copy).hexdigest() == hashlib.sha256(original).hexdigest()
    assert np.load(theirs / "raw" / "scan.npy").shape == (4, 5, 32, 32)
