"""Sums over sets of detector pixels, for many frames at once.

Every pixel carries one label; a frame's sums over all labels come from one pass over the frame, whatever the number of
labels. Virtual detectors, radial profiles and energy windows are all small sums over labels afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import NARROW_ADDITIONS, lane_type, total_type
from emdvc.kernels.lanes import LANES, SQUARE, add_square, add_square_and_powers

#: Fewer frames than this are summed one by one: empty lanes would cost more.
_WORTH_LANES = 6


def label_sums(frames: NDArray[Any], labels: NDArray[np.int32], count: int) -> NDArray[Any]:
    """Return the sum of every frame over the pixels of every label.

    Floats are added pixel by pixel within a frame, in C order, whatever the number of frames.

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
    sums, _ = _label_sums(frames, labels, count, squared=False)
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
        Shape (n, count) each, 64 bits wide. Squares of integers are exact while their sum fits 64 bits.
    """
    return _label_sums(frames, labels, count, squared=True)


def _label_sums(
    frames: NDArray[Any], labels: NDArray[np.int32], count: int, *, squared: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    sums = np.zeros((frames.shape[0], count), total_type(frames.dtype))
    squares = np.zeros_like(sums)
    if count == 0 or frames.shape[0] == 0:
        return sums, squares
    # squares where pixels belong to no detector are not read: a small detector costs little
    pixels = frames.shape[1]
    whole = pixels - pixels % SQUARE
    used = np.flatnonzero((labels[:whole].reshape(-1, SQUARE) >= 0).any(axis=1)) * SQUARE
    # unsigned, because numba then leaves out the test for an index counted from the end
    padded = np.where(labels < 0, count, labels).astype(np.uint32)
    padded = np.concatenate([padded[:whole].reshape(-1, SQUARE)[used // SQUARE].reshape(-1), padded[whole:]])
    many = frames.shape[0] - frames.shape[0] % LANES
    if frames.shape[0] - many >= _WORTH_LANES:
        # what is left over fills the lanes with empty frames
        rest = np.zeros((LANES, pixels), frames.dtype)
        rest[: frames.shape[0] - many] = frames[many:]
        last = (np.zeros((LANES, count), sums.dtype), np.zeros((LANES, count), sums.dtype))
        _sum(rest, padded, used, *last, squared)
        sums[many:], squares[many:] = (part[: frames.shape[0] - many] for part in last)
    elif many < frames.shape[0]:
        _sum_one_by_one(frames[many:], labels, sums[many:], squares[many:], squared)
    if many:
        _sum(frames[:many], padded, used, sums[:many], squares[:many], squared)
    return sums, squares


def _sum(
    frames: NDArray[Any],
    labels: NDArray[np.uint32],
    used: NDArray[np.int64],
    sums: NDArray[Any],
    squares: NDArray[Any],
    squared: bool,
) -> None:
    totals = np.zeros((sums.shape[1] + 1, LANES), sums.dtype)
    if squared:
        _sum_squares_in_lanes(frames, labels, used, totals, np.zeros_like(totals), sums, squares)
    else:
        lanes = np.zeros(totals.shape, lane_type(frames.dtype))
        # 64-bit sums need no second ones, which would change the order in which floats are added
        together = NARROW_ADDITIONS // SQUARE if lanes.dtype == np.uint32 else max(1, len(used))
        _sum_in_lanes(frames, labels, used, together, lanes, totals, sums)


@njit(nogil=True, cache=True)
def _sum_in_lanes(frames, labels, used, together, lanes, totals, sums):  # type: ignore[no-untyped-def]
    # `labels` are those of the used squares, then those of the pixels past the last whole square
    number = totals.dtype.type
    rest = used.shape[0] * SQUARE
    whole = frames.shape[1] - (labels.shape[0] - rest)
    for start in range(0, frames.shape[0], LANES):
        totals[:] = 0
        for first in range(0, used.shape[0], together):
            lanes[:] = 0
            for index in range(first, min(first + together, used.shape[0])):
                add_square(frames, start, used[index], labels, index * SQUARE, lanes)
            totals += lanes
        for pixel in range(whole, frames.shape[1]):
            label = labels[rest + pixel - whole]
            for lane in range(LANES):
                totals[label, lane] += number(frames[start + lane, pixel])
        for lane in range(LANES):
            for label in range(sums.shape[1]):
                sums[start + lane, label] = totals[label, lane]


@njit(nogil=True, cache=True)
def _sum_squares_in_lanes(frames, labels, used, totals, powers, sums, squares):  # type: ignore[no-untyped-def]
    number = totals.dtype.type
    rest = used.shape[0] * SQUARE
    whole = frames.shape[1] - (labels.shape[0] - rest)
    for start in range(0, frames.shape[0], LANES):
        totals[:] = 0
        powers[:] = 0
        for index in range(used.shape[0]):
            add_square_and_powers(frames, start, used[index], labels, index * SQUARE, totals, powers)
        for pixel in range(whole, frames.shape[1]):
            label = labels[rest + pixel - whole]
            for lane in range(LANES):
                value = number(frames[start + lane, pixel])
                totals[label, lane] += value
                powers[label, lane] += value * value
        for lane in range(LANES):
            for label in range(sums.shape[1]):
                sums[start + lane, label] = totals[label, lane]
                squares[start + lane, label] = powers[label, lane]


@njit(nogil=True, cache=True)
def _sum_one_by_one(frames, labels, sums, squares, squared):  # type: ignore[no-untyped-def]
    number = sums.dtype.type
    for frame in range(frames.shape[0]):
        for pixel in range(labels.shape[0]):
            label = labels[pixel]
            if label >= 0:
                value = number(frames[frame, pixel])
                sums[frame, label] += value
                if squared:
                    squares[frame, label] += value * value


def regroup(sums: NDArray[Any], members: NDArray[np.int64], count: int) -> NDArray[Any]:
    """Return sums over fewer, larger sets: each label's sum is added to that of the set it belongs to.

    Parameters
    ----------
    sums
        Shape (n, labels).
    members
        Shape (labels,): the set that each label belongs to; negative for none.
    count
        Number of sets.

    Returns
    -------
    array
        Shape (n, count), of the type of `sums`.
    """
    grouped = np.zeros((sums.shape[0], count), sums.dtype)
    _regroup(sums, members, grouped)
    return grouped


@njit(nogil=True, cache=True)
def _regroup(sums, members, grouped):  # type: ignore[no-untyped-def]
    for frame in range(sums.shape[0]):
        for label in range(members.shape[0]):
            if members[label] >= 0:
                grouped[frame, members[label]] += sums[frame, label]
