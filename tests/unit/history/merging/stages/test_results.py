"""What stages write and git keeps follows the merged dvc.lock."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path, PurePosixPath

import pytest

from emdvc.history.merging.contract import Choices, Place, Side, Three
from emdvc.history.merging.stages.lock import merge_lock
from emdvc.history.merging.stages.results import merge_result, written_by_stage
from emdvc.history.project import Project

PICTURE = PurePosixPath("results/rings.png")
SIDECAR = PurePosixPath("results/rings.zarr.em.yaml")
PIPELINE = """\
stages:
  rings:
    cmd: run
    outs: [results/rings.zarr]
    plots: [{results/rings.png: {cache: false}}]
"""


def entry(width: int, step: int, picture: bytes) -> str:
    """Return a dvc.lock with the entry of the stage that writes the picture."""
    md5 = hashlib.md5(picture, usedforsecurity=False).hexdigest()
    params = f"    params:\n      params.yaml:\n        step: {step}\n        width: {width}\n"
    outs = f"    outs:\n    - path: results/rings.png\n      hash: md5\n      md5: {md5}\n"
    zarr = f"    - path: results/rings.zarr\n      hash: md5\n      md5: {width}{step}.dir\n"
    return f"schema: '2.0'\nstages:\n  rings:\n    cmd: run\n{params}{outs}{zarr}"


class Repository:
    """A repository with a commit for each side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".dvc").mkdir()
        self.project = Project(folder, folder)
        self.commits: dict[Side, str] = {}
        self.git("init", "-q")

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, side: Side, lock: str | None, pipeline: str | None = PIPELINE) -> None:
        for name, text in (("dvc.lock", lock), ("dvc.yaml", pipeline)):
            if text is None:
                (self.folder / name).unlink(missing_ok=True)
            else:
                (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "-qm", side, "--allow-empty")
        self.commits[side] = self.git("rev-parse", "HEAD")

    @property
    def place(self) -> Place:
        return Place(self.project, self.commits)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


BASE, OURS, THEIRS = b"\x89PNG base\x00", b"\x89PNG ours, drawn again\x00", b"\x89PNG theirs\x00"


def both(repository: Repository, three: Three) -> tuple[bytes | None, tuple[str, ...]]:
    """Return what comes of it; in the other order it is the same."""
    found = merge_result(three, repository.place, Choices())
    commits = {**repository.commits}
    commits[Side.OURS], commits[Side.THEIRS] = commits[Side.THEIRS], commits[Side.OURS]
    turned = Three(three.path, three.base, three.theirs, three.ours)
    other = merge_result(turned, Place(repository.project, commits), Choices())
    assert (found.content, found.conflicts) == (other.content, ())
    return found.content, found.notes


def test_the_file_of_the_side_whose_entry_is_kept(repository: Repository) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    repository.commit(Side.OURS, entry(2, 1, OURS))
    repository.commit(Side.THEIRS, entry(1, 1, THEIRS))  # ran again, with another picture
    assert both(repository, Three(PICTURE, BASE, OURS, THEIRS)) == (OURS, ())
    assert written_by_stage(Three(PICTURE, BASE, OURS, THEIRS), repository.place) == "rings"


def test_a_dropped_entry_leaves_what_was_before(repository: Repository) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    repository.commit(Side.OURS, entry(2, 1, OURS))
    repository.commit(Side.THEIRS, entry(1, 2, THEIRS))
    # which stage that is, and why, the merge of dvc.lock says
    assert both(repository, Three(PICTURE, BASE, OURS, THEIRS)) == (BASE, ())


def test_a_stage_that_dvc_lock_does_not_know(repository: Repository) -> None:
    for side in Side:
        repository.commit(side, None)
    content, notes = both(repository, Three(PICTURE, BASE, OURS, THEIRS))
    assert content == BASE
    assert notes == (
        "results/rings.png: left as it was before both sides changed it; dvc.lock says nothing of its stage: "
        "dvc repro rings",
    )


def test_added_on_both_sides_the_smaller_one_stays(repository: Repository) -> None:
    repository.commit(Side.BASE, None, None)
    repository.commit(Side.OURS, entry(2, 1, OURS))
    repository.commit(Side.THEIRS, entry(1, 2, THEIRS))
    assert both(repository, Three(PICTURE, None, OURS, THEIRS))[0] == THEIRS


