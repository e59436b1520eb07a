"""Notes of commits: added, read, and shared between people who noted different things of the same commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from emdvc.errors import EnvironmentFault
from emdvc.history import notes


def git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git("add", name, cwd=folder)
    git("commit", "-qm", name, cwd=folder)
    return git("rev-parse", "HEAD", cwd=folder)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, str]:
    """Return two clones of a repository with one commit, and that commit."""
    git("init", "-q", "--bare", str(tmp_path / "hub.git"), cwd=tmp_path)
    git("clone", "-q", str(tmp_path / "hub.git"), "ours", cwd=tmp_path)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    first = commit(ours, "first")
    git("push", "-q", "origin", "HEAD", cwd=ours)
    git("clone", "-q", str(tmp_path / "hub.git"), "theirs", cwd=tmp_path)
    return ours, theirs, first


def entry(when: int, what: str) -> dict[str, str]:
    return {"when": f"2026-01-{when:02}", "what": what}


def test_entries_of_both_kinds_are_kept_in_order(two: tuple[Path, Path, str]) -> None:
    ours, _, first = two
    assert notes.read(first, ours) == {} and notes.read_all(ours) == {}
    notes.add(first, "runs", entry(1, "a"), ours)
    notes.add(first, "verified", entry(2, "b"), ours)
    notes.extend(first, "runs", [entry(3, "c"), entry(4, "µ")], ours)
    second = commit(ours, "second")
    notes.add(second, "runs", entry(5, "e"), ours)
    assert notes.read(first, ours) == {
        "runs": [entry(1, "a"), entry(3, "c"), entry(4, "µ")],
        "verified": [entry(2, "b")],
    }
    assert list(notes.read_all(ours, second)) == [second, first]
    assert list(notes.read_all(ours, first)) == [first]
    assert notes.read_all(ours)[first] == notes.read(first, ours)
    assert notes.noted_commits(ours) == {first, second}


def test_what_two_people_note_of_one_commit_is_joined(two: tuple[Path, Path, str]) -> None:
    ours, theirs, first = two
    notes.add(first, "runs", entry(1, "shared"), ours)
    assert notes.share(ours, "origin") is None
    assert notes.fetch(theirs, "origin")
    notes.add(first, "runs", entry(3, "theirs"), theirs)
    notes.add(first, "verified", entry(4, "theirs"), theirs)
    notes.add(first, "runs", entry(2, "ours"), ours)
    assert notes.share(theirs, "origin") is None
    assert notes.share(ours, "origin") is None  # after theirs: joined, then pushed
    assert notes.share(theirs, "origin") is None
    expected = {
        "runs": [entry(1, "shared"), entry(2, "ours"), entry(3, "theirs")],
        "verified": [entry(4, "theirs")],
    }
    for folder in (ours, theirs):
        assert notes.read(first, folder) == expected
    assert git("rev-parse", notes.REF, cwd=ours) == git("rev-parse", notes.REF, cwd=theirs)
    # nothing new: nothing is written
    before = git("rev-parse", notes.REF, cwd=ours)
    assert notes.share(ours, "origin") is None
    assert git("rev-parse", notes.REF, cwd=ours) == before


def test_notes_that_began_apart_are_joined(two: tuple[Path, Path, str]) -> None:
    ours, theirs, first = two
    notes.add(first, "runs", entry(2, "ours"), ours)
    notes.add(first, "runs", entry(1, "theirs"), theirs)
    assert notes.share(ours, "origin") is None
    assert notes.share(theirs, "origin") is None
    assert notes.read(first, theirs)["runs"] == [entry(1, "theirs"), entry(2, "ours")]


def test_a_remote_without_notes_and_one_that_is_not_there(two: tuple[Path, Path, str], tmp_path: Path) -> None:
    ours, _, first = two
    assert notes.fetch(ours, "origin") is False
    assert notes.share(ours, "origin") is None  # nothing to share
    notes.add(first, "runs", entry(1, "a"), ours)
    git("remote", "set-url", "origin", str(tmp_path / "gone.git"), cwd=ours)
    with pytest.raises(EnvironmentFault):
        notes.fetch(ours, "origin")
    assert "gone.git" in str(notes.share(ours, "origin"))
    assert notes.read(first, ours)["runs"] == [entry(1, "a")]


def test_a_refused_push_is_said(two: tuple[Path, Path, str], tmp_path: Path) -> None:
    ours, _, first = two
    hook = tmp_path / "hub.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'error: no notes here' >&2\nexit 1\n")
    hook.chmod(0o755)
    notes.add(first, "runs", entry(1, "a"), ours)
    assert notes.share(ours, "origin")


def test_many_notes_that_git_spreads_over_folders(two: tuple[Path, Path, str]) -> None:
    ours, _, _ = two
    # git begins to make folders of notes when there are many; a tree of any depth is read
    commits = [commit(ours, f"file{number}") for number in range(3)]
    for number, oid in enumerate(commits):
        notes.add(oid, "runs", entry(number + 1, "x"), ours)
    blobs = {oid: notes._blobs(notes.REF, ours)[oid] for oid in commits}
    tree = "".join(f"100644 blob {blob}\t{oid[:2]}/{oid[2:]}\0" for oid, blob in sorted(blobs.items()))
    index = ours / ".git" / "spread-index"
    environment = {"GIT_INDEX_FILE": str(index)}
    done = subprocess.run(
        ["git", "update-index", "-z", "--index-info"], cwd=ours, input=tree.replace("blob ", "").encode(),
        env={**os.environ, **environment}, check=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0
    written = subprocess.run(
        ["git", "write-tree"], cwd=ours, env={**os.environ, **environment}, check=True,
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    made = git("commit-tree", written, "-m", "spread", cwd=ours)
    git("update-ref", notes.REF, made, cwd=ours)
    assert set(notes.read_all(ours)) == set(commits)
    assert notes.read(commits[1], ours)["runs"] == [entry(2, "x")]
