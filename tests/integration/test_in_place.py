"""Stages that read their data where it is: run on a machine that never holds the scan."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Emdvc
from in_place_project import DETECTOR, RECORD, cached, clone_of, dvc, locked, stage, write_scan
from own_machine import own_machine

from emdvc.formats import sidecar as sidecars


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with the same stage in place and not, a stage on a stage, all shared on a folder remote."""
    top = tmp_path_factory.mktemp("facility")
    emdvc = Emdvc(top)
    project = top / "project"
    with own_machine(tmp_path_factory.mktemp("machine")):
        emdvc("init", project, "--remote", f"lab={top / 'remote'}")
        emdvc("add", write_scan(top / "scan.zarr"), *RECORD, cwd=project)
        stage(emdvc, project, "raw/scan.zarr", "results/here.zarr")
        stage(emdvc, project, "raw/scan.zarr", "results/there.zarr", "--in-place")
        emdvc("stage", "add", "convert", "-d", "raw/scan.zarr", "-o", "results/small.zarr", "--in-place", cwd=project)
        stage(emdvc, project, "results/small.zarr", "results/later.zarr", "--in-place")
        dvc(project, "repro")
        emdvc("save", "-m", "computed", cwd=project)
    return project


@pytest.fixture
def clone(made: Path, tmp_path: Path) -> Path:
    """Return a clone that holds nothing, of which no result is known."""
    folder = clone_of(made, tmp_path / "laptop")
    (folder / "dvc.lock").unlink()
    return folder


def _same(found: dict[str, str], expected: dict[str, str]) -> bool:
    return list(found.values()) == list(expected.values())


def test_what_the_stage_depends_on(made: Path) -> None:
    """On keys of the sidecar that say which bytes are meant, and not on the data; of a result on its sidecar."""
    stages = sidecars.load_yaml((made / "dvc.yaml").read_text(), "dvc.yaml")["stages"]
    assert stages["there"]["cmd"].endswith("results/there.zarr --in-place")
    assert "deps" not in stages["there"]
    assert stages["there"]["params"][1] == {"raw/scan.zarr.em.yaml": ["source.files", "data", "diffraction.center"]}
    assert stages["later"]["deps"] == ["results/small.zarr.em.yaml"]


def test_same_bytes_with_the_data_here(made: Path) -> None:
    """In place or not: every output has the same md5, the provenance with the sidecar."""
    here, there, later = (locked(made, name) for name in ("here", "there", "later"))
    assert _same(there, here)
    assert (made / "results/there.zarr.em.yaml").read_bytes() == (made / "results/here.zarr.em.yaml").read_bytes()
    assert later["results/later.zarr"] == here["results/here.zarr"]


def test_same_bytes_with_nothing_here(made: Path, clone: Path) -> None:
    """Plain `dvc repro` in a clone that never gets the scan."""
    dvc(clone, "repro", "there")
    assert locked(clone, "there") == locked(made, "there")
    assert not (clone / "raw/scan.zarr").exists()
    assert not list((clone / ".dvc/tmp/emdvc").rglob("*.blocks*"))


@pytest.mark.slow
@pytest.mark.server
def test_same_bytes_on_dask_workers(made: Path, clone: Path, tmp_path: Path) -> None:
    """The workers read the remote themselves."""
    profile = tmp_path / "cluster.yaml"
    profile.write_text("{kind: local, jobs: 2, threads_per_worker: 1}\n")
    dvc(clone, "repro", "there", env={"EMDVC_SCHEDULER": str(profile)})
    assert locked(clone, "there") == locked(made, "there")
    assert not (clone / "raw/scan.zarr").exists()


