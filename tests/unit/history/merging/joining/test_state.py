"""Where a merge stands, told by the files that git keeps of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from emdvc.errors import Code, UsageError
from emdvc.history.merging.joining import state
from emdvc.history.project import Project

OID = "1234567890" * 4


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".git").mkdir()
    return Project(tmp_path, tmp_path)


def write(project: Project, name: str, text: str) -> None:
    path = project.git_root / ".git" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_nothing_is_underway(project: Project) -> None:
    assert state.underway(project) is None
    state.refuse_underway(project)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Merge branch 'tilt' into main\n", "tilt"),
        ("Merge remote-tracking branch 'origin/tilt'\n", "origin/tilt"),
        ("join the two\n", "1234567"),
    ],
)
def test_a_merge_that_git_began(project: Project, message: str, name: str) -> None:
    write(project, "MERGE_HEAD", f"{OID}\n")
    write(project, "MERGE_MSG", message)
    found = state.underway(project)
    assert found == state.Underway("merge", "emdvc merge", name, OID)
    with pytest.raises(UsageError, match="a merge is underway") as raised:
        state.refuse_underway(project)
    assert raised.value.code is Code.MERGE_UNDERWAY
    assert raised.value.hint == "emdvc merge --continue, or emdvc merge --abort"


def test_the_name_that_emdvc_kept_holds_for_its_own_merge_alone(project: Project) -> None:
    write(project, "MERGE_HEAD", f"{OID}\n")
    write(project, "MERGE_MSG", "join the two\n")
    write(project, state.KEPT, state.kept_text("tilt", OID, ["vdet"]))
    found = state.underway(project)
    assert found is not None
    assert found.doing == "merging tilt"
    write(project, state.KEPT, state.kept_text("tilt", "0" * 40, []))
    found = state.underway(project)
    assert found is not None
    assert found.doing == "merging 1234567"


@pytest.mark.parametrize(
    ("sign", "doing", "command"),
    [
        ("rebase-merge/done", "rebasing", "git rebase"),
        ("rebase-apply/next", "rebasing", "git rebase"),
        ("CHERRY_PICK_HEAD", "cherry-picking 1234567", "git cherry-pick"),
        ("REVERT_HEAD", "reverting 1234567", "git revert"),
    ],
)
def test_what_is_gits_to_end(project: Project, sign: str, doing: str, command: str) -> None:
    write(project, sign, f"{OID}\n")
    found = state.underway(project)
    assert found is not None
    assert (found.doing, found.command) == (doing, command)


def test_a_linked_worktree_has_a_state_of_its_own(project: Project, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / ".git").write_text("gitdir: ../.git/worktrees/linked\n", encoding="utf-8")
    write(project, "worktrees/linked/MERGE_HEAD", f"{OID}\n")
    assert state.underway(project) is None
    assert state.underway(Project(linked, linked)) is not None


def test_data_that_is_to_be_placed(project: Project) -> None:
    assert state.to_place(project) == []
    file = state.to_place_file(project)
    file.parent.mkdir(parents=True)
    file.write_text('["raw/scan.npy"]', encoding="utf-8")
    assert state.to_place(project) == ["raw/scan.npy"]
    file.write_text("cut o", encoding="utf-8")
    assert state.to_place(project) == []
