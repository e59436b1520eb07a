"""Experiments of DVC: stages of emdvc in folders of their own and one cache, and their names as revisions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import Emdvc

from emdvc.errors import Code, UsageError
from emdvc.history import git, run_records
from emdvc.history.project import Project
from emdvc.history.verify.byte_check import check_bytes
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_npy

pytestmark = pytest.mark.slow


def run(folder: Path, *words: str, status: int | None = 0) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert status is None or done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def dvc(folder: Path, *lines: str, status: int | None = 0) -> str:
    """Run command lines of DVC one after the other, in one process: half of a short one is its start."""
    program = "import sys; from dvc.cli import main; sys.exit(max([main(line.split()) for line in sys.argv[1:]]))"
    return run(folder, sys.executable, "-c", program, *lines, status=status)


def opened(gate: Path, process: subprocess.Popen[str]) -> int:
    """Return one end of a pipe when a stage of a process has opened the other."""
    until = time.monotonic() + 60
    while True:
        try:
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            assert time.monotonic() < until, "the stage never began"
            assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def workers(folder: Path) -> list[int]:
    """Return the workers of a project's queue that are alive."""
    found = []
    for file in (folder / ".dvc/tmp/exps/celery").glob("*.pid"):
        with suppress(ValueError, OSError):
            number = int(file.read_text())
            os.kill(number, 0)
            found.append(number)
    return found


