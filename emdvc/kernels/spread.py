"""How values scatter from frame to frame: sums of squares, smallest and largest values of every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Pixels that are summed over all frames before the next ones: their sums stay in the nearest cache.
_TILE = 1024
#: Frames whose sums surely fit 32 bits, for counts of 16 bits: 65536 * 65535 < 2**32.
_LONGEST = 65536
#: Largest whole number up to which every whole number is a 64-bit float.
_EXACT = 2**53


def whole_sums(frames: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return the exact sums over frames that a variance needs, and the range of every pixel.

    Parameters
    ----------
    frames
        Shape (n, pixels), n >= 1, C-contiguous; integers of at most 32 bits.

    Returns
    -------
    total
        Shape (pixels,), 64-bit integers of the frames' signedness: sum of the values.
    low, high
        Shape (pixels,) each, unsigned 64 bits: the sum of the squared values is ``low + 2**32 * high``. The halves of
        a square are summed apart, so that no number of frames that fits a disk overflows them.
    smallest, largest
        Shape (pixels,), of the frames' type.
    """
    pixels = frames.shape[1]
    total = np.zeros(pixels, np.uint64 if frames.dtype.kind == "u" else np.int64)
    low, high = np.zeros(pixels, np.uint64), np.zeros(pixels, np.uint64)
    smallest, largest = frames[0].copy(), frames[0].copy()
    narrow = frames.dtype.kind == "u" and frames.dtype.itemsize <= 2
    for start in range(0, frames.shape[0], _LONGEST):
        part = frames[start : start + _LONGEST]
        if narrow:
            _narrow_sums(part, total, low, smallest, largest)
        else:
            _wide_sums(part, total, low, high, smallest, largest)
        high += low >> np.uint64(32)
        low &= np.uint64(0xFFFFFFFF)
    return total, low, high, smallest, largest


@njit(nogil=True, cache=True)
def _narrow_sums(frames, total, low, smallest, largest):  # type: ignore[no-untyped-def]
    # four frames side by side: sums and limits are then loaded and stored once for all of them
    final = frames.shape[0]
    together = final - final % 4
    sums = np.empty(_TILE, np.uint32)
    for start in range(0, frames.shape[1], _TILE):
        stop = min(start + _TILE, frames.shape[1])
        width = stop - start
        tile, squares = sums[:width], low[start:stop]
        least, most = smallest[start:stop], largest[start:stop]
        tile[:] = 0
        for frame in range(0, together, 4):
            a, b = frames[frame, start:stop], frames[frame + 1, start:stop]
            c, d = frames[frame + 2, start:stop], frames[frame + 3, start:stop]
            for p in range(width):
                va, vb, vc, vd = np.uint32(a[p]), np.uint32(b[p]), np.uint32(c[p]), np.uint32(d[p])
                tile[p] += np.uint32(np.uint32(va + vb) + np.uint32(vc + vd))
                first = np.uint64(np.uint32(va * va)) + np.uint64(np.uint32(vb * vb))
                second = np.uint64(np.uint32(vc * vc)) + np.uint64(np.uint32(vd * vd))
                squares[p] += first + second
            for p in range(width):
                least[p] = min(least[p], a[p], b[p], c[p], d[p])
                most[p] = max(most[p], a[p], b[p], c[p], d[p])
        for frame in range(together, final):
            a = frames[frame, start:stop]
            for p in range(width):
                value = np.uint32(a[p])
                tile[p] += value
                squares[p] += np.uint64(np.uint32(value * value))
                least[p] = min(least[p], a[p])
                most[p] = max(most[p], a[p])
        for p in range(width):
            total[start + p] += np.uint64(tile[p])


@njit(nogil=True, cache=True)
def _wide_sums(frames, total, low, high, smallest, largest):  # type: ignore[no-untyped-def]
    wide = total.dtype.type
    for start in range(0, frames.shape[1], _TILE):
        stop = min(start + _TILE, frames.shape[1])
        width = stop - start
        sums, less, more = total[start:stop], low[start:stop], high[start:stop]
        least, most = smallest[start:stop], largest[start:stop]
        for frame in range(frames.shape[0]):
            values = frames[frame, start:stop]
            # short loops over few arrays each: a long one is not turned into vectors
            for p in range(width):
                sums[p] += wide(values[p])
            for p in range(width):
                # the square of a 32-bit magnitude is one vector multiplication, that of a 64-bit number is not
                magnitude = np.uint64(np.uint32(abs(np.int64(values[p]))))
                square = magnitude * magnitude
                less[p] += square & np.uint64(0xFFFFFFFF)
                more[p] += square >> np.uint64(32)
            for p in range(width):
                least[p] = min(least[p], values[p])
                most[p] = max(most[p], values[p])


