"""The undo journal: whatever was begun is taken back, also by another process, also twice."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from emdvc.errors import Code, EnvironmentFault
from emdvc.history.journal import Journal, recover, transaction
from emdvc.history.lock import writing
from emdvc.history.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")  # as DVC completes it
    (tmp_path / "old.txt").write_text("old")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "begin"], cwd=tmp_path, check=True)
    return Project(tmp_path, tmp_path)


def everything(project: Project) -> dict[str, str]:
    return {
        path.relative_to(project.root).as_posix(): path.read_text()
        for path in project.root.rglob("*")
        if path.is_file() and not {".git", "tmp"} & set(path.parts[len(project.root.parts) :])
    }


def index(project: Project) -> str:
    command = ["git", "ls-files", "-s"]
    return subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True).stdout


def work(project: Project, journal: Journal) -> None:
    """Do one of everything."""
    root = project.root
    journal.will_change(root / "old.txt")
    (root / "old.txt").write_text("new")
    journal.will_create(root / "raw" / "deep" / "made.partial")
    (root / "raw" / "deep").mkdir(parents=True)
    (root / "raw" / "deep" / "made.partial").write_text("data")
    journal.will_move(root / "raw" / "deep" / "made.partial", root / "raw" / "deep" / "made")
    (root / "raw" / "deep" / "made.partial").rename(root / "raw" / "deep" / "made")
    journal.will_set_modes([root / "raw" / "deep" / "made"])
    (root / "raw" / "deep" / "made").chmod(0o444)
    journal.will_stage([root / "old.txt", root / "raw" / "deep" / "made"])
    subprocess.run(["git", "add", "."], cwd=root, check=True)


def test_an_exception_takes_everything_back(project: Project) -> None:
    before = everything(project), index(project)

    def attempt() -> None:
        with transaction(project, "a test") as journal:
            work(project, journal)
            assert everything(project) != before[0]
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        attempt()
    assert (everything(project), index(project)) == before
    assert not (project.root / "raw").exists()


def test_success_keeps_everything_and_leaves_no_journal(project: Project) -> None:
    with transaction(project, "a test") as journal:
        work(project, journal)
        journal.set_aside(project.root / "raw" / "deep" / "made")
    assert (project.root / "old.txt").read_text() == "new"
    assert sorted(path.name for path in project.journal_dir.iterdir()) == ["lock"]


@pytest.mark.parametrize("lines", range(1, 12))
def test_a_kill_after_any_step_is_recovered(project: Project, lines: int) -> None:
    """The journal of a killed process ends anywhere; what was done up to there is undone."""
    before = everything(project), index(project)
    journal = Journal(project)
    journal.begin("a killed command")

    class Killed(BaseException):
        pass

    write, count = journal._write, 0

    def stop(step: dict[str, object]) -> None:
        nonlocal count
        count += 1
        if count > lines:
            raise Killed
        write(step)

    journal._write = stop  # type: ignore[method-assign,assignment]
    with suppress(Killed):
        work(project, journal)
    assert recover(project) == "a killed command"
    assert (everything(project), index(project)) == before
    assert recover(project) is None


def test_undo_that_is_killed_itself_goes_on(project: Project) -> None:
    before = everything(project)
    journal = Journal(project)
    journal.begin("a killed command")
    old = project.root / "old.txt"
    journal.set_aside(old)
    journal.will_create(old)
    old.write_text("other")
    done: list[object] = []

    def undo_once(step: dict[str, object]) -> None:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(step)
        original(step)

    original = journal._undo
    journal._undo = undo_once  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):  # `create` and `move` are undone, `begin` is not
        journal.undo()
    assert old.read_text() == "old"
    assert recover(project) == "a killed command"
    assert everything(project) == before  # what was brought back was not taken for what was made


def test_a_cut_off_last_line_is_a_step_that_never_began(project: Project) -> None:
    journal = Journal(project)
    journal.begin("a killed command")
    with (project.journal_dir / "journal.jsonl").open("a") as file:
        file.write('{"step": "create", "path": "old.t')
    assert recover(project) == "a killed command"
    assert (project.root / "old.txt").read_text() == "old"


def test_somebody_elses_file_at_the_place_is_kept(project: Project) -> None:
    journal = Journal(project)
    journal.begin("a killed command")
    partial, target = project.root / "x.partial", project.root / "x"
    journal.will_create(partial)
    partial.write_text("ours")
    journal.will_move(partial, target)
    partial.unlink()
    target.write_text("theirs")
    recover(project)
    assert target.read_text() == "theirs"


def test_the_lock_names_its_holder(project: Project) -> None:
    with writing(project, "emdvc add scan.mib"):
        with pytest.raises(EnvironmentFault) as error, writing(project, "another"):
            pass
        assert recover(project) is None
    assert error.value.code == Code.BUSY
    assert "emdvc add scan.mib" in str(error.value.evidence)
    with writing(project, "free again"):
        pass
