"""The 256 colours of one picture: ink for text and lines, then the colour maps that it uses."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from emdvc.render import colour_tables

#: Levels 0 (paper) to 31 (black).
INK_LEVELS = 32
INK = INK_LEVELS - 1
#: Ink of secondary text and of frames.
SOFT = 20
FAINT = 6
#: Then 16 levels from paper to the colour of a plotted line.
LINE_LEVELS = 16
LINE_FIRST = INK_LEVELS
_LINE_COLOUR = (0, 84, 160)
#: Where a picture compares two lines, 16 more levels for the other one: vermilion, told from blue by every eye.
SECOND_FIRST = LINE_FIRST + LINE_LEVELS
_SECOND_COLOUR = (213, 94, 0)


class ColourMap(StrEnum):
    """How values become colours."""

    GREY = "grey"
    HEAT = "heat"
    DIVERGING = "diverging"


_TABLES = {
    ColourMap.GREY: colour_tables.GREY,
    ColourMap.HEAT: colour_tables.HEAT,
    ColourMap.DIVERGING: colour_tables.DIVERGING,
}


class Palette:
    """The palette of a picture that uses some colour maps: they share the levels that ink and lines leave.

    Parameters
    ----------
    maps
        The colour maps used; the order does not matter.
    second_line
        Whether there is a second colour for lines.
    """

    def __init__(self, maps: set[ColourMap], *, second_line: bool = False) -> None:
        self._maps = sorted(maps)
        self._lines = [_LINE_COLOUR, _SECOND_COLOUR] if second_line else [_LINE_COLOUR]
        self._maps_first = LINE_FIRST + LINE_LEVELS * len(self._lines)
        share = (256 - self._maps_first) // max(1, len(self._maps))
        #: Colours of each map: an odd number, so that zero has a colour of its own in the diverging one.
        self.levels = share - (share + 1) % 2

    def first(self, name: ColourMap) -> int:
        """Return the index of the lowest colour of a map."""
        return self._maps_first + self._maps.index(name) * self.levels

    def table(self) -> NDArray[np.uint8]:
        """Return the colours, shape (n, 3)."""
        rows = [_ramp((0, 0, 0), INK_LEVELS), *(_ramp(colour, LINE_LEVELS) for colour in self._lines)]
        for name in self._maps:
            colours = np.frombuffer(bytes.fromhex(_TABLES[name]), np.uint8).reshape(-1, 3)
            picks = (np.arange(self.levels) * (len(colours) - 1) + (self.levels - 1) // 2) // (self.levels - 1)
            rows.append(colours[picks])
        return np.concatenate(rows)


def _ramp(colour: tuple[int, int, int], levels: int) -> NDArray[np.uint8]:
    """Return colours from paper (white) to a colour, shape (levels, 3)."""
    part = np.arange(levels)[:, None]
    target = np.array(colour)[None, :]
    return ((255 * (levels - 1 - part) + target * part + (levels - 1) // 2) // (levels - 1)).astype(np.uint8)
