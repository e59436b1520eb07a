"""One drawn picture of a difference, and what its drawings share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import rounding

Canvas = NDArray[np.uint8]
_MARGIN = 20


@dataclass(frozen=True, slots=True)
class DifferencePicture:
    """One picture of a difference, as PNG files.

    Parameters
    ----------
    name
        Short name, unique for its dataset.
    title
        What is shown, on one line.
    alt
        What is seen, in words, for who cannot see it.
    before, after
        Images of one size over the same field of view, on the same scale of colours; None for lines and maps of
        probe positions, which show both in one, and where only `combined` was asked for.
    difference
        After - before, on a symmetric scale of colours with zero in its middle.
    combined
        All of it in one picture, at most about 900 pixels wide.
    notes
        What a reader must know of how it is drawn.
    bare
        Of lines and maps of probe positions: the picture without its title and notes, for a page that says them.
    """

    name: str
    title: str
    alt: str
    before: bytes | None
    after: bytes | None
    difference: bytes | None
    combined: bytes
    notes: tuple[str, ...] = ()
    bare: bytes | None = None


def signed(value: float, unit: str) -> str:
    """Return a number with its sign and unit, as ``+31 counts``."""
    return ("+" if value > 0 else "") + rounding.figure(value, unit)


def footed(canvas: Canvas, notes: Sequence[str]) -> Canvas:
    """Return a picture with notes below, in as many lines as they need."""
    width = canvas.shape[1] - 2 * _MARGIN
    lines: list[str] = []
    for note in notes:
        joined = f"{lines[-1]} · {note}" if lines else note
        if lines and type_.width_of(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(type_.fitted(note, width))
    if not lines:
        return canvas
    below = np.zeros((len(lines) * type_.line_height() + _MARGIN // 2, canvas.shape[1]), np.uint8)
    for row, line in enumerate(lines):
        type_.write(below, line, _MARGIN, row * type_.line_height(), ink=inks.SOFT)
    return np.vstack([canvas[: canvas.shape[0] - _MARGIN // 2], below])
