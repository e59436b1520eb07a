"""A small picture of an array in a terminal: two pixels per letter in colour, letters of rising darkness without."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from emdvc.render import colour_tables, raster

_RAMP = " .:-=+*#%@"
_SPARKS = "▁▂▃▄▅▆▇█"
_RESET = "\x1b[0m"


class Colours(StrEnum):
    """What a terminal can show."""

    TRUE = "truecolor"
    INDEXED = "256"
    NONE = "none"


def supported(environment: Mapping[str, str] | None = None, encoding: str | None = None) -> Colours:
    """Return what this terminal can show; ``NO_COLOR`` and an encoding without block letters mean plain letters."""
    environment = os.environ if environment is None else environment
    encoding = encoding if encoding is not None else (getattr(sys.stdout, "encoding", "") or "")
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" or "utf" not in encoding.lower():
        return Colours.NONE
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") or environment.get("WT_SESSION"):
        return Colours.TRUE
    return Colours.INDEXED


def picture(
    values: NDArray[np.generic],
    *,
    width: int = 48,
    colours: Colours = Colours.TRUE,
    signed: bool = False,
    wide: bool = False,
) -> list[str]:
    """Return the lines of a small picture of an array.

    Parameters
    ----------
    values
        Shape (rows, columns), or (n,): then one line of bars.
    width
        Letters per line at most.
    colours
        What the terminal can show.
    signed
        Whether zero is the middle of the scale.
    wide
        Whether a wide range is compressed, as for diffraction patterns.
    """
    real = raster.as_real(np.asarray(values))
    if real.ndim == 1:
        return [bars(real, width, plain=colours is Colours.NONE)]
    factor = max(1, -(-real.shape[1] // width), -(-real.shape[0] // width))
    small = raster.block_mean(real, min(factor, real.shape[0]), min(factor, real.shape[1]))
    shown = raster.contrast(small, signed=signed, wide=wide)
    if colours is Colours.NONE:
        # a letter is about twice as high as wide
        rows = raster.levels(small[::2], shown, len(_RAMP))
        return ["".join(_RAMP[max(0, level)] for level in row) for row in rows]
    table = colour_tables.DIVERGING if signed else colour_tables.HEAT if wide else colour_tables.GREY
    palette = np.frombuffer(bytes.fromhex(table), np.uint8).reshape(-1, 3)
    levels = raster.levels(small, shown, len(palette))
    pixels = np.where(levels[..., None] < 0, 127, palette[np.maximum(levels, 0)])
    if pixels.shape[0] % 2:
        pixels = np.concatenate((pixels, pixels[-1:]))
    return [_line(pixels[row], pixels[row + 1], colours) for row in range(0, pixels.shape[0], 2)]


def bars(values: NDArray[np.float64], width: int, *, plain: bool = False) -> str:
    """Return a line of bars, one per block of values."""
    factor = -(-values.size // width)
    small = raster.block_mean(values[None, :], 1, factor)[0]
    shown = raster.contrast(small, wide=True)
    letters = _RAMP if plain else _SPARKS
    return "".join(letters[max(0, level)] for level in raster.levels(small, shown, len(letters)))


def _line(upper: NDArray[np.integer], lower: NDArray[np.integer], colours: Colours) -> str:
    """Return one line of letters, each an upper half in one colour on a ground of another."""
    line = []
    for top, bottom in zip(upper.tolist(), lower.tolist(), strict=True):
        line.append(f"\x1b[38;{_code(top, colours)};48;{_code(bottom, colours)}m▀")
    return "".join(line) + _RESET


def _code(colour: list[int], colours: Colours) -> str:
    red, green, blue = colour
    if colours is Colours.TRUE:
        return f"2;{red};{green};{blue}"
    if red == green == blue:
        # the ramp of 24 greys between black and white
        level = (red * 25 + 127) // 255
        return f"5;{16 if level == 0 else 231 if level == 25 else 231 + level}"
    red, green, blue = ((value * 5 + 127) // 255 for value in (red, green, blue))
    return f"5;{16 + 36 * red + 6 * green + blue}"
