"""A merge in a small repository: what it finds, what it says, and that all of it can be taken back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from emdvc.errors import UsageError
from emdvc.history.git_undo import git_path
from emdvc.history.journal import Journal, recover
from emdvc.history.merging.joining import branches
from emdvc.history.merging.joining import merge_branch as joining
from emdvc.history.merging.joining.merge_branch import Joined
from emdvc.history.merging.joining.trial import Told
from emdvc.history.project import Project
from emdvc.render import merge as rendered


def git(project: Project, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def commit(project: Project, name: str, text: str) -> str:
    (project.root / name).write_text(text, encoding="utf-8")
    git(project, "add", ".")
    git(project, "commit", "-qm", f"write {name}")
    return git(project, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, tmp_path)
    git(found, "init", "-q")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    commit(found, "old.txt", "old")
    git(found, "switch", "-qc", "tilt")
    commit(found, "new.txt", "new")
    git(found, "switch", "-q", "main")
    return found


def test_branch_tag_commit_and_the_branch_of_before(project: Project) -> None:
    tilt = git(project, "rev-parse", "tilt")
    git(project, "tag", "-a", "v1", "-m", "first", "tilt")
    assert branches.find(project, "tilt").message == "Merge branch 'tilt'"
    assert branches.find(project, "v1").message == "Merge tag 'v1'"
    assert branches.find(project, tilt).message == f"Merge commit '{tilt[:7]}'"
    assert branches.find(project, "-").branch == "tilt"
    assert {branches.find(project, name).theirs for name in ("tilt", "v1", tilt[:9])} == {tilt}
    git(project, "switch", "-q", "-c", "other")
    assert branches.find(project, "tilt").message == "Merge branch 'tilt' into other"


def test_two_remotes_with_the_branch_are_named(project: Project) -> None:
    for remote in ("lab", "home"):
        git(project, "update-ref", f"refs/remotes/{remote}/scan", "tilt")
    with pytest.raises(UsageError, match="several remotes") as raised:
        branches.find(project, "scan")
    assert raised.value.evidence == "home/scan, lab/scan"
    with pytest.raises(UsageError) as raised:
        branches.find(project, "scam")
    assert "did you mean scan?" in str(raised.value.hint)


def test_two_bases_are_told_to_no_driver(project: Project) -> None:
    commit(project, "ours.txt", "ours")
    git(project, "branch", "here")
    git(project, "merge", "-q", "--no-edit", "tilt")
    git(project, "switch", "-q", "tilt")
    git(project, "merge", "-q", "--no-edit", "here")
    found = branches.find(project, "main")
    assert len(found.bases) == 2
    assert "base=" not in found.for_drivers()["EMDVC_MERGE_SIDES"]


def test_everything_is_taken_back(project: Project) -> None:
    commit(project, "ours.txt", "ours")
    before = (git(project, "ls-files", "-s"), git(project, "rev-parse", "HEAD"), git(project, "status", "--porcelain"))
    journal = Journal(project)
    journal.begin("a merge")
    files = [project.root / name for name in ("old.txt", "ours.txt", "deep/er/file.txt")]
    journal.will_rewrite(files)
    files[0].unlink()
    files[1].write_text("other")
    files[2].parent.mkdir(parents=True)
    files[2].write_text("new")
    journal.will_change_index()
    git(project, "add", "--all")
    git(project, "commit", "-qm", "halfway")
    new = git(project, "rev-parse", "HEAD")
    git(project, "reset", "-q", "--soft", before[1])
    journal.will_move_head(new)
    git(project, "update-ref", "HEAD", new)
    journal.will_add_worktree(project.journal_dir / "emdvc-merge-1")
    git(project, "worktree", "add", "-q", "--detach", str(project.journal_dir / "emdvc-merge-1"))
    for name in ("index.lock", "HEAD.lock"):  # of a git that was killed, too
        git_path(name, project.root).touch()
    assert recover(project) == "a merge"
    after = (git(project, "ls-files", "-s"), git(project, "rev-parse", "HEAD"), git(project, "status", "--porcelain"))
    assert after == before
    assert not (project.root / "deep").exists()
    assert len(git(project, "worktree", "list").splitlines()) == 1
    assert not list(project.journal_dir.glob("emdvc-merge*"))


def test_a_dry_run_says_what_would_be_asked(project: Project) -> None:
    commit(project, "new.txt", "other")
    joined = joining.merge(project, "tilt", dry_run=True)
    assert (joined.how, joined.unmerged) == ("conflicts", ("new.txt",))
    assert "added by both sides, not the same" in "\n".join(rendered.lines(joined))
    assert git(project, "status", "--porcelain") == ""
    assert len(git(project, "worktree", "list").splitlines()) == 1


def test_a_stage_that_runs_again_is_named_once() -> None:
    told = (
        Told("dvc.lock", ("stage vdet: computed on both sides: dvc repro vdet",), ("vdet",)),
        Told("results/vdet.png", ("results/vdet.png: left as it was: dvc repro vdet",)),
        Told("raw/a.em.yaml", ("raw/a.em.yaml: tags united",)),
    )
    said = "\n".join(rendered.lines(Joined("tilt", "main", "merged", None, told=told, repro=("vdet",))))
    assert "vdet.png" not in said
    assert said.count("dvc repro vdet") == 2  # where it was merged, and as the next command
    assert "raw/a.em.yaml  tags united" in said
