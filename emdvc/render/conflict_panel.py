"""Panels of a region that two people changed: labels in colours of their own, and who changed which sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis
from emdvc.render import lettering as type_
from emdvc.render import palette as inks
from emdvc.render.difference.panel import any_of, legend
from emdvc.render.palette import Palette
from emdvc.render.panel import NARROWEST, heading, scale_bar, widened
from emdvc.render.raster import Fit

Canvas = NDArray[np.uint8]
#: Colours of labels, told apart by every eye as far as that goes; 0, mostly the ground, is pale.
_GROUND = (238, 238, 238)
_LABELS = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (0, 84, 160), (213, 94, 0), (240, 228, 66)),
    *((117, 76, 36), (148, 103, 189), (102, 166, 30), (120, 120, 120), (227, 26, 28)),
)
#: Inks of the map of who changed what.
_SAME, _ALIKE, _BOTH = 3, 12, inks.INK
_SWATCH = (14, 28)


class LabelColours:
    """Which colour a label has: the same in all panels of a picture.

    Parameters
    ----------
    values
        The labels that are shown.
    first
        Index of the first colour in the palette.
    """

    def __init__(self, values: NDArray[np.int64], first: int) -> None:
        self.values = np.unique(values)
        rank = np.arange(self.values.size)
        ground = self.values == 0
        # without a ground all are labels
        rank = rank - int(np.count_nonzero(self.values < 0)) if ground.any() else rank + 1
        colours = np.where(ground, 0, 1 + (rank - 1) % len(_LABELS))
        self._indices = (first + colours).astype(np.uint8)

    def indices(self, labels: NDArray[np.int64]) -> Canvas:
        """Return labels as indices into the palette."""
        return self._indices[np.searchsorted(self.values, labels)]

    def legend(self, width: int) -> Canvas:
        """Return a line that says which colour is which label; what does not fit is left out."""
        entries = zip(self._indices, self.values, strict=True)
        return legend([(np.full(_SWATCH, index, np.uint8), str(value)) for index, value in entries], width)

    @staticmethod
    def table() -> NDArray[np.uint8]:
        """Return the colours, shape (n, 3)."""
        return np.array([_GROUND, *_LABELS], np.uint8)


@dataclass(frozen=True, slots=True)
class LabelPanel:
    """Labels of a region on one side.

    Parameters
    ----------
    title, notes
        The lines above.
    labels
        Whole numbers, shape (rows, columns), already reduced.
    fit
        How they came from the array and how much each is enlarged.
    axes
        Vertical and horizontal axis.
    colours
        Which colour is which label.
    """

    title: str
    notes: tuple[str, ...]
    labels: NDArray[np.int64]
    fit: Fit
    axes: tuple[Axis, Axis]
    colours: LabelColours

    def paint(self, palette: Palette) -> Canvas:
        """Return the panel as indices into a palette."""
        del palette  # the colours of labels are beyond it
        return framed(self.title, self.notes, self.fit.enlarge(self.colours.indices(self.labels)), self.fit, self.axes)


@dataclass(frozen=True, slots=True)
class WhoPanel:
    """Who changed which sample.

    Parameters
    ----------
    ours, theirs
        Bool, shape (rows, columns) of the whole window: whether a side changed a sample.
    disputed
        Whether both changed it to different values.
    fit
        How they are reduced and enlarged.
    axes
        Vertical and horizontal axis.
    """

    ours: NDArray[np.bool_]
    theirs: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    fit: Fit
    axes: tuple[Axis, Axis]

    def paint(self, palette: Palette) -> Canvas:
        """Return the panel as indices into a palette."""
        del palette  # inks and lines have the same indices in all palettes
        image = np.full(any_of(self.ours, self.fit.reduce_y, self.fit.reduce_x).shape, _SAME, np.uint8)
        alike = self.ours & self.theirs & ~self.disputed
        for marks, ink in (
            (alike, _ALIKE),
            (self.theirs & ~self.ours, _THEIRS),
            (self.ours & ~self.theirs, _OURS),
            (self.disputed, _BOTH),
        ):
            image[any_of(marks, self.fit.reduce_y, self.fit.reduce_x)] = ink
        return framed("who changed what", (), self.fit.enlarge(image), self.fit, self.axes)

    @staticmethod
    def legend(width: int) -> Canvas:
        """Return the line that says what the colours mean."""
        words = ((_OURS, "ours"), (_THEIRS, "theirs"), (_ALIKE, "both, alike"), (_BOTH, "both, to different values"))
        return legend([(np.full(_SWATCH, ink, np.uint8), word) for ink, word in words], width)


_OURS, _THEIRS = inks.LINE_FIRST + inks.LINE_LEVELS - 1, inks.SECOND_FIRST + inks.LINE_LEVELS - 1


def framed(title: str, notes: Sequence[str], image: Canvas, fit: Fit, axes: tuple[Axis, Axis]) -> Canvas:
    """Return an image with its heading, an outline, and a scale bar where one holds for both axes."""
    body = np.pad(image, 1, constant_values=inks.SOFT // 2)
    room = max(body.shape[1], NARROWEST)
    same = axes[0].unit == axes[1].unit and axes[0].values is axes[1].values is None
    bar = scale_bar(axes[1], fit, image.shape[1]) if same else None
    height = 8 + 14 + type_.line_height()
    below = np.zeros((height, room), np.uint8)
    if bar is not None:
        below[8 : 8 + bar.shape[0], : bar.shape[1]] = bar[: height - 8, :room]
    return np.vstack([heading(title, notes, room), widened(body, room), below])
