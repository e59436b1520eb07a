"""`emdvc demo` tells its story to the end, on a simulated scan and on measured ones; a broken promise stops it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc

from emdvc.cli.demo_proofs import fingerprints, require
from emdvc.cli.demo_shell import Shell
from emdvc.errors import EnvironmentFault, InternalError


@pytest.mark.slow
def test_the_whole_story(tmp_path: Path, emdvc: Emdvc) -> None:
    # CI has told it just now, by the README's own command: a folder, and beside it what was said
    before = os.environ.get("EMDVC_TOLD")
    folder = Path(before) if before else tmp_path / "demo"
    told = folder.with_name(f"{folder.name}.txt").read_text() if before else emdvc("demo", folder).stdout
    assert "Every promise held" in told
    assert "2 of 4 stages ran again: dark_field, center_of_mass" in told
    assert "dark_field      because diffraction.pixel_size of raw/scan01.zarr" in told
    for stage in ("bright_field", "dark_field", "center_of_mass", "profile"):
        ours, theirs = (folder / who / f"results/{stage}.zarr.em.yaml" for who in ("project", "colleague"))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_your_own_file(tmp_path: Path, emdvc: Emdvc, realdata: Path) -> None:
    file = realdata / "fpd_merlin_2x2x256x256.hdf5"
    told = emdvc("demo", tmp_path / "demo", "--data", file, "--signal", "fpd_data").stdout
    assert "Every promise held" in told
    # that file says nothing of the microscope: the demo has to say what it assumes
    assert "--set beam.energy=200keV --set diffraction.pixel_size=0.02/angstrom" in told


def test_data_without_diffraction_patterns(tmp_path: Path, emdvc: Emdvc) -> None:
    np.save(tmp_path / "image.npy", np.zeros((8, 8), np.uint16))
    done = emdvc("demo", tmp_path / "demo", "--data", tmp_path / "image.npy", status=2)
    assert "error[EM-STEP-DIMENSIONS]" in done.stderr


def test_a_folder_that_is_not_empty_stays_as_it_is(tmp_path: Path, emdvc: Emdvc) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    done = emdvc("demo", tmp_path, status=4)
    assert "is not empty" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_missing_file(tmp_path: Path, emdvc: Emdvc) -> None:
    assert "error[EM-NOT-FOUND]" in emdvc("demo", tmp_path / "demo", "--data", "absent.mib", status=2).stderr
    assert not (tmp_path / "demo").exists()


def test_a_broken_promise_stops_the_story() -> None:
    with pytest.raises(InternalError, match="a promise was not kept: the moon is made of cheese"):
        require(False, "the moon is made of cheese", "it is not")


def test_fingerprints_see_one_changed_byte(tmp_path: Path) -> None:
    store = tmp_path / "results" / "image.zarr"
    store.mkdir(parents=True)
    (store / "0").write_bytes(b"0123")
    before = fingerprints(tmp_path, ["image"])
    (store / "0").write_bytes(b"0124")
    assert fingerprints(tmp_path, ["image"]) != before


def test_a_failing_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"failed with status 3: emdvc inspect absent\.mib"):
        Shell(tmp_path, "Ernst").run("emdvc", "inspect", "absent.mib")
