"""Noticing that somebody reads an array from its beginning to its end, so that what comes next can be on its way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emdvc.formats.zarr_keys import ChunkKeys

#: Reads that follow one another before anything is fetched that nobody asked for.
_STEPS = 3
#: Places by which threads that read side by side may overtake each other.
_SLACK = 4
#: Files and bytes that are fetched ahead at most.
_FILES, _BYTES = 64, 64 << 20


@dataclass
class Walk:
    """How far one array was read, its files in C order."""

    next: int = 0
    steps: int = 0
    run: int = 0
    begun: int = 0

    def ahead(self, keys: ChunkKeys, indices: Sequence[tuple[int, ...]], nbytes: int) -> list[tuple[int, ...]]:
        """Return the files to fetch ahead of who reads some now: never more than were read one after the other.

        Parameters
        ----------
        keys
            Of the array.
        indices
            Files that are read now.
        nbytes
            Bytes of one.
        """
        counts = [-(-n // s) for n, s in zip(keys.shape, keys.stored, strict=True)]
        places = [_place(index, counts) for index in (min(indices), max(indices))]
        first, last = places[0], places[1]
        if last - first >= len(indices) + _SLACK or abs(first - self.next) > _SLACK:
            # a region with gaps, or somewhere else
            self.steps, self.run = 1, len(indices)
            self.next = self.begun = last + 1
            return []
        if last < self.next:
            return []  # once more, or overtaken
        self.steps += 1
        self.run += len(indices)
        self.next = last + 1
        if self.steps < _STEPS:
            return []
        room = min(self.run, _FILES, max(1, _BYTES // max(nbytes, 1)))
        start, stop = max(self.begun, self.next), min(self.next + room, math.prod(counts))
        self.begun = max(self.begun, stop)
        return [_index(place, counts) for place in range(start, stop)]


def _place(index: Sequence[int], counts: Sequence[int]) -> int:
    place = 0
    for number, count in zip(index, counts, strict=True):
        place = place * count + number
    return place


def _index(place: int, counts: Sequence[int]) -> tuple[int, ...]:
    index = []
    for count in reversed(counts):
        place, number = divmod(place, count)
        index.append(number)
    return tuple(reversed(index))
