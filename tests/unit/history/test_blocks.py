"""Checksums of blocks, how they stand in a .dvc file, and the room that fetched blocks take."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import google_crc32c
import pytest

from emdvc.errors import UsageError
from emdvc.history import blocks
from emdvc.history.blocks import BlockSums, Ranges, Summing, block_size
from emdvc.history.lazy.block_store import ROOM, BlockStore, room
from emdvc.history.project import Project

POINTER = """\
# a person's remark
outs:
- md5: 05caa804521089338b7f33d178feb86e
  size: 20
  hash: md5
  path: a.mrc
"""
MD5 = "05caa804521089338b7f33d178feb86e"


def test_crc32c_is_castagnolis() -> None:
    # RFC 3720, B.4: 32 bytes of zeroes
    summing = Summing(32)
    summing.update(bytes(32))
    assert summing.result().sums.hex() == "8a9136aa"


@pytest.mark.parametrize("parts", [[1000], [1, 999], [300, 300, 300, 100], [7] * 142 + [6]])
def test_blocks_do_not_depend_on_the_parts(parts: list[int]) -> None:
    content = bytes(i * 7 % 251 for i in range(1000))
    summing, place = Summing(1000, 64), 0
    for size in parts:
        summing.update(memoryview(content)[place : place + size])
        place += size
    found = summing.result()
    assert found.count == 16
    expected = b"".join(google_crc32c.value(content[i : i + 64]).to_bytes(4, "big") for i in range(0, 1000, 64))
    assert found.sums == expected
    assert all(found.holds(number, content[slice(*found.span(number))]) for number in range(16))
    assert not found.holds(3, content[192:255] + b"!")

    assert not found.holds(15, content[960:999])


def test_a_file_that_grew_meanwhile_has_no_sums() -> None:
    summing = Summing(10)
    summing.update(bytes(11))
    with pytest.raises(ValueError, match="11 bytes, not 10"):
        summing.result()


@pytest.mark.parametrize(
    ("size", "block"), [(1, 4 << 20), (16 << 30, 4 << 20), ((16 << 30) + 1, 8 << 20), (100 * 10**9, 32 << 20)]
)
def test_block_sizes(size: int, block: int) -> None:
    assert block_size(size) == block
    assert -(-size // block) <= blocks.MOST


def known() -> Ranges:
    sums = BlockSums(20, 8, bytes(range(12)))
    return Ranges({".": sums}, {"tilts": [{"file": ".", "offset": 4, "dtype": "<i2", "shape": [2, 4]}, {"flip": [1]}]})


def test_what_stands_in_the_pointer(tmp_path: Path) -> None:
    pointer = tmp_path / "a.mrc.dvc"
    pointer.write_text(POINTER + "meta:\n  group: mine\n", encoding="utf-8")
    blocks.write(pointer, known())
    assert blocks.read(pointer) == known()
    text = pointer.read_text(encoding="utf-8")
    assert text.startswith("# a person's remark\nouts:\n- md5:") and "group: mine" in text
    # other bytes: what was known of the old ones is void, and goes when the new ones are written
    pointer.write_text(text.replace(f"outs:\n- md5: {MD5}", f"outs:\n- md5: {'0' * 32}"), encoding="utf-8")
    assert blocks.read(pointer) is None
    blocks.write(pointer, Ranges())
    assert pointer.read_text(encoding="utf-8") == POINTER.replace(MD5, "0" * 32) + "meta:\n  group: mine\n"


def test_a_small_file_leaves_the_pointer_alone(tmp_path: Path) -> None:
    pointer = tmp_path / "a.mrc.dvc"
    pointer.write_text(POINTER, encoding="utf-8")
    blocks.write(pointer, Ranges())
    assert pointer.read_text(encoding="utf-8") == POINTER
    blocks.write(pointer, known())
    blocks.write(pointer, Ranges())
    assert pointer.read_text(encoding="utf-8") == POINTER


GOOD = {"md5": MD5, "files": {".": {"size": 20, "block": 8, "crc32c": base64.b64encode(bytes(12)).decode()}}}


@pytest.mark.parametrize(
    "kept",
    [
        None,
        "text",
        GOOD | {"md5": "0" * 32},
        {"md5": MD5},
        {"md5": MD5, "files": {".": {"size": 20, "block": 8}}},
        {"md5": MD5, "files": {".": {"size": 20, "block": 8, "crc32c": "AAAA"}}},
        {"md5": MD5, "files": {".": {"size": 20, "block": 0, "crc32c": ""}}},
        {"md5": MD5, "files": {".": {"size": 20, "block": 8, "crc32c": "no base64!"}}},
        {"md5": MD5, "files": []},
        GOOD | {"arrays": {"a": 3}},
    ],
)
def test_what_is_damaged_says_nothing(kept: object) -> None:
    assert blocks.parsed(GOOD, MD5) is not None
    assert blocks.parsed(kept, MD5) is None


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".emdvc").mkdir()
    (tmp_path / ".git").mkdir()
    return Project(tmp_path, tmp_path)


def test_kept_blocks_take_bounded_room(bare: Project) -> None:
    (bare.root / ".emdvc" / "config.yaml").write_text("remotes: {blocks: 10 kB}\n", encoding="utf-8")
    one, two = BlockStore(bare, "a" * 32), BlockStore(bare, "b" * 32)
    for number in range(8):
        one.keep(number, bytes([number]) * 1000)
        os.utime(one.path(number), (number, number))
    assert one.read(0) == bytes(1000)  # now the one that was used last
    for number in range(6):
        two.keep(number, bytes(1000))
    left = sum(path.stat().st_size for path in (bare.journal_dir / "blocks").rglob("*") if path.is_file())
    assert 5000 <= left <= 10_000
    assert one.has(0) and not one.has(1)
    assert two.has(5)
    assert one.read(1) is None
    assert not one.complete(8) and two.complete(6)


@pytest.mark.parametrize(
    ("said", "bytes_"),
    [("2 GiB", 2 << 30), ("500 MB", 500 * 10**6), ("1.5gb", 1_500_000_000), ("4096", 4096), ("0", 0)],
)
def test_the_room_is_set_in_the_usual_units(bare: Project, said: str, bytes_: int) -> None:
    assert room(bare) == ROOM
    (bare.root / ".emdvc" / "config.yaml").write_text(f"remotes: {{blocks: {said}}}\n", encoding="utf-8")
    assert room(bare) == bytes_


def test_a_room_that_is_none(bare: Project) -> None:
    (bare.root / ".emdvc" / "config.yaml").write_text("remotes: {blocks: plenty}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="room for blocks"):
        room(bare)
