"""Two lines over one axis, and below them what one has more than the other."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import plot, rounding
from emdvc.render.palette import Palette
from emdvc.render.raster import Contrast

Canvas = NDArray[np.uint8]
_GAP = 14
#: The line before is broad and lies below: where both are the same, both are seen.
_BROAD, _FINE = 5.0, 1.8
_SAMPLE = 28


@dataclass(frozen=True, slots=True)
class Line:
    """Values over their coordinates, both of shape (n,)."""

    values: NDArray[np.float64]
    coordinates: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ComparedLines:
    """A plot of two lines and their residual, ready to be painted.

    Parameters
    ----------
    title, notes
        The lines above.
    before, after, residual
        The lines.
    labels
        What the values and the coordinates are, with units.
    width
        Width of the plot in pixels.
    """

    title: str
    notes: tuple[str, ...]
    before: Line
    after: Line
    residual: Line
    labels: tuple[str, str]
    width: int

    def body(self, palette: Palette) -> Canvas:
        """Return the panel without its heading, as indices into a palette that has a second line."""
        del palette  # ink and lines have the same indices in all such palettes
        lines = (self.before, self.after)
        shown = plot.limits(np.concatenate([line.values for line in lines]))
        rest = symmetric(self.residual.values)
        ticks = [_ticks(shown, 7), rounding.ticks(rest.low, rest.high, most=5)]
        upper, lower = self.width * 9 // 16, self.width * 5 // 16
        height = upper + _GAP + lower
        canvas = np.zeros((height, self.width), np.uint8)
        every = [label for some in ticks for label in rounding.tick_labels(some)]
        left, top, bottom, right = plot.margins(every, (height, self.width))
        coordinates = np.concatenate([line.coordinates for line in lines])
        span = (float(coordinates.min()), float(coordinates.max()))
        if self.after.coordinates[0] > self.after.coordinates[-1]:
            span = span[::-1]
        areas = [(left, top, upper, right), (left, upper + _GAP, bottom, right)]
        for area, some, limits in zip(areas, ticks, (shown, rest), strict=True):
            plot.frame(canvas, *area)
            plot.draw_y_ticks(canvas, some, limits, area[0], area[1], area[2])
        zero = bottom - int(0.5 * (bottom - upper - _GAP) + 0.5)
        canvas[zero, left : right + 1] = inks.SOFT // 2
        plot.draw_x_ticks(canvas, span[0], span[1], left, right, bottom)
        drawn = [(self.before, areas[0], shown), (self.after, areas[0], shown), (self.residual, areas[1], rest)]
        for (line, area, limits), (first, width) in zip(drawn, _PENS, strict=True):
            _draw(canvas, line, area, limits, span, first, width)
        type_.write(canvas, self.labels[1], (left + right) // 2, height - type_.line_height(), align="center")
        type_.write_upwards(canvas, self.labels[0], 0, (top + upper) // 2)
        type_.write_upwards(canvas, "residual", 0, (upper + _GAP + bottom) // 2)
        return np.vstack([self._legend(), canvas])

    def _legend(self) -> Canvas:
        line = np.zeros((type_.line_height() + 8, self.width), np.uint8)
        left = 0
        for word, (first, width) in zip(("before", "after"), _PENS, strict=False):
            ends = np.array([left + 3.0, left + _SAMPLE - 3.0])
            plot.draw_line(line, ends, np.array([9.0, 9.0]), width, first=first)
            type_.write(line, word, left + _SAMPLE + 4, 1)
            left += _SAMPLE + 4 + type_.width_of(word) + 18
        type_.write(line, "below: after − before", self.width - 26, 1, ink=inks.SOFT, align="right")
        return line


#: Where the colour of each line begins, and its width: before, after, residual.
_PENS = ((inks.SECOND_FIRST, _BROAD), (inks.LINE_FIRST, _FINE), (inks.INK_LEVELS - inks.LINE_LEVELS, 1.2))


def symmetric(values: NDArray[np.float64]) -> Contrast:
    """Return a range with zero in its middle and some air."""
    finite = np.abs(values[np.isfinite(values)])
    limit = float(finite.max()) * 1.1 if finite.size else 0.0
    return Contrast(-(limit or 1.0), limit or 1.0)


def residual(before: Line, after: Line) -> Line:
    """Return after - before at the samples of the line after; where they lie elsewhere, before is read between its own.

    NaN where only one of the two is known.
    """
    a, b = before.coordinates, after.coordinates
    if a.shape == b.shape and np.array_equal(a, b):
        return Line(after.values - before.values, b)
    order = np.argsort(a, kind="stable")
    there = np.interp(b, a[order], before.values[order], left=np.nan, right=np.nan)
    return Line(after.values - there, b)


def _ticks(shown: Contrast, most: int) -> list[Fraction]:
    if shown.roots:
        return rounding.steep_ticks(shown.high, most=most)
    return rounding.ticks(shown.low, shown.high, most=most)


def _draw(
    canvas: Canvas,
    line: Line,
    area: tuple[int, int, int, int],
    shown: Contrast,
    span: tuple[float, float],
    first: int,
    width: float,
) -> None:
    left, top, bottom, right = area
    x, y = plot.points(line.values, line.coordinates, shown, area, span)
    plot.draw_line(canvas[top : bottom + 1, left : right + 1], x - left, y - top, width, first=first)
