from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
import pytest

from emdvc.model.quantity import Quantity


def test_a_raw_scan(science: Any, emdvc: Any) -> None:
    text, _, _ = emdvc("inspect", "raw/scan01.mib@HEAD~1", cwd=science.root).stdout.partition("history\n")
    assert text == (
        "raw/scan01.mib@HEAD~1  4D-STEM scan\n"
        "  raw data, 512 KiB\n"
        "data\n"
        "  data  y, x, ky, kx  8 x 8 x 64 x 64  uint16  counts  512 KiB\n"
        "axes\n"
        "  y   8 x 0.8 nm     = 6.4 nm    0 to 5.6 nm\n"
        "  x   8 x 0.8 nm     = 6.4 nm    0 to 5.6 nm\n"
        "  ky  64 x 0.02 1/Å  = 1.28 1/Å  -0.64 to 0.62 1/Å\n"
        "  kx  64 x 0.02 1/Å  = 1.28 1/Å  -0.64 to 0.62 1/Å\n"
        "record\n"
        "  title                   Au on carbon\n"
        "  operator                B. v. Borries\n"
        "  beam.energy             200 keV\n"
        "  scan.step               (0.8, 0.8) nm\n"
        "  diffraction.pixel_size  0.02 1/Å  (calibrated)\n"
        "  diffraction.center      (32, 32) px\n"
        "came from\n"
        "  reader  mib 1\n"
        "  file    scan01.mib  512 KiB, sha256 bbbbbbbb...\n"
    )


def test_bytes_that_are_not_here(science: Any, emdvc: Any) -> None:
    assert "not here  (emdvc pull raw/scan01.mib)" in emdvc("inspect", "raw/scan01.mib", cwd=science.root).stdout
    (science.root / "raw/scan01.mib").write_bytes(b"x")
    assert "raw data, here, 512 KiB" in emdvc("inspect", "raw/scan01.mib", cwd=science.root).stdout


@pytest.mark.parametrize("name", ["raw/scan01.mib.em.yaml", "raw/scan01.mib.dvc"])
def test_other_names_of_the_same(science: Any, emdvc: Any, name: str) -> None:
    same = emdvc("inspect", "raw/scan01.mib", cwd=science.root).stdout
    assert emdvc("inspect", name, cwd=science.root).stdout == same


def test_a_result_says_how_it_came_to_be(science: Any, emdvc: Any) -> None:
    text = emdvc("inspect", "results/vdet.zarr", cwd=science.root).stdout
    assert "results/vdet.zarr  map of the scan\n" in text
    assert "  step       virtual_detector (version 1)\n  parameter  outer = 20.0 mrad\n" in text
    assert "  y  8 x 0.8 nm  = 6.4 nm  0 to 5.6 nm\n" in text, "the calibration is the raw data's"
    assert "beam.energy             200 keV  (inherited)" in text
    assert "         sum        min  mean     max\n  image  1 198 003  0    18718.8  40 000  counts\n" in text


def test_json(science: Any, answer: Any) -> None:
    found = answer("inspect", "raw/scan01.mib@HEAD~1", cwd=science.root)
    assert (found["schema"], found["kind"], found["what"], found["bytes"]) == (
        "emdvc/inspect",
        "raw",
        "4D-STEM scan",
        524288,
    )
    assert found["axes"]["ky"]["first"] == pytest.approx(-0.64)
    assert found["variables"]["data"]["bytes"] == 524288
    assert "vendor" not in found
    assert answer("inspect", "raw/scan01.mib", "--vendor", cwd=science.root)["vendor"]["Acquisition"]["Gain"] == 3


def test_a_revision_is_read_from_git_alone(science: Any, answer: Any) -> None:
    science.set_raw(diffraction__pixel_size=Quantity(1.0, "1/angstrom"))
    sizes = {
        revision: answer("inspect", f"raw/scan01.mib{revision}", cwd=science.root)["record"]["diffraction"][
            "pixel_size"
        ]
        for revision in ("@HEAD~1", "@HEAD", "")
    }
    assert [size["value"] for size in sizes.values()] == [0.02, 0.022, 1.0]


def test_errors(science: Any, emdvc: Any) -> None:
    assert "EM-REVISION-UNKNOWN" in emdvc("inspect", "raw/scan01.mib@nowhere", cwd=science.root, status=2).stderr
    missing = emdvc("inspect", "raw/scan02.mib", cwd=science.root, status=3).stderr
    assert "error[EM-NOT-FOUND]: raw/scan02.mib does not exist" in missing and "did you mean raw/scan01.mib" in missing
    assert "EM-NOT-FOUND" in emdvc("inspect", "raw/scan02.mib@HEAD", cwd=science.root, status=3).stderr
    assert "EM-SCAN-SHAPE" in emdvc("inspect", "x.npy", "--scan-shape", "4", cwd=science.root, status=2).stderr


def test_a_file_under_no_version_control(tmp_path: Any, emdvc: Any) -> None:
    np.save(tmp_path / "image.npy", np.zeros((4, 5), np.uint16))
    text = emdvc("inspect", "image.npy", cwd=tmp_path).stdout
    assert "under no version control  (emdvc add image.npy)" in text and "4 x 5" in text
    assert list(tmp_path.glob("*.em.yaml")) == []


def test_headerless_numbers(tmp_path: Any, emdvc: Any) -> None:
    (tmp_path / "frames.bin").write_bytes(b"head" + np.arange(60, dtype="<u2").tobytes())
    how = ["--shape", "3x4x5", "--dtype", "<u2", "--offset", "4"]
    assert "3 x 4 x 5" in emdvc("inspect", "frames.bin", *how, cwd=tmp_path).stdout
    assert "EM-USAGE" in emdvc("inspect", "frames.bin", "--shape", "3xx", cwd=tmp_path, status=2).stderr


def test_nothing_slow_is_imported(science: Any) -> None:
    code = (
        "import sys; from emdvc.cli.inspect import app; import typer; "
        "typer.main.get_command(app)(['raw/scan01.mib'], standalone_mode=False); "
        "heavy = {'numpy', 'xarray', 'zarr', 'dvc', 'pint', 'pydantic', 'rich', 'numba', 'h5py'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], cwd=science.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo terminal")
def test_a_small_picture_on_a_terminal(tmp_path: Any) -> None:
    import pty
    import subprocess

    ky, kx = np.mgrid[:64, :64]
    np.save(tmp_path / "disk.npy", ((ky - 32) ** 2 + (kx - 32) ** 2 < 400).astype(np.uint16) * 100)

    def on_terminal(**environment: str) -> str:
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "emdvc", "inspect", "disk.npy"]
        done = subprocess.Popen(
            command, cwd=tmp_path, stdout=theirs, env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "", **environment}
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
        assert done.wait() == 0
        return shown.decode("utf-8")

    coloured = on_terminal(TERM="xterm-256color", COLORTERM="truecolor")
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m▀" in coloured and "\x1b[38;2;0;0;0" in coloured
    assert coloured.count("▀") == 32 * 16, "two samples per letter across and down, two pixels per letter"
    plain = on_terminal(TERM="dumb", NO_COLOR="1")
    assert "\x1b" not in plain and "@@@@" in plain


def test_json_of_a_result_holds_plain_values_only(science: Any, emdvc: Any) -> None:
    found = json.loads(emdvc("inspect", "results/vdet.zarr", "--json", cwd=science.root).stdout)
    assert found["inherits"] == "../raw/scan01.mib" and found["statistics"]["image"]["sum"] == 1198003
