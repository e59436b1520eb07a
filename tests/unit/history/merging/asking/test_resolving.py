"""Answers to conflicts: each kind of file, each answer, each wrong one; all of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from asked_project import (
    NOTES,
    OURS,
    SIDECAR,
    THEIRS,
    in_conflict,
    merging,
)
from two_lines import Clone

from emdvc.errors import ConflictError, EmdvcError, MetadataError, UsageError
from emdvc.history import git
from emdvc.history.merging.asking import conflict_file
from emdvc.history.merging.asking.resolving import Resolved, resolve
from emdvc.history.merging.asking.settling import take_up
from emdvc.history.project import Project


class Merge:
    """A merge in which conflicts are open."""

    def __init__(self, made: Clone, folder: Path) -> None:
        self.clone, self.project = merging(made, folder)

    def answer(self, path: str, how: str, key: Sequence[str] | None = None, **more: object) -> Resolved:
        return resolve(self.project, PurePosixPath(path), how, key, **more)  # type: ignore[arg-type]

    def text(self, name: str) -> str:
        return (self.clone.folder / name).read_text(encoding="utf-8")

    @property
    def status(self) -> str:
        return self.clone.git("status", "--short")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return in_conflict(tmp_path_factory.mktemp("asked"))


@pytest.fixture
def merge(made: Clone, tmp_path: Path) -> Merge:
    return Merge(made, tmp_path / "project")


def test_one_key_after_the_other(merge: Merge) -> None:
    done = merge.answer("scan.em.yaml", "theirs", ["beam.energy"])
    assert str(done.taken[0]) == "beam.energy: 200 keV (theirs), was 200 kV"
    assert done.settled == ()
    assert done.next is None
    text = merge.text("scan.em.yaml")
    assert f"energy: {THEIRS}" in text
    assert (
        text.index("<<<<<<< ours") < text.index("value: 2, unit: nA") < text.index("=======") < text.index("value: 3")
    )
    assert "UU scan.em.yaml" in merge.status

    done = merge.answer("scan.em.yaml.conflict.yaml", "ours")
    assert [taken.key for taken in done.taken] == ["beam.current"]
    assert done.settled == (PurePosixPath("scan.em.yaml"),)
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=2, energy=THEIRS)
    assert "M  scan.em.yaml" in merge.status
    assert not (merge.clone.folder / "scan.em.yaml.conflict.yaml").exists()


def test_the_beginning_of_a_key_means_all_below_it(merge: Merge) -> None:
    done = merge.answer("scan", "ours", ["beam"])
    assert [taken.key for taken in done.taken] == ["beam.current", "beam.energy"]
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=2, energy=OURS)


def test_base_undoes_both_changes_and_what_did_not_conflict_stays(merge: Merge) -> None:
    merge.answer("notes.txt", "base")
    assert merge.text("notes.txt") == NOTES.replace("four", "vier")
    merge.answer("params.yaml", "theirs")
    assert merge.text("params.yaml") == "vdet:\n  inner: 14 mrad\n  outer: 25 mrad\n"


def test_a_value_of_ones_own_is_checked(merge: Merge) -> None:
    for wrong in ("300 nm", "fast"):
        with pytest.raises(MetadataError):
            merge.answer("scan.em.yaml", "edit", ["beam.energy"], value=wrong)
    with pytest.raises(MetadataError, match="given in mrad"):
        merge.answer("params.yaml", "edit", value="13 s")
    done = merge.answer("scan.em.yaml", "edit", ["beam.energy"], value="300 keV")
    assert str(done.taken[0]) == "beam.energy: 300 keV (edited), was 200 kV"
    merge.answer("scan.em.yaml", "edit", ["beam.current"], value="2.5 nA")
    assert "{value: 2.5, unit: nA, origin: user}" in merge.text("scan.em.yaml")
    assert "{value: 300, unit: keV, origin: user}" in merge.text("scan.em.yaml")
    merge.answer("notes.txt", "edit", ["place 1"], value="# two and Zwei")
    assert "one\n# two and Zwei\nthree\nvier\n" in merge.text("notes.txt")


def test_an_editor_is_asked_for_each_and_may_answer_nothing(merge: Merge) -> None:
    written = {"beam.current": "4 nA", "beam.energy": None}
    done = merge.answer("scan.em.yaml", "edit", ask=lambda kept, question, start: written[question.key])
    assert [taken.key for taken in done.taken] == ["beam.current"]
    assert "beam.energy is still open: nothing was written" in done.notes


def test_a_file_as_a_whole(merge: Merge) -> None:
    assert merge.answer("gone.txt", "ours").settled == (PurePosixPath("gone.txt"),)
    assert not (merge.clone.folder / "gone.txt").exists()
    merge.answer("gone.txt", "theirs")
    assert merge.text("gone.txt") == "changed\n"
    merge.answer("pic.bin", "theirs")
    assert (merge.clone.folder / "pic.bin").read_bytes() == b"a\0ddd"
    (merge.clone.folder / "pic.bin").write_bytes(b"a\0own")
    merge.answer("pic.bin", "edit")
    assert merge.clone.git("show", ":pic.bin") == "a\0own"


def test_another_answer_before_the_commit(merge: Merge) -> None:
    merge.answer("scan.em.yaml", "ours")
    merge.answer("scan.em.yaml", "theirs", ["beam.current"])
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=3, energy=OURS)
    merge.answer("scan.em.yaml", "theirs")
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=3, energy=THEIRS)
    merge.clone.git("checkout", "-q", "-m", "--", "scan.em.yaml")
    assert "UU scan.em.yaml" in merge.status
    merge.answer("scan.em.yaml", "base", ["beam.energy"])
    assert "<<<<<<< ours" in merge.text("scan.em.yaml")


def test_what_is_wrong_is_told_with_the_nearest(merge: Merge) -> None:
    for path, how, key, says in (
        ("note.txt", "ours", None, "did you mean notes.txt"),
        ("scan.em.yaml", "oors", None, "did you mean ours"),
        ("scan.em.yaml", "ours", ["beam.enrgy"], "did you mean beam.energy"),
        ("scan.em.yaml", "ours", ["bean"], "did you mean beam"),
    ):
        with pytest.raises(UsageError) as raised:
            merge.answer(path, how, key)
        assert says in str(raised.value)
    with pytest.raises(UsageError, match="goes with edit"):
        merge.answer("scan.em.yaml", "ours", value="1 nm")
    with pytest.raises(UsageError, match="one value answers one conflict"):
        merge.answer("scan.em.yaml", "edit", value="1 nm")
    with pytest.raises(UsageError, match="no region is asked about"):
        merge.answer("scan.em.yaml", "ours", region=["0:1,0:1"])
    with pytest.raises(UsageError, match="lies outside"):
        merge.project.relative(merge.clone.folder.parent / "x")


def test_what_a_person_edited_is_not_undone(merge: Merge) -> None:
    merge.answer("notes.txt", "ours", ["place 1"])
    edited = merge.text("notes.txt").replace("vier", "VIER")
    merge.clone.write("notes.txt", edited)
    with pytest.raises(ConflictError, match="edited by hand"):
        merge.answer("notes.txt", "ours", ["place 2"])
    done = merge.answer("notes.txt", "ours")
    [note] = [note for note in done.notes if "git cat-file" in note]
    assert merge.clone.git("cat-file", "-p", note.split()[-1]) + "\n" == edited


def test_what_was_edited_until_nothing_was_open_is_taken_up(merge: Merge) -> None:
    conflict_file.from_index(merge.project)
    merge.clone.write("scan.em.yaml", SIDECAR.format(current=9, energy=OURS))
    assert take_up(merge.project, dry_run=True) == [PurePosixPath("scan.em.yaml")]
    assert "UU scan.em.yaml" in merge.status
    assert take_up(merge.project) == [PurePosixPath("scan.em.yaml")]
    assert "M  scan.em.yaml" in merge.status
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=9, energy=OURS)


def test_a_dry_run_writes_nothing(merge: Merge) -> None:
    before = merge.clone.state()
    done = merge.answer("scan.em.yaml", "ours", dry_run=True)
    assert done.settled == (PurePosixPath("scan.em.yaml"),)
    assert merge.clone.state() == before


def test_whatever_fails_everything_is_as_before(merge: Merge, monkeypatch: pytest.MonkeyPatch) -> None:
    merge.answer("scan.em.yaml", "ours", ["beam.energy"])
    before = merge.clone.state()

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(git, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        merge.answer("scan.em.yaml", "ours")
    assert merge.clone.state() == before
    assert "UU scan.em.yaml" in merge.status


def test_the_last_answer_names_what_is_next(merge: Merge) -> None:
    for name in ("scan.em.yaml", "params.yaml", "notes.txt", "gone.txt"):
        assert merge.answer(name, "ours").next is None
    assert merge.answer("pic.bin", "ours").next == "emdvc merge --continue"


def test_a_link_is_left_to_git(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "links")
    (clone.folder / ".dvc").mkdir(parents=True)
    clone.git("init", "-q", "-b", "main")
    clone.commit("Begin", a_txt="a\n")
    clone.git("branch", "other")
    for branch, target in (("main", "here"), ("other", "there")):
        clone.git("switch", "-q", branch)
        clone.git("update-index", "--add", "--cacheinfo", f"120000,{_blob(clone, target)},link")
        clone.git("commit", "-qm", branch)
        clone.git("reset", "-q", "--hard")
    clone.git("merge", "-q", "main", status=1)
    with pytest.raises(UsageError, match="is a link") as raised:
        resolve(Project(clone.folder, clone.folder), PurePosixPath("link"), "ours")
    assert "git checkout --ours -- link" in str(raised.value)


def _blob(clone: Clone, text: str) -> str:
    clone.write("blob.tmp", text)
    oid = clone.git("hash-object", "-w", "blob.tmp")
    (clone.folder / "blob.tmp").unlink()
    return oid


def test_a_side_that_cannot_be_read_keeps_nobody_from_the_others(merge: Merge) -> None:
    merge.clone.git("merge", "--abort")
    merge.clone.write("scan.em.yaml", "beam: [\n")
    merge.clone.git("commit", "-qam", "Broken")
    merge.clone.git("merge", "-q", "tilt", status=1)
    merge.answer("params.yaml", "ours")
    done = merge.answer("scan.em.yaml", "theirs")
    assert merge.text("scan.em.yaml") == SIDECAR.format(current=3, energy=THEIRS)
    assert done.settled == (PurePosixPath("scan.em.yaml"),)


def test_without_a_merge_nothing_is_in_conflict(merge: Merge) -> None:
    merge.clone.git("merge", "--abort")
    with pytest.raises(EmdvcError, match="not in conflict"):
        merge.answer("scan.em.yaml", "ours")
