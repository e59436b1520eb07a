"""Two axes on one ruler: where the samples before and after lie, and images drawn over what both cover."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import MetadataError
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity

#: Part of a step by which two axes may be apart and still lie at the same place.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Extent:
    """What an axis covers, from the outer edge of its first sample to that of its last, and the unit of both."""

    low: float
    high: float
    unit: str

    @property
    def length(self) -> float:
        """How much is covered."""
        return self.high - self.low


def extent(axis: Axis, unit: str) -> Extent | None:
    """Return what an axis covers, in a unit; None where its samples are not evenly spaced or the unit does not fit."""
    if axis.values is not None or axis.size == 0:
        return None
    try:
        factor = Quantity(1.0, axis.unit).to(unit).values[0] if axis.unit != unit else 1.0
    except MetadataError:
        return None
    first, last = (edge * float(factor) for edge in axis.extent())
    half = (last - first) / (axis.size - 1) / 2 if axis.size > 1 else _step(axis) * float(factor) / 2
    low, high = sorted((first - half, last + half))
    # a step of zero or an offset that is not a number is no ruler
    return Extent(low, high, unit) if np.isfinite(low) and np.isfinite(high) and high > low else None


def coordinates(axis: Axis, unit: str) -> NDArray[np.float64] | None:
    """Return the coordinate of every sample, in a unit; None where the unit does not fit."""
    try:
        factor = float(Quantity(1.0, axis.unit).to(unit).values[0]) if axis.unit != unit else 1.0
    except MetadataError:
        return None
    return np.array(axis.coordinates(), np.float64) * factor


def same_place(before: Axis, after: Axis) -> bool:
    """Say whether the samples of two axes lie at the same coordinates."""
    if before.size != after.size:
        return False
    a, b = extent(before, after.unit), extent(after, after.unit)
    if a is None or b is None:
        return before.unit == after.unit and before.coordinates() == after.coordinates()
    near = _SAME * b.length / after.size
    return abs(a.low - b.low) <= near and abs(a.high - b.high) <= near and _rising(before) == _rising(after)


def shared(before: Axis, after: Axis) -> Extent | None:
    """Return what two axes cover together, in the unit of the second; None where they have no common unit."""
    a, b = extent(before, after.unit), extent(after, after.unit)
    if a is None or b is None or _rising(before) != _rising(after):
        return None
    return Extent(min(a.low, b.low), max(a.high, b.high), b.unit)


def over(
    image: NDArray[np.float64], axes: tuple[Axis, Axis], ground: tuple[Extent, Extent], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return an image drawn over an extent, and the pixels that lie outside of it.

    Each pixel shows the sample that its middle lies on, after samples smaller than a pixel were averaged.

    Parameters
    ----------
    image
        Shape (rows, columns).
    axes
        Its vertical and horizontal axis.
    ground
        What the drawing covers, vertically and horizontally.
    size
        Height and width of the drawing in pixels.
    """
    factors, places = [], []
    for axis, covered, pixels in zip(axes, ground, size, strict=True):
        own = extent(axis, covered.unit)
        assert own is not None, "checked by shared()"
        pixel, step = covered.length / pixels, own.length / axis.size
        factor = max(1, int(pixel / step + 0.5))
        middle = covered.low + (np.arange(pixels) + 0.5) * pixel
        place = np.floor((middle - own.low) / (step * factor) + _SAME).astype(np.int64)
        place[(middle < own.low) | (middle > own.high)] = -1
        if not _rising(axis):
            place = np.where(place < 0, place, -(-axis.size // factor) - 1 - place)[::-1]
        factors.append(factor)
        places.append(place)
    small = known_mean(image, factors[0], factors[1])
    rows, columns = (np.minimum(place, n - 1) for place, n in zip(places, small.shape, strict=True))
    outside = (rows < 0)[:, None] | (columns < 0)[None, :]
    drawn = small[np.maximum(rows, 0)[:, None], np.maximum(columns, 0)[None, :]]
    return np.where(outside, np.nan, drawn), outside


def drawn_axis(axis: Axis, covered: Extent, pixels: int) -> Axis:
    """Return the axis of a drawing: one sample per pixel over what is covered."""
    step = covered.length / pixels
    first = covered.low + step / 2 if _rising(axis) else covered.high - step / 2
    sign = 1.0 if _rising(axis) else -1.0
    scale, offset = Quantity(sign * step, covered.unit), Quantity(first, covered.unit)
    return Axis(axis.dim, pixels, axis.role, scale, offset)


def known_mean(image: NDArray[np.float64], factor_y: int, factor_x: int) -> NDArray[np.float64]:
    """Return the mean of the known values of blocks of pixels, NaN where none is known; the last may be smaller."""
    if factor_y == factor_x == 1:
        return image
    rows, columns = -(-image.shape[0] // factor_y), -(-image.shape[1] // factor_x)
    margin = (rows * factor_y - image.shape[0], columns * factor_x - image.shape[1])
    padded = np.pad(image, ((0, margin[0]), (0, margin[1])), constant_values=np.nan)
    blocks = padded.reshape(rows, factor_y, columns, factor_x)
    known = ~np.isnan(blocks)
    with np.errstate(invalid="ignore"):  # infinities of both signs in one block: not a number
        total = np.where(known, blocks, 0.0).sum(axis=(1, 3))
    count = known.sum(axis=(1, 3))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def part(axis: Axis, first: int, last: int) -> Axis:
    """Return the axis of some neighbouring samples, in their own place."""
    if axis.values is not None:
        chosen = tuple(axis.values.values[first : last + 1])
        return replace(axis, size=last - first + 1, values=Quantity(chosen, axis.values.unit))
    start = axis.extent()[0] + first * _step(axis)
    return replace(axis, size=last - first + 1, offset=Quantity(start, axis.unit), calibration=None)


def _step(axis: Axis) -> float:
    return float(axis.scale.values[0]) if axis.scale is not None else 1.0


def _rising(axis: Axis) -> bool:
    return _step(axis) >= 0
