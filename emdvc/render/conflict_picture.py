"""The picture of the regions that two people changed: base, ours and theirs side by side, and who changed what."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import EmdvcError
from emdvc.formats.contract import LazyArray, Opened
from emdvc.history.merging.asking import conflict_file
from emdvc.history.merging.asking.asked import ConflictFile, Question, picture_of, place_of
from emdvc.history.merging.asking.side_data import side_data
from emdvc.history.merging.contract import Region, Side
from emdvc.history.project import Project
from emdvc.model.axis import Axis, Role
from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render import png, raster
from emdvc.render.conflict_panel import Canvas, LabelColours, LabelPanel, WhoPanel
from emdvc.render.difference.extent import known_mean, part
from emdvc.render.palette import ColourMap, Palette
from emdvc.render.panel import ImagePanel, pixel_aspect
from emdvc.render.raster import Fit

#: Regions of one picture, those with the most samples first; longest side of an image in pixels.
_MOST, _SIDE = 4, 300
#: Samples around a region, at least and as a part of it; samples that a window has at least.
_MARGIN, _PART, _LEAST = 4, 4, 24
#: Images of a stack that are looked into for the one where most differs.
_LOOKED_INTO = 32
#: Different whole numbers up to which they are labels, not counts.
_LABELS = 24
_BORDER, _BETWEEN = 20, 28


@dataclass(frozen=True, slots=True)
class _Seen:
    """A region with a margin, as each side has it.

    Parameters
    ----------
    title, note
        What is shown.
    values
        Side -> image; a side without the array is left out.
    axes
        Vertical and horizontal axis of the window.
    unit
        Of the values.
    """

    title: str
    note: str
    values: dict[Side, NDArray[Any]]
    axes: tuple[Axis, Axis]
    unit: str


def draw_missing(project: Project) -> list[Path]:
    """Draw the pictures of all conflicts about regions that have none yet, and return them.

    Where a picture cannot be had (chunks are neither here nor on the remote, an array is no image), the conflict file
    says so instead.
    """
    made = []
    for path in conflict_file.found_in(project):
        kept = conflict_file.read(project.git_root / place_of(path))
        if not kept.picture and any(one.region is not None for one in kept.questions):
            drawn = write(project, kept)
            made += [drawn] if drawn is not None else []
    return made


def write(project: Project, kept: ConflictFile) -> Path | None:
    """Draw the picture of a conflict file, and say in it where the picture is, or why there is none."""
    target = project.git_root / picture_of(kept.path)
    try:
        drawn = draw(project, kept)
        said = target.name if drawn is not None else "none: what is asked about is no image"
    except EmdvcError as error:
        drawn, said = None, f"none: {error.cause}"
    if drawn is not None:
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(drawn)
        partial.replace(target)
    conflict_file.save(project, replace(kept, picture=said))
    return target if drawn is not None else None


def draw(project: Project, kept: ConflictFile) -> bytes | None:
    """Return the picture of the regions that are asked about, as PNG; None where none of them is an image.

    Raises
    ------
    DataMissingError, EnvironmentFault, FormatError
        Chunks are neither here nor on the remote; a side cannot be read.
    """
    asked = [(one, one.region) for one in kept.questions if one.region is not None]
    asked.sort(key=lambda pair: (-pair[1].count, pair[1].slices))
    with ExitStack() as stack:
        sides = {side: stack.enter_context(side_data(project, kept, side)) for side in Side}
        known = {side: opened for side, opened in sides.items() if opened is not None}
        found = [_seen(known, one, region) for one, region in asked[:_MOST]]
    seen = [one for one in found if one is not None]
    if not seen:
        return None
    more = f"{len(asked) - _MOST} more regions differ" if len(asked) > _MOST else ""
    return _painted(kept, seen, more)


def _seen(sides: dict[Side, Opened], question: Question, region: Region) -> _Seen | None:
    """Return what each side has in a region and around it; None where the array is no image."""
    arrays: dict[Side, LazyArray] = {}
    first = None
    for side, opened in sides.items():
        names = [variable.name for variable in opened.variables]
        if region.variable in names or len(names) == 1:
            variable = opened.variable(region.variable if region.variable in names else None)
            arrays[side] = variable.array
            # the calibration of the later side, where it was changed
            first = variable, [opened.axes[dim] for dim in variable.dims if dim in opened.axes]
    if first is None or len(region.slices) < 2 or len(first[1]) != len(region.slices):
        return None
    variable, axes = first
    if variable.array.dtype.kind not in "biuf" or not _is_image(axes):
        return None
    shape = variable.array.shape
    window = [_widened(*pair, size) for pair, size in zip(region.slices[-2:], shape[-2:], strict=True)]
    index = _busiest(arrays, region, window)
    values = {side: _read(array, index, window) for side, array in arrays.items()}
    places = [f"{axis.dim} {i + 1} of {axis.size}" for axis, i in zip(axes, index, strict=False)]
    pair = (part(axes[-2], window[0][0], window[0][1] - 1), part(axes[-1], window[1][0], window[1][1] - 1))
    return _Seen(question.key, ", ".join([*places, question.why]), values, pair, variable.unit)


def _is_image(axes: list[Axis]) -> bool:
    vertical, horizontal = axes[-2:]
    known = vertical.role != Role.STACK and horizontal.role != Role.STACK
    return known and 1 not in (vertical.size, horizontal.size)


def _widened(start: int, stop: int, size: int) -> tuple[int, int]:
    margin = max(_MARGIN, (stop - start) // _PART, (_LEAST - (stop - start)) // 2)
    return max(0, start - margin), min(size, stop + margin)


def _busiest(arrays: dict[Side, LazyArray], region: Region, window: list[tuple[int, int]]) -> tuple[int, ...]:
    """Return which image of a stack is shown: of those looked into the one where ours and theirs differ most."""
    leading = region.slices[:-2]
    shape = tuple(stop - start for start, stop in leading)
    count = int(np.prod(shape)) if shape else 1
    looked = [n * count // min(count, _LOOKED_INTO) for n in range(min(count, _LOOKED_INTO))]
    places = [tuple(int(i) for i in np.unravel_index(n, shape)) if shape else () for n in looked]
    indices = [tuple(start + i for (start, _), i in zip(leading, place, strict=True)) for place in places]
    if len(indices) == 1 or Side.OURS not in arrays or Side.THEIRS not in arrays:
        return indices[0]

    def differing(index: tuple[int, ...]) -> int:
        ours, theirs = (_read(arrays[side], index, window) for side in (Side.OURS, Side.THEIRS))
        return int(np.count_nonzero(ours != theirs))

    return max(indices, key=differing)


def _read(array: LazyArray, index: tuple[int, ...], window: list[tuple[int, int]]) -> NDArray[Any]:
    region = (*(slice(i, i + 1) for i in index), *(slice(*pair) for pair in window))
    return array.read(region).reshape([stop - start for start, stop in window])


# --- painting ---


def _painted(kept: ConflictFile, seen: list[_Seen], more: str) -> bytes:
    labels = all(_are_labels(one) for one in seen)
    maps = set() if labels else {ColourMap.GREY}
    palette = Palette(maps, second_line=True)
    table = palette.table()
    colours = None
    if labels:
        every = [image.astype(np.int64).ravel() for one in seen for image in one.values.values()]
        colours = LabelColours(np.concatenate(every), len(table))
        table = np.concatenate([table, LabelColours.table()])
    rows = [_row(kept, one, palette, colours) for one in seen]
    width = max(row.shape[1] for row in rows)
    below = [WhoPanel.legend(width)]
    if colours is not None:
        below.insert(0, colours.legend(width))
    if more:
        line = np.zeros((type_.line_height(), width), np.uint8)
        type_.write(line, more, 0, 0, ink=inks.SOFT)
        below.append(line)
    parts = [np.pad(row, ((0, _BORDER), (0, width - row.shape[1]))) for row in rows]
    return png.encode(np.pad(np.vstack([*parts, *below]), _BORDER), table)


def _are_labels(seen: _Seen) -> bool:
    if any(image.dtype.kind not in "biu" for image in seen.values.values()):
        return False
    every = np.concatenate([image.ravel() for image in seen.values.values()])
    return np.unique(every).size <= _LABELS


def _row(kept: ConflictFile, seen: _Seen, palette: Palette, colours: LabelColours | None) -> Canvas:
    """Return the panels of one region under its title."""
    vertical, horizontal = seen.axes
    same = vertical.unit == horizontal.unit
    shape = next(iter(seen.values.values())).shape
    fit = raster.fit(shape[0], shape[1], _SIDE, most=_SIDE, aspect=pixel_aspect(seen.axes) if same else None)
    panels = []
    for side in Side:
        if side in seen.values:
            told = kept.sides[side]
            who = [told.name or "", told.last.author if told.last is not None else ""]
            notes = tuple(word for word in who if word) if side is not Side.BASE else ("before",)
            panels.append(_side_panel(seen, side, fit, notes, colours).paint(palette))
    if Side.OURS in seen.values and Side.THEIRS in seen.values:
        panels.append(_who(seen, fit).paint(palette))
    height = max(panel.shape[0] for panel in panels)
    spaced = [np.pad(panel, ((0, height - panel.shape[0]), (0, _BETWEEN))) for panel in panels]
    row = np.hstack(spaced)[:, :-_BETWEEN]
    title = np.zeros((2 * type_.line_height(type_.LARGE) + 6, row.shape[1]), np.uint8)
    type_.write(title, type_.fitted(seen.title, row.shape[1], type_.LARGE), 0, 0, type_.LARGE, ink=inks.INK)
    type_.write(title, type_.fitted(seen.note, row.shape[1]), 0, type_.line_height(type_.LARGE), ink=inks.SOFT)
    return np.vstack([title, row])


def _side_panel(
    seen: _Seen, side: Side, fit: Fit, notes: tuple[str, ...], colours: LabelColours | None
) -> LabelPanel | ImagePanel:
    image = seen.values[side]
    if colours is not None:
        labels = image[:: fit.reduce_y, :: fit.reduce_x].astype(np.int64)
        return LabelPanel(str(side), notes, labels, fit, seen.axes, colours)
    every = np.concatenate([raster.as_real(one).ravel() for one in seen.values.values()])
    values = known_mean(raster.as_real(image), fit.reduce_y, fit.reduce_x)
    spatial = seen.axes[0].unit == seen.axes[1].unit
    shown = raster.contrast(every)
    return ImagePanel(str(side), notes, values, fit, seen.axes, seen.unit, ColourMap.GREY, shown, spatial)


def _who(seen: _Seen, fit: Fit) -> WhoPanel:
    ours, theirs = seen.values[Side.OURS], seen.values[Side.THEIRS]
    base = seen.values.get(Side.BASE)
    apart = _differ(ours, theirs)
    if base is None or base.shape != ours.shape:
        return WhoPanel(apart, apart, apart, fit, seen.axes)
    here, there = _differ(ours, base), _differ(theirs, base)
    return WhoPanel(here, there, here & there & apart, fit, seen.axes)


def _differ(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    # a place that was left empty (NaN) on both is the same
    empty = (one != one) & (other != other)
    return np.asarray((one != other) & ~empty)
