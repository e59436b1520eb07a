"""Panels of a comparison: an image of which not all is known, and a map of the probe positions that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis
from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import raster
from emdvc.render.palette import Palette
from emdvc.render.panel import NARROWEST, ImagePanel, scale_bar, widened
from emdvc.render.raster import Fit

Canvas = NDArray[np.uint8]
#: Ink of the ground where nothing is known, and of the dots on it, one in so many pixels each way.
GROUND, DOTS, _EVERY = 3, 15, 5
#: Ink of probe positions that do not differ.
SAME = 3
#: Colour of those that do.
CHANGED = inks.LINE_FIRST + inks.LINE_LEVELS - 1
_SWATCH, _BETWEEN = 14, 8
#: A mark is at least this wide, so that one probe position of a large scan is seen.
_MARK = 5


@dataclass(frozen=True, slots=True)
class ComparedPanel(ImagePanel):
    """An image of which not all is known.

    Parameters
    ----------
    outside
        Bool, shape of the values: what lies outside of the image is paper; None: nothing does.
    unread
        What to say of values that are NaN; they are drawn as dots on grey.
    legend
        Whether there is a line for it below: so that panels of one height stand side by side, all have it or none.
    """

    outside: NDArray[np.bool_] | None = None
    unread: str = ""
    legend: bool = False

    def image(self, palette: Palette) -> Canvas:
        """Return the image alone, enlarged."""
        levels = raster.levels(self.values, self.contrast, palette.levels)
        image = self.fit.enlarge((palette.first(self.colours) + np.maximum(levels, 0)).astype(np.uint8))
        unknown = self.fit.enlarge(levels == raster.NO_VALUE)
        image[unknown] = dotted(image.shape)[unknown]
        if self.outside is not None:
            image[self.fit.enlarge(self.outside)] = 0
        return image

    def body(self, palette: Palette) -> Canvas:
        """Return the panel without its heading."""
        # super() has no meaning in a dataclass with slots, which is made anew from this one
        body = ImagePanel.body(self, palette)
        if not self.legend:
            return body
        swatch = dotted((_SWATCH, 2 * _SWATCH))
        return np.vstack([body, legend([(swatch, self.unread)], body.shape[1])])


@dataclass(frozen=True, slots=True)
class ChangedPanel:
    """A map of the probe positions that differ, ready to be painted.

    Parameters
    ----------
    title, notes
        The lines above.
    marks
        Bool, shape (rows, columns), already reduced: whether any probe position of a block differs.
    fit
        How they came from the scan and how much each is enlarged.
    axes
        Vertical and horizontal axis of the scan.
    """

    title: str
    notes: tuple[str, ...]
    marks: NDArray[np.bool_]
    fit: Fit
    axes: tuple[Axis, Axis]

    def body(self, palette: Palette) -> Canvas:
        """Return the panel without its heading."""
        del palette  # ink and line have the same indices in all palettes
        marks = grown(self.fit.enlarge(self.marks), _MARK)
        image = np.where(marks, CHANGED, SAME).astype(np.uint8)
        rows, columns = np.flatnonzero(marks.any(axis=1)), np.flatnonzero(marks.any(axis=0))
        if rows.size and (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) < 0.5 * marks.size:
            _frame(image, int(rows[0]) - 5, int(columns[0]) - 5, int(rows[-1]) + 5, int(columns[-1]) + 5)
        framed = np.pad(image, 1, constant_values=inks.SOFT // 2)
        room = max(framed.shape[1], NARROWEST)
        # axes in different units have no scale that holds for both
        same_unit = self.axes[0].unit == self.axes[1].unit
        bar = scale_bar(self.axes[1], self.fit, image.shape[1]) if same_unit else None
        below = np.zeros((8, room), np.uint8) if bar is None else np.pad(widened(bar, room), ((8, 4), (0, 0)))
        swatches = [
            (np.full((_SWATCH, 2 * _SWATCH), CHANGED, np.uint8), "differs"),
            (np.full((_SWATCH, 2 * _SWATCH), SAME, np.uint8), "does not differ"),
        ]
        return np.vstack([widened(framed, room), below[:, :room], legend(swatches, room)])


def dotted(shape: tuple[int, ...]) -> Canvas:
    """Return the ground of what is not known: grey, with dots, so that it is taken for no value."""
    ground = np.full(shape, GROUND, np.uint8)
    ground[2::_EVERY, 2::_EVERY] = DOTS
    return ground


def legend(entries: list[tuple[Canvas, str]], width: int) -> Canvas:
    """Return a line of swatches and what they mean; what does not fit is cut."""
    line = np.zeros((type_.line_height() + 10, width), np.uint8)
    left = 0
    for swatch, word in entries:
        if left + swatch.shape[1] + 30 > width:
            break
        outlined = np.pad(swatch, 1, constant_values=inks.SOFT)
        line[7 : 7 + outlined.shape[0], left : left + outlined.shape[1]] = outlined
        left += outlined.shape[1] + _BETWEEN
        shown = type_.fitted(word, width - left)
        type_.write(line, shown, left, 7, ink=inks.INK)
        left += type_.width_of(shown) + 2 * _BETWEEN
    return line


def grown(marks: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Return marks made at least so many pixels wide, where the picture's samples are smaller."""
    runs = np.flatnonzero(np.diff(np.concatenate(([0], marks.any(axis=0).astype(np.int8), [0]))))
    if runs.size == 0 or int(np.diff(runs)[::2].min()) >= least:
        return marks
    for axis in (0, 1):
        marks = _spread(marks, axis, least // 2)
    return marks


def _spread(marks: NDArray[np.bool_], axis: int, reach: int) -> NDArray[np.bool_]:
    lines = np.moveaxis(marks, axis, 0)
    found = lines.copy()
    for step in range(1, min(reach + 1, len(lines))):
        found[step:] |= lines[:-step]
        found[:-step] |= lines[step:]
    return np.moveaxis(found, 0, axis)


def _frame(image: Canvas, top: int, left: int, bottom: int, right: int) -> None:
    """Draw the box that holds all marks, in place; a side that lies beyond the image is left out."""
    rows, columns = slice(max(0, top), bottom + 1), slice(max(0, left), right + 1)
    for row in (top, bottom):
        if 0 <= row < image.shape[0]:
            image[row, columns] = inks.INK
    for column in (left, right):
        if 0 <= column < image.shape[1]:
            image[rows, column] = inks.INK


def any_of(marks: NDArray[Any], factor_y: int, factor_x: int) -> NDArray[np.bool_]:
    """Return whether anything of each block is marked; the last blocks may be smaller."""
    if factor_y == factor_x == 1:
        return marks.astype(np.bool_)
    rows, columns = -(-marks.shape[0] // factor_y), -(-marks.shape[1] // factor_x)
    padded = np.zeros((rows * factor_y, columns * factor_x), np.bool_)
    padded[: marks.shape[0], : marks.shape[1]] = marks
    blocks = padded.reshape(rows, factor_y, columns, factor_x)
    return np.asarray(blocks.any(axis=(1, 3)))
