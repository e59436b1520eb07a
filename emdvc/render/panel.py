"""One panel of a picture: a title, a note, and an image with scale and colour bar, a line, or a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis, Role
from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import plot, raster, rounding
from emdvc.render.palette import ColourMap, Palette
from emdvc.render.raster import Contrast, Fit

Canvas = NDArray[np.uint8]
#: Colour bar and scale bar need this much room side by side.
NARROWEST = 256
_BAR = 6
_COLOURS = 10
_GAP = 8
#: Room at the right of a framed image, for half of the last tick's label.
_RIGHT = 26


@dataclass(frozen=True, slots=True)
class ImagePanel:
    """An image, ready to be painted.

    Parameters
    ----------
    title, notes
        The lines above the image; notes that do not fit are left out.
    values
        Shape (rows, columns), already reduced.
    fit
        How the values came from the array and how much each is enlarged.
    axes
        Vertical and horizontal axis.
    unit
        Unit of the values.
    colours, contrast
        How values become colours.
    spatial
        Whether both axes measure the same, so that a scale bar holds for both; else ticks are drawn.
    """

    title: str
    notes: tuple[str, ...]
    values: NDArray[np.float64]
    fit: Fit
    axes: tuple[Axis, Axis]
    unit: str
    colours: ColourMap
    contrast: Contrast
    spatial: bool

    def paint(self, palette: Palette) -> Canvas:
        """Return the panel as indices into a palette."""
        body = self.body(palette)
        return np.vstack([heading(self.title, self.notes, body.shape[1]), body])

    def body(self, palette: Palette) -> Canvas:
        """Return the panel without its heading."""
        image = self.image(palette)
        below = scale_bar(self.axes[1], self.fit, image.shape[1]) if self.spatial else None
        # an outline: where the image is as white as the paper, its edge would not be seen
        body = self._framed(image) if below is None else np.pad(image, 1, constant_values=inks.SOFT // 2)
        room = max(body.shape[1], NARROWEST)
        strip = self._strip(palette, below, body, room)
        return np.vstack([widened(body, room), strip])

    def image(self, palette: Palette) -> Canvas:
        """Return the image alone, enlarged."""
        levels = raster.levels(self.values, self.contrast, palette.levels)
        indices = np.where(levels == raster.NO_VALUE, inks.FAINT, palette.first(self.colours) + levels)
        return self.fit.enlarge(indices.astype(np.uint8))

    def _strip(self, palette: Palette, scale_bar: Canvas | None, body: Canvas, room: int) -> Canvas:
        """Return what stands below the image: the scale bar at its left, the colour bar at its right."""
        strip = np.zeros((_GAP + _COLOURS + 4 + type_.line_height(), room), np.uint8)
        right = min(room, max(body.shape[1] - (0 if self.spatial else _RIGHT - 1), NARROWEST))
        if scale_bar is not None:
            strip[_GAP : _GAP + scale_bar.shape[0], : scale_bar.shape[1]] = scale_bar
        low, high = rounding.number(self.contrast.low), rounding.figure(self.contrast.high, self.unit)
        taken = scale_bar.shape[1] + 16 if scale_bar is not None else 0
        wide = min(right - taken, max(right * 2 // 5, type_.width_of(low) + type_.width_of(high) + 24))
        first = palette.first(self.colours)
        ramp = first + (np.arange(wide) * palette.levels) // wide
        strip[_GAP : _GAP + _COLOURS, right - wide : right] = inks.SOFT  # an outline: the map's ends may be paper white
        strip[_GAP + 1 : _GAP + _COLOURS - 1, right - wide + 1 : right - 1] = ramp[1:-1]
        top = _GAP + _COLOURS + 4
        type_.write(strip, low, right - wide, top, ink=inks.INK)
        type_.write(strip, high, right, top, align="right", ink=inks.INK)
        if self.colours == ColourMap.DIVERGING and type_.width_of(low) + type_.width_of(high) + 60 < wide:
            type_.write(strip, "0", right - wide // 2, top, align="center", ink=inks.INK)
        return strip

    def _framed(self, image: Canvas) -> Canvas:
        """Return an image whose axes differ, in a frame with ticks."""
        vertical, horizontal = self.axes
        y_ticks = rounding.ticks(*vertical.extent(), most=7)
        labels = rounding.tick_labels(y_ticks)
        left = type_.line_height() + max(type_.width_of(label) for label in labels) + 16
        top = type_.SMALL // 2  # room for the half of a label at the first row
        size = (top + image.shape[0] + 2 + 2 * type_.line_height() + 12, left + image.shape[1] + 1 + _RIGHT)
        canvas = np.zeros(size, np.uint8)
        bottom, right = top + image.shape[0] + 1, left + image.shape[1] + 1
        plot.frame(canvas, left, top, bottom, right)
        canvas[top + 1 : bottom, left + 1 : right] = image
        # the first sample is at the top: ticks run downwards
        last, first = vertical.extent()[1], vertical.extent()[0]
        if first != last:
            plot.draw_y_ticks(canvas, y_ticks, Contrast(last, first), left, top, bottom)
        plot.draw_x_ticks(canvas, *horizontal.extent(), left, right, bottom)
        below = size[0] - type_.line_height()
        type_.write(canvas, axis_label(horizontal), (left + right) // 2, below, align="center", ink=inks.INK)
        type_.write_upwards(canvas, axis_label(vertical), 0, (top + bottom) // 2, ink=inks.INK)
        return canvas


@dataclass(frozen=True, slots=True)
class LinePanel:
    """A line plot, ready to be painted: values (n,) with their unit over an axis."""

    title: str
    notes: tuple[str, ...]
    values: NDArray[np.float64]
    axis: Axis
    unit: str
    width: int

    def paint(self, palette: Palette) -> Canvas:
        """Return the panel as indices into a palette."""
        del palette  # ink and line have the same indices in all palettes
        coordinates = np.array(self.axis.coordinates(), np.float64)
        labels = (rounding.unit_text(self.unit), axis_label(self.axis))
        drawn = plot.plot(self.values, coordinates, labels, (self.width * 5 // 8, self.width))
        scale = ("square-root scale",) if plot.limits(self.values).roots else ()
        return np.vstack([heading(self.title, (*self.notes, *scale), self.width), drawn])


@dataclass(frozen=True, slots=True)
class ValuePanel:
    """A single value, ready to be painted."""

    title: str
    notes: tuple[str, ...]
    value: float
    unit: str

    def paint(self, palette: Palette) -> Canvas:
        """Return the panel as indices into a palette."""
        del palette
        canvas = np.zeros((2 * type_.line_height(type_.LARGE), NARROWEST), np.uint8)
        type_.write(canvas, rounding.figure(self.value, self.unit), 0, 4, type_.LARGE, ink=inks.INK)
        return np.vstack([heading(self.title, self.notes, NARROWEST), canvas])


Panel = ImagePanel | LinePanel | ValuePanel


def scale_bar(axis: Axis, fit: Fit, width: int) -> Canvas | None:
    """Return a scale bar with its label; None where the axis has no even step.

    Parameters
    ----------
    axis
        Horizontal axis of the image.
    fit
        How the image was reduced and enlarged.
    width
        Its width in pixels.
    """
    step = float(axis.scale.values[0]) if axis.scale is not None else 1.0
    if axis.values is not None or step == 0:
        return None
    per_sample = fit.enlarge_x / fit.reduce_x
    length, label = rounding.scale_bar(step, width / per_sample, axis.unit)
    pixels = max(1, int(length * per_sample + 0.5))
    bar = np.zeros((_COLOURS + 4 + type_.line_height(), max(pixels, type_.width_of(label)) + 1), np.uint8)
    bar[_COLOURS - _BAR : _COLOURS, :pixels] = inks.INK
    type_.write(bar, label, 0, _COLOURS + 4, ink=inks.INK)
    return bar


def heading(title: str, notes: Sequence[str], width: int) -> Canvas:
    """Return the two lines above a panel; notes that do not fit whole are left out, the last ones first."""
    canvas = np.zeros((type_.line_height() * 2 + 4, width), np.uint8)
    type_.write(canvas, type_.fitted(title, width), 0, 0, ink=inks.INK)
    kept = list(notes)
    while len(kept) > 1 and type_.width_of(" · ".join(kept)) > width:
        kept.pop()
    type_.write(canvas, type_.fitted(" · ".join(kept), width), 0, type_.line_height(), ink=inks.SOFT)
    return canvas


def widened(canvas: Canvas, width: int) -> Canvas:
    """Return a canvas with paper added at its right."""
    return np.pad(canvas, ((0, 0), (0, max(0, width - canvas.shape[1]))))


def axis_label(axis: Axis) -> str:
    """Return what stands along an axis: its name and unit."""
    unit = rounding.unit_text(axis.unit)
    return f"{axis.dim} ({unit})" if unit else axis.dim


def image_panel(title: str, notes: list[str], image: NDArray[Any], axes: tuple[Axis, Axis], **how: Any) -> ImagePanel:
    """Return the panel of an image.

    Parameters
    ----------
    title, notes
        Its heading; what the scale needs is added to the notes.
    image
        Shape (rows, columns).
    axes
        Vertical and horizontal axis.
    how
        ``unit`` and ``signed`` of the values, ``target`` size in pixels.
    """
    values = raster.as_real(image)
    spatial = axes[0].unit == axes[1].unit and axes[0].role == axes[1].role and axes[0].values is axes[1].values is None
    diffraction = spatial and axes[0].role == Role.DETECTOR
    fit = raster.fit(values.shape[0], values.shape[1], how["target"], aspect=pixel_aspect(axes) if spatial else None)
    values = fit.apply(values)
    shown = raster.contrast(values, signed=how["signed"], wide=diffraction)
    colours = ColourMap.DIVERGING if how["signed"] else ColourMap.HEAT if diffraction else ColourMap.GREY
    notes = [note for note in (*notes, shown.note, *field_notes(axes, spatial)) if note]
    return ImagePanel(title, tuple(notes), values, fit, axes, how["unit"], colours, shown, spatial)


def pixel_aspect(axes: tuple[Axis, Axis]) -> float:
    """Return the height of a pixel over its width, by the axes' steps."""
    steps = [abs(float(axis.scale.values[0])) if axis.scale is not None else 1.0 for axis in axes]
    return steps[0] / steps[1] if steps[0] > 0 and steps[1] > 0 else 1.0


def field_notes(axes: tuple[Axis, Axis], spatial: bool) -> list[str]:
    """Return the field of view where it is calibrated, and the image's size in samples."""
    rows, columns = axes[0].size, axes[1].size
    size = f"{rows} × {columns}" + (" px" if axes[1].role in (Role.DETECTOR, Role.IMAGE) else "")
    if not spatial or axes[0].scale is None or axes[1].scale is None:
        return [size]
    steps = [abs(float(axis.scale.values[0])) for axis in axes if axis.scale is not None]
    sides = [rounding.number(step * axis.size, 3) for step, axis in zip(steps, axes, strict=True)]
    return [f"{' × '.join(sides)} {rounding.unit_text(axes[1].unit)}", size]