def test_the_recorded_file_wins_over_one_that_was_touched(repository: Repository) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    repository.commit(Side.OURS, entry(2, 1, THEIRS))
    repository.commit(Side.THEIRS, entry(2, 1, THEIRS))
    assert both(repository, Three(PICTURE, BASE, OURS, THEIRS))[0] == THEIRS


def test_the_stage_is_gone(repository: Repository) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    repository.commit(Side.OURS, None, "stages: {}\n")
    repository.commit(Side.THEIRS, entry(1, 2, THEIRS))
    assert both(repository, Three(PICTURE, BASE, OURS, THEIRS))[0] is None


@pytest.mark.parametrize(("pipeline", "repro"), [("stages: {}\n", ()), (PIPELINE, ("rings",))])
def test_only_a_stage_that_both_have_is_to_be_run(
    pipeline: str, repro: tuple[str, ...], repository: Repository
) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    # gone from dvc.lock: removed with its stage, or dropped by an earlier merge
    repository.commit(Side.OURS, None, pipeline)
    repository.commit(Side.THEIRS, entry(1, 2, THEIRS))
    three = Three(PurePosixPath("dvc.lock"), entry(1, 1, BASE).encode(), None, entry(1, 2, THEIRS).encode())
    found = merge_lock(three, repository.place, Choices())
    assert (found.content, found.repro) == (None, repro)
    assert found.notes[0].startswith("stage rings: changed on one side, gone from dvc.lock on the other")


def test_a_sidecar_with_provenance_beside_an_output(repository: Repository) -> None:
    for side, lock in zip(Side, (entry(1, 1, BASE), entry(2, 1, OURS), entry(1, 1, THEIRS)), strict=True):
        repository.commit(side, lock)
    told = [b"data: {}\nprovenance:\n  step: %s\n" % name for name in (b"0", b"1", b"2")]
    three = Three(SIDECAR, *told)
    assert written_by_stage(three, repository.place) == "rings"
    assert both(repository, three)[0] == told[1]
    # what says nothing of how it was computed is a person's: the sidecar of data that a stage wrote, corrected by hand
    assert written_by_stage(Three(SIDECAR, b"a: 1\n", b"a: 2\n", b"a: 3\n"), repository.place) is None


def test_files_of_no_stage(repository: Repository) -> None:
    for side in Side:
        repository.commit(side, entry(1, 1, BASE))
    for path in ("figures/rings.png", "rings.png", "results/rings.png.txt", "params.yaml"):
        assert written_by_stage(Three(PurePosixPath(path), BASE, OURS, THEIRS), repository.place) is None


def test_without_the_commits_it_depends_on_no_order(repository: Repository) -> None:
    repository.commit(Side.BASE, entry(1, 1, BASE))
    unknown = Place(repository.project)
    assert written_by_stage(Three(PICTURE, BASE, OURS, THEIRS), unknown) == "rings"
    for three in (Three(PICTURE, BASE, OURS, THEIRS), Three(PICTURE, BASE, THEIRS, OURS)):
        found = merge_result(three, unknown, Choices())
        assert found.content == BASE
        assert "git does not tell which commits are merged: dvc repro rings" in found.notes[0]
    assert merge_result(Three(PICTURE, None, OURS, THEIRS), unknown, Choices()).content == THEIRS


def test_declared_in_a_folder_with_a_working_directory_and_by_a_template(repository: Repository) -> None:
    template = """\
stages:
  crop:
    foreach: [a, b]
    do:
      cmd: run
      wdir: out
      metrics: [{"${item}.json": {cache: false}}]
"""
    folder = repository.folder / "analysis"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(template)
    for side in Side:
        repository.commit(side, None, None)
    found = written_by_stage(Three(PurePosixPath("analysis/out/a.json"), b"0", b"1", b"2"), repository.place)
    assert found == "analysis/dvc.yaml:crop"
    outs = "    outs:\n    - path: a.json\n      hash: md5\n      md5: x\n"
    (folder / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  crop@a:\n    cmd: run\n{outs}")
    repository.commit(Side.THEIRS, None, None)
    found = written_by_stage(Three(PurePosixPath("analysis/out/a.json"), b"0", b"1", b"2"), repository.place)
    assert found == "analysis/dvc.yaml:crop@a"
    assert written_by_stage(Three(PurePosixPath("analysis/a.json"), b"0", b"1", b"2"), repository.place) is None
