"""Correlation of frames with a template of whole numbers, by differences of the template and sums along rows.

The correlation C(y, x) = sum over (v, u) of T(v, u) f(y + v, x + u) costs one multiplication for each pixel of the
template. With P(y, x) = sum of f(y, x') over x' < x, the sums along a row, it is also

    C(y, x) = sum over (v, u) of (T(v, u - 1) - T(v, u)) P(y + v, x + u)

where only the places count at which the template changes along a row: at the edges of a disk, whatever its radius. All
of it is whole numbers, so the result is exact, where a correlation by Fourier transforms is rounded.

Source: summed tables, Crow, Computer Graphics 18, 207 (1984), here along one direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: Pixels that are computed together, so that they stay in the fastest cache; and tables that are read side by side.
_STRETCH, _SIDE_BY_SIDE = 1024, 8
#: Bytes of the row sums of frames that are correlated at once.
_TOGETHER = 1 << 20


@dataclass(frozen=True, slots=True)
class Taps:
    """Where a template changes along its rows.

    Parameters
    ----------
    rows, columns
        Shape (taps,): place of each change, counted from the template's first row and column.
    weights
        Shape (taps,), int64: what the row sum there is multiplied by.
    reach
        Pixels (y, x) from the template's middle to its edge.
    bound
        Largest correlation that samples from -1 to 1 can give.
    doubled
        Whether the template is the sum of this one at four neighbouring places.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.int64]
    reach: tuple[int, int]
    bound: int
    doubled: bool = False


