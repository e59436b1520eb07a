"""Finding detector pixels that count too much or too little against their neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: What a pixel is.
GOOD, HOT, DEAD = 0, 1, 2
#: Rounds after which the search ends even if the last one found more.
_ROUNDS = 16
#: A flank of a spot has at least this part of the spot's height; a defect has no flank.
_FLANK = 0.1
#: Fewer frames do not show that a pixel always says the same.
_FEWEST = 20
#: The standard deviation of a normal distribution over the median of absolute deviations.
_MAD = 1.4826
#: Marks what surrounds the detector.
_OUTSIDE = 3


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What every detector pixel did over a scan; arrays of shape (ky, kx).

    Parameters
    ----------
    mean, variance
        Over the frames, the largest sample of each pixel left out (an X-ray that hits a pixel once does not make it
        hot).
    smallest
        The smallest sample.
    constant
        Whether all samples are the same.
    frames
        Number of frames behind the mean.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    smallest: NDArray[np.float64]
    constant: NDArray[np.bool_]
    frames: int


def find_defects(seen: Behaviour, radius: int, sigma: float, tolerance: float) -> NDArray[np.uint8]:
    """Return which pixels are :data:`GOOD`, :data:`HOT` or :data:`DEAD`, shape (ky, kx).

    Only ``+ - * /``, square roots and comparisons in a fixed order: the same bits on every machine.

    Parameters
    ----------
    seen
        What the pixels did.
    radius
        A pixel is compared with the good ones in the square of this radius around it.
    sigma, tolerance
        Least deviation in standard deviations, and relative to the neighbours.
    """
    # A frame of the width of the radius around everything: neighbours are then plain steps in memory.
    width = seen.mean.shape[1] + 2 * radius
    inside = np.s_[radius:-radius, radius:-radius]
    state = np.full((seen.mean.shape[0] + 2 * radius, width), _OUTSIDE, np.uint8)
    state[inside] = GOOD
    reach = range(-radius, radius + 1)
    square = np.array([y * width + x for y in reach for x in reach if y or x])
    nearest = np.array([-width, width, -1, 1])
    # Samples that differ from the smallest, per frame and in units of a single one: of rare counts of g each the mean
    # is g q and the variance g^2 q.
    above = seen.mean - seen.smallest
    events = above * above / np.where(seen.variance > 0.0, seen.variance, np.inf)
    mean, variance, lively = (np.pad(array, radius).reshape(-1) for array in (seen.mean, seen.variance, events))
    constant = np.pad(seen.constant, radius).reshape(-1)
    limits = (sigma, tolerance, _pattern_noise(seen.mean))
    flat = state.reshape(-1)
    todo = np.flatnonzero(flat == GOOD)
    for _ in range(_ROUNDS):
        found = np.zeros(todo.size, np.uint8)
        around = np.empty((3, square.size))
        _judge(mean, variance, lively, constant, seen.frames, flat, todo, square, nearest, around, limits, found)
        flat[todo] = found
        bad = todo[found != GOOD]
        if bad.size == 0:
            break
        # only the neighbours of what was found can look different now
        near = np.unique(bad[:, None] + square)
        todo = near[flat[near] == GOOD]
    return state[inside].copy()


def _pattern_noise(mean: NDArray[np.float64]) -> float:
    """Return the standard deviation by which neighbouring pixels differ on most of the detector."""
    steps = np.abs(np.diff(mean, axis=1 if mean.shape[1] > 1 else 0))
    return _MAD * float(np.median(steps)) / float(np.sqrt(2.0)) if steps.size else 0.0


@njit(nogil=True, cache=True)
def _judge(  # type: ignore[no-untyped-def]
    mean, variance, events, constant, frames, state, pixels, square, nearest, around, limits, found
):
    # Two sevenths of the neighbours (of 24: six) may be bad themselves, in a line or a cluster. On either side of the
    # edge of a disk more than these are as bright as the pixel, and more are as dark.
    few = max((square.shape[0] + 1) * 2 // 7, 3)
    for index in range(pixels.shape[0]):
        pixel = pixels[index]
        count, higher, lower = 0, 0, 0
        for step in square:
            other = pixel + step
            if state[other] == GOOD:
                around[0, count] = mean[other]
                around[1, count] = variance[other]
                around[2, count] = events[other]
                higher += mean[other] >= mean[pixel]
                lower += mean[other] <= mean[pixel]
                count += 1
        rank = min(few, count // 2 + 1)
        # nearly all pixels end here: enough neighbours are as high, and enough as low
        if count >= 3 and (higher < rank or lower < rank or constant[pixel]):
            flanks = _flank(mean, state, pixel, nearest)
            found[index] = _verdict(mean[pixel], around, count, rank, flanks, frames, constant[pixel], limits)


@njit(nogil=True, cache=True)
def _verdict(value, around, count, rank, flanks, frames, constant, limits):  # type: ignore[no-untyped-def]
    sigma, tolerance, floor = limits
    for row in range(3):
        _sort(around, row, count)
    high, low, middle = around[0, count - rank], around[0, rank - 1], around[0, count // 2]
    counted, lively = around[1, count // 2], around[2, rank - 1]
    for n in range(count):
        around[1, n] = abs(around[0, n] - middle)
    _sort(around, 1, count)
    scatter = _MAD * around[1, count // 2]
    over, under = value - high, low - value
    noise_over = np.sqrt(max(counted, high, 1.0 / frames) / frames + floor * floor)
    noise_under = np.sqrt(max(counted, low, 1.0 / frames) / frames + floor * floor)
    if over > max(sigma * np.sqrt(noise_over * noise_over + scatter * scatter), tolerance * abs(high)):
        return HOT if flanks[0] - middle <= _FLANK * (value - middle) + 2.0 * noise_over else GOOD
    # what says next to nothing where all others count is dead even at the edge of a disk, where they scatter
    spread = 0.0 if under > 0.9 * abs(low) else scatter
    if (
        under > max(sigma * np.sqrt(noise_under * noise_under + spread * spread), tolerance * abs(low))
        and middle - flanks[1] <= _FLANK * (middle - value) + 2.0 * noise_under
    ):
        return DEAD
    # that a pixel as lively as its neighbours never changes has the probability exp(-frames * events)
    return DEAD if constant and frames >= _FEWEST and frames * lively > sigma * sigma else GOOD


@njit(nogil=True, cache=True)
def _sort(values, row, count):  # type: ignore[no-untyped-def]
    # by insertion: for so few numbers it is fast, and it compiles in no time
    for n in range(1, count):
        value, place = values[row, n], n
        while place > 0 and values[row, place - 1] > value:
            values[row, place] = values[row, place - 1]
            place -= 1
        values[row, place] = value


@njit(nogil=True, cache=True)
def _flank(mean, state, pixel, nearest):  # type: ignore[no-untyped-def]
    # The second lowest of the four nearest good pixels, and the second highest: beside a line of bad pixels two are no
    # flank. Of three or fewer, at the border or beside what was found, the lowest and the highest.
    low, next_low, high, next_high, count = np.inf, np.inf, -np.inf, -np.inf, 0
    for step in nearest:
        if state[pixel + step] == GOOD:
            value = mean[pixel + step]
            low, next_low = min(low, value), min(next_low, max(low, value))
            high, next_high = max(high, value), max(next_high, min(high, value))
            count += 1
    if count == 0:
        return -np.inf, np.inf
    return (next_low, next_high) if count == 4 else (low, high)
