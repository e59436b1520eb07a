"""The zero-loss peak of energy-loss spectra: where it lies, and spectra moved by it."""

from __future__ import annotations

import numpy as np
from numba import njit

#: How a position is found.
MAXIMUM, PARABOLA, CENTRE_OF_MASS = 0, 1, 2


@njit(nogil=True, cache=True, error_model="numpy")
def peak_positions(frames, first, last, method, half, found):  # type: ignore[no-untyped-def]
    """Find the position of the highest peak in a window of channels, the first of equal ones.

    Parameters
    ----------
    frames
        Shape (n, channels).
    first, last
        The window: channels from `first` to `last` - 1.
    method
        :data:`MAXIMUM`: the highest channel. :data:`PARABOLA`: the top of the parabola through it and its neighbours,
        p + (c - a) / (2 (2 b - a - c)) for counts a, b, c; :data:`CENTRE_OF_MASS`: sum(i N_i) / sum(N_i) over the
        channels within `half` of it.
    half
        Channels on either side of the highest for the centre of mass.
    found
        Shape (n,): receives positions in channels; NaN where the window holds no positive count.
    """
    size = frames.shape[1]
    for frame in range(frames.shape[0]):
        top = first
        for i in range(first + 1, last):
            if frames[frame, i] > frames[frame, top]:
                top = i
        if not frames[frame, top] > 0:
            found[frame] = np.nan
            continue
        position = float(top)
        if method == PARABOLA and 0 < top < size - 1:
            a, b, c = float(frames[frame, top - 1]), float(frames[frame, top]), float(frames[frame, top + 1])
            bend = 2.0 * b - a - c
            # at the window's edge a neighbour may be higher still: no top there
            if bend > 0.0 and abs(c - a) <= bend:
                position += (c - a) / (2.0 * bend)
        elif method == CENTRE_OF_MASS:
            total, moment = 0.0, 0.0
            for i in range(max(0, top - half), min(size, top + half + 1)):
                value = float(frames[frame, i])
                total += value
                moment += value * float(i - top)
            if total > 0.0:
                position += min(max(moment / total, -float(half)), float(half))
        found[frame] = position


@njit(nogil=True, cache=True)
def moved_by_channels(frames, starts, found):  # type: ignore[no-untyped-def]
    """Copy from each frame the channels from its start on: no count is changed.

    Parameters
    ----------
    frames
        Shape (n, channels).
    starts
        Shape (n,): channel that becomes the first; ``starts + found.shape[1] <= channels``.
    found
        Shape (n, size), of the frames' type.
    """
    for frame in range(frames.shape[0]):
        start = starts[frame]
        for i in range(found.shape[1]):
            found[frame, i] = frames[frame, start + i]


@njit(nogil=True, cache=True)
def moved_between_channels(frames, starts, parts, found):  # type: ignore[no-untyped-def]
    """Interpolate each frame linearly between its channels: (1 - f) N[start + i] + f N[start + i + 1].

    Parameters
    ----------
    frames
        Shape (n, channels).
    starts
        Shape (n,): channel that the first lies above; ``starts + found.shape[1] < channels``.
    parts
        Shape (n,): how far above, f from 0 to below 1.
    found
        Shape (n, size), floats.
    """
    for frame in range(frames.shape[0]):
        start = starts[frame]
        high = parts[frame]
        low = 1.0 - high
        for i in range(found.shape[1]):
            found[frame, i] = low * float(frames[frame, start + i]) + high * float(frames[frame, start + i + 1])
