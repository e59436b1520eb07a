"""The chain of a TIFF's pages: one that was cut loses its last pages, and tifffile reads the rest without an error."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from emdvc.errors import FormatError


def check_chain(path: Path) -> int:
    """Follow the pages from the first to the last and return their number.

    Source: TIFF 6.0, section 2, and BigTIFF: a directory ends with the place of the next, the last with 0.

    Raises
    ------
    FormatError
        A page that the one before names lies outside the file, or the pages run in a circle.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:
            raise FormatError(f"{path} is no TIFF, or is truncated", evidence=f"it starts with {head[:4]!r}")
        big = struct.unpack(f"{order}H", head[2:4])[0] == 43
        if big and len(head) < 16:
            raise FormatError(f"{path} is truncated", evidence=f"the file has {size} bytes")
        place: int = struct.unpack(f"{order}Q", head[8:16])[0] if big else struct.unpack(f"{order}I", head[4:8])[0]
        seen: set[int] = set()
        while place:
            following = _next(file, place, order, big)
            if following is None or place in seen:
                raise FormatError(
                    f"{path} is truncated or damaged",
                    evidence=f"page {len(seen)} should lie at byte {place}; the file has {size} bytes",
                    hint="compare its size with the original",
                )
            seen.add(place)
            place = following
    return len(seen)


def _next(file: BinaryIO, place: int, order: str, big: bool) -> int | None:
    """Return the place of the page after the one at `place`; None where the file ends before."""
    count_size, entry, offset = (8, 20, "Q") if big else (2, 12, "I")
    file.seek(place)
    held = file.read(count_size)
    if len(held) < count_size:
        return None
    count = struct.unpack(f"{order}{'Q' if big else 'H'}", held)[0]
    file.seek(place + count_size + count * entry)
    held = file.read(struct.calcsize(offset))
    return int(struct.unpack(f"{order}{offset}", held)[0]) if len(held) == struct.calcsize(offset) else None
