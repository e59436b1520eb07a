"""From an array to colour levels: reduction, enlargement, contrast.

Every operation is one that IEEE 754 rounds correctly (add, subtract, multiply, divide, square root), applied element by
element in a fixed order, so that a picture has the same bytes on every processor. That is why a wide range is
compressed by square roots and not by a logarithm, and why sums are built by adding whole arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Level of a pixel that has no value (NaN).
NO_VALUE = -1


@dataclass(frozen=True, slots=True)
class Contrast:
    """How values become levels between 0 and 1.

    Parameters
    ----------
    low, high
        Values shown by the first and the last colour; beyond them the colour stays.
    roots
        Number of square roots taken of the relative intensity: 0 linear, 1 power 0.5, 2 power 0.25.
    """

    low: float
    high: float
    roots: int = 0

    @property
    def note(self) -> str:
        """What to tell the reader about the scale; empty when it is linear."""
        return ("", "√ intensity", "⁴√ intensity")[self.roots]


def as_real(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return an array as float64; of complex values the modulus."""
    if values.dtype.kind == "c":
        real, imaginary = values.real.astype(np.float64), values.imag.astype(np.float64)
        return np.sqrt(real * real + imaginary * imaginary)
    return np.asarray(values, dtype=np.float64)


def block_mean(image: NDArray[np.float64], factor_y: int, factor_x: int) -> NDArray[np.float64]:
    """Return the mean of blocks of pixels; blocks at the far edges that are not full are left out."""
    rows, columns = image.shape[0] // factor_y, image.shape[1] // factor_x
    whole = image[: rows * factor_y, : columns * factor_x]
    total = np.zeros((rows, columns))
    for y in range(factor_y):
        for x in range(factor_x):
            total += whole[y::factor_y, x::factor_x]
    return total / (factor_y * factor_x)


def mean_of_first(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first dimension, added by halves: NumPy's own order may differ between processors."""
    count = stack.shape[0]
    while stack.shape[0] > 1:
        half = stack.shape[0] // 2
        summed = stack[:half] + stack[half : 2 * half]
        stack = np.concatenate((summed, stack[2 * half :])) if stack.shape[0] % 2 else summed
    total: NDArray[np.float64] = stack[0] / count
    return total


def contrast(values: NDArray[np.float64], *, signed: bool = False, wide: bool = False) -> Contrast:
    """Return limits that a few outliers do not set: the samples at 0.2 % and 99.8 % of the sorted values.

    Parameters
    ----------
    values
        What is shown; NaN is left out.
    signed
        Whether zero is the middle: the limits are then symmetric.
    wide
        Whether the range may be compressed, as for diffraction patterns.
    """
    finite = np.sort(values[np.isfinite(values)], axis=None)
    if finite.size == 0:
        return Contrast(0.0, 1.0)
    # a whole number of samples at each end, so that the choice is exact; none of a small image
    ends = finite.size * 2 // 1000
    low, high = float(finite[ends]), float(finite[finite.size - 1 - ends])
    if low == high:
        low, high = float(finite[0]), float(finite[-1])
    if signed:
        limit = max(abs(low), abs(high)) or 1.0
        return Contrast(-limit, limit)
    if wide and finite[0] >= 0 and high > low:
        middle = float(finite[finite.size // 2])
        roots = 2 if high > 100 * middle else 1 if high > 4 * middle else 0
        return Contrast(0.0 if roots else low, high, roots)
    return Contrast(low, high) if high > low else around(low)


def around(value: float) -> Contrast:
    """Return limits with a single value in their middle."""
    margin = max(0.5, abs(value) / 1024)
    return Contrast(value - margin, value + margin)


def levels(values: NDArray[np.float64], shown: Contrast, count: int) -> NDArray[np.int64]:
    """Return the colour level, 0 to `count` - 1, of every value; :data:`NO_VALUE` for NaN."""
    known = np.isfinite(values)
    part = (np.where(known, values, shown.low) - shown.low) / (shown.high - shown.low)
    part = np.minimum(np.maximum(part, 0.0), 1.0)
    for _ in range(shown.roots):
        part = np.sqrt(part)
    found = np.floor(part * (count - 1) + 0.5).astype(np.int64)
    # infinities are beyond the limits, not unknown
    found = np.where(values == np.inf, count - 1, np.where(values == -np.inf, 0, found))
    return np.where(np.isnan(values), NO_VALUE, found)


@dataclass(frozen=True, slots=True)
class Fit:
    """Whole factors that bring an image to a size: it is reduced by one pair and then enlarged by the other."""

    reduce_y: int
    reduce_x: int
    enlarge_y: int
    enlarge_x: int

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """Return the height and width of the picture of an image."""
        return rows // self.reduce_y * self.enlarge_y, columns // self.reduce_x * self.enlarge_x

    def apply(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the image reduced and not yet enlarged."""
        if self.reduce_y == self.reduce_x == 1:
            return image
        return block_mean(image, self.reduce_y, self.reduce_x)

    def enlarge(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return every pixel as a block of equal pixels."""
        return image.repeat(self.enlarge_y, axis=0).repeat(self.enlarge_x, axis=1)


def fit(rows: int, columns: int, target: int, *, most: int = 640, aspect: float | None = 1.0) -> Fit:
    """Return the factors that bring an image near a size.

    Parameters
    ----------
    rows, columns
        Shape of the image.
    target
        Small images are enlarged to at most this many pixels.
    most
        Large images are reduced to at most this many.
    aspect
        Height of a pixel over its width; None when the two have no common unit and each side is fitted by itself.
    """
    if aspect is None:
        sides = [_fit_side(size, target, most) for size in (rows, columns)]
        return Fit(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    tall = max(1, round(aspect)) if aspect >= 1 else 1
    broad = max(1, round(1 / aspect)) if aspect < 1 else 1
    longest = max(rows * tall, columns * broad)
    if longest > most:
        factor = -(-longest // most)
        # a side whose pixels are long already needs less reduction
        reduce_y, reduce_x = max(1, factor // tall), max(1, factor // broad)
        reduce_y, reduce_x = min(reduce_y, rows), min(reduce_x, columns)
        return Fit(reduce_y, reduce_x, 1 if factor >= tall else tall, 1 if factor >= broad else broad)
    factor = max(1, target // longest)
    return Fit(1, 1, factor * tall, factor * broad)


def _fit_side(size: int, target: int, most: int) -> tuple[int, int]:
    return (-(-size // most), 1) if size > most else (1, max(1, target // size))
