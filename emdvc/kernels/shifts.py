"""Frames moved over the detector, by whole pixels or by fractions of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type


def shift_by_pixels(frames: NDArray[Any], shifts: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return frames moved by whole pixels: every number stays what it is.

    Parameters
    ----------
    frames
        Shape (n, ny, nx), C-contiguous.
    shifts
        Shape (n, 2): how far each frame moves along y and x.

    Returns
    -------
    moved
        As `frames`; pixel (y, x) holds what stood at (y, x) minus the shift, and 0 where nothing did.
    lost
        Shape (n,), 64 bits wide: the sum of what was moved off the detector.
    """
    moved = np.zeros_like(frames)
    lost = np.zeros(frames.shape[0], total_type(frames.dtype))
    _shift_by_pixels(frames, shifts, moved, lost)
    return moved, lost


def shift_bilinear(frames: NDArray[Any], shifts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return frames moved by any distance, bilinearly interpolated.

    Parameters
    ----------
    frames
        Shape (n, ny, nx), C-contiguous.
    shifts
        Shape (n, 2): how far each frame moves along y and x, in px.

    Returns
    -------
    array
        Shape (n, ny, nx): computed in 64 bits, first along y, then along x, and rounded to 32 at the end. What lies
        off the detector counts as 0.
    """
    moved = np.zeros(frames.shape, np.float32)
    whole = np.floor(shifts)
    _shift_bilinear(frames, whole.astype(np.int64), shifts - whole, np.zeros(frames.shape[2] + 2), moved)
    return moved


@njit(nogil=True, cache=True)
def _shift_by_pixels(frames, shifts, moved, lost):  # type: ignore[no-untyped-def]
    n, ny, nx = frames.shape
    for frame in range(n):
        down, right = shifts[frame, 0], shifts[frame, 1]
        for y in range(ny):
            # source columns that stay on the detector; none where the whole row leaves it
            first, last = max(0, -right), min(nx, nx - right)
            if not 0 <= y + down < ny or first >= last:
                first, last = 0, 0
            if first < last:
                # views that start at 0: an index that could be negative would be checked for each pixel
                source, target = frames[frame, y, first:], moved[frame, y + down, first + right :]
                for x in range(last - first):
                    target[x] = source[x]
            for x in range(first):
                lost[frame] += frames[frame, y, x]
            for x in range(last, nx):
                lost[frame] += frames[frame, y, x]


@njit(nogil=True, cache=True)
def _shift_bilinear(frames, whole, part, row, moved):  # type: ignore[no-untyped-def]
    n, ny, nx = frames.shape
    for frame in range(n):
        down, right = whole[frame, 0], whole[frame, 1]
        far_y, far_x = part[frame, 0], part[frame, 1]
        near_y, near_x = 1.0 - far_y, 1.0 - far_x
        # `row` holds a zero before and after the detector's columns
        first, last = max(0, right), min(nx, nx + right + 1)
        for y in range(max(0, down), min(ny, ny + down + 1)):
            source = y - down
            if source == 0:
                for x in range(nx):
                    row[x + 1] = near_y * frames[frame, 0, x]
            elif source == ny:
                for x in range(nx):
                    row[x + 1] = far_y * frames[frame, ny - 1, x]
            else:
                here, above = frames[frame, source], frames[frame, source - 1]
                for x in range(nx):
                    row[x + 1] = near_y * here[x] + far_y * above[x]
            if first < last:
                near, far, target = row[first - right + 1 :], row[first - right :], moved[frame, y, first:]
                for x in range(last - first):
                    target[x] = near_x * near[x] + far_x * far[x]
