"""Dark image, gain and bad pixels of a detector, applied to frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: A bad pixel is estimated from at least so many good ones; the neighbourhood grows until it holds them.
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The good pixels around each bad one.

    Parameters
    ----------
    pixels
        Flat index of each bad pixel, ascending.
    starts
        Shape (bad pixels + 1,): where the neighbours of each begin in `others`.
    others
        Flat indices of the good pixels around the bad ones, ascending for each.
    """

    pixels: NDArray[np.int64]
    starts: NDArray[np.int64]
    others: NDArray[np.int64]


def neighbours(bad: NDArray[np.bool_]) -> Neighbours:
    """Return the good pixels around each bad one: of the 3 x 3 around it, of 5 x 5 where those are too few, and so on.

    Parameters
    ----------
    bad
        Shape (ky, kx); at least one pixel is good.
    """
    height, width = bad.shape
    found = []
    for y, x in np.argwhere(bad).tolist():
        radius, inside = 0, np.empty(0, np.int64)
        while inside.size < _FEWEST and radius < max(height, width):
            radius += 1
            top, left = max(0, y - radius), max(0, x - radius)
            rows, columns = np.nonzero(~bad[top : y + radius + 1, left : x + radius + 1])
            inside = (rows + top) * width + columns + left
        found.append(inside)
    starts = np.cumsum([0, *(part.size for part in found)], dtype=np.int64)
    others = np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)
    return Neighbours(np.flatnonzero(bad).astype(np.int64), starts, others)


def subtract(frames: NDArray[Any], dark: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers less a dark image, exactly.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous, integers.
    dark
        Shape (pixels,), signed integers of the type of the result, which holds every difference.
    """
    out = np.empty(frames.shape, dark.dtype)
    _subtract(frames, dark, out)
    return out


@njit(nogil=True, cache=True)
def _subtract(frames, dark, out):  # type: ignore[no-untyped-def]
    wide = out.dtype.type
    for frame in range(frames.shape[0]):
        values, found = frames[frame], out[frame]
        for p in range(dark.shape[0]):
            found[p] = wide(values[p]) - dark[p]


def subtract_and_scale(
    frames: NDArray[Any], dark: NDArray[np.float64], gain: NDArray[np.float64], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return ``(frames - dark) * gain``: two operations on 64-bit floats, and one rounding to the type of the result.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous.
    dark, gain
        Shape (pixels,).
    dtype
        Of the result: float32 or float64.
    """
    out = np.empty(frames.shape, dtype)
    _subtract_and_scale(frames, dark, gain, out)
    return out


@njit(nogil=True, cache=True)
def _subtract_and_scale(frames, dark, gain, out):  # type: ignore[no-untyped-def]
    for frame in range(frames.shape[0]):
        values, found = frames[frame], out[frame]
        for p in range(dark.shape[0]):
            found[p] = (np.float64(values[p]) - dark[p]) * gain[p]


def repair(frames: NDArray[Any], around: Neighbours, median: bool) -> None:
    """Put in place of every bad pixel the mean or the median of its good neighbours in the same frame.

    In integer frames the estimate is rounded, halves to even.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous; changed in place.
    around
        Which pixels are bad, and which are near them.
    median
        Take the median, else the mean.
    """
    most = int(np.diff(around.starts).max(initial=1))
    whole = frames.dtype.kind != "f"
    _repair(frames, around.pixels, around.starts, around.others, np.empty(most), median, whole)


@njit(nogil=True, cache=True)
def _repair(frames, pixels, starts, others, values, median, whole):  # type: ignore[no-untyped-def]
    for frame in range(frames.shape[0]):
        for index in range(pixels.shape[0]):
            count = starts[index + 1] - starts[index]
            total = 0.0
            for n in range(count):
                value = np.float64(frames[frame, others[starts[index] + n]])
                total += value
                place = n  # sorted as they come: there are a few only
                while median and place > 0 and values[place - 1] > value:
                    values[place] = values[place - 1]
                    place -= 1
                values[place] = value
            if median:
                total = values[(count - 1) // 2] + values[count // 2]
                count = 2
            estimate = total / count
            frames[frame, pixels[index]] = np.rint(estimate) if whole else estimate
