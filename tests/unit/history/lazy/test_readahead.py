"""What is fetched ahead of who reads: never more than was read in a row, nothing for who jumps about."""

from __future__ import annotations

import itertools

import pytest

from emdvc.formats.zarr_keys import ChunkKeys
from emdvc.history.lazy.readahead import Walk

KEYS = ChunkKeys("counts", (64, 64, 8, 8), (8, 8, 8, 8))
ALL = [(y, x, 0, 0) for y, x in itertools.product(range(8), range(8))]


def test_who_reads_on_and_on_finds_it_there() -> None:
    walk, there, late = Walk(), set(), 0
    for index in ALL:
        late += index not in there
        there.update(walk.ahead(KEYS, [index], 100))
    assert late == 3
    assert there == set(ALL[3:])


def test_never_twice_and_never_more_than_was_read() -> None:
    walk, begun = Walk(), []
    for count, index in enumerate(ALL, 1):
        begun += walk.ahead(KEYS, [index], 100)
        assert len(begun) <= 2 * count
    assert len(begun) == len(set(begun))


def test_rows_of_chunks() -> None:
    walk = Walk()
    rows = [ALL[8 * y : 8 * y + 8] for y in range(8)]
    assert [len(walk.ahead(KEYS, row, 100)) for row in rows[:3]] == [0, 0, 24]


@pytest.mark.parametrize(
    "reads",
    [
        [(y, x) for y in range(2, 4) for x in range(2, 4)],  # a region, chunk by chunk
        [(0, 0), (7, 7), (3, 3), (0, 1), (5, 5)],
        [(4, 4)] * 10,  # one pattern after the other from the same chunk
    ],
    ids=["region", "jumps", "same"],
)
def test_nothing_for_who_does_not_read_on(reads: list[tuple[int, int]]) -> None:
    walk = Walk()
    assert [walk.ahead(KEYS, [(*place, 0, 0)], 100) for place in reads] == [[]] * len(reads)


def test_threads_that_overtake_each_other() -> None:
    walk, there = Walk(), set()
    for first, second in zip(ALL[::2], ALL[1::2], strict=True):
        for index in (second, first):
            there.update(walk.ahead(KEYS, [index], 100))
    assert len(there) > 50


def test_large_chunks_are_not_piled_up() -> None:
    walk = Walk()
    ahead = [walk.ahead(KEYS, [index], 40 << 20) for index in ALL]
    assert max(map(len, ahead)) == 1