def taps_of(template: NDArray[np.int64], *, doubled: bool = False) -> Taps:
    """Return the changes of a template along its rows.

    Parameters
    ----------
    template
        Shape (2 ry + 1, 2 rx + 1), whole numbers; (2 ry, 2 rx) if doubled.
    doubled
        Whether the template H stands for T(v, u) = H(v, u) + H(v - 1, u) + H(v, u - 1) + H(v - 1, u - 1), with soft
        edges where those of H are sharp: half as many changes, and one addition of four correlations.
    """
    height, width = template.shape
    if height % 2 == doubled or width % 2 == doubled:
        raise ValueError(f"a template has a middle pixel: odd sides (even if doubled), not {height} x {width}")
    padded = np.pad(template.astype(np.int64), ((0, 0), (1, 1)))
    changes = padded[:, :-1] - padded[:, 1:]
    rows, columns = np.nonzero(changes)
    # the kernel takes eight at a time: taps without weight fill the last group
    fill = -rows.size % _SIDE_BY_SIDE
    return Taps(
        np.pad(rows, (0, fill)),
        np.pad(columns, (0, fill)),
        np.pad(changes[rows, columns], (0, fill)),
        (height // 2, width // 2),
        int(np.abs(template.astype(np.int64)).sum()) * (4 if doubled else 1),
        doubled,
    )


def lane_for(frames: NDArray[Any], taps: Taps) -> np.dtype[Any]:
    """Return the type that correlations of these frames are computed in.

    Sums of whole numbers are taken modulo 2^32 where every correlation fits 31 bits and a sign, else modulo 2^64: what
    overflows on the way comes back, and the numbers are the same. Floats are computed in float64, in a fixed order.
    """
    if frames.dtype.kind == "f":
        return np.dtype("f8")
    largest = max(int(frames.max()), -int(frames.min())) if frames.size else 0
    return np.dtype("u4" if largest * taps.bound < 1 << 31 else "u8")


class Workspace:
    """Memory for the correlations of a few frames at a time.

    Parameters
    ----------
    shape
        Pixels (ny, nx) of a frame.
    taps
        The template.
    lane
        As :func:`lane_for` says.
    most
        Largest number of frames that there will be.
    border
        Rows at the upper and the lower edge that are not asked for.
    """

    def __init__(self, shape: tuple[int, int], taps: Taps, lane: np.dtype[Any], most: int, border: int = 0) -> None:
        height, width = shape
        self._stride = width + 2 * taps.reach[1] + 1
        self._shape, self._reach = shape, taps.reach
        rows = height + 2 * taps.reach[0]
        #: Frames that are correlated at once: their tables stay in the second cache.
        self.frames = max(1, min(most, _TOGETHER // (rows * self._stride * lane.itemsize)))
        self._sums = np.zeros((self.frames, rows, self._stride), lane)
        self._total = np.zeros((self.frames, (height + taps.doubled) * self._stride), lane)
        self._doubled = taps.doubled
        self._offsets = taps.rows * self._stride + taps.columns
        self._weights = taps.weights.astype(lane)  # a negative weight modulo 2^32 or 2^64
        # row after row of the tables as if they were one line
        self._first, self._last = border * self._stride, (height - border - 1) * self._stride + width
        #: Type of the correlations.
        self.signed = lane if lane.kind == "f" else np.dtype(f"i{lane.itemsize}")

    def correlate(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Return the correlations of at most :attr:`frames` frames, overwritten by the next call.

        Returns
        -------
        array
            Shape (n, ny, more than nx): the first nx columns are the frame's, those beside and the border's rows have
            no meaning.
        """
        n = len(frames)
        sums, total = self._sums[:n], self._total[:n]
        _row_sums(frames, self._reach[0], self._reach[1], sums)
        further = self._stride + 1 if self._doubled else 0
        _correlate(sums.reshape(n, -1), self._offsets, self._weights, self._first, self._last + further, total)
        if self._doubled:
            _add_four(total, self._stride, self._first, self._last)
        return total.view(self.signed).reshape(n, -1, self._stride)[:, : self._shape[0]]


def correlate(frames: NDArray[Any], taps: Taps) -> NDArray[Any]:
    """Return the correlation of every frame with a template; beyond a frame's edge its nearest sample goes on.

    Parameters
    ----------
    frames
        Shape (n, ny, nx), n >= 1, C-contiguous.
    taps
        The template's changes.

    Returns
    -------
    array
        Shape (n, ny, nx): int32 or int64, or float64 where the frames are floats.
    """
    n, height, width = frames.shape
    work = Workspace((height, width), taps, lane_for(frames, taps), n)
    found = np.empty(frames.shape, work.signed)
    for start in range(0, n, work.frames):
        few = slice(start, start + work.frames)
        found[few] = work.correlate(frames[few])[..., :width]
    return found


@njit(nogil=True, cache=True)
def _row_sums(frames, reach_y, reach_x, sums):  # type: ignore[no-untyped-def]
    # the table reaches beyond the frame on all sides: there the sums go on with the sample at the edge
    lane = sums.dtype.type
    height, width = frames.shape[1], frames.shape[2]
    for frame in range(frames.shape[0]):
        for y in range(height):
            row = sums[frame, reach_y + y]
            first, last = lane(frames[frame, y, 0]), lane(frames[frame, y, width - 1])
            total = lane(0)
            row[reach_x] = total
            for x in range(width):
                total = lane(total + lane(frames[frame, y, x]))
                row[reach_x + x + 1] = total
            for x in range(reach_x):
                total = lane(total + last)
                row[reach_x + width + 1 + x] = total
            total = lane(0)
            for x in range(reach_x):
                total = lane(total - first)
                row[reach_x - 1 - x] = total
        for y in range(reach_y):
            sums[frame, y] = sums[frame, reach_y]
            sums[frame, reach_y + height + y] = sums[frame, reach_y + height - 1]


@njit(nogil=True, cache=True)
def _correlate(sums, offsets, weights, first, last, total):  # type: ignore[no-untyped-def]
    for frame in range(sums.shape[0]):
        line = sums[frame]
        for start in range(first, last, _STRETCH):
            stop = min(last, start + _STRETCH)
            part = total[frame, start:stop]
            part[:] = 0
            for tap in range(0, offsets.shape[0], _SIDE_BY_SIDE):
                s0 = line[start + offsets[tap] : stop + offsets[tap]]
                s1 = line[start + offsets[tap + 1] : stop + offsets[tap + 1]]
                s2 = line[start + offsets[tap + 2] : stop + offsets[tap + 2]]
                s3 = line[start + offsets[tap + 3] : stop + offsets[tap + 3]]
                s4 = line[start + offsets[tap + 4] : stop + offsets[tap + 4]]
                s5 = line[start + offsets[tap + 5] : stop + offsets[tap + 5]]
                s6 = line[start + offsets[tap + 6] : stop + offsets[tap + 6]]
                s7 = line[start + offsets[tap + 7] : stop + offsets[tap + 7]]
                w0, w1, w2, w3 = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
                w4, w5, w6, w7 = weights[tap + 4], weights[tap + 5], weights[tap + 6], weights[tap + 7]
                for x in range(stop - start):
                    half = w0 * s0[x] + w1 * s1[x] + w2 * s2[x] + w3 * s3[x]
                    part[x] += half + w4 * s4[x] + w5 * s5[x] + w6 * s6[x] + w7 * s7[x]


@njit(nogil=True, cache=True)
def _add_four(total, stride, first, last):  # type: ignore[no-untyped-def]
    # each sum takes the place of its first part: what it reads comes later and is not yet replaced
    for frame in range(total.shape[0]):
        for start in range(first, last, _STRETCH):
            stop = min(last, start + _STRETCH)
            here, right = total[frame, start:stop], total[frame, start + 1 : stop + 1]
            below = total[frame, start + stride : stop + stride]
            further = total[frame, start + stride + 1 : stop + stride + 1]
            for x in range(stop - start):
                here[x] = (here[x] + right[x]) + (below[x] + further[x])
