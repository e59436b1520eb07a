"""What a push sends, what it leaves, and what it complains of; to a remote that is a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

import pytest
from pushed_project import PushedProject, pushed_project

from emdvc.errors import Code, DataMissingError, EmdvcError, ProjectError, UsageError
from emdvc.history.cache_place import object_path
from emdvc.history.transfer.lost import LostError
from emdvc.history.transfer.pushing import push

SCAN = {f"c.{number}": bytes([number]) * (100 + number) for number in range(5)}


@pytest.fixture
def made(tmp_path: Path) -> PushedProject:
    return pushed_project(tmp_path)


def test_everything_once(made: PushedProject) -> None:
    made.record("raw/scan", SCAN)
    made.record("raw/one.npy", b"one file")
    first = push(made.project).remotes[0]
    assert (first.name, first.sent, first.there) == ("lab", 7, 0)
    assert first.bytes == sum(object_path(made.cache, md5).stat().st_size for md5 in made.stored())
    again = push(made.project).remotes[0]
    assert (again.sent, again.bytes, again.there) == (0, 0, 7)


def test_dry_run_sends_nothing(made: PushedProject) -> None:
    made.record("raw/scan", SCAN)
    assert push(made.project, dry_run=True).sent == 6
    assert list(made.store.iterdir()) == []


def test_a_lost_object_is_found_although_its_list_is_there(made: PushedProject) -> None:
    made.record("raw/scan", SCAN)
    push(made.project)
    lost = made.keep(SCAN["c.3"])
    made.at(lost).unlink()
    assert push(made.project).sent == 1
    assert made.at(lost).read_bytes() == SCAN["c.3"]


def test_a_truncated_object_is_sent_again_and_named(made: PushedProject) -> None:
    made.record("raw/scan", SCAN)
    push(made.project)
    cut = made.at(made.keep(SCAN["c.3"]))
    cut.unlink()
    cut.write_bytes(SCAN["c.3"][:50])
    assert push(made.project).remotes[0].repaired == ("raw/scan/c.3",)
    assert cut.read_bytes() == SCAN["c.3"]


def test_what_is_nowhere_is_named_and_all_else_is_sent(made: PushedProject) -> None:
    listed = made.record("raw/scan", SCAN)
    other = made.record("raw/other", {"a": b"a", "b": b"b"})
    gone = made.keep(SCAN["c.2"])
    made.forget(gone)
    with pytest.raises(LostError, match="1 file is neither in the cache nor on the remote") as caught:
        push(made.project)
    assert caught.value.absent == ("raw/scan/c.2",)
    assert caught.value.evidence is not None and "raw/scan/c.2" in caught.value.evidence
    # the list of a folder that lacks a file is not sent: who reads meanwhile would miss the file
    assert made.stored() == {path.parent.name + path.name for path in made.cache.glob("??/*")} - {listed}
    assert other in made.stored()


def test_a_corrupt_object_of_the_cache_is_not_sent(made: PushedProject) -> None:
    listed = made.record("raw/scan", SCAN)
    path = object_path(made.cache, made.keep(SCAN["c.2"]))
    path.chmod(0o644)
    path.write_bytes(b"x" * 102)
    with pytest.raises(DataMissingError, match="cache's copy of 1 file is corrupt") as caught:
        push(made.project)
    assert caught.value.code is Code.DATA_CORRUPT
    assert "raw/scan/c.2" in str(caught.value)
    assert len(made.stored()) == 4
    assert listed not in made.stored()


def test_a_list_that_only_the_remote_has(made: PushedProject) -> None:
    listed = made.record("raw/scan", SCAN)
    push(made.project)
    made.forget_all()
    assert push(made.project).remotes[0].there == 6
    lost = made.at(made.keep(SCAN["c.1"]))
    made.forget(made.keep(SCAN["c.1"]))
    lost.unlink()
    with pytest.raises(LostError) as caught:
        push(made.project)
    assert caught.value.absent == ("raw/scan/c.1",)
    made.at(listed).unlink()
    with pytest.raises(LostError) as caught:
        push(made.project)
    assert caught.value.absent == ("raw/scan",)


def test_each_output_to_its_own_remote(made: PushedProject, tmp_path: Path) -> None:
    (tmp_path / "tape").mkdir()
    config = made.root / ".dvc" / "config"
    config.write_text(config.read_text() + f"['remote \"tape\"']\n    url = {tmp_path / 'tape'}\n")
    tape = made.record("raw/scan.npy", b"raw", remote="tape")
    lab = made.record("raw/other.npy", b"other")
    private = made.record("raw/private.npy", b"private", push=False)
    pushed = push(made.project)
    assert {one.name: one.sent for one in pushed.remotes} == {"tape": 1, "lab": 1}
    assert (made.stored(), made.stored(tmp_path / "tape")) == ({lab}, {tape})
    assert private not in made.stored()
    # what has no remote of its own goes where it is told to
    assert [(one.name, one.sent) for one in push(made.project, remote="tape").remotes] == [("tape", 1)]


def test_outputs_of_stages_follow_dvc_yaml(made: PushedProject, tmp_path: Path) -> None:
    (tmp_path / "fast").mkdir()
    config = made.root / ".dvc" / "config"
    config.write_text(config.read_text() + f"['remote \"fast\"']\n    url = {tmp_path / 'fast'}\n")
    md5s = {name: made.keep(name.encode()) for name in ("plain", "there", "unpushed", "by-git")}
    (made.root / "dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: x\n    outs:\n    - plain\n"
        "    - there: {remote: fast}\n    - unpushed: {push: false}\n    - by-git: {cache: false}\n"
    )
    outs = "".join(f"    - {{path: {name}, hash: md5, md5: {md5}}}\n" for name, md5 in md5s.items())
    (made.root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  s:\n    cmd: x\n    outs:\n{outs}")
    push(made.project)
    assert (made.stored(), made.stored(tmp_path / "fast")) == ({md5s["plain"]}, {md5s["there"]})


def test_data_of_other_revisions(made: PushedProject) -> None:
    old = made.record("raw/scan.npy", b"first")
    made.commit()
    new = made.record("raw/scan.npy", b"second")
    made.commit()
    push(made.project)
    assert made.stored() == {new}
    push(made.project, ["HEAD~1"])
    assert made.stored() == {old, new}


def test_only_some_datasets(made: PushedProject) -> None:
    one = made.record("raw/one.npy", b"1")
    made.record("raw/two.npy", b"2")
    push(made.project, paths=[PurePosixPath("raw/one.npy")])
    assert made.stored() == {one}
    with pytest.raises(DataMissingError, match=r"no bytes are recorded of raw/tow\.npy"):
        push(made.project, paths=[PurePosixPath("raw/tow.npy")])


def test_no_remote_is_an_error(made: PushedProject) -> None:
    (made.root / ".dvc" / "config").write_text("")
    made.record("raw/one.npy", b"1")
    with pytest.raises(ProjectError, match="no remote"):
        push(made.project)


def test_a_remote_that_keeps_versions_is_left_to_dvc(made: PushedProject) -> None:
    config = made.root / ".dvc" / "config"
    config.write_text(config.read_text() + "    version_aware = true\n")
    made.record("raw/one.npy", b"1")
    with pytest.raises(UsageError) as caught:
        push(made.project)
    assert caught.value.hint == "dvc push -r lab"


def test_an_import_is_not_pushed(made: PushedProject) -> None:
    made.record("raw/theirs.npy", b"theirs")
    pointer = made.root / "raw" / "theirs.npy.dvc"
    pointer.write_text("deps:\n- {path: x, repo: {url: https://example.org/r, rev_lock: abc}}\n" + pointer.read_text())
    pushed = push(made.project)
    assert (pushed.foreign, made.stored()) == (("raw/theirs.npy",), set())


def test_the_other_remotes_get_theirs_when_one_is_away(made: PushedProject) -> None:
    config = made.root / ".dvc" / "config"
    config.write_text(config.read_text() + "['remote \"tape\"']\n    url = /nowhere/at/all\n")
    made.record("raw/a.npy", b"away", remote="tape")
    here = made.record("raw/b.npy", b"here")
    with pytest.raises(EmdvcError, match="the remote tape"):
        push(made.project)
    assert made.stored() == {here}


def test_rights_are_those_of_the_shared_folder(made: PushedProject) -> None:
    made.store.chmod(0o2775)
    md5 = made.record("raw/one.npy", b"1")
    push(made.project)
    folder = made.at(md5).parent
    assert oct(folder.stat().st_mode & 0o7777) == "0o2775"
    assert oct(made.at(md5).stat().st_mode & 0o7777) == "0o444"


def test_two_clones_at_once(made: PushedProject, tmp_path: Path) -> None:
    """Each has data of its own and data that both have; nothing is lost, and nothing of either is left over."""
    import sys

    (tmp_path / "other").mkdir()
    other = pushed_project(tmp_path / "other")
    (other.root / ".dvc" / "config").write_text((made.root / ".dvc" / "config").read_text())
    for number, one in enumerate((made, other)):
        one.record("raw/shared", {f"c.{n}": bytes([n]) * 50_000 for n in range(60)})
        one.record("raw/own", {f"c.{n}": bytes([n, number]) * 10_000 for n in range(60)})
    run = [sys.executable, "-m", "emdvc", "push"]
    pushes = [subprocess.Popen(run, cwd=one.root, stdout=subprocess.PIPE, text=True) for one in (made, other)]
    assert [process.communicate(timeout=60)[0] and process.returncode for process in pushes] == [0, 0]
    held = {path.parent.name + path.name for one in (made, other) for path in one.cache.glob("??/*")}
    assert made.stored() == held
    assert not list((made.store / "emdvc-tmp").glob("*"))
