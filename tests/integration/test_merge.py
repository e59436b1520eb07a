"""`emdvc merge`: as git itself would, with data; nothing is changed where it is refused."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from two_lines import Clone, made, scan


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, machine: pytest.MonkeyPatch) -> Clone:
    return made(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def clone(kept: Clone, tmp_path: Path) -> Clone:
    return kept.copy(tmp_path / "project")


def test_both_lines_of_work_are_joined_with_their_data(clone: Clone) -> None:
    before = clone.state()
    said = clone.emdvc("merge", "tilt", "--dry-run").stdout
    assert "tilt can be merged into main" in said
    assert clone.state() == before
    said = clone.emdvc("merge", "tilt").stdout
    for words in ("merged tilt into main", "Ernst Ruska: second scan", "operator unknown -> Ruska", "raw/second.npy"):
        assert words in said
    assert clone.git("log", "-1", "--format=%P %s") == (
        f"{clone.git('rev-parse', 'main@{1}')} {clone.git('rev-parse', 'tilt')} Merge branch 'tilt'"
    )
    assert (clone.folder / "shared.txt").read_text() == "ONE\ntwo\nthree\nfour\nFIVE\n"
    assert not (clone.folder / "old.txt").exists()
    data = clone.folder / "raw" / "second.npy"
    assert data.is_file()
    assert not data.stat().st_mode & 0o222
    assert clone.git("status", "--porcelain") == ""
    assert clone.dvc("status").strip() == "Data and pipelines are up to date."
    assert "nothing changed" in clone.emdvc("status", "--no-remote").stdout
    assert sorted(path.name for path in (clone.folder / ".dvc/tmp/emdvc").iterdir() if "merge" in path.name) == []
    assert "is merged already" in clone.emdvc("merge", "tilt").stdout


def test_either_order_gives_the_same_tree_and_so_does_git(clone: Clone, tmp_path: Path) -> None:
    other, plain = clone.copy(tmp_path / "other"), clone.copy(tmp_path / "plain")
    clone.emdvc("merge", "tilt")
    other.git("switch", "-q", "tilt")
    other.emdvc("merge", "main", "--no-data")
    assert "into tilt" in other.git("log", "-1", "--format=%s")
    plain.emdvc("git", "install")
    plain.git("stash", "-q", status=None)
    plain.git("merge", "-q", "--no-edit", "tilt")
    assert clone.tree == other.tree == plain.tree


def test_forward_without_a_merge_commit(clone: Clone) -> None:
    clone.git("switch", "-qc", "behind", "main~1")
    said = clone.emdvc("merge", "tilt", "-m", "not needed").stdout
    assert "behind moved forward to tilt" in said
    assert clone.head == clone.git("rev-parse", "tilt")
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("rev-parse", "ORIG_HEAD") == clone.git("rev-parse", "main~1")
    assert (clone.folder / "raw" / "second.npy").is_file()


def test_a_branch_that_only_a_remote_has(kept: Clone, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "theirs")
    Clone(tmp_path).git("clone", "-q", str(kept.folder), "theirs")  # and no `emdvc git install`
    assert "tilt" not in clone.git("branch", "--list", "tilt")
    assert "merged origin/tilt into main" in clone.emdvc("merge", "tilt", "--no-data").stdout
    assert clone.git("log", "-1", "--format=%s") == "Merge remote-tracking branch 'origin/tilt'"
    said = clone.emdvc("merge", "tilr", status=2).stderr
    assert "did you mean tilt?" in said


def test_another_history_and_a_detached_head(clone: Clone) -> None:
    clone.git("checkout", "-q", "--detach")
    clone.emdvc("merge", "tilt", "--no-data")
    assert clone.git("symbolic-ref", "-q", "HEAD", status=1) == ""
    assert clone.git("rev-parse", "HEAD^1") == clone.git("rev-parse", "main")
    clone.git("checkout", "-q", "--orphan", "other")
    clone.git("commit", "-qm", "another beginning")
    assert "no commit in common" in clone.emdvc("merge", "main", status=2).stderr


def test_what_is_not_committed_is_not_overwritten(clone: Clone) -> None:
    clone.write("shared.txt", "mine\n")
    clone.write("main.txt", "mine, too\n")
    clone.write("tilt.txt", "in the way\n")
    before = clone.state()
    said = clone.emdvc("merge", "tilt", status=2).stderr
    assert "shared.txt, tilt.txt" in said
    assert clone.state() == before
    clone.git("checkout", "shared.txt")
    (clone.folder / "tilt.txt").unlink()
    clone.emdvc("merge", "tilt", "--no-data")
    assert (clone.folder / "main.txt").read_text() == "mine, too\n"
    assert clone.git("status", "--porcelain") == " M main.txt"


def _conflict(clone: Clone) -> None:
    """Let both sides change a line, and one change what the other removes."""
    clone.git("switch", "-q", "tilt")
    clone.commit("their line", shared_txt="one\ntwo\ntheirs\nfour\nFIVE\n")
    clone.git("switch", "-q", "main")
    clone.commit("our line", shared_txt="ONE\ntwo\nours\nfour\nfive\n", old_txt="changed\n")
    data = clone.folder / "raw" / "second.npy"
    data.unlink(missing_ok=True)


def test_conflicts_are_left_as_git_leaves_them(clone: Clone, tmp_path: Path) -> None:
    _conflict(clone)
    plain = clone.copy(tmp_path / "plain")
    done = clone.emdvc("merge", "tilt", status=4)
    assert "shared.txt" in done.stdout
    assert "changed here, removed there" in done.stdout
    assert (clone.folder / "raw" / "second.npy").is_file()  # what is clean has its data
    plain.git("merge", "--no-edit", "tilt", status=1)
    plain.dvc("checkout", "-q")
    ours, theirs = clone.state(), plain.state()
    files = [state.pop("files") for state in (ours, theirs)]
    assert ours == theirs
    texts = [{name: content[1] for name, content in one.items()} for one in files]
    assert texts[0] == texts[1]
    assert "merging tilt: 2 files in conflict; emdvc merge --continue|--abort" in clone.emdvc("status").stdout
    assert "EM-MERGE-UNDERWAY" in clone.emdvc("merge", "tilt", status=2).stderr
    assert "2 files are not resolved" in clone.emdvc("merge", "--continue", status=4).stderr
    clone.git("merge", "--abort")
    assert clone.git("status", "--porcelain") == "?? raw/second.npy"  # of data git knows nothing


def test_data_that_one_side_removed_gets_a_conflict_file(clone: Clone) -> None:
    """Git asks no driver there."""
    clone.git("switch", "-q", "tilt")
    clone.emdvc("add", "raw/first.npy", "--set", "operator=Knoll")
    clone.git("commit", "-qam", "who measured")
    clone.git("switch", "-q", "-")
    clone.git("rm", "-q", "raw/first.npy.em.yaml")
    clone.git("commit", "-q", "--no-verify", "-m", "without its record")
    done = clone.emdvc("merge", "tilt", status=4)
    assert "raw/first.npy.em.yaml" in done.stdout
    said = (clone.folder / "raw" / "first.npy.em.yaml.conflict.yaml").read_text(encoding="utf-8")
    assert "not there" in said
    clone.emdvc("merge", "--resolve", "raw/first.npy.em.yaml", "theirs")
    assert "Knoll" in (clone.folder / "raw" / "first.npy.em.yaml").read_text(encoding="utf-8")
    clone.emdvc("merge", "--continue")


def test_resolved_and_continued(clone: Clone) -> None:
    _conflict(clone)
    clone.emdvc("merge", "tilt", "-m", "join the two", "--no-data", status=4)
    clone.write("shared.txt", "both\n")
    clone.git("add", "shared.txt")
    assert "old.txt" in clone.emdvc("merge", "--continue", status=4).stderr
    clone.git("rm", "-q", "old.txt")
    assert "nothing is in conflict any more" in clone.emdvc("status").stdout
    said = clone.emdvc("merge", "--continue").stdout
    assert "merged tilt into main" in said
    assert clone.git("log", "-1", "--format=%B").strip() == "join the two"
    assert len(clone.git("log", "-1", "--format=%P").split()) == 2
    assert (clone.folder / "raw" / "second.npy").is_file()
    assert clone.git("status", "--porcelain") == ""
    assert "no merge is underway" in clone.emdvc("merge", "--continue", status=2).stderr


def test_aborted_with_the_data_of_before(clone: Clone) -> None:
    _conflict(clone)
    clone.write("main.txt", "not committed\n")
    before = clone.state()
    clone.emdvc("merge", "tilt", status=4)
    assert (clone.folder / "raw" / "second.npy").is_file()
    assert "aborted" in clone.emdvc("merge", "--abort").stdout
    assert clone.state() == before


def test_a_merge_that_git_began_and_a_rebase(clone: Clone) -> None:
    _conflict(clone)
    before = clone.head
    clone.git("merge", "--no-edit", "tilt", status=1)
    clone.emdvc("merge", "--abort", "--no-data")
    assert clone.git("status", "--porcelain") == ""
    clone.git("merge", "--no-edit", "tilt", status=1)
    clone.git("checkout", "--ours", "shared.txt")
    clone.git("add", "shared.txt", "old.txt")
    clone.emdvc("merge", "--continue", "-m", "by both")
    assert clone.git("log", "-1", "--format=%s %P").startswith(f"by both {before}")
    clone.git("reset", "-q", "--hard", before)
    clone.git("rebase", "-q", "tilt", status=1)
    said = clone.emdvc("merge", "--abort", status=2).stderr
    assert "git rebase --abort" in said
    assert "rebasing" in clone.emdvc("status", "--no-remote", "--json").stdout or "rebase" in said


def test_data_that_cannot_be_had_does_not_undo_the_merge(clone: Clone) -> None:
    pointer = clone.git("show", "tilt:raw/second.npy.dvc")
    md5 = pointer.partition("md5: ")[2].split()[0]
    (clone.folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    clone.write(".dvc/config.local", "[core]\n    remote = away\n['remote \"away\"']\n    url = ../../nowhere\n")
    said = clone.emdvc("merge", "tilt").stdout
    assert "NOT HERE" in said
    assert "emdvc pull raw/second.npy" in said
    assert clone.git("log", "-1", "--format=%s") == "Merge branch 'tilt'"
    status = clone.emdvc("status", "--no-remote").stdout
    assert "emdvc pull raw/second.npy" in status
    (clone.folder / ".dvc/config.local").unlink()
    clone.emdvc("pull", "raw/second.npy")
    assert "emdvc pull" not in clone.emdvc("status", "--no-remote").stdout


def test_edits_of_data_are_not_overwritten(clone: Clone, tmp_path: Path) -> None:
    clone.git("switch", "-q", "tilt")
    clone.dvc("checkout", "-q")
    clone.emdvc("add", scan(tmp_path, "first.npy", 3), "--replace", "measured again")
    clone.commit("again")
    clone.git("switch", "-q", "main")
    clone.dvc("checkout", "-q")
    data = clone.folder / "raw" / "first.npy"
    old = data.read_bytes()
    data.chmod(0o644)
    data.write_bytes(b"edited by a person")
    before = clone.state()
    assert "raw/first.npy" in clone.emdvc("merge", "tilt", status=2).stderr
    assert clone.state() == before
    clone.dvc("checkout", "--force", "-q", "raw/first.npy")
    assert data.read_bytes() == old
    clone.emdvc("merge", "tilt")
    assert data.read_bytes() == (tmp_path / "first.npy").read_bytes()
    assert not data.stat().st_mode & 0o222


@pytest.mark.skipif(sys.platform == "win32", reason="the hook is a shell script")
def test_hooks_of_the_clone_are_asked(clone: Clone) -> None:
    hooks = clone.folder / ".git" / "hooks"
    refusing, message = hooks / "pre-merge-commit", hooks / "commit-msg"
    for hook, text in ((refusing, "echo not today >&2; exit 1"), (message, 'echo "checked-by: hook" >> "$1"')):
        hook.write_text(f"#!/bin/sh\n{text}\n")
        hook.chmod(0o755)
    before = clone.state()
    said = clone.emdvc("merge", "tilt", status=2).stderr
    assert "a hook refused the merge" in said
    assert "not today" in said
    assert clone.state() == before
    refusing.unlink()
    clone.emdvc("merge", "tilt", "--no-data")
    assert "checked-by: hook" in clone.git("log", "-1", "--format=%B")


@pytest.mark.skipif(sys.platform == "win32", reason="links and rights of POSIX")
def test_folders_links_rights_and_a_project_below_the_repository(kept: Clone, tmp_path: Path) -> None:
    top = Clone(tmp_path / "top")
    (top.folder / "below").mkdir(parents=True)
    Clone(tmp_path).git("init", "-q", "top")
    below = Clone(top.folder / "below")
    below.emdvc("init", ".")
    top.commit("first", place="a file", gone_txt="x", run="#!/bin/sh\n")
    top.git("switch", "-qc", "side")
    (top.folder / "place").unlink()
    top.write("place/inside.txt", "now a folder")
    (top.folder / "link").symlink_to("place/inside.txt")
    (top.folder / "run").chmod(0o755)
    top.commit("side", gone_txt=None)
    top.git("switch", "-q", "main")
    top.commit("main", other_txt="y")
    expected = top.copy(tmp_path / "expected")
    expected.git("merge", "-q", "--no-edit", "side")
    said = json.loads(below.emdvc("merge", "side", "--json").stdout)
    assert (said["how"], said["branch"]) == ("merged", "side")
    assert top.tree == expected.tree
    assert top.git("status", "--porcelain") == ""
    assert (top.folder / "link").readlink() == Path("place/inside.txt")
    assert os.access(top.folder / "run", os.X_OK)
