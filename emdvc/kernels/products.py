"""Sums of products of channels: what a principal component analysis needs of all spectra."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# whole numbers below this are exact in 64-bit floats
_EXACT = 1 << 53
#: Largest sum that still leaves room for another of the same size in 64 bits.
LARGEST = (1 << 62) - 1
# frames that are scaled together
_BATCH = 2048
# the tile of products that stays in the processor's cache
_ROWS, _COLUMNS = 32, 256


def integer_products(frames: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sums over frames of the products of every two channels, exactly.

    They are made in 64-bit floats, which are faster and exact while whole numbers stay below 2^53: in batches of frames
    that are short enough, added up as 64-bit integers.

    Parameters
    ----------
    frames
        Shape (n, channels), integers.

    Returns
    -------
    array
        Shape (channels (channels + 1) / 2,): the upper triangle, row by row; see :func:`square`.

    Raises
    ------
    OverflowError
        A sum could exceed :data:`LARGEST`.
    """
    channels = frames.shape[1]
    total = np.zeros(channels * (channels + 1) // 2, np.int64)
    if frames.size == 0:
        return total
    highest = max(abs(int(frames.max())), abs(int(frames.min())))
    if highest * highest * frames.shape[0] > LARGEST:
        raise OverflowError(f"{frames.shape[0]} spectra with counts up to {highest}")
    batch = (_EXACT - 1) // max(1, highest * highest)
    if batch == 0:
        _wide_products(frames, total)
        return total
    for start in range(0, frames.shape[0], batch):
        part = frames[start : start + batch]
        total += scaled_products(part, np.ones(part.shape[0])).astype(np.int64)
    return total


@njit(nogil=True, cache=True)
def _wide_products(frames, total):  # type: ignore[no-untyped-def]
    # counts whose squares are beyond 2^53
    for frame in range(frames.shape[0]):
        place = 0
        for i in range(frames.shape[1]):
            value = np.int64(frames[frame, i])
            for j in range(i, frames.shape[1]):
                total[place] += value * np.int64(frames[frame, j])
                place += 1


def scaled_products(frames: NDArray[Any], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums over frames of the products of every two channels of scaled frames.

    Each sum is made frame by frame in 64-bit floats: the same bits on every machine.

    Parameters
    ----------
    frames
        Shape (n, channels), integers or floats.
    scales
        Shape (n,): factor of each frame.

    Returns
    -------
    array
        Shape (channels (channels + 1) / 2,): the upper triangle, row by row; see :func:`square`.
    """
    channels = frames.shape[1]
    total = np.zeros((channels, channels))
    for start in range(0, frames.shape[0], _BATCH):
        part = frames[start : start + _BATCH]
        # whole groups of eight; frames of zeros add nothing
        scaled = np.zeros((part.shape[0] + -part.shape[0] % 8, channels))
        np.multiply(part, scales[start : start + _BATCH, None], out=scaled[: part.shape[0]])
        _add_products(scaled, total)
    packed = np.empty(channels * (channels + 1) // 2)
    _move_triangle(total, packed, True)
    return packed


def square(packed: NDArray[Any]) -> NDArray[np.float64]:
    """Return a symmetric matrix of floats from its upper triangle, row by row."""
    channels = (math.isqrt(8 * packed.size + 1) - 1) // 2
    found = np.empty((channels, channels))
    _move_triangle(found, packed.astype(np.float64), False)
    return found


@njit(nogil=True, cache=True)
def _add_products(frames, total):  # type: ignore[no-untyped-def]
    # Tile by tile of the upper triangle; eight frames at a time, whose products are added one after the other, so that
    # a sum is loaded and stored once for eight additions. The channels of a row are the SIMD lanes.
    channels = frames.shape[1]
    for top in range(0, channels, _ROWS):
        bottom = min(top + _ROWS, channels)
        for left in range(top, channels, _COLUMNS):
            right = min(left + _COLUMNS, channels)
            for frame in range(0, frames.shape[0], 8):
                f0, f1 = frames[frame, left:right], frames[frame + 1, left:right]
                f2, f3 = frames[frame + 2, left:right], frames[frame + 3, left:right]
                f4, f5 = frames[frame + 4, left:right], frames[frame + 5, left:right]
                f6, f7 = frames[frame + 6, left:right], frames[frame + 7, left:right]
                for i in range(top, bottom):
                    a, b, c, d = frames[frame, i], frames[frame + 1, i], frames[frame + 2, i], frames[frame + 3, i]
                    e, f, g, h = frames[frame + 4, i], frames[frame + 5, i], frames[frame + 6, i], frames[frame + 7, i]
                    if a == 0 and b == 0 and c == 0 and d == 0 and e == 0 and f == 0 and g == 0 and h == 0:
                        continue  # X-ray spectra hold few counts
                    sums = total[i, left:right]
                    for j in range(np.uint64(right - left)):
                        s = sums[j] + a * f0[j]
                        s = s + b * f1[j]
                        s = s + c * f2[j]
                        s = s + d * f3[j]
                        s = s + e * f4[j]
                        s = s + f * f5[j]
                        s = s + g * f6[j]
                        sums[j] = s + h * f7[j]


@njit(nogil=True, cache=True)
def _move_triangle(matrix, packed, out):  # type: ignore[no-untyped-def]
    place = 0
    for i in range(matrix.shape[0]):
        for j in range(i, matrix.shape[0]):
            if out:
                packed[place] = matrix[i, j]
            else:
                matrix[i, j] = packed[place]
                matrix[j, i] = packed[place]
            place += 1


@njit(nogil=True, cache=True)
def project(frames, first, scales, weights, mean, loadings, scores):  # type: ignore[no-untyped-def]
    """Project scaled spectra on components, channel by channel.

    Parameters
    ----------
    frames
        Shape (n, channels).
    first
        Channel that the first weight belongs to.
    scales
        Shape (n,): factor of each frame.
    weights, mean
        Shape (w,): factor of each channel, and what is subtracted after scaling.
    loadings
        Shape (w, k): the components, unit vectors of the scaled space.
    scores
        Shape (n, k): receives sum_j (N_j scale weight_j - mean_j) loadings_j.
    """
    for frame in range(frames.shape[0]):
        row = scores[frame]
        for k in range(row.shape[0]):
            row[k] = 0.0
        for j in range(weights.shape[0]):
            value = float(frames[frame, first + j]) * scales[frame] * weights[j] - mean[j]
            if value != 0.0:
                for k in range(row.shape[0]):
                    row[k] += value * loadings[j, k]


@njit(nogil=True, cache=True)
def compose(scores, components, mean, found):  # type: ignore[no-untyped-def]
    """Add up components times scores, one component after the other.

    Parameters
    ----------
    scores
        Shape (n, k).
    components
        Shape (k, w).
    mean
        Shape (w,).
    found
        Shape (n, w): receives mean + sum_k scores_k components_k.
    """
    line = np.empty(mean.shape[0])
    for frame in range(scores.shape[0]):
        for j in range(mean.shape[0]):
            line[j] = mean[j]
        for k in range(components.shape[0]):
            score = scores[frame, k]
            for j in range(mean.shape[0]):
                line[j] += score * components[k, j]
        for j in range(mean.shape[0]):
            found[frame, j] = line[j]
