"""Who computed a result: noted by a run, attached to the commit that holds just that result."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from emdvc import __version__
from emdvc.formats import sidecar as sidecars
from emdvc.history import notes, run_records
from emdvc.history.project import Project
from emdvc.model.sidecar import Sidecar, VariableInfo

PATH = PurePosixPath("results/image.zarr")


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def place(tmp_path: Path) -> Project:
    git("init", "-q", cwd=tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".gitignore").write_text("/.dvc/tmp\n")
    (tmp_path / "results").mkdir()
    return Project(tmp_path, tmp_path)


def result(digest: str) -> Sidecar:
    info = VariableInfo(("y", "x"), (2, 3), "uint32", f"sha256-units:{digest}")
    return Sidecar(variables={"image": info}, main="image", provenance={"step": "virtual_image", "version": 2})


def commit(project: Project, sidecar: Sidecar, message: str) -> str:
    sidecars.write(project.path(PATH), sidecar)
    git("add", "--all", cwd=project.root)
    git("commit", "-qm", message, cwd=project.root)
    return git("rev-parse", "HEAD", cwd=project.root)


def test_a_record_says_who_and_with_what_but_not_where(place: Project) -> None:
    run_records.remember(place, place.path(PATH), result("aa"), 1.23456)
    (file, record) = run_records.waiting(place)[0]
    assert record.path == PATH
    assert record.digests == {"image": "sha256-units:aa"}
    assert (record.step, record.version, record.seconds) == ("virtual_image", 2, 1.235)
    assert record.who == "Ernst Ruska"  # what the tests tell git
    assert record.versions["emdvc"] == __version__
    assert record.versions["numpy"] == np.__version__
    assert record.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(record.versions) == {"python", *run_records.PACKAGES}
    assert record.when.endswith("+00:00")
    import platform

    text = file.read_text()
    assert platform.node() not in text and str(place.root) not in text
    assert run_records.RunRecord.from_dict(json.loads(text)) == record


def test_the_author_is_asked_of_git(place: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_AUTHOR_NAME")
    git("config", "user.name", "Max Knoll", cwd=place.root)
    git("config", "user.email", "knoll@example.org", cwd=place.root)
    run_records.remember(place, place.path(PATH), result("aa"), 1.0)
    assert run_records.waiting(place)[0][1].who == "Max Knoll"


def test_a_record_goes_to_the_commit_that_holds_its_result(place: Project) -> None:
    run_records.remember(place, place.path(PATH), result("aa"), 1.0)
    run_records.remember(place, place.path(PATH), result("bb"), 2.0)
    first = commit(place, result("aa"), "first")
    assert run_records.attach(place) == 1
    assert [entry["seconds"] for entry in notes.read(first, place.root)["runs"]] == [1.0]
    assert [record.seconds for _, record in run_records.waiting(place)] == [2.0]
    assert run_records.attach(place) == 0  # the other waits
    second = commit(place, result("bb"), "second")
    assert run_records.attach(place) == 1
    assert [entry["seconds"] for entry in notes.read(second, place.root)["runs"]] == [2.0]
    assert run_records.waiting(place) == []


def test_the_same_result_again_is_one_record(place: Project) -> None:
    for seconds in (1.0, 2.0):
        run_records.remember(place, place.path(PATH), result("aa"), seconds)
    assert [record.seconds for _, record in run_records.waiting(place)] == [2.0]


def test_records_are_found_by_result_the_latest_first(place: Project) -> None:
    run_records.remember(place, place.path(PATH), result("aa"), 1.0)
    (_, record) = run_records.waiting(place)[0]
    older = replace(record, when="2020-01-01T00:00:00+00:00")
    other = replace(record, digests={"image": "other"})
    found = run_records.by_result([older.to_dict(), record.to_dict(), other.to_dict(), {"path": 3}, {}])
    assert found[PATH, run_records.key({"image": "sha256-units:aa"})] == [record, older]
    assert len(found) == 2


def test_a_run_never_fails_for_its_record(place: Project, tmp_path: Path) -> None:
    run_records.remember(None, place.path(PATH), result("aa"), 1.0)  # outside a project
    run_records.remember(place, tmp_path.parent / "elsewhere.zarr", result("aa"), 1.0)
    assert run_records.waiting(place) == []
    place.journal_dir.mkdir(parents=True)
    (place.journal_dir / "ran").write_text("a file is in the way")
    run_records.remember(place, place.path(PATH), result("aa"), 1.0)


def test_damaged_records_and_old_ones_make_room(place: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_records, "_MOST", 3)
    for number in range(6):
        run_records.remember(place, place.path(PATH), result(f"a{number}"), 1.0)
    (place.journal_dir / "ran" / "x.json").write_text("{")
    assert len(run_records.waiting(place)) == 6
    commit(place, result("a5"), "one of them")
    assert run_records.attach(place) == 1
    assert len(run_records.waiting(place)) == 3


def test_a_record_costs_little_and_imports_no_dvc(place: Project) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nimport numpy, numba\n"
        "from emdvc.history import run_records\nfrom emdvc.history.project import Project\n"
        "from emdvc.model.sidecar import Sidecar, VariableInfo\n"
        "project = Project(Path(sys.argv[1]), Path(sys.argv[1]))\n"
        "sidecar = Sidecar(variables={'a': VariableInfo(('y',), (1,), 'u1', 'd')})\n"
        "times = []\n"
        "for _ in range(20):\n"
        "    start = time.perf_counter()\n"
        "    run_records.remember(project, project.root / 'results' / 'a.zarr', sidecar, 1.0)\n"
        "    times.append(time.perf_counter() - start)\n"
        "assert not any(name == 'dvc' or name.startswith('dvc.') for name in sys.modules)\n"
        "print(min(times))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(place.root)], capture_output=True, text=True, check=True)
    assert run_records.waiting(place)
    # on a quiet machine about one millisecond
    assert float(done.stdout) < 0.02
