"""Text on a picture, from letters that were rasterised once (see tools/make_glyphs.py)."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

#: Sizes in pixels per em: labels, and titles.
SMALL, LARGE = 14, 18


@dataclass(frozen=True, slots=True)
class Letter:
    """One character: how far the pen moves, where its box lies from the top of the line, and its coverage."""

    advance: int
    left: int
    top: int
    coverage: NDArray[np.uint8]


@lru_cache(maxsize=1)
def _letters() -> dict[int, dict[str, Letter]]:
    raw = zlib.decompress(files("emdvc.render").joinpath("glyphs.bin").read_bytes()[len(b"EMGLYPHS") :])
    head, _, coverage = raw.partition(b"\n")
    shades = np.frombuffer(coverage, np.uint8)
    letters: dict[int, dict[str, Letter]] = {}
    start = 0
    for size, table in json.loads(head).items():
        letters[int(size)] = {}
        for character, (advance, left, top, width, height) in table.items():
            box = shades[start : start + width * height].reshape(height, width)
            letters[int(size)][character] = Letter(advance, left, top, box)
            start += width * height
    return letters


def _spelt(text: str, size: int) -> list[Letter]:
    letters = _letters()[size]
    # micro sign and Greek mu, angstrom sign and A with ring, are the same to a reader
    text = text.replace("\u03bc", "\u00b5").replace("\u212b", "\u00c5").replace("\u00a0", " ")
    return [letters.get(character, letters["?"]) for character in text]


def width_of(text: str, size: int = SMALL) -> int:
    """Return the width of a line of text in pixels."""
    return sum(letter.advance for letter in _spelt(text, size))


def line_height(size: int = SMALL) -> int:
    """Return the distance of two lines in pixels."""
    return size + size // 3


def fitted(text: str, width: int, size: int = SMALL) -> str:
    """Return a text, cut and marked with an ellipsis where it is wider than `width` pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def write(
    canvas: NDArray[np.uint8], text: str, x: int, y: int, size: int = SMALL, *, ink: int = 31, align: str = "left"
) -> None:
    """Write a line of text on a canvas of ink levels, in place; what falls outside is cut.

    Parameters
    ----------
    canvas
        Shape (height, width); level 0 is paper.
    text
        The line; a character that the atlas lacks becomes a question mark.
    x, y
        Pen position, and the top of the line.
    size
        :data:`SMALL` or :data:`LARGE`.
    ink
        Level of full coverage.
    align
        Whether `x` is the text's left end, its ``center`` or its ``right`` end.
    """
    if align != "left":
        wide = width_of(text, size)
        x -= wide if align == "right" else wide // 2
    for letter in _spelt(text, size):
        _stamp(canvas, letter, x + letter.left, y + letter.top, ink)
        x += letter.advance


def write_upwards(canvas: NDArray[np.uint8], text: str, x: int, middle: int, *, ink: int = 31) -> None:
    """Write a small line of text that reads from bottom to top, its middle at row `middle`, in place."""
    line = np.zeros((line_height(), width_of(text)), np.uint8)
    write(line, text, 0, 0, ink=ink)
    turned = np.rot90(line)
    top = middle - turned.shape[0] // 2
    first, last = max(0, -top), min(turned.shape[0], canvas.shape[0] - top)
    region = canvas[top + first : top + last, x : x + turned.shape[1]]
    np.maximum(region, turned[first:last, : region.shape[1]], out=region)


def _stamp(canvas: NDArray[np.uint8], letter: Letter, x: int, y: int, ink: int) -> None:
    height, width = letter.coverage.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(height, canvas.shape[0] - y), min(width, canvas.shape[1] - x)
    if bottom <= top or right <= left:
        return
    shade = (letter.coverage[top:bottom, left:right].astype(np.uint16) * ink + 127) // 255
    region = canvas[y + top : y + bottom, x + left : x + right]
    np.maximum(region, shade.astype(np.uint8), out=region)
