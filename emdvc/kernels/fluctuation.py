"""Squares of counts, summed over frames: what variances over a scan are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type

#: Frames that are read side by side: the sums are then loaded and stored once for all of them.
_TOGETHER = 8


def sums_and_squares(frames: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sum of every pixel over the frames, and that of its squared values.

    Parameters
    ----------
    frames
        Shape (n, pixels), C-contiguous.

    Returns
    -------
    sums, squares
        Shape (pixels,) each, 64 bits wide; of integers exact while they fit. Floats are added frame by frame.
    """
    sums = np.zeros(frames.shape[1], total_type(frames.dtype))
    squares = np.zeros_like(sums)
    many = 0
    if frames.dtype.kind == "u" and frames.dtype.itemsize <= 2:
        many = frames.shape[0] - frames.shape[0] % _TOGETHER
    if many:
        _sum_eight(frames[:many], sums, squares)
    if many < frames.shape[0]:
        _sum_one(frames[many:], sums, squares)
    return sums, squares


@njit(nogil=True, cache=True)
def _sum_eight(frames, sums, squares):  # type: ignore[no-untyped-def]
    # 16-bit counts and their squares fit 32 bits
    for start in range(0, frames.shape[0], _TOGETHER):
        for pixel in range(frames.shape[1]):
            total, square = np.uint32(0), np.uint64(0)
            for frame in range(_TOGETHER):
                value = np.uint32(frames[start + frame, pixel])
                total = np.uint32(total + value)
                square += np.uint64(np.uint32(value * value))
            sums[pixel] += total
            squares[pixel] += square


@njit(nogil=True, cache=True)
def _sum_one(frames, sums, squares):  # type: ignore[no-untyped-def]
    number = sums.dtype.type
    for frame in range(frames.shape[0]):
        for pixel in range(frames.shape[1]):
            value = number(frames[frame, pixel])
            sums[pixel] += value
            squares[pixel] += value * value


def wide_squares(sums: NDArray[Any]) -> NDArray[np.uint64]:
    """Return the sums of squared integers over the first dimension, in 128 bits.

    Parameters
    ----------
    sums
        Shape (n, count): 64-bit integers.

    Returns
    -------
    array
        Shape (2, count): the lower and the upper 64 bits.
    """
    found = np.zeros((2, sums.shape[1]), np.uint64)
    _wide_squares(np.abs(sums).astype(np.uint64), found)
    return found


def add_wide(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sum of two arrays of 128-bit numbers, as :func:`wide_squares` gives them."""
    low = first[0] + second[0]
    return np.stack([low, first[1] + second[1] + (low < first[0]).astype(np.uint64)])


def as_integers(wide: NDArray[np.uint64]) -> list[int]:
    """Return 128-bit numbers as Python's."""
    return [(high << 64) + low for low, high in zip(wide[0].tolist(), wide[1].tolist(), strict=True)]


@njit(nogil=True, cache=True)
def _wide_squares(sums, found):  # type: ignore[no-untyped-def]
    half = np.uint64(32)
    mask = np.uint64(0xFFFFFFFF)
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            a, b = sums[row, column] >> half, sums[row, column] & mask
            # (a 2^32 + b)^2 = a^2 2^64 + 2 a b 2^32 + b^2
            cross = a * b
            low = b * b
            high = a * a + (cross >> np.uint64(31))
            shifted = (cross << np.uint64(33)) & np.uint64(0xFFFFFFFFFFFFFFFF)
            part = low + shifted
            high += np.uint64(part < low)
            total = found[0, column] + part
            high += np.uint64(total < part)
            found[0, column] = total
            found[1, column] += high
