"""Bytes between files and connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from emdvc.history.storage.stream import FilePart, append


def test_a_part_of_a_file_reads_like_a_file_and_is_given_in_pieces(tmp_path: Path) -> None:
    """Signing reads it, sending iterates over it, and again from the beginning."""
    content = os.urandom(2_000_003)
    path, moved = tmp_path / "file", list[int]()
    path.write_bytes(content)
    wanted = content[1000:1_900_000]
    part = FilePart(path, 1000, 1_899_000, moved.append)
    assert len(part) == len(wanted)
    assert part.read(10) == wanted[:10]
    assert part.tell() == 10
    assert part.read() == wanted[10:]
    assert part.read() == b""
    assert part.seek(-5, os.SEEK_END) == len(wanted) - 5
    assert part.read() == wanted[-5:]
    assert not moved

    async def given() -> bytes:
        return b"".join([bytes(piece) async for piece in part])

    assert asyncio.run(given()) == wanted
    assert asyncio.run(given()) == wanted
    assert sum(moved) == 2 * len(wanted)
    part.close()


def test_what_arrived_before_a_failure_is_in_the_file(tmp_path: Path) -> None:
    """Also what had not been written yet."""
    target, moved = tmp_path / "target", list[int]()
    target.write_bytes(b"begun,")

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"piece%d," % number
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(append(target, pieces(), lambda: None, moved.append))
    assert target.read_bytes() == b"begun,piece0,piece1,piece2,"
    assert moved == [7, 7, 7]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_here_is_not_the_servers_fault(tmp_path: Path) -> None:
    """The error names our file and that what arrived is kept."""
    from emdvc.errors import Code, EnvironmentFault

    target = tmp_path / "target"
    target.symlink_to("/dev/full")

    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(5 << 20)

    with pytest.raises(EnvironmentFault, match="the disk here is full") as found:
        asyncio.run(append(target, pieces(), lambda: None, lambda _: None))
    assert found.value.code is Code.DISK_FULL
