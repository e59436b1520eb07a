"""A line plot: frame, round ticks, labels with units, one smooth line."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.render import lettering as type_
from emdvc.render import palette, rounding
from emdvc.render.raster import Contrast, around

Canvas = NDArray[np.uint8]
_TICK = 5
_GAP = 6


def plot(
    values: NDArray[np.float64], coordinates: NDArray[np.float64], labels: tuple[str, str], size: tuple[int, int]
) -> Canvas:
    """Return the plot of values over their coordinates.

    Parameters
    ----------
    values, coordinates
        Shape (n,); values that are not finite leave a gap.
    labels
        What the values and the coordinates are, with units.
    size
        Height and width of the whole, in pixels.
    """
    canvas = np.zeros(size, np.uint8)
    shown = limits(values)
    y_ticks = rounding.steep_ticks(shown.high, most=7) if shown.roots else rounding.ticks(shown.low, shown.high, most=7)
    left, top, bottom, right = margins(rounding.tick_labels(y_ticks), size)
    frame(canvas, left, top, bottom, right)
    draw_y_ticks(canvas, y_ticks, shown, left, top, bottom)
    draw_x_ticks(canvas, float(coordinates[0]), float(coordinates[-1]), left, right, bottom)
    type_.write(canvas, labels[1], (left + right) // 2, size[0] - type_.line_height(), align="center", ink=palette.INK)
    type_.write_upwards(canvas, labels[0], 0, (top + bottom) // 2, ink=palette.INK)
    x, y = points(values, coordinates, shown, (left, top, bottom, right))
    draw_line(canvas[top : bottom + 1, left : right + 1], x - left, y - top)
    return canvas


def limits(values: NDArray[np.float64]) -> Contrast:
    """Return the range of a plot, with some air; counts whose peak dwarfs the rest get a square-root scale."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low == high:
        return around(low)
    middle = float(np.sort(finite)[finite.size // 2])
    if low >= 0 and finite.size > 2 and high > 30 * middle:
        return Contrast(0.0, high * 1.05, roots=1)
    low = min(0.0, low) if low < high / 2 else low  # show zero unless the line lies far from it
    air = (high - low) * 0.05
    return Contrast(low if low == 0.0 else low - air, high + air)


def part_of(shown: Contrast, values: Any) -> Any:
    """Return where values lie between the limits, 0 to 1."""
    part = (values - shown.low) / (shown.high - shown.low)
    return np.sqrt(np.maximum(part, 0.0)) if shown.roots else part


def margins(y_labels: list[str], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, bottom and right of the plotting area, leaving room for the ticks' labels."""
    left = type_.line_height() + 4 + max(type_.width_of(label) for label in y_labels) + _TICK + _GAP
    bottom = size[0] - 2 * type_.line_height() - _TICK - _GAP
    return left, 8, bottom, size[1] - 26


def frame(canvas: Canvas, left: int, top: int, bottom: int, right: int) -> None:
    """Draw the frame of a plotting area."""
    canvas[top, left : right + 1] = canvas[bottom, left : right + 1] = palette.SOFT
    canvas[top : bottom + 1, left] = canvas[top : bottom + 1, right] = palette.SOFT


def draw_y_ticks(canvas: Canvas, ticks: list[Fraction], shown: Contrast, left: int, top: int, bottom: int) -> None:
    """Draw ticks and their labels at the left of a plotting area."""
    for tick, label in zip(ticks, rounding.tick_labels(ticks), strict=True):
        part = float(part_of(shown, float(tick)))
        row = bottom - int(part * (bottom - top) + 0.5)
        canvas[row, left - _TICK : left] = palette.SOFT
        type_.write(canvas, label, left - _TICK - _GAP + 2, row - type_.SMALL // 2 - 1, align="right", ink=palette.INK)


def draw_x_ticks(canvas: Canvas, first: float, last: float, left: int, right: int, bottom: int) -> None:
    """Draw ticks and their labels below a plotting area."""
    ticks = rounding.ticks(first, last, most=max(2, (right - left) // 70))
    for tick, label in zip(ticks, rounding.tick_labels(ticks), strict=True):
        part = (float(tick) - first) / (last - first) if last != first else 0.5
        column = left + int(part * (right - left) + 0.5)
        canvas[bottom + 1 : bottom + 1 + _TICK, column] = palette.SOFT
        type_.write(canvas, label, column, bottom + _TICK + 3, align="center", ink=palette.INK)


def points(
    values: NDArray[np.float64],
    coordinates: NDArray[np.float64],
    shown: Contrast,
    area: tuple[int, int, int, int],
    span: tuple[float, float] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixel positions of a line; of many samples per pixel only the extremes, which is all one can see.

    Parameters
    ----------
    values, coordinates
        Shape (n,).
    shown
        Range of the values.
    area
        Left, top, bottom and right of the plotting area.
    span
        Coordinates at its left and right; else those of the first and the last sample.
    """
    left, top, bottom, right = area
    first, last = span or (float(coordinates[0]), float(coordinates[-1]))
    length = last - first if last != first else 1.0
    x = left + (coordinates - first) / length * (right - left)
    y = bottom - part_of(shown, values) * (bottom - top)
    if values.size <= 2 * (right - left):
        return x, y
    column = np.floor(x).astype(np.int64)
    starts = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    shallow, deep = np.fmin.reduceat(y, starts), np.fmax.reduceat(y, starts)
    middle = column[starts] + 0.5
    return np.repeat(middle, 2), np.column_stack((shallow, deep)).ravel()


def draw_line(
    area: Canvas,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    width: float = 1.8,
    *,
    first: int = palette.LINE_FIRST,
) -> None:
    """Draw a line through points with smooth edges, in place.

    Parameters
    ----------
    area
        Part of a canvas that the line may touch.
    x, y
        Points in pixels of the area; a point that is not finite interrupts the line.
    width
        Width of the line in pixels.
    first
        Where the levels of its colour begin in the palette.
    """
    coverage = np.zeros(area.shape)
    if x.size == 1:
        x, y = np.repeat(x, 2), np.repeat(y, 2)
        width = 5.0  # a single sample is a dot
    for start_x, start_y, stop_x, stop_y in zip(x[:-1], y[:-1], x[1:], y[1:], strict=True):
        if np.isfinite(start_y + stop_y):
            _segment(coverage, start_x, start_y, stop_x, stop_y, width)
    drawn = np.floor(coverage * (palette.LINE_LEVELS - 1) + 0.5).astype(np.uint8)
    touched = drawn > 0
    area[touched] = first + drawn[touched]


def _segment(
    coverage: NDArray[np.float64], start_x: float, start_y: float, stop_x: float, stop_y: float, width: float
) -> None:
    reach = width / 2 + 1
    height, columns = coverage.shape
    top, bottom = max(0, int(min(start_y, stop_y) - reach)), min(height, int(max(start_y, stop_y) + reach) + 2)
    left, right = max(0, int(min(start_x, stop_x) - reach)), min(columns, int(max(start_x, stop_x) + reach) + 2)
    if top >= bottom or left >= right:
        return
    grid_y, grid_x = np.arange(top, bottom)[:, None] - start_y, np.arange(left, right)[None, :] - start_x
    run_x, run_y = stop_x - start_x, stop_y - start_y
    square = run_x * run_x + run_y * run_y
    # distance of each pixel's centre from the segment; a pixel is covered as far as the line's edge reaches into it
    along = (grid_x * run_x + grid_y * run_y) / (square or 1.0)
    along = np.minimum(np.maximum(along, 0.0), 1.0)
    off_x, off_y = grid_x - along * run_x, grid_y - along * run_y
    distance = np.sqrt(off_x * off_x + off_y * off_y)
    part = np.minimum(np.maximum(width / 2 + 0.5 - distance, 0.0), 1.0)
    region = coverage[top:bottom, left:right]
    np.maximum(region, part, out=region)
