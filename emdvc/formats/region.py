"""Regions of arrays: their shape, and the one that is everything. Plain tuples: numpy is not needed."""

from __future__ import annotations

from emdvc.formats.contract import LazyArray, Region


def extent(region: Region) -> tuple[int, ...]:
    """Return the shape of a region."""
    return tuple(part.stop - part.start for part in region)


def whole(array: LazyArray) -> Region:
    """Return the region that is all of an array."""
    return tuple(slice(0, n) for n in array.shape)
