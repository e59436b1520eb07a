"""Blocks that are sent for before they are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from emdvc.engine.block_task import BlockTask
from emdvc.engine.frames import Frames
from emdvc.engine.threads import sent_for
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Region

DIMS = ("y", "x", "ky", "kx")


class FarAway(MemoryArray):
    """An array that notes what it is asked for ahead."""

    def __init__(self, values: Any) -> None:
        super().__init__(values)
        self.asked: list[Region] = []

    def prefetch(self, regions: Iterable[Region]) -> None:
        self.asked += list(regions)


def _blocks(count: int) -> list[tuple[int, Region]]:
    return [(number, (slice(number, number + 1), slice(0, 3))) for number in range(count)]


def test_the_next_blocks_are_on_their_way() -> None:
    array = FarAway(np.zeros((9, 3, 4, 5), "u2"))
    frames = Frames(array, DIMS, ("ky", "kx"))
    task = BlockTask([], DIMS, ("ky", "kx"), array.dtype)
    given = []
    for number, region in sent_for(task, frames, _blocks(9)):
        given.append((number, region))
        # this one and those behind it, never all
        assert len(array.asked) == min(9, number + 4)
    assert given == _blocks(9)
    assert array.asked[2] == (slice(2, 3), slice(0, 3), slice(0, 4), slice(0, 5))


def test_an_array_that_is_here_is_left_alone() -> None:
    frames = Frames(MemoryArray(np.zeros((9, 3, 4, 5), "u2")), DIMS, ("ky", "kx"))
    task = BlockTask([], DIMS, ("ky", "kx"), np.dtype("u2"))
    assert list(sent_for(task, frames, iter(_blocks(2)))) == _blocks(2)