def whole_variance(
    total: NDArray[Any], low: NDArray[np.uint64], high: NDArray[np.uint64], frames: int, ddof: int
) -> NDArray[np.float64]:
    """Return the variance of every pixel from exact sums: one quotient of two whole numbers, correctly rounded.

    ``(n S2 - S1^2) / (n (n - ddof))`` with S1 the sum and S2 the sum of squares. In floats the subtraction would lose
    all digits where the scatter is small against the mean; in whole numbers it loses none.

    Parameters
    ----------
    total, low, high
        As :func:`whole_sums` gives them, summed over all blocks.
    frames
        Number of frames n.
    ddof
        Subtracted from n in the divisor: 0 for the variance of these frames, 1 to estimate that of a population.
    """
    divisor = frames * (frames - ddof)
    squares = low.astype(np.float64) + high.astype(np.float64) * 2.0**32
    small = squares * frames < _EXACT / 2
    if divisor > _EXACT:
        small[:] = False
    variance = np.empty(total.shape)
    # below 2**53 every number here is exact as a 64-bit integer and as a float
    first = total[small].astype(np.int64)
    second = (low[small] + (high[small] << np.uint64(32))).astype(np.int64)
    variance[small] = (second * frames - first * first) / np.float64(divisor)
    rest = np.flatnonzero(~small)
    for start in range(0, rest.size, 1 << 16):  # Python's own integers have any size, and their quotient is exact
        part = rest[start : start + (1 << 16)]
        triples = zip(total[part].tolist(), low[part].tolist(), high[part].tolist(), strict=True)
        variance[part] = [(frames * (lo + (hi << 32)) - s * s) / divisor for s, lo, hi in triples]
    return variance


def float_spread(frames: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Return mean, sum of squared deviations, smallest and largest value of every pixel of floats.

    The mean comes first and the deviations from it second: a sum of squares would lose the digits of a scatter that is
    small against the mean. Frames are added in their order.

    Parameters
    ----------
    frames
        Shape (n, pixels), n >= 1, C-contiguous, floats.
    """
    mean, deviations = np.zeros(frames.shape[1]), np.zeros(frames.shape[1])
    smallest, largest = frames[0].copy(), frames[0].copy()
    _float_spread(frames, mean, deviations, smallest, largest)
    return mean, deviations, smallest, largest


@njit(nogil=True, cache=True)
def _float_spread(frames, mean, deviations, smallest, largest):  # type: ignore[no-untyped-def]
    for start in range(0, frames.shape[1], _TILE):
        stop = min(start + _TILE, frames.shape[1])
        width = stop - start
        middle, sums = mean[start:stop], deviations[start:stop]
        least, most = smallest[start:stop], largest[start:stop]
        for frame in range(frames.shape[0]):
            values = frames[frame, start:stop]
            for p in range(width):
                middle[p] += np.float64(values[p])
            for p in range(width):
                least[p] = min(least[p], values[p])
                most[p] = max(most[p], values[p])
        for p in range(width):
            middle[p] /= frames.shape[0]
        for frame in range(frames.shape[0]):
            values = frames[frame, start:stop]
            for p in range(width):
                off = np.float64(values[p]) - middle[p]
                sums[p] += off * off


def joined_spread(
    first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...], n: int, m: int
) -> tuple[NDArray[Any], ...]:
    """Return mean, squared deviations, smallest and largest of n and m frames together.

    Notes
    -----
    Chan, Golub and LeVeque, The American Statistician 37, 242 (1983): M = M1 + M2 + d^2 n m / (n + m), d the difference
    of the means.
    """
    off = second[0] - first[0]
    mean = first[0] + off * (m / (n + m))
    deviations = first[1] + second[1] + off * off * (n * m / (n + m))
    return mean, deviations, np.minimum(first[2], second[2]), np.maximum(first[3], second[3])
