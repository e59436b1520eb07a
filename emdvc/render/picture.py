"""The picture of a result: one panel per array, with scale bars, units and the range of the values.

It is made for a paper's draft and for ``dvc plots``: white ground, nothing cut, every number with its unit. Its bytes
depend on the result alone (see :mod:`emdvc.render.raster` and :mod:`emdvc.render.png`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emdvc.formats.chunk_files import ChunkFiles
from emdvc.formats.picture_text import AXES, calibration
from emdvc.model.axis import Axis, Role
from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import png, raster
from emdvc.render.arranged import arranged
from emdvc.render.palette import Palette
from emdvc.render.panel import ImagePanel, LinePanel, Panel, ValuePanel, image_panel

if TYPE_CHECKING:
    from emdvc.formats.results import Result, ResultVariable

Canvas = NDArray[np.uint8]
_MARGIN = 20
_BETWEEN = 28
#: Panels drawn of a stack; the note says how many there are.
_FRAMES = 4
#: Panels of one picture at most.
_MOST = 12


def draw(result: Result) -> bytes:
    """Return the picture of a result as PNG: the same bytes for the same result, everywhere.

    Images carry a scale bar and a colour bar, spectra and profiles are lines over a calibrated axis, single values are
    written out. Of an array with more dimensions the last two are shown, or the mean of the profiles that it holds.
    Of a list of peaks it is shown how many lie on each pixel.
    """
    result = arranged(result)
    many = sum(len(_slices(variable, result)) for variable in result.variables)
    target = 512 if many <= 1 else 400 if many <= 4 else 288
    panels = [panel for variable in result.variables for panel in _panels(variable, result, target)][:_MOST]
    palette = Palette({panel.colours for panel in panels if isinstance(panel, ImagePanel)})
    canvas = montage([panel.paint(palette) for panel in panels], result.title)
    # what a step made itself is an output like the numbers: a change of it reruns the stage anyway
    inherited = {dim for variable in result.variables for dim in _drawn(variable, result)} - result.own_axes
    note = calibration({dim: axis for dim, axis in result.axes.items() if dim in inherited})
    return png.encode(canvas, palette.table(), {AXES: note} if note else None)


def _drawn(variable: ResultVariable, result: Result) -> tuple[str, ...]:
    """Return the dimensions whose scale a picture of an array shows: of an image both, of a line its own."""
    if _is_image(variable, result):
        return variable.dims[-2:]
    return _long(variable)[-1:]


def _long(variable: ResultVariable) -> tuple[str, ...]:
    """Return the dimensions with more than one sample, or the last."""
    sizes = zip(variable.dims, variable.values.shape, strict=True)
    return tuple(dim for dim, size in sizes if size > 1) or variable.dims[-1:]


def _axis(dim: str, size: int, result: Result) -> Axis:
    return result.axes.get(dim) or Axis(dim, size, Role.STACK)


def _is_image(variable: ResultVariable, result: Result) -> bool:
    """Say whether the last two dimensions are an image; two of which one holds a single sample are a line."""
    shape = variable.values.shape
    if len(shape) < 2 or 1 in shape[-2:]:
        return False
    roles = [_axis(dim, size, result).role for dim, size in zip(variable.dims[-2:], shape[-2:], strict=True)]
    return roles[0] == roles[1] or len(shape) == 2


def _slices(variable: ResultVariable, result: Result) -> list[tuple[int, ...]]:
    """Return the leading indices of the images that are shown of an array; one empty index for anything else."""
    leading = variable.values.shape[:-2]
    if not _is_image(variable, result) or not leading:
        return [()]
    count = int(np.prod(leading))
    shown = min(count, _FRAMES)
    picks = [index * (count - 1) // max(1, shown - 1) for index in range(shown)]
    return [tuple(int(i) for i in np.unravel_index(pick, leading)) for pick in picks]


def _panels(variable: ResultVariable, result: Result, target: int) -> list[Panel]:
    title = variable.title or variable.name
    values = variable.values
    if values.size == 0:
        return [ValuePanel(title, ("no values",), float("nan"), "")]
    if values.ndim == 0 and not isinstance(values, ChunkFiles):
        return [ValuePanel(title, (), float(raster.as_real(values)), variable.unit)]
    axes = [_axis(dim, size, result) for dim, size in zip(variable.dims, values.shape, strict=True)]
    if _is_image(variable, result):
        how: dict[str, Any] = {"unit": variable.unit, "signed": variable.signed, "target": target}
        pair = (axes[-2], axes[-1])
        return [
            image_panel(title, _place(axes[:-2], index), _image(values, index), pair, **how)
            for index in _slices(variable, result)
        ]
    return [_profile(variable, title, axes, target)]


def _place(axes: list[Axis], index: tuple[int, ...]) -> list[str]:
    """Return which image of a stack is shown, as ``frame 3 of 20``."""
    return [f"{axis.dim} {i + 1} of {axis.size}" for axis, i in zip(axes, index, strict=True)]


def _profile(variable: ResultVariable, title: str, axes: list[Axis], target: int) -> LinePanel:
    """Return the plot of a line; of many lines, their mean."""
    long = [axis for axis in axes if axis.dim in _long(variable)]
    axis = long[-1]
    count = variable.values.size // axis.size
    notes = []
    if count > 1:
        where = "probe positions" if all(other.role == Role.SCAN for other in long[:-1]) else "lines"
        notes.append(f"mean of {count} {where}")
    return LinePanel(
        title, tuple(notes), _mean(variable.values, axes.index(axis)), axis, variable.unit, max(target, 400)
    )


def _image(values: NDArray[Any] | ChunkFiles, index: tuple[int, ...]) -> NDArray[Any]:
    """Return one image of a stack."""
    if not isinstance(values, ChunkFiles):
        image: NDArray[Any] = values[index]
        return image
    region = (*(slice(i, i + 1) for i in index), *(slice(0, n) for n in values.shape[len(index) :]))
    return values.read(region).reshape(values.shape[len(index) :])


def _mean(values: NDArray[Any] | ChunkFiles, place: int) -> NDArray[np.float64]:
    """Return the mean of the lines along one axis."""
    if not isinstance(values, ChunkFiles):
        real = raster.as_real(values)
        return raster.mean_of_first(np.moveaxis(real, place, -1).reshape(-1, real.shape[place]))
    # chunk by chunk, so that spectra of any number can be drawn; each counts as much as it holds lines
    total = np.zeros(values.shape[place])
    for index in values.indices():
        part = np.moveaxis(raster.as_real(values.chunk(index)), place, -1)
        lines = part.reshape(-1, part.shape[-1])
        here = values.region(index)[place]
        total[here] += raster.mean_of_first(lines) * (lines.shape[0] * values.shape[place] / values.size)
    return total


def montage(panels: list[Canvas], title: str) -> Canvas:
    """Return panels side by side, two or three in a row, under a common title."""
    count = len(panels)
    columns = 1 if count == 1 else 2 if count in (2, 4) else 3
    rows = [panels[start : start + columns] for start in range(0, count, columns)]
    widths = [max(row[i].shape[1] for row in rows if i < len(row)) for i in range(min(columns, count))]
    heights = [max(panel.shape[0] for panel in row) for row in rows]
    top = _MARGIN + (type_.line_height(type_.LARGE) + 10 if title else 0)
    width = 2 * _MARGIN + sum(widths) + _BETWEEN * (len(widths) - 1)
    canvas = np.zeros((top + sum(heights) + _BETWEEN * (len(rows) - 1) + _MARGIN, width), np.uint8)
    if title:
        fitted = type_.fitted(title, width - 2 * _MARGIN, type_.LARGE)
        type_.write(canvas, fitted, _MARGIN, _MARGIN - 4, type_.LARGE, ink=inks.INK)
    for row, height in zip(rows, heights, strict=True):
        left = _MARGIN
        for panel, wide in zip(row, widths, strict=False):
            canvas[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
            left += wide + _BETWEEN
        top += height + _BETWEEN
    return canvas
