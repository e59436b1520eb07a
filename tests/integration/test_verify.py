"""`emdvc verify`: a revision's results, computed again in a temporary clone and compared with what is recorded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from command_line import Emdvc
from verified_project import contents, copied, damage, dvc, git, locked, made, objects, one_bit, path_of, verdicts_noted

from emdvc.compare.verification import file_difference
from emdvc.history.dvc_stages import runnable
from emdvc.history.initialise import initialise
from emdvc.history.verify.recomputed import telling

#: What opening a repository may rewrite without changing it: locks, git's and DVC's own indexes.
PASSING = (".dvc/tmp/", ".git/index")


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return copied(made(tmp_path_factory), tmp_path)


def _said(emdvc: Emdvc, project: Path, *options: object, status: int) -> dict[str, Any]:
    answer = json.loads(emdvc("verify", "--json", *options, cwd=project, status=status).stdout)
    assert (answer["schema"], answer["version"]) == ("emdvc/verify", 1)
    return dict(answer)


def _outcomes(said: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["outcome"] for stage in said["stages"]}


def _outputs(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {output["path"]: output for stage in said["stages"] for output in stage["outputs"]}


def _clones(project: Path) -> list[Path]:
    return list((project / ".dvc" / "tmp").glob("verify-*"))


@pytest.mark.slow
def test_each_output_is_judged_and_nothing_of_the_project_is_touched(project: Path, emdvc: Emdvc) -> None:
    before = contents(project, without=PASSING), contents(project.parent / "store")
    refs = git(project, "show-ref")
    said = _said(emdvc, project, "--no-record", status=1)

    outputs = _outputs(said)
    assert {path: output["outcome"] for path, output in outputs.items()} == {
        "results/sum.zarr": "bit-identical",
        "results/sum.zarr.em.yaml": "bit-identical",
        "results/sum.png": "bit-identical",
        "results/tiny.npy": "within tolerance",
        "results/random.npy": "different",
        "results/mean.yaml": "different",
    }
    assert _outcomes(said) == {"sum": "bit-identical", "noise": "different", "mean": "different"}
    # the script adds 1 to 2e-12 everywhere; sums of counts are whole numbers of at most a few hundred, so that an
    # amount below half the step between neighbouring numbers there (1.4e-14 at 200) is all that rounding may take
    (tiny,) = outputs["results/tiny.npy"]["difference"]["values"]
    assert tiny["verdict"] == "within tolerance"
    assert 0 < tiny["largest"] < 1.1e-12
    assert tiny["outside"] == 0
    # two draws of the same uniform distribution over one interval of length 1, in one of 6 x 5 numbers
    (random,) = outputs["results/random.npy"]["difference"]["values"]
    assert (random["differing"], random["total"], random["verdict"]) == (1, 30, "values")
    assert 1e-9 < random["largest"] < 1
    (line,) = outputs["results/mean.yaml"]["lines"]
    assert line.startswith("line 2: mean: ")
    assert next(stage for stage in said["stages"] if stage["name"] == "mean")["other_inputs"] == ["results/random.npy"]

    assert (contents(project, without=PASSING), contents(project.parent / "store")) == before
    assert git(project, "show-ref") == refs
    assert git(project, "status", "--porcelain") == ""
    assert _clones(project) == []


@pytest.mark.slow
def test_named_stages_run_alone_on_recorded_inputs(project: Path, emdvc: Emdvc) -> None:
    (project / "params.yaml").write_text((project / "params.yaml").read_text() + "# a remark\n")
    done = emdvc("verify", "mean", "sum", cwd=project)
    assert "changes that are not committed are not verified" in done.stderr
    assert "> emdvc run sum_pattern" in done.stderr  # what runs is seen while it runs
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line for line in lines if line and line[0] in ("sum", "mean")] == [
        ["sum", "results/sum.png", "bit-identical"],
        ["mean", "results/mean.yaml", "bit-identical"],
    ]
    assert done.stdout.splitlines()[-1].endswith("was reproduced bit by bit: 2 stages")
    (noted,) = verdicts_noted(project)
    assert noted["stages"] == {"sum": "bit-identical", "mean": "bit-identical"}
    assert (noted["scope"], noted["ok"], noted["who"]) == ("stages", True, "Ernst Ruska")
    assert set(noted) == {"when", "who", "emdvc", "scope", "stages", "ok", "machine"}
    assert set(noted["machine"]) == {"system", "processor", "python"}


@pytest.mark.slow
def test_a_stage_that_fails_and_an_older_revision(project: Path, emdvc: Emdvc) -> None:
    script = project / "scripts" / "noise.py"
    script.write_text(script.read_text().replace("sums[2, 3]", "raise ValueError('no gas')\nsums[2, 3]"))
    git(project, "commit", "--quiet", "--all", "--message", "broken")
    said = _said(emdvc, project, status=1)
    assert _outcomes(said) == {"sum": "bit-identical", "noise": "failed", "mean": "failed"}
    problems = {stage["name"]: stage["problem"] for stage in said["stages"]}
    assert problems["noise"] == "ValueError: no gas"
    assert problems["mean"] == "its input is an output of noise, which failed"
    assert _clones(project) == []

    before = _said(emdvc, project, "--rev", "HEAD~1", "noise", "--rtol", "0.5", status=0)
    assert _outcomes(before) == {"noise": "within tolerance"}
    assert before["commit"] == git(project, "rev-parse", "HEAD~1")
    assert [one["stages"] for one in verdicts_noted(project)] == [_outcomes(said)]


def test_inputs_come_from_the_remote_or_are_named(project: Path, emdvc: Emdvc) -> None:
    path = "results/random.npy"
    md5 = locked(project, path)
    here, there = (path_of(objects(folder), md5) for folder in (project / ".dvc" / "cache", project.parent / "store"))
    damage(here, one_bit)  # a corrupt copy is passed over
    (project / path).unlink()
    emdvc("verify", "mean", cwd=project)
    damage(there, one_bit)
    done = emdvc("verify", "mean", cwd=project, status=3)
    assert "EM-DATA-CORRUPT" in done.stderr
    assert f"{path} is corrupt, and there is no good copy" in done.stderr
    here.unlink()
    there.unlink()
    done = emdvc("verify", "mean", cwd=project, status=3)
    assert f"{path} is neither in the cache nor on the remote" in done.stderr
    assert _clones(project) == []


def test_a_lock_of_other_inputs_is_seen_and_the_difference_is_told(project: Path, emdvc: Emdvc) -> None:
    # somebody replaced the scan and forgot `dvc repro`: one count more in each pixel of one of 30 patterns
    scan = project / "raw" / "scan.npy"
    counts = np.load(scan)
    counts[2, 3] += 1
    scan.chmod(0o644)
    np.save(scan, counts)
    dvc(project, "add", "raw/scan.npy")
    git(project, "commit", "--no-verify", "--quiet", "--all", "--message", "another scan")
    said = _said(emdvc, project, "sum", status=1)
    assert said["stages"][0]["other_inputs"] == ["raw/scan.npy"]
    outputs = _outputs(said)
    changes = {one["variable"]: one for one in outputs["results/sum.zarr"]["difference"]["values"]}
    assert (changes["sum"]["differing"], changes["sum"]["largest"]) == (256, 1.0)
    assert changes["mean"]["largest"] == pytest.approx(1 / 30)
    for path in ("results/sum.zarr.em.yaml", "results/sum.png"):
        assert (outputs[path]["outcome"], outputs[path]["lines"]) == ("different", ["follows from sum.zarr"])
    # what follows from numbers that are near enough is near enough
    near = _outputs(_said(emdvc, project, "sum", "--atol", "1", status=0))
    assert {output["outcome"] for output in near.values()} == {"within tolerance"}


def test_what_cannot_be_verified_is_said(project: Path, emdvc: Emdvc) -> None:
    assert "did you mean noise?" in emdvc("verify", "nois", cwd=project, status=2).stderr
    assert "EM-REVISION-UNKNOWN" in emdvc("verify", "--rev", "nowhere", cwd=project, status=2).stderr
    # a scan that no disk has room for
    pointer = project / "raw" / "scan.npy.dvc"
    size = next(line for line in pointer.read_text().splitlines() if "size:" in line)
    pointer.write_text(pointer.read_text().replace(size, f"  size: {10**18}"))
    git(project, "commit", "--quiet", "--all", "--message", "large")
    done = emdvc("verify", "sum", cwd=project, status=2)
    assert "EM-DISK-FULL" in done.stderr
    assert "1e+09 GB are needed" in done.stderr
    assert _clones(project) == []
    git(project, "rm", "--quiet", "dvc.lock")
    git(project, "commit", "--quiet", "--message", "no record")
    assert "there is nothing to compute again at HEAD" in emdvc("verify", cwd=project, status=2).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a console's Ctrl-C cannot be sent to one process there")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_an_interruption(project: Path, tmp_path: Path, number: signal.Signals) -> None:
    script = project / "scripts" / "noise.py"
    started = tmp_path / "started"
    script.write_text(
        f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(99)\n"
    )
    git(project, "commit", "--quiet", "--all", "--message", "slow")
    place = tmp_path / "elsewhere"
    place.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "emdvc", "verify", "noise", "--folder", str(place)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    until = time.monotonic() + 60
    while not (started.exists() and started.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(place.iterdir()), process.communicate(timeout=30)[0].decode()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert list(place.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)  # the stage itself is gone, too


def test_a_shallow_clone_and_a_project_in_a_folder(project: Path, tmp_path: Path, emdvc: Emdvc) -> None:
    # a CI job has the last commit alone, and a cache that it filled from the remote
    whole = tmp_path / "whole"
    (whole / "analysis").mkdir(parents=True)
    for path in git(project, "ls-files").splitlines():
        (whole / "analysis" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project / path, whole / "analysis" / path)
    config = whole / "analysis" / ".dvc" / "config"
    config.write_text(config.read_text().replace("../../store", (project.parent / "store").as_posix()))
    subprocess.run(["git", "init", "--quiet", str(whole)], check=True)
    git(whole, "add", "--all")
    git(whole, "commit", "--quiet", "--message", "first")
    git(whole, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(tmp_path, "clone", "--quiet", "--depth", "1", whole.as_uri(), "shallow")
    place = tmp_path / "elsewhere"
    place.mkdir()
    folder = tmp_path / "shallow" / "analysis"
    done = emdvc("verify", "sum", "--keep", "--folder", place, cwd=folder)
    assert done.stdout.splitlines()[-1].endswith("was reproduced bit by bit: 1 stage")
    (kept,) = place.iterdir()
    assert (kept / "clone" / "analysis" / "results" / "sum.zarr").is_dir()
    assert not (folder / "results" / "sum.zarr").exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["> emdvc run x", "working", "error[EM-STEP-COUNTS]: there are no counts", "  hint: give some"],
            "error[EM-STEP-COUNTS]: there are no counts",
        ),
        (["> python a.py", "Traceback (most recent call last):", "  File 'a.py'", "KeyError: 'x'"], "KeyError: 'x'"),
        (
            ["> matlab", "loading", "/bin/sh: 1: matlab: not found", "ERROR: failed to reproduce 'm'"],
            "/bin/sh: 1: matlab: not found",
        ),
        (["> ./a", "one", "WARNING: output 'b' does not exist"], "output 'b' does not exist"),
        (["> ./a", "one", "two", "WARNING: failed to run: ./a, exited with 1"], "two"),
        (["> false", "WARNING: failed to run: false, exited with 1"], "failed to run: false, exited with 1"),
        ([], "it printed nothing"),
    ],
)
def test_the_telling_line_of_a_failure(lines: list[str], said: str) -> None:
    assert telling(lines) == said


def test_files_that_are_no_datasets(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x,y\n1,2\n3,4\n")
    second.write_text("x,y\n1,2\n3,5\n6,7\n")
    assert file_difference(first, second) == ("line 3: 3,4 -> 3,5 | 6,7",)
    first.write_bytes(b"\0\1")
    assert file_difference(first, second) == ("2 bytes -> 16 bytes",)
    for folder, text in ((tmp_path / "c", "1"), (tmp_path / "d", "2")):
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "same").write_text("same")
        (folder / "in" / "other").write_text(text)
    assert file_difference(tmp_path / "c", tmp_path / "d") == ("1 of 2 files differ: in/other",)


def test_stages_as_dvc_understands_them(tmp_path: Path) -> None:
    project = initialise(tmp_path / "project").project
    (project.root / "dvc.yaml").write_text(
        "stages:\n"
        "  last: {cmd: cp b.x c, deps: [b.x], params: [{p.yaml: [k]}], outs: [c]}\n"
        "  each: {foreach: [x, y], do: {cmd: 'cp a b.${item}', deps: [a], outs: ['b.${item}']}}\n"
        "  still: {cmd: cp c d, deps: [c], outs: [d], frozen: true}\n"
    )
    below = project.root / "below"
    below.mkdir()
    (below / "dvc.yaml").write_text("stages:\n  one: {cmd: cp ../d e, deps: [../d], outs: [e]}\n")
    site = tmp_path / "site"
    before = set(Path(os.environ["DVC_SITE_CACHE_DIR"]).rglob("*"))
    found = {stage.address: stage for stage in runnable(project, site)}
    assert set(found) == {"last", "each@x", "each@y", "still", "below/dvc.yaml:one"}
    order = list(found)
    assert [name for name in order if name != "each@y"] == ["each@x", "last", "still", "below/dvc.yaml:one"]
    one = found["below/dvc.yaml:one"]
    assert (one.deps, one.outs) == ((PurePosixPath("d"),), (PurePosixPath("below/e"),))
    assert found["last"].deps == (PurePosixPath("b.x"),)  # a file of parameters is none
    assert [stage.address for stage in found.values() if stage.frozen] == ["still"]
    assert site.is_dir()
    assert set(Path(os.environ["DVC_SITE_CACHE_DIR"]).rglob("*")) == before
