"""Write ``emdvc/render/colour_tables.py``: the colour maps of emdvc's pictures.

The maps are paths through OKLab (Björn Ottosson, "A perceptual color space for image processing", 2020) whose
lightness is a straight line, so that equal steps of the data look equal, in colour, in grey print, and to the
colour-blind. They are computed once, here, and shipped as numbers: a picture's bytes may not depend on a library::

    python tools/make_colours.py
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

# position, chroma, hue in degrees; lightness is set by the map
_HEAT = (
    (0.0, 0.02, 285.0),
    (0.2, 0.13, 295.0),
    (0.45, 0.19, 370.0),
    (0.7, 0.17, 410.0),
    (0.9, 0.15, 455.0),
    (1.0, 0.06, 465.0),
)
_HEAT_LIGHTNESS = (0.0, 0.98)
_BLUE, _ORANGE = 252.0, 50.0
_DIVERGING_LIGHTNESS = (0.34, 0.985)
_DIVERGING_CHROMA = 0.15


def srgb(lightness: float, chroma: float, hue: float) -> tuple[int, int, int]:
    """Return the 8-bit colour of a point in OKLCh, its chroma lowered until the screen can show it."""
    low, high = 0.0, chroma
    if _in_gamut(_linear(lightness, chroma, hue)):
        low = chroma
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if _in_gamut(_linear(lightness, middle, hue)) else (low, middle)
    red, green, blue = (round(255 * _companded(min(1.0, max(0.0, v)))) for v in _linear(lightness, low, hue))
    return red, green, blue


def _linear(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    # the inverse of OKLab's two matrices, as published
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _in_gamut(linear: tuple[float, float, float]) -> bool:
    return all(-1e-4 <= v <= 1 + 1e-4 for v in linear)


def _companded(v: float) -> float:
    return 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055


def seen(lightness: float) -> float:
    """Return OKLab's lightness for one measured against white on a screen (Ottosson, "Okhsv and Okhsl", 2021)."""
    k1, k2 = 0.206, 0.03
    k3 = (1 + k1) / (1 + k2)
    return (lightness * lightness + k1 * lightness) / (k3 * (lightness + k2))


def heat(position: float) -> tuple[int, int, int]:
    """Return a colour of the sequential map: black over violet and red to pale yellow."""
    dark, light = _HEAT_LIGHTNESS
    lightness = seen(dark + position * (light - dark))
    for (start, chroma0, hue0), (stop, chroma1, hue1) in pairwise(_HEAT):
        if position <= stop:
            part = (position - start) / (stop - start)
            chroma, hue = chroma0 + part * (chroma1 - chroma0), hue0 + part * (hue1 - hue0)
            break
    return srgb(lightness, chroma, hue)


def grey(position: float) -> tuple[int, int, int]:
    """Return a colour of the grey map: the screen's own grey, as every image viewer shows micrographs."""
    level = round(255 * position)
    return level, level, level


def diverging(position: float) -> tuple[int, int, int]:
    """Return a colour of the map for signed values: blue below zero, near white at zero, orange above."""
    distance = abs(2 * position - 1)
    dark, light = _DIVERGING_LIGHTNESS
    # the chroma rises fast from zero and then holds, so that the sign of a small value shows
    chroma = _DIVERGING_CHROMA * min(1.0, 1.6 * distance)
    return srgb(seen(light + distance * (dark - light)), chroma, _BLUE if position < 0.5 else _ORANGE)


def main() -> None:
    """Write the module."""
    lines = [
        '"""Colour maps as numbers, red green blue in hexadecimal. Written by tools/make_colours.py; do not edit."""',
        "",
        "from __future__ import annotations",
        "",
    ]
    for name, function, count, doc in (
        ("GREY", grey, 256, "Black to white."),
        ("HEAT", heat, 256, "Black over violet and red to pale yellow, lightness rising evenly."),
        ("DIVERGING", diverging, 255, "Blue, near white in the middle, orange; both sides equally dark."),
    ):
        digits = "".join("{:02x}{:02x}{:02x}".format(*function(i / (count - 1))) for i in range(count))
        lines += [f"#: {doc}", f"{name} = ("]
        lines += [f'    "{digits[start : start + 96]}"' for start in range(0, len(digits), 96)]
        lines += [")", ""]
    target = Path(__file__).parents[1] / "emdvc" / "render" / "colour_tables.py"
    target.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    print(target)


if __name__ == "__main__":
    main()
