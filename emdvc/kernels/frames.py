"""Sums over frames: what every detector pixel counted in all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import NARROW_ADDITIONS, lane_type, total_type

#: Frames that are read side by side: the sums are then loaded and stored once for all of them.
_TOGETHER = 8


def sum_and_max(frames: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sum and the largest value of every pixel.

    Parameters
    ----------
    frames
        Shape (n, pixels), n >= 1, C-contiguous.

    Returns
    -------
    total
        Shape (pixels,), 64 bits wide.
    largest
        Shape (pixels,), of the frames' type.
    """
    total = np.zeros(frames.shape[1], total_type(frames.dtype))
    largest = frames[0].copy()
    lanes = np.zeros(frames.shape[1], lane_type(frames.dtype))
    # 16-bit counts fit their 32-bit sums for so many frames
    longest = NARROW_ADDITIONS - _TOGETHER
    for start in range(0, frames.shape[0], longest):
        part = frames[start : start + longest]
        # sums of several frames before they reach the total would change the order in which floats are added
        side_by_side = len(part) - len(part) % _TOGETHER if lanes.dtype == np.uint32 else 0
        if side_by_side:
            _sum_and_max_of_eight(part[:side_by_side], lanes, largest)
        if side_by_side < len(part):
            _sum_and_max(part[side_by_side:], lanes, largest)
        total += lanes
        if start + longest < frames.shape[0]:
            lanes[:] = 0
    return total, largest


@njit(nogil=True, cache=True)
def _sum_and_max(frames, lanes, largest):  # type: ignore[no-untyped-def]
    for frame in range(frames.shape[0]):
        for pixel in range(frames.shape[1]):
            value = frames[frame, pixel]
            lanes[pixel] += value
            largest[pixel] = max(largest[pixel], value)


@njit(nogil=True, cache=True)
def _sum_and_max_of_eight(frames, lanes, largest):  # type: ignore[no-untyped-def]
    wide = lanes.dtype.type
    for start in range(0, frames.shape[0], _TOGETHER):
        f0, f1, f2, f3 = frames[start], frames[start + 1], frames[start + 2], frames[start + 3]
        f4, f5, f6, f7 = frames[start + 4], frames[start + 5], frames[start + 6], frames[start + 7]
        for p in range(frames.shape[1]):
            first = (wide(f0[p]) + wide(f1[p])) + (wide(f2[p]) + wide(f3[p]))
            second = (wide(f4[p]) + wide(f5[p])) + (wide(f6[p]) + wide(f7[p]))
            lanes[p] += wide(first) + wide(second)
            highest = max(f0[p], f1[p], f2[p], f3[p], f4[p], f5[p], f6[p], f7[p])
            largest[p] = max(largest[p], highest)
