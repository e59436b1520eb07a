"""Pictures of two lines with their residual, and of the probe positions that differ."""

from __future__ import annotations

import numpy as np

from emdvc.compare.dataset import DatasetDifference
from emdvc.model.axis import Axis
from emdvc.render import png, raster, rounding
from emdvc.render.difference import extent as extents
from emdvc.render.difference.drawn import Canvas, DifferencePicture, footed, signed
from emdvc.render.difference.panel import ChangedPanel, any_of
from emdvc.render.difference.plot import ComparedLines, Line, residual
from emdvc.render.difference.views import ChangedMap, LinePair
from emdvc.render.palette import Palette
from emdvc.render.panel import axis_label, field_notes, heading, pixel_aspect
from emdvc.render.picture import montage

#: Longest side of a map, and width of a plot, in pixels.
_MAP, _PLOT = 320, 480


def draw_changed(view: ChangedMap, dataset: DatasetDifference) -> DifferencePicture:
    """Return the picture of the probe positions that differ."""
    spatial = view.axes[0].unit == view.axes[1].unit
    aspect = pixel_aspect(view.axes) if spatial else None
    fit = raster.fit(view.changed.shape[0], view.changed.shape[1], _MAP, most=_MAP, aspect=aspect)
    marks = any_of(view.changed, fit.reduce_y, fit.reduce_x)
    many, of = int(view.changed.sum()), view.changed.size
    said = f"{rounding.grouped(many)} of {rounding.grouped(of)} probe positions differ{'s' if many == 1 else ''}"
    panel = ChangedPanel(said, (*view.notes, *field_notes(view.axes, spatial)), marks, fit, view.axes)
    palette = Palette(set())
    body = panel.body(palette)
    whole = png.encode(montage([_headed(panel, body)], ""), palette.table())
    bare = png.encode(body, palette.table())
    alt = f"Map of the scan of {dataset.path}: {said}{_box(view)}."
    return DifferencePicture(view.name, view.title, alt, None, None, None, whole, view.notes, bare)


def _box(view: ChangedMap) -> str:
    places = [np.flatnonzero(view.changed.any(axis=across)) for across in (1, 0)]
    ranges = [f"{axis.dim} {p[0]} to {p[-1]}" for axis, p in zip(view.axes, places, strict=True) if p.size]
    return f", within {' and '.join(ranges)}" if ranges else ""


def draw_lines(view: LinePair, dataset: DatasetDifference) -> DifferencePicture:
    """Return the picture of a spectrum or a profile before and after, with the residual below."""
    before, after, axis, notes = _on_one_axis(view)
    rest = residual(before, after)
    labels = (rounding.unit_text(view.unit), axis_label(axis))
    panel = ComparedLines(view.title, (), before, after, rest, labels, _PLOT)
    palette = Palette(set(), second_line=True)
    body = panel.body(palette)
    whole = png.encode(footed(montage([_headed(panel, body)], str(dataset.path)), notes), palette.table())
    bare = png.encode(body, palette.table())
    told = _extreme(rest, axis, view.unit)
    alt = f"Two lines, before and after, and their residual below: {view.title}, {dataset.path}.{told}"
    return DifferencePicture(view.name, view.title, alt, None, None, None, whole, notes, bare)


def _headed(panel: ChangedPanel | ComparedLines, body: Canvas) -> Canvas:
    return np.vstack([heading(panel.title, panel.notes, body.shape[1]), body])


def _on_one_axis(view: LinePair) -> tuple[Line, Line, Axis, tuple[str, ...]]:
    """Return both lines over the unit of the one after, the axis that this is, and notes on it."""
    a, b = view.axes
    own = np.array(b.coordinates(), np.float64)
    if extents.same_place(a, b):
        return Line(view.before, own), Line(view.after, own), b, view.notes
    moved = extents.coordinates(a, b.unit)
    if moved is not None:
        note = f"the calibration of {b.dim} differs: each line over its own {b.dim}"
        return Line(view.before, moved), Line(view.after, own), b, (*view.notes, note)
    note = f"{b.dim} in {a.unit} before, in {b.unit} after: over sample numbers"
    numbers = [np.arange(float(axis.size)) for axis in (a, b)]
    plain = Axis(b.dim, b.size, b.role)
    return Line(view.before, numbers[0]), Line(view.after, numbers[1]), plain, (*view.notes, note)


def _extreme(line: Line, axis: Axis, unit: str) -> str:
    size = np.where(np.isfinite(line.values), np.abs(line.values), -1.0)
    place = int(size.argmax())
    if size[place] <= 0:
        return " The residual is zero where it is known." if size[place] == 0 else ""
    where = rounding.figure(float(line.coordinates[place]), axis.unit)
    return f" The largest residual is {signed(float(line.values[place]), unit)}, at {axis.dim} {where}."
