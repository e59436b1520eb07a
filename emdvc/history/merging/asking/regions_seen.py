"""Regions of an array as a person names them, and what they have in common with those that are asked about."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: ``(start, stop)`` along each dimension.
Box = tuple[tuple[int, int], ...]

_NAMED = re.compile(r"^\s*(?:([^\[\]]+?)\s*\[)?\s*(\d+\s*:\s*\d+(?:\s*,\s*\d+\s*:\s*\d+)*)\s*\]?\s*$")


def parsed(word: str) -> tuple[str | None, Box] | None:
    """Return array and box of ``labels[0:16, 32:48]``; of ``0:16,32:48`` no array; None where it is neither."""
    match = _NAMED.match(word)
    if match is None:
        return None
    pairs = [part.split(":") for part in match[2].split(",")]
    return match[1], tuple((int(start), int(stop)) for start, stop in pairs)


def named(keys: Iterable[str], variable: str) -> list[Box]:
    """Return the boxes of one array among the keys of conflicts, in an order that depends on them alone."""
    found = (parsed(key) for key in keys if key.startswith(f"{variable}["))
    return sorted(one[1] for one in found if one is not None and one[0] == variable)


def common(box: Box, other: Box) -> Box | None:
    """Return what two boxes have in common; None where that is nothing."""
    if len(box) != len(other):
        return None
    shared = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(box, other, strict=True))
    return shared if all(start < stop for start, stop in shared) else None


def split(boxes: Iterable[Box], cuts: Iterable[Box]) -> list[Box]:
    """Return boxes cut along others: each piece lies within a cut, or outside of all of them.

    Boxes that no cut crosses stay as they are.
    """
    found = list(boxes)
    for cut in cuts:
        found = [piece for box in found for piece in _pieces(box, cut)]
    return sorted(found)


def _pieces(box: Box, cut: Box) -> list[Box]:
    inside = common(box, cut)
    if inside is None or inside == box:
        return [box]
    pieces, rest = [inside], box
    for axis, (start, stop) in enumerate(inside):
        first, last = rest[axis]
        if first < start:
            pieces.append((*rest[:axis], (first, start), *rest[axis + 1 :]))
        if stop < last:
            pieces.append((*rest[:axis], (stop, last), *rest[axis + 1 :]))
        rest = (*rest[:axis], (start, stop), *rest[axis + 1 :])
    return pieces
