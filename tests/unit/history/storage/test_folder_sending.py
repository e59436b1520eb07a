"""A large file on its way into a folder is gone on with; nobody meets half of it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from emdvc.history.storage import loop
from emdvc.history.storage.contract import ARRIVING, RemoteSettings
from emdvc.history.storage.folder import FolderStorage, _with_folder
from emdvc.history.storage.folder_sending import LARGE, passing_file

KEY = "files/md5/ab/cd"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(LARGE + 5))
    return path


def _send(folder: Path, source: Path) -> list[int]:
    """Send a file; return the bytes as they were told."""
    storage = FolderStorage(RemoteSettings("lab", str(folder)))
    told: list[int] = []

    async def work() -> None:
        await storage.open()
        await storage.send(source, KEY, md5=_md5(source), advance=told.append)

    loop.run(work())
    return told


def _left(folder: Path, source: Path, content: bytes) -> Path:
    """Leave a part as a killed process does."""
    (folder / ARRIVING).mkdir(parents=True)
    with passing_file(folder / ARRIVING, _md5(source), source.stat().st_size) as part:
        part.write_bytes(content)
    return part


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def test_gone_on_with(tmp_path: Path, large: Path) -> None:
    part = _left(tmp_path / "store", large, large.read_bytes()[: 12 << 20])
    told = _send(tmp_path / "store", large)
    assert (told[0], sum(told)) == (12 << 20, LARGE + 5)
    assert (tmp_path / "store" / KEY).read_bytes() == large.read_bytes()
    assert not part.exists()


def test_a_wrong_beginning_is_written_again(tmp_path: Path, large: Path) -> None:
    _left(tmp_path / "store", large, large.read_bytes()[: 4 << 20] + bytes(20 << 20))
    assert _send(tmp_path / "store", large)[0] == 4 << 20
    assert (tmp_path / "store" / KEY).read_bytes() == large.read_bytes()


def test_two_of_one_user_do_not_write_into_one_file(tmp_path: Path, large: Path) -> None:
    (tmp_path / "store" / ARRIVING).mkdir(parents=True)
    with passing_file(tmp_path / "store" / ARRIVING, _md5(large), LARGE) as mine:
        mine.write_bytes(b"mine")
        assert sum(_send(tmp_path / "store", large)) == LARGE + 5
        assert mine.read_bytes() == b"mine"
    assert (tmp_path / "store" / KEY).read_bytes() == large.read_bytes()


def test_what_was_left_long_ago_is_removed(tmp_path: Path, large: Path) -> None:
    arriving = tmp_path / "store" / ARRIVING
    arriving.mkdir(parents=True)
    for name, days in (("old", 30), ("new", 1)):
        (arriving / f"{name}.part").write_bytes(b"x")
        os.utime(arriving / f"{name}.part", (time.time() - days * 86400,) * 2)
    _send(tmp_path / "store", large)
    assert [path.name for path in arriving.iterdir()] == ["new.part"]


def test_a_folder_that_was_replaced_is_made_again(tmp_path: Path) -> None:
    """Where two make the same folder, the rename of the second replaces the first one's while it is empty."""
    folder = tmp_path / "files" / "md5"
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            folder.rmdir()
            folder.parent.rmdir()
        (folder / "object").write_bytes(b"")

    _with_folder(folder, work)
    assert (folder / "object").exists()
    with pytest.raises(FileNotFoundError):
        _with_folder(folder, lambda: (tmp_path / "never" / "object").write_bytes(b""))