def test_a_stage_on_the_result_of_a_stage(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """The input is a result that was computed elsewhere and not pulled; only what changed runs."""
    folder = clone_of(made, tmp_path / "laptop")
    emdvc("run", *DETECTOR, "results/small.zarr", "results/by_hand.zarr", "--in-place", cwd=folder)
    by_hand = sidecars.read(folder / "results/by_hand.zarr").variables["image"].digest
    assert by_hand == sidecars.read(folder / "results/later.zarr").variables["image"].digest
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text().replace("9px", "8px"))
    said = dvc(folder, "repro", "--allow-missing", "later")
    assert "Running stage 'later'" in said
    assert "Running stage 'small'" not in said
    assert not (folder / "results/small.zarr").exists()


def test_only_what_is_recorded_is_read(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """A working copy that somebody changed is not read, and not taken for the data."""
    folder = clone_of(made, tmp_path / "laptop")
    write_scan(folder / "raw/scan.zarr", seed=4)
    (folder / "dvc.lock").unlink()
    dvc(folder, "repro", "there")
    assert locked(folder, "there") == locked(made, "there")


def test_data_here_that_the_cache_lacks(made: Path, tmp_path: Path) -> None:
    """What lies here just as it is recorded is read from here: no remote is needed."""
    folder = clone_of(made, tmp_path / "laptop")
    shutil.copytree(made / "raw/scan.zarr", folder / "raw/scan.zarr")
    (folder / "dvc.lock").unlink()
    (folder / ".dvc/config.local").write_text("['remote \"lab\"']\n    url = /nowhere/at/all\n")
    dvc(folder, "repro", "there")
    assert locked(folder, "there") == locked(made, "there")


def test_what_reruns_it(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """The keys that the step reads and the bytes of the data; no other key."""
    folder = clone_of(made, tmp_path / "laptop")
    emdvc("add", "raw/scan.zarr", "--set", "operator=somebody else", cwd=folder)
    reruns = json.loads(emdvc("status", "--json", "--no-remote", cwd=folder).stdout)["would_run"]
    assert reruns == []
    emdvc("add", "raw/scan.zarr", "--set", "diffraction.center=15,16px", cwd=folder)
    emdvc("add", write_scan(tmp_path / "scan.zarr", seed=5), "--replace", "measured again", cwd=folder)
    reruns = json.loads(emdvc("status", "--json", "--no-remote", cwd=folder).stdout)["would_run"]
    there = next(one for one in reruns if one["stage"] == "there")
    assert there["because"][:2] == ["the bytes of raw/scan.zarr changed", "the numbers of raw/scan.zarr changed"]
    assert "diffraction.center" in there["because"][2]
    assert "Running stage 'there'" in dvc(folder, "repro", "there")


def test_a_reference_is_read_in_place_too(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """A dark image that is raw data itself: its stage depends on its record, and nothing of it need be here."""
    project = tmp_path / "project"
    shutil.copytree(made, project)
    np.save(tmp_path / "dark.npy", np.ones((32, 32), "u1"))
    emdvc("add", tmp_path / "dark.npy", "--dims", "ky,kx", cwd=project)
    words = ("stage", "add", "correct", "--set", "dark=raw/dark.npy", "-d", "raw/scan.zarr")
    emdvc(*words, "-o", "results/near.zarr", cwd=project)
    emdvc(*words, "-o", "results/far.zarr", "--in-place", cwd=project)
    declared = sidecars.load_yaml((project / "dvc.yaml").read_text(), "dvc.yaml")["stages"]["far"]
    assert declared["params"][2]["raw/dark.npy.em.yaml"] == ["source.files", "data"]
    dvc(project, "repro", "near")
    emdvc("save", "-m", "corrected", cwd=project)
    folder = clone_of(project, tmp_path / "laptop")
    dvc(folder, "repro", "far")
    assert _same(locked(folder, "far"), locked(project, "near"))
    assert not (folder / "raw/dark.npy").exists()


def test_update_and_list(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """`stage update` follows params.yaml and leaves the rest; `stage list` tells how it reads."""
    folder = clone_of(made, tmp_path / "laptop")
    assert emdvc("stage", "update", cwd=folder).stdout.count("up to date") == 4
    (folder / "params.yaml").write_text((folder / "params.yaml").read_text().replace("9px", "9/nm"))
    said = emdvc("stage", "update", "there", cwd=folder).stdout
    assert "reads diffraction.center, diffraction.pixel_size" in said or "reads diffraction" in said
    declared = sidecars.load_yaml((folder / "dvc.yaml").read_text(), "dvc.yaml")["stages"]["there"]
    assert declared["params"][1]["raw/scan.zarr.em.yaml"][:2] == ["source.files", "data"]
    assert "deps" not in declared
    found = json.loads(emdvc("stage", "list", "--json", cwd=folder).stdout)["stages"]
    assert {one["name"]: one["in_place"] for one in found}["there"] is True
    assert {one["name"]: one["in_place"] for one in found}["here"] is False


def test_a_dependency_that_was_taken_out_is_missed(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Without it a change of the data would not rerun the stage."""
    folder = clone_of(made, tmp_path / "laptop")
    (folder / "dvc.yaml").write_text((folder / "dvc.yaml").read_text().replace("source.files, data, ", ""))
    said = emdvc(
        "run", "virtual_detector", "raw/scan.zarr", "results/there.zarr", "--in-place", cwd=folder, status=2
    ).stderr
    assert "EM-STAGE-UNDECLARED" in said
    emdvc("stage", "update", cwd=folder)
    assert "[source.files, data" in (folder / "dvc.yaml").read_text()


def test_what_cannot_be_read_in_place(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """The output of a stage that writes no sidecar; a run outside a project; data that is not here without it."""
    folder = clone_of(made, tmp_path / "laptop")
    with (folder / "dvc.yaml").open("a") as file:
        file.write("  own:\n    cmd: python own.py\n    deps: [raw/scan.zarr]\n    outs: [results/own.npy]\n")
    words = ("stage", "add", *DETECTOR, "-d", "results/own.npy", "-o", "results/x.zarr", "--in-place")
    said = emdvc(*words, cwd=folder, status=2).stderr
    assert "results/own.npy cannot be read in place" in said
    said = emdvc("run", *DETECTOR, "raw/scan.zarr", "results/here.zarr", cwd=folder, status=3).stderr
    assert "emdvc stage add virtual_detector -d raw/scan.zarr -o results/here.zarr --name here --in-place" in said
    said = emdvc("run", *DETECTOR, "scan.zarr", "x.zarr", "--in-place", cwd=tmp_path, status=2).stderr
    assert "this is no project" in said


@pytest.mark.slow
def test_verify_computes_it_again(made: Path, emdvc: Emdvc) -> None:
    """Bit by bit, the whole pipeline and a single stage."""
    assert "was reproduced bit by bit: 4 stages" in emdvc("verify", cwd=made).stdout
    assert "was reproduced bit by bit" in emdvc("verify", "later", cwd=made).stdout


def test_a_killed_run_goes_on(made: Path, clone: Path) -> None:
    """Blocks that are finished are not computed again; the result is the same."""
    words = [sys.executable, "-m", "emdvc", "run", "virtual_detector", "raw/scan.zarr", "results/there.zarr"]
    environment = {**os.environ, "EMDVC_THREADS": "1"}
    running = subprocess.Popen([*words, "--in-place"], cwd=clone, env=environment, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while time.monotonic() < until and cached(clone) < 200_000 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    dvc(clone, "repro", "there")
    assert locked(clone, "there") == locked(made, "there")


def test_a_difference_names_the_input(made: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    """Of a result that was read in place the cause is the data, not the keys that stand for it."""
    folder = clone_of(made, tmp_path / "laptop")
    emdvc("add", write_scan(tmp_path / "scan.zarr", seed=5), "--replace", "measured again", cwd=folder)
    dvc(folder, "repro", "there", "later")
    for result, through in (("there", []), ("later", ["small"])):
        said = json.loads(emdvc("diff", f"results/{result}.zarr", "--json", cwd=folder).stdout)
        (cause,) = said["datasets"][0]["causes"]
        assert (cause["kind"], cause["where"], cause["through"]) == ("input", "raw/scan.zarr", through)
