"""What a fetch brings, what it leaves to the next, and what it complains of; from a remote that is a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pushed_project import PushedProject, pushed_project

from emdvc.errors import Code
from emdvc.history.cache_place import object_path
from emdvc.history.recorded import recorded
from emdvc.history.snapshot import Snapshot
from emdvc.history.transfer.fetching import fetch, fetch_datasets, manifest
from emdvc.history.transfer.lost import LostError
from emdvc.history.transfer.parts import FOLDER, Parts
from emdvc.history.transfer.pushing import push

SCAN = {f"c.{number}": bytes([number]) * (100 + number) for number in range(5)}


@pytest.fixture
def made(tmp_path: Path) -> PushedProject:
    """A project of which nothing is here and everything on the remote."""
    found = pushed_project(tmp_path)
    found.record("raw/scan", SCAN)
    found.record("raw/one.npy", b"one file")
    push(found.project)
    found.forget_all()
    return found


def _fetch_all(made: PushedProject) -> None:
    with Snapshot(made.project) as snapshot:
        fetch_datasets(made.project, recorded(snapshot).values())


def _here(made: PushedProject) -> set[str]:
    return {path.parent.name + path.name for path in made.cache.glob("??/*")}


def test_all_of_it_read_only_and_nothing_else(made: PushedProject) -> None:
    _fetch_all(made)
    assert _here(made) == made.stored()
    for md5 in made.stored():
        path = object_path(made.cache, md5)
        assert path.read_bytes() == made.at(md5).read_bytes()
        assert path.stat().st_mode & 0o777 == 0o444
    assert not (made.cache.parent / FOLDER).exists()


def test_all_that_is_lost_is_named_and_the_rest_is_here(made: PushedProject) -> None:
    lost = [made.keep(SCAN[name]) for name in ("c.1", "c.3")]
    made.forget_all()
    for md5 in lost:
        made.at(md5).unlink()
    with pytest.raises(LostError) as caught:
        _fetch_all(made)
    assert caught.value.absent == ("raw/scan/c.1", "raw/scan/c.3")
    assert caught.value.code is Code.DATA_MISSING
    assert _here(made) == made.stored()


def test_corrupt_and_truncated_objects_are_named_and_not_taken(made: PushedProject) -> None:
    for name, content in (("c.1", b"y" * 101), ("c.3", SCAN["c.3"][:-1])):
        path = made.at(made.keep(SCAN[name]))
        path.unlink()
        path.write_bytes(content)
    made.forget_all()
    with pytest.raises(LostError, match="corrupt, and was not taken") as caught:
        _fetch_all(made)
    assert (caught.value.corrupt, caught.value.code) == (("raw/scan/c.1", "raw/scan/c.3"), Code.DATA_CORRUPT)
    assert _here(made) == made.stored() - {made.keep(SCAN["c.1"]), made.keep(SCAN["c.3"])}
    # what was refused is not gone on from: once it is mended there, it is fetched
    made.forget_all()
    for name in ("c.1", "c.3"):
        path = made.at(made.keep(SCAN[name]))
        path.unlink()
        path.write_bytes(SCAN[name])
    made.forget_all()
    _fetch_all(made)
    assert _here(made) == made.stored()


def test_a_lost_list(made: PushedProject) -> None:
    with Snapshot(made.project) as snapshot:
        listed = next(entry.md5 for entry in recorded(snapshot).values() if entry.is_directory)
    assert manifest(made.project, listed, "raw/scan").keys() == SCAN.keys()
    made.forget(listed)
    made.at(listed).unlink()
    with pytest.raises(LostError, match="the data of raw/scan is neither in the cache nor on the remote lab"):
        manifest(made.project, listed, "raw/scan")


def test_what_a_killed_process_left_is_gone_on_with(made: PushedProject) -> None:
    big = made.keep(os.urandom(1 << 20))
    made.at(big).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(object_path(made.cache, big), made.at(big))
    made.forget(big)
    part = made.cache.parent / FOLDER / "0123456789abcdef" / big
    part.parent.mkdir(parents=True)
    (part.parent / "lock").touch()
    part.write_bytes(made.at(big).read_bytes()[: 700 << 10])
    moved: list[int] = []

    class Shown:
        def __init__(self, what: str, total: int) -> None: ...
        def __enter__(self):  # type: ignore[no-untyped-def]
            return moved.append

        def __exit__(self, *_: object) -> None: ...

    fetch(made.project, {big: "scan.npy"}, "raw/scan.npy", progress=Shown)  # type: ignore[arg-type]
    assert object_path(made.cache, big).read_bytes() == made.at(big).read_bytes()
    assert moved[0] == 700 << 10  # counted as done
    assert sum(moved) == 1 << 20
    assert not (made.cache.parent / FOLDER).exists()


def test_a_wrong_beginning_is_not_gone_on_with(made: PushedProject) -> None:
    md5 = made.keep(SCAN["c.4"])
    made.forget(md5)
    part = made.cache.parent / FOLDER / "0123456789abcdef" / md5
    part.parent.mkdir(parents=True)
    part.write_bytes(b"other bytes")
    fetch(made.project, {md5: "c.4"}, "raw/scan")
    assert object_path(made.cache, md5).read_bytes() == SCAN["c.4"]


def test_the_part_of_a_process_that_works_is_left_alone(tmp_path: Path) -> None:
    cache = tmp_path / "files" / "md5"
    with Parts(cache) as mine:
        mine.path("aa").write_bytes(b"123")
        with Parts(cache) as other:
            assert other.adopt(["aa"]) == 0 if sys.platform != "win32" else True
            assert other.path("aa") != mine.path("aa")
        assert mine.path("aa").read_bytes() == b"123"
    with Parts(cache) as next_one:
        assert next_one.adopt(["aa", "bb"]) == 3
        assert next_one.path("aa").read_bytes() == b"123"


def test_old_parts_that_nobody_wants_are_removed(tmp_path: Path) -> None:
    cache = tmp_path / "files" / "md5"
    for name, age in (("old", 30), ("new", 1)):
        part = tmp_path / "files" / FOLDER / name / "aa"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"1")
        os.utime(part, (time.time() - age * 86400,) * 2)
    with Parts(cache) as parts:
        parts.adopt(["bb"])
    assert [path.name for path in (tmp_path / "files" / FOLDER).iterdir()] == ["new"]


def test_two_processes_at_once(made: PushedProject) -> None:
    md5s = {}
    for number in range(40):
        content = bytes([number]) * 200_000
        md5 = made.keep(content)
        made.at(md5).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(object_path(made.cache, md5), made.at(md5))
        md5s[md5] = str(number)
    made.forget_all()
    code = (
        "import sys, json; from pathlib import Path; from emdvc.history.project import Project;"
        "from emdvc.history.transfer.fetching import fetch;"
        f"root = Path({str(made.root)!r}); fetch(Project(root, root), {md5s!r}, 'x')"
    )
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    for md5 in md5s:
        assert object_path(made.cache, md5).read_bytes() == made.at(md5).read_bytes()
    assert not (made.cache.parent / FOLDER).exists()
