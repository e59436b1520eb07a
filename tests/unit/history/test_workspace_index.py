"""What files hash to is remembered as long as they stay as they are, and never longer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emdvc.history.ask_dvc import AskDvcError
from emdvc.history.project import Project
from emdvc.history.workspace import index as workspace_index
from emdvc.history.workspace.ignored import Ignored
from emdvc.history.workspace.index import WorkspaceIndex

#: Names as sorting, encoding and folders make them difficult.
NAMES = ("zarr.json", "c/0/1", "c/0.1", "c/10", "c/9", "é/ü 1", "c-1", "B", "a")


class Read:
    """Opens the index anew each time, and counts the files that were read."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root, root)
        self.files = 0

    def __call__(self, path: str = "data") -> str | None:
        self.files = 0
        index = WorkspaceIndex(self.project, Ignored(self.project.root), self._count)
        found = index.md5(path)
        index.save(complete=True)
        return found

    def _count(self, files: int, size: int) -> None:
        self.files += files


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    (tmp_path / ".dvc").mkdir()
    for name in NAMES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    # what was written just now is read again: only one test waits for that
    monkeypatch.setattr(workspace_index, "SETTLED", 0)
    time.sleep(0.02)
    yield Read(tmp_path)


def expected(folder: Path) -> str:
    """Return DVC's name of a directory, from its definition: the md5 of the sorted list of its files as JSON."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    entries = [{"md5": hashlib.md5(files[name]).hexdigest(), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(entries).encode()).hexdigest() + ".dir"


def test_a_directory_is_read_once(read: Read) -> None:
    folder = read.project.root / "data"
    assert (read(), read.files) == (expected(folder), len(NAMES))
    assert (read(), read.files) == (expected(folder), 0)


@pytest.mark.parametrize("change", ["written", "added", "removed", "renamed", "same size", "time set back"])
def test_only_what_changed_is_read_again(read: Read, change: str) -> None:
    folder = read.project.root / "data"
    before = read()
    file = folder / "c" / "9"
    status = file.stat()
    unread = 1
    if change == "added":
        (folder / "new").write_bytes(b"new")
    elif change == "removed":
        file.unlink()
        unread = 0
    elif change == "renamed":
        file.rename(folder / "c" / "8")
    else:
        file.write_bytes(b"c/8" if change != "written" else b"longer")
        if change == "time set back":
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    time.sleep(0.02)
    if change == "time set back" and os.name == "nt":
        pytest.skip("there the time of a file's own entry is that of its making")
    after = read()
    assert (after, read.files) == (expected(folder), unread)
    assert after != before
    assert (read(), read.files) == (after, 0)


def test_what_was_written_just_now_is_read_again(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_index, "SETTLED", 3_600_000_000_000)
    assert (read(), read.files) == (expected(read.project.root / "data"), len(NAMES))
    assert (read(), read.files) == (expected(read.project.root / "data"), len(NAMES))


@pytest.mark.parametrize("damage", ["lost", "empty", "cut off", "one bit", "nonsense", "another's"])
def test_a_damaged_index_costs_time_only(read: Read, damage: str) -> None:
    folder = read.project.root / "data"
    read()
    for file in (read.project.journal_dir / "index").iterdir():
        content = bytearray(file.read_bytes())
        if damage == "lost":
            file.unlink()
        elif damage == "empty":
            file.write_bytes(b"")
        elif damage == "cut off":
            file.write_bytes(content[: len(content) // 2])
        elif damage == "one bit" and content:
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        elif damage == "nonsense":
            file.write_bytes(b"00000000 {}\n\xff")
    if damage == "another's":
        (read.project.root / "data").rename(read.project.root / "moved")
        folder = read.project.root / "moved"
        assert (read("moved"), read.files) == (expected(folder), len(NAMES))
        return
    assert (read(), read.files) == (expected(folder), len(NAMES))


def test_an_index_that_cannot_be_written_costs_time_only(read: Read) -> None:
    folder = read.project.journal_dir
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    assert (read(), read.files) == (expected(read.project.root / "data"), len(NAMES))
    assert (read(), read.files) == (expected(read.project.root / "data"), len(NAMES))


def test_a_file_is_read_once(read: Read) -> None:
    assert (read("data/B"), read.files) == (hashlib.md5(b"B").hexdigest(), 1)
    assert (read("data/B"), read.files) == (hashlib.md5(b"B").hexdigest(), 0)
    (read.project.root / "data" / "B").write_bytes(b"C")
    assert (read("data/B"), read.files) == (hashlib.md5(b"C").hexdigest(), 1)


def test_the_files_of_a_directory(read: Read) -> None:
    wanted = {name: hashlib.md5(name.encode()).hexdigest() for name in NAMES}
    for read_before in (False, True):
        index = WorkspaceIndex(read.project, Ignored(read.project.root))
        assert index.files("data") == wanted, read_before
        index.save()
    assert index.files("data/B") is None
    assert index.files("nothing") is None


def test_what_is_not_there(read: Read) -> None:
    assert read("nothing") is None
    assert read("data/B/below a file") is None
    (read.project.root / "empty").mkdir()
    # the md5 of an empty list, "[]"
    assert read("empty") == "d751713988987e9331980363e24189ce.dir"


def test_patterns_are_part_of_what_is_remembered(read: Read) -> None:
    root = read.project.root
    whole = read()
    (root / ".dvcignore").write_text("# ours\n*.partial\n*9\n")
    (root / "data" / "c" / "x.partial").write_bytes(b"half")
    time.sleep(0.02)
    without = read()
    assert without != whole
    (root / ".dvcignore").write_text("*.partial\n")
    assert read() == whole


@pytest.mark.parametrize("pattern", ["!a", "/data", "data/", "a*b", "[ab]", "**/x"])
def test_other_patterns_are_left_to_dvc(read: Read, pattern: str) -> None:
    (read.project.root / ".dvcignore").write_text(pattern + "\n")
    with pytest.raises(AskDvcError):
        read()


@pytest.mark.parametrize("name", [".git", ".dvc", ".dvcignore", "c/.hg"])
def test_what_dvc_treats_in_its_own_way_is_left_to_it(read: Read, name: str) -> None:
    (read.project.root / "data" / name).write_bytes(b"")
    with pytest.raises(AskDvcError):
        read()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("link", ["data/link", "data", "data/c"])
def test_links_are_left_to_dvc(read: Read, link: str) -> None:
    path = read.project.root / link
    if path.exists():
        path.rename(read.project.root / "elsewhere")
    path.symlink_to(read.project.root / "elsewhere" if path.name != "link" else "B")
    with pytest.raises(AskDvcError):
        read("data/c" if link == "data" else "data")


def test_what_nobody_tracks_any_more_is_forgotten(read: Read) -> None:
    read()
    (read.project.root / "data").rename(read.project.root / "other")
    read("other")
    kept = [file.name for file in (read.project.journal_dir / "index").iterdir()]
    assert len(kept) == 2  # the directory, and the file by which the disk's clock is read