@dataclass
class Queue:
    """A project whose queue of experiments runs meanwhile, two at a time; one of them fails."""

    root: Path
    running: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def queue(machine: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    folder = tmp_path_factory.mktemp("lab")
    emdvc, root = Emdvc(folder), folder / "project"
    emdvc("init", root)
    emdvc("add", write_npy(folder / "scan.npy", DiffractionPhantom((8, 8), (16, 16))), cwd=root)
    stage = ("stage", "add", "virtual_detector", "-d", "raw/scan.npy", "-o", "results/rings.zarr")
    emdvc(*stage, "--set", "inner=2px", "--set", "outer=4px", cwd=root)
    dvc(root, "repro -q")
    emdvc("save", "-m", "base", cwd=root)
    words = "exp run -q --queue --name"
    dvc(root, f"{words} wide -S rings.outer=5px,6px", f"{words} empty -S rings.outer=1px")
    line = [sys.executable, "-m", "dvc", "exp", "run", "-q", "--run-all", "-j", "2"]
    running = subprocess.Popen(line, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield Queue(root, running)
    if running.poll() is None:
        running.kill()
        running.wait()
    for number in workers(root):
        os.kill(number, signal.SIGTERM)


@pytest.fixture(scope="module")
def lab(queue: Queue) -> Path:
    """Return the project when its queue has run; one experiment more waits in it, for which there is no worker."""
    queue.running.wait(90)
    until = time.monotonic() + 30
    while (alive := workers(queue.root)) and time.monotonic() < until:
        for number in alive:
            os.kill(number, signal.SIGTERM)
        time.sleep(0.5)
    dvc(queue.root, "exp run -q --queue --name later -S rings.outer=7px")
    return queue.root


def test_two_worktrees_with_one_cache_at_once(queue: Queue) -> None:
    main, roots = queue.root, [queue.root.parent / "left", queue.root.parent / "right"]
    for number, root in enumerate(roots):
        run(main, "git", "worktree", "add", "-q", "-b", root.name, str(root))
        (root / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {main / '.dvc' / 'cache'}\n")
        params = root / "params.yaml"
        params.write_text(params.read_text().replace("outer: 4px", f"outer: {5.25 + number / 2}px"))
    # the scan is in no worktree yet: DVC puts it there from the cache
    line = [sys.executable, "-m", "dvc", "repro", "-q", "--pull"]
    running = [subprocess.Popen(line, cwd=root) for root in roots]
    assert [process.wait(60) for process in running] == [0, 0]
    for root in roots:
        emdvc = Emdvc(root)
        emdvc("save", "-m", root.name, "--no-push")
        assert run_records.waiting(Project.find(root)) == []  # noted of the commit
    assert emdvc("diff", "left", "right", "--stat").stdout.split()[0] == "results/rings.zarr"
    assert json.loads(emdvc("status", "--json").stdout)["would_run"] == []
    assert json.loads(emdvc("verify", "--bytes", "--all", "--json").stdout)["ok"] is True
    assert run(main, "git", "status", "--short") == ""
    # git shows metadata in a worktree, too
    assert "parameters.outer: 5.75 px" in run(roots[1], "git", "diff", "main", "--", "results/rings.zarr.em.yaml")


def test_what_runs_has_no_result_yet(lab: Path) -> None:
    # an experiment in a folder of its own, held up by its stage, which then reads its input in place
    root, gate = lab, lab.parent / "gate"
    os.mkfifo(gate)
    text, command = (root / "dvc.yaml").read_text(), f"cat {gate} > none.txt && rm none.txt && emdvc run"
    one = text.removeprefix("stages:\n").replace("rings", "disk").replace("emdvc run", command, 1)
    one = one.replace("results/disk.zarr\n", "results/disk.zarr --in-place --set outer=3px\n", 1)
    one = one.replace("    deps: [raw/scan.npy]\n", "").replace("      - disk\n", "")
    one = one.replace("[diffraction.center]", "[diffraction.center, source.files, data]")
    (root / "dvc.yaml").write_text(text + one)
    try:
        line = [sys.executable, "-m", "dvc", "exp", "run", "-q", "--temp", "--name", "long"]
        process = subprocess.Popen(line, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            through = opened(gate, process)
            with pytest.raises(UsageError, match="the experiment 'long' has no result yet") as error:
                git.resolve("long", root)
            assert (error.value.code, error.value.evidence) == (Code.REVISION_UNKNOWN, "it runs now")
            os.close(through)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said
        finally:
            process.kill()
            process.wait()
        found = Emdvc(root)("diff", "main", "long", "--stat").stdout
        assert found.split() == ["results/disk.zarr", "added"]
        assert run(root, "git", "status", "--short") == " M dvc.yaml\n"
    finally:
        run(root, "git", "checkout", "-q", "dvc.yaml")


def test_a_queue_leaves_the_workspace_as_it_was_and_its_results_whole(lab: Path) -> None:
    assert run(lab, "git", "status", "--short") == ""
    assert not [path for path in (lab / ".dvc/tmp/exps").glob("tmp*") if path.is_dir()]
    found = {}
    for name in ("wide-1", "wide-2"):
        oid = git.resolve(name, lab)
        # what git keeps of a stage is in the experiment's own commit
        changed = run(lab, "git", "diff", "--name-only", "main", oid).split()
        assert changed == ["dvc.lock", "params.yaml", "results/rings.png", "results/rings.zarr.em.yaml"]
        found[name] = run(lab, "git", "show", f"{oid}:results/rings.zarr.em.yaml")
    assert "6 px" in found["wide-2"] and "6 px" not in found["wide-1"]


def test_every_byte_of_experiments_is_in_the_shared_cache(lab: Path) -> None:
    found = check_bytes(Project.find(lab), ["wide-1", "wide-2"])
    assert found.faults() == [] and len(found.wanted.files()) > 5


def test_a_difference_of_two_experiments_by_name(lab: Path, tmp_path: Path) -> None:
    emdvc, page = Emdvc(lab), tmp_path / "page.html"
    found = json.loads(emdvc("diff", "wide-1", "wide-2", "--json", "--html", page).stdout)
    assert (found["before"], found["after"]) == ("wide-1", "wide-2")
    base = git.resolve("main", lab)
    assert found["experiments"] == [
        {"name": name, "commit": git.resolve(name, lab), "baseline": base} for name in ("wide-1", "wide-2")
    ]
    (dataset,) = found["datasets"]
    assert (dataset["path"], dataset["verdict"]) == ("results/rings.zarr", "values")
    assert [cause["key"] for cause in dataset["causes"]] == ["rings.outer"]
    assert f"wide-1 is the experiment {git.resolve('wide-1', lab)[:7]}, which began at {base[:7]}" in page.read_text()


def test_an_experiment_is_a_revision_like_others(lab: Path) -> None:
    assert Emdvc(lab)("diff", "wide-1", "--stat").stdout.split()[0] == "results/rings.zarr"
    assert git.resolve("wide-1^", lab) == git.resolve("main", lab)
    assert git.merge_base("wide-1", "wide-2", lab) == git.resolve("main", lab)


def test_a_data_sheet_a_history_and_a_report_of_an_experiment(lab: Path) -> None:
    emdvc, short = Emdvc(lab), git.resolve("wide-2", lab)[:7]
    sheet = json.loads(emdvc("inspect", "results/rings.zarr@wide-2", "--json").stdout)
    assert sheet["last_change"]["commit"] == git.resolve("wide-2", lab)
    assert emdvc("log", "results/rings.zarr@wide-2").stdout.startswith(short)
    report = json.loads(emdvc("report", "--rev", "main..wide-2", "--json", "--no-values").stdout)
    assert [one["name"] for one in report["experiments"]] == ["wide-2"]
    # who computed it: noted by a run whose folder is gone
    assert "results/rings.zarr" in {str(record.path) for _, record in run_records.waiting(Project.find(lab))}
    (rings,) = [one for one in report["datasets"] if one["path"] == "results/rings.zarr"]
    assert [one["who"] for one in rings["runs"]] == ["Ernst Ruska"]


@pytest.mark.parametrize(
    ("name", "cause", "hint"),
    [
        ("empty", "the experiment 'empty' failed: it has no result", "dvc queue logs empty"),
        ("later", "the experiment 'later' has no result yet", "dvc queue start"),
        ("wide-3", "unknown revision 'wide-3'", "did you mean wide-"),
    ],
)
def test_a_name_without_a_result_says_why(lab: Path, name: str, cause: str, hint: str) -> None:
    said = Emdvc(lab)("diff", name, status=2).stderr
    assert cause in said and hint in said


def test_one_name_on_two_commits(lab: Path) -> None:
    emdvc, here, first = Emdvc(lab), git.resolve("main", lab), git.resolve("wide-1", lab)
    run(lab, "git", "commit", "-q", "--allow-empty", "-m", "more")
    more = git.resolve("HEAD", lab)
    try:
        assert git.resolve("wide-1", lab) == first  # the only one of that name
        other = git.resolve("wide-2", lab)
        run(lab, "git", "update-ref", f"refs/exps/{more[:2]}/{more[2:]}/wide-1", other)
        assert git.resolve("wide-1", lab) == other
        said = emdvc("diff", "wide-1", "--stat").stderr
        assert f"the experiment {other[:7]}, which began at {more[:7]}; another of that name began elsewhere" in said
        run(lab, "git", "commit", "-q", "--allow-empty", "-m", "and more")
        with pytest.raises(UsageError, match="2 experiments are called 'wide-1'") as error:
            git.resolve("wide-1", lab)
        assert first[:7] in str(error.value.evidence) and '"base"' in str(error.value.evidence)
        run(lab, "git", "branch", "wide-2", here)
        assert git.resolve("wide-2", lab) == here  # as git understands it, first
    finally:
        run(lab, "git", "reset", "-q", "--hard", here)
        run(lab, "git", "update-ref", "-d", f"refs/exps/{more[:2]}/{more[2:]}/wide-1")
        run(lab, "git", "branch", "-q", "-D", "wide-2")


def test_an_experiment_applied_and_made_a_branch(lab: Path) -> None:
    emdvc = Emdvc(lab)
    try:
        dvc(lab, "exp branch wide-1 chosen", "exp apply -q wide-1")
        assert git.resolve("chosen", lab) == git.resolve("wide-1", lab)
        assert emdvc("diff", "wide-1").stdout.startswith("no difference in 2 datasets")
        assert json.loads(emdvc("status", "--json").stdout)["would_run"] == []
    finally:
        run(lab, "git", "reset", "-q", "--hard")
        dvc(lab, "checkout -q")
