"""What a result's picture says unseen: the calibration that it was drawn with.

A result inherits the calibration of its scan by reference, so a correction there reruns nothing. Its picture, though,
has a scale bar; with this note ``emdvc status`` finds the pictures that show an older calibration.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emdvc.model.axis import Axis

#: Keyword of the note in the PNG file.
AXES = "emdvc axes"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def calibration(axes: Mapping[str, Axis]) -> str:
    """Return the calibration of axes as one line: ``x=0.5 nm, y=0.5 nm``; an uncalibrated axis counts in px."""
    return ", ".join(f"{dim}={_step(axes[dim])}" for dim in sorted(axes))


def dims(note: str) -> tuple[str, ...]:
    """Return the dimensions that a note speaks of."""
    return tuple(part.partition("=")[0] for part in note.split(", ") if part)


def _step(axis: Axis) -> str:
    if axis.values is not None:
        return f"{axis.size} values {axis.values.unit}"
    return f"{axis.scale.values[0]!r} {axis.scale.unit}" if axis.scale is not None else "px"


def read(path: Path) -> dict[str, str]:
    """Return the texts of a PNG file by keyword; nothing of a file that is none, or is cut off."""
    found: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(8) != _SIGNATURE:
            return found
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind in (b"IDAT", b"IEND"):
                break
            content = file.read(size)
            file.read(4)
            if kind == b"tEXt" and b"\0" in content:
                key, value = content.split(b"\0", 1)
                found[key.decode("latin-1")] = value.decode("latin-1")
    return found
