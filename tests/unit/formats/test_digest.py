from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emdvc.formats.arrays import BinaryArray, MemoryArray
from emdvc.formats.digest import array_digest, content_digest, file_sha256, tree_sha256, unit_axis


class Chunked(MemoryArray):
    """An array in memory that claims other chunks, and remembers the largest region it was asked for."""

    def __init__(self, values, chunks):
        super().__init__(values)
        self.chunks = chunks
        self.largest = 0
        self.total = 0

    def read(self, region):
        values = super().read(region)
        self.largest = max(self.largest, values.nbytes)
        self.total += values.nbytes
        return values


def by_definition(values: np.ndarray) -> str:
    """The digest, straight from its definition and nothing else."""
    axis = 0
    if values.nbytes >= 4096:
        axis = max(i for i in range(values.ndim) if math.prod(values.shape[i:]) * values.itemsize >= 4096)
    little = values.astype(values.dtype.newbyteorder("<"))
    total = hashlib.sha256(f"{values.dtype.name};{','.join(map(str, values.shape))};".encode())
    for index in np.ndindex(values.shape[:axis]):
        total.update(hashlib.sha256(little[index].tobytes()).digest())
    return "sha256-units:" + total.hexdigest()


def test_digest_of_known_numbers_is_pinned():
    values = np.arange(2 * 3 * 32 * 64, dtype="<u2").reshape(2, 3, 32, 64)
    assert array_digest(values) == by_definition(values)
    # written down: a change of the definition would break every sidecar there is
    assert array_digest(np.arange(6, dtype="u1").reshape(2, 3)) == (
        "sha256-units:" + hashlib.sha256(b"uint8;2,3;" + hashlib.sha256(bytes(range(6))).digest()).hexdigest()
    )


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.dtype(name) for name in ("u1", "<u2", ">u2", ">i4", "<f8", "?", ">c8")]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=40),
        elements=st.just(0) | st.just(1),
    ),
    st.data(),
)
def test_digest_is_the_same_for_any_chunks_threads_and_byte_order(values, data):
    flat = np.arange(values.size) % 97
    values = flat.astype(values.dtype.newbyteorder("=")).astype(values.dtype).reshape(values.shape)
    chunks = tuple(data.draw(st.integers(1, n + 3)) for n in values.shape)
    threads = data.draw(st.integers(1, 5))
    lazy = Chunked(values, chunks)
    expected = by_definition(values)
    assert content_digest(lazy, threads=threads) == expected
    assert array_digest(values) == expected
    assert array_digest(np.asfortranarray(values)) == expected
    assert lazy.total == values.nbytes  # every byte is read, and once


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 4), (0, 64, 64), (1,), (4096,), (1, 4096), (5000,)])
def test_digest_of_empty_scalar_and_border_shapes(shape):
    values = np.ones(shape, "u1")
    assert content_digest(MemoryArray(values), threads=2) == array_digest(values) == by_definition(values)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_one_changed_number_changes_the_digest(place, value):
    values = np.zeros((3, 4, 33, 65), "u2")
    changed = values.copy()
    changed.flat[place % values.size] = value + 1
    assert array_digest(values) != array_digest(changed)


def test_shape_and_type_belong_to_the_digest():
    values = np.zeros((8, 64, 64), "u2")
    others = [values.reshape(64, 8, 64), values.astype("i2"), values.view("u1").reshape(8, 64, 128)]
    assert len({array_digest(v) for v in [values, *others]}) == 4


@pytest.mark.parametrize("chunks", [(64, 64, 8, 8), (64, 64, 1, 1), (1, 1, 64, 64), (64, 64, 64, 64), (1, 1, 1, 1)])
def test_memory_is_bounded_for_any_layout(chunks, monkeypatch):
    from emdvc.formats import digest

    monkeypatch.setattr(digest, "IN_FLIGHT", 1 << 20)
    values = np.random.default_rng(1).integers(0, 99, (64, 64, 64, 64)).astype("u1")
    lazy = Chunked(values, chunks)
    assert content_digest(lazy, threads=2) == array_digest(values)
    # a task's own target may exceed this small limit, never by more than what makes a read worthwhile
    assert lazy.largest <= max(digest.IN_FLIGHT // 2, digest.WORTHWHILE)
    assert lazy.total == values.nbytes


def test_a_huge_single_unit_is_streamed(monkeypatch):
    from emdvc.formats import digest

    values = np.arange(20 << 20, dtype="u1")
    lazy = Chunked(values, values.shape)
    assert unit_axis(values.shape, 1) == 0
    monkeypatch.setattr(digest, "IN_FLIGHT", 8 << 20)
    assert content_digest(lazy, threads=1) == by_definition(values)
    assert lazy.largest <= 8 << 20


def test_progress_counts_every_byte_and_errors_come_through(tmp_path: Path):
    values = np.zeros((40, 100, 100), "u2")
    done: list[int] = []
    content_digest(MemoryArray(values), threads=3, advance=done.append)
    assert sum(done) == values.nbytes

    class Broken(MemoryArray):
        def read(self, region):
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        content_digest(Broken(values), threads=3)


def test_digest_of_a_file_on_disk(tmp_path: Path):
    values = np.random.default_rng(2).integers(0, 9, (6, 7, 30, 50)).astype(">i4")
    path = tmp_path / "a.raw"
    path.write_bytes(b"header!" + values.tobytes())
    array = BinaryArray(path, values.shape, values.dtype, 7)
    assert content_digest(array) == array_digest(values)
    array.close()


def test_file_and_tree_digests(tmp_path: Path):
    (tmp_path / "s" / "b").mkdir(parents=True)
    (tmp_path / "s" / "b" / "z").write_bytes(b"1")
    (tmp_path / "s" / "b.a").write_bytes(b"22")
    seen: list[int] = []
    assert file_sha256(tmp_path / "s" / "b.a", seen.append) == hashlib.sha256(b"22").hexdigest()
    assert seen == [2]
    lines = sorted(f"{n}\0{hashlib.sha256(c).hexdigest()}\n" for n, c in (("b/z", b"1"), ("b.a", b"22")))
    assert tree_sha256(tmp_path / "s") == {
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
        "size": 3,
        "files": 2,
    }
