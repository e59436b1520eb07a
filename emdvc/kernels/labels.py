"""Sums over sets of detector pixels, for many frames at once.

Every pixel carries one label; a frame's sums over all labels come from one pass over the frame, whatever the number of
labels. Virtual detectors, radial profiles and energy windows are all small sums over labels afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import LANES, NARROW_ADDITIONS, lane_type, total_type


def label_sums(frames: NDArray[Any], labels: NDArray[np.int32], count: int) -> NDArray[Any]:
    """Return the sum of every frame over the pixels of every label.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous; integers or floats.
    labels
        Shape (pixels,): label of each pixel, from 0 to `count` - 1; negative where the pixel belongs to none.
    count
        Number of labels.

    Returns
    -------
    array
        Shape (n, count), 64-bit integers of the frames' signedness, or 64-bit floats.
    """
    sums = np.zeros((frames.shape[0], count), total_type(frames.dtype))
    if count == 0 or frames.shape[0] == 0:
        return sums
    # only the pixels between the first and the last that belong to a detector are read: a small one costs little
    used = np.flatnonzero(labels >= 0)
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
    # unsigned, because numba then leaves out the test for an index counted from the end
    padded = np.where(labels < 0, count, labels).astype(np.uint32)[first:last]
    lanes = np.zeros((count + 1, LANES), lane_type(frames.dtype))
    totals = np.zeros((count + 1, LANES), sums.dtype)
    _label_sums(frames, padded, first, lanes, totals, sums)
    return sums


def label_sums_and_squares(
    frames: NDArray[Any], labels: NDArray[np.int32], count: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sums of every frame over the pixels of every label, and those of the squared values.

    Parameters
    ----------
    frames, labels, count
        As for :func:`label_sums`.

    Returns
    -------
    sums, squares
        Shape (n, count) each, 64 bits wide. Squares of integers are exact while they fit 64 bits.
    """
    sums = np.zeros((frames.shape[0], count), total_type(frames.dtype))
    squares = np.zeros_like(sums)
    _label_sums_and_squares(frames, labels, sums, squares)
    return sums, squares


@njit(nogil=True, cache=True)
def _label_sums_and_squares(frames, labels, sums, squares):  # type: ignore[no-untyped-def]
    for frame in range(frames.shape[0]):
        for pixel in range(labels.shape[0]):
            label = labels[pixel]
            if label >= 0:
                value = sums.dtype.type(frames[frame, pixel])
                sums[frame, label] += value
                squares[frame, label] += value * value


@njit(nogil=True, cache=True)
def _label_sums(frames, labels, first, lanes, totals, sums):  # type: ignore[no-untyped-def]
    # Eight frames side by side: their samples at one pixel become one vector, added to the row of the pixel's label by
    # one vector addition. A scatter frame by frame runs at a quarter of the speed: each addition waits for the last.
    pixels = labels.shape[0]
    final = frames.shape[0] - 1
    for start in range(0, frames.shape[0], LANES):
        totals[:] = 0
        for begin in range(0, pixels, NARROW_ADDITIONS):
            end = min(begin + NARROW_ADDITIONS, pixels)
            part = labels[begin:end]
            f0 = frames[start, first + begin : first + end]
            f1 = frames[min(start + 1, final), first + begin : first + end]
            f2 = frames[min(start + 2, final), first + begin : first + end]
            f3 = frames[min(start + 3, final), first + begin : first + end]
            f4 = frames[min(start + 4, final), first + begin : first + end]
            f5 = frames[min(start + 5, final), first + begin : first + end]
            f6 = frames[min(start + 6, final), first + begin : first + end]
            f7 = frames[min(start + 7, final), first + begin : first + end]
            lanes[:] = 0
            for pixel in range(np.uint64(end - begin)):
                label = part[pixel]
                lanes[label, 0] += f0[pixel]
                lanes[label, 1] += f1[pixel]
                lanes[label, 2] += f2[pixel]
                lanes[label, 3] += f3[pixel]
                lanes[label, 4] += f4[pixel]
                lanes[label, 5] += f5[pixel]
                lanes[label, 6] += f6[pixel]
                lanes[label, 7] += f7[pixel]
            totals += lanes
        for lane in range(min(LANES, frames.shape[0] - start)):
            for label in range(sums.shape[1]):
                sums[start + lane, label] = totals[label, lane]
