"""Sums over frames: what every detector pixel counted in all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import NARROW_ADDITIONS, lane_type, total_type


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
    _sum_and_max(frames, lanes, total, largest)
    return total, largest


@njit(nogil=True, cache=True)
def _sum_and_max(frames, lanes, total, largest):  # type: ignore[no-untyped-def]
    additions = 0
    for frame in range(frames.shape[0]):
        for pixel in range(frames.shape[1]):
            value = frames[frame, pixel]
            lanes[pixel] += value
            largest[pixel] = max(largest[pixel], value)
        additions += 1
        if additions == NARROW_ADDITIONS:
            total += lanes
            lanes[:] = 0
            additions = 0
    total += lanes
