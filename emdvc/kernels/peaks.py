"""Peaks of frames: the maxima of their correlation with a template, chosen, measured, and put into one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.template_correlation import Taps, Workspace, lane_for


@dataclass(frozen=True, slots=True)
class Choice:
    """Which maxima of a correlation are peaks, and how they are measured.

    Parameters
    ----------
    lowest
        Least intensity of a peak.
    relative
        Least correlation relative to the largest in the frame.
    significance
        Least intensity in units of its own Poisson noise.
    distance
        Of two peaks nearer than this (px) the weaker is left out.
    number
        Largest number of peaks in a frame, the strongest first.
    margin
        Pixels along the edges of the frame without peaks; at least 1.
    window, ring
        Half sides of two squares around a peak, px: its centre of mass is taken in the inner, its background between
        them. With 0 for the first the place is the vertex of a quadratic function through the correlation instead.
    """

    lowest: float = 0.0
    relative: float = 0.0
    significance: float = 0.0
    distance: float = 1.0
    number: int = 70
    margin: int = 1
    window: int = 0
    ring: int = 0


@dataclass(frozen=True, slots=True)
class Aperture:
    """Where the counts of a peak and those of its background are summed, around the pixel of its maximum.

    The intensity is S - B n / m, with S the sum over the n pixels of the peak and B that over the m pixels of the
    background; its Poisson variance is estimated as S + B (n / m)^2. Only pixels within the frame count.

    Parameters
    ----------
    peak, background
        Shape (2 ry + 1, 2 rx + 1), equal: 1 where a pixel belongs to it, else 0. Without a background B n / m is 0.
    """

    peak: NDArray[np.int64]
    background: NDArray[np.int64]


def peaks(
    frames: NDArray[Any], counts: NDArray[Any], taps: Taps, aperture: Aperture, choice: Choice
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the peaks of every frame.

    Parameters
    ----------
    frames
        Shape (n, ny, nx), C-contiguous: what is correlated.
    counts
        The same frames in counts, where the correlation is made of another function of them: intensities, noise and
        centres of mass are taken from these.
    taps
        The changes of the template along its rows.
    aperture
        Where intensities and backgrounds are taken.
    choice
        Which maxima are peaks.

    Returns
    -------
    number
        Shape (n,): peaks of each frame.
    table
        Shape (rows, 3), the frames' rows one after the other, the largest correlation of a frame first: place (y, x)
        in px, and intensity.

    Notes
    -----
    A peak is the largest correlation of its 3 x 3 pixels (of equal ones the first in C order). Its place is that of the
    vertex of the quadratic function fitted to the nine by least squares (Savitzky and Golay, Anal. Chem. 36, 1627
    (1964), in two dimensions). The order of all operations on floats is fixed.
    """
    n, height, width = frames.shape
    if n == 0 or height <= 2 * choice.margin or width <= 2 * choice.margin:
        return np.zeros(n, np.int64), np.zeros((0, 3))
    work = Workspace((height, width), taps, lane_for(frames, taps), n, border=choice.margin - 1)
    candidates = np.empty((height * width // 4 + 1, 2), np.int64)
    parts = []
    number = np.empty(n, np.int64)
    for start in range(0, n, work.frames):
        few = slice(start, min(n, start + work.frames))
        number[few], rows = _few_frames(work.correlate(frames[few]), counts[few], aperture, choice, candidates)
        parts.append(rows)
    return number, np.concatenate(parts)


def _few_frames(
    correlation: NDArray[Any],
    counts: NDArray[Any],
    aperture: Aperture,
    choice: Choice,
    candidates: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    n, most = len(counts), choice.number
    kept = np.zeros(n, np.int64)
    pixels = np.zeros((n, most, 2), np.int64)
    found = np.zeros((n, most, 4))
    sizes = (counts.shape[2], choice.margin, most)
    _choose(correlation, sizes, (choice.relative, choice.distance**2), candidates, kept, pixels, found)
    number = np.float64 if counts.dtype.kind == "f" else np.int64
    _measure(counts, aperture.peak.astype(number), aperture.background.astype(number), number(0), kept, pixels, found)
    strong = found[..., 2] * np.abs(found[..., 2]) >= choice.significance**2 * found[..., 3]
    chosen = (np.arange(most) < kept[:, None]) & strong & (found[..., 2] >= choice.lowest)
    if choice.window > 0:
        _centres(counts, choice.window, choice.ring, kept, pixels, found)
    return chosen.sum(axis=1), found[chosen, :3]


@njit(nogil=True, cache=True)
def _choose(correlation, sizes, limits, candidates, kept, pixels, found):  # type: ignore[no-untyped-def]
    width, margin, most = sizes
    relative, squared_distance = limits
    for frame in range(kept.shape[0]):
        c = correlation[frame]
        number = _maxima(c, width, margin, relative, candidates)
        kept[frame] = _strongest(c, candidates, number, squared_distance, most)
        for index in range(kept[frame]):
            y, x = candidates[index, 0], candidates[index, 1]
            pixels[frame, index, 0], pixels[frame, index, 1] = y, x
            found[frame, index, 0], found[frame, index, 1] = _vertex(c, y, x)


@njit(nogil=True, cache=True)
def _maxima(c, width, margin, relative, candidates):  # type: ignore[no-untyped-def]
    """Write the places of the local maxima above the threshold, in C order, and return their number."""
    top = c[margin, margin]
    for y in range(margin, c.shape[0] - margin):
        here = c[y, margin : width - margin]
        for x in range(here.shape[0]):
            top = max(top, here[x])
    found = 0
    if top <= 0:
        return found
    threshold = relative * top
    least = type(top)(threshold)  # of whole numbers rounded down: what is found is compared once more
    # rows shifted against each other, so that every index counts from 0; all comparisons of a row are made without a
    # branch, in SIMD, and only rows with a maximum are looked through
    before, behind = slice(margin - 1, width - margin - 1), slice(margin + 1, width - margin + 1)
    flags = np.empty(width - 2 * margin, np.uint8)
    for y in range(margin, c.shape[0] - margin):
        here = c[y, margin : width - margin]
        left, right = c[y, before], c[y, behind]
        above, above_left, above_right = c[y - 1, margin : width - margin], c[y - 1, before], c[y - 1, behind]
        below, below_left, below_right = c[y + 1, margin : width - margin], c[y + 1, before], c[y + 1, behind]
        some = np.uint8(0)
        for x in range(np.uint64(flags.shape[0])):
            value = here[x]
            enough = (value >= least) & (value > left[x]) & (value >= right[x])
            upper = (value > above[x]) & (value > above_left[x]) & (value > above_right[x])
            lower = (value >= below[x]) & (value >= below_left[x]) & (value >= below_right[x])
            flag = np.uint8(enough & upper & lower)
            flags[x] = flag
            some |= flag
        if some:
            for x in range(flags.shape[0]):
                if flags[x] and here[x] >= threshold and here[x] > 0:
                    candidates[found, 0], candidates[found, 1] = y, margin + x
                    found += 1
    return found


@njit(nogil=True, cache=True)
def _strongest(c, candidates, found, squared_distance, most):  # type: ignore[no-untyped-def]
    """Move the strongest candidates to the front, none nearer to a stronger one than allowed; return their number."""
    kept = 0
    left = found
    while kept < left and kept < most:
        best = kept
        for index in range(kept + 1, left):
            # of equal ones the first in C order, whatever was moved before
            y, x = candidates[index, 0], candidates[index, 1]
            by, bx = candidates[best, 0], candidates[best, 1]
            if c[y, x] > c[by, bx] or (c[y, x] == c[by, bx] and (y < by or (y == by and x < bx))):
                best = index
        y, x = candidates[best, 0], candidates[best, 1]
        candidates[best, 0], candidates[best, 1] = candidates[kept, 0], candidates[kept, 1]
        candidates[kept, 0], candidates[kept, 1] = y, x
        kept += 1
        place = kept
        for index in range(kept, left):
            dy, dx = candidates[index, 0] - y, candidates[index, 1] - x
            if dy * dy + dx * dx >= squared_distance:
                candidates[place, 0], candidates[place, 1] = candidates[index, 0], candidates[index, 1]
                place += 1
        left = place
    return kept


@njit(nogil=True, cache=True)
def _vertex(c, y, x):  # type: ignore[no-untyped-def]
    """Return the vertex of the quadratic function fitted to 3 x 3 correlations, at most a pixel away."""
    aa, ab, ac = np.float64(c[y - 1, x - 1]), np.float64(c[y - 1, x]), np.float64(c[y - 1, x + 1])
    ba, bb, bc = np.float64(c[y, x - 1]), np.float64(c[y, x]), np.float64(c[y, x + 1])
    ca, cb, cc = np.float64(c[y + 1, x - 1]), np.float64(c[y + 1, x]), np.float64(c[y + 1, x + 1])
    left, right, middle = aa + ba + ca, ac + bc + cc, ab + bb + cb
    upper, lower, centre = aa + ab + ac, ca + cb + cc, ba + bb + bc
    gx, gy = (right - left) / 6.0, (lower - upper) / 6.0
    hxx, hyy = (left + right - 2.0 * middle) / 3.0, (upper + lower - 2.0 * centre) / 3.0
    hxy = (aa + cc - ac - ca) / 4.0
    determinant = hxx * hyy - hxy * hxy
    if not (hxx < 0.0 and determinant > 0.0):
        return np.float64(y), np.float64(x)
    dy, dx = (hxy * gx - hxx * gy) / determinant, (hxy * gy - hyy * gx) / determinant
    return y + min(1.0, max(-1.0, dy)), x + min(1.0, max(-1.0, dx))


@njit(nogil=True, cache=True)
def _ratio(peak, background):  # type: ignore[no-untyped-def]
    """Return the number of a peak's pixels relative to its background's, 0 without a background."""
    n, m = 0.0, 0.0
    for y in range(peak.shape[0]):
        for x in range(peak.shape[1]):
            n += peak[y, x]
            m += background[y, x]
    return n / m if m > 0.0 else 0.0


@njit(nogil=True, cache=True)
def _measure(counts, peak, background, zero, kept, pixels, found):  # type: ignore[no-untyped-def]
    """Write intensity and variance of the peak at each pixel."""
    # `zero` carries the type of the sums; the compiler turns the inner loop into SIMD where they are integers
    number = type(zero)
    height, width = peak.shape
    ratio = _ratio(peak[0:height, 0:width], background[0:height, 0:width])
    for frame in range(kept.shape[0]):
        for index in range(kept[frame]):
            y, x = pixels[frame, index, 0] - height // 2, pixels[frame, index, 1] - width // 2
            first, last = max(0, -x), min(width, counts.shape[2] - x)
            top, bottom = max(0, -y), min(height, counts.shape[1] - y)
            total, around = zero, zero
            for v in range(top, bottom):
                row = counts[frame, y + v, x + first : x + last]
                inner, outer = peak[v, first:last], background[v, first:last]
                for u in range(last - first):
                    total += inner[u] * number(row[u])
                    around += outer[u] * number(row[u])
            part = ratio
            if bottom - top < height or last - first < width:
                part = _ratio(peak[top:bottom, first:last], background[top:bottom, first:last])
            found[frame, index, 2] = total - around * part
            found[frame, index, 3] = total + around * part * part


@njit(nogil=True, cache=True)
def _centres(counts, window, ring, kept, pixels, found):  # type: ignore[no-untyped-def]
    """Write the centre of mass of a square above the mean of the ring around it."""
    for frame in range(kept.shape[0]):
        for index in range(kept[frame]):
            y, x = pixels[frame, index, 0], pixels[frame, index, 1]
            total, my, mx, background = 0.0, 0.0, 0.0, 0.0
            inside, outside = 0, 0
            for v in range(max(-ring, -y), min(ring + 1, counts.shape[1] - y)):
                for u in range(max(-ring, -x), min(ring + 1, counts.shape[2] - x)):
                    value = np.float64(counts[frame, y + v, x + u])
                    if abs(v) <= window and abs(u) <= window:
                        total += value
                        my += v * value
                        mx += u * value
                        inside += 1
                    else:
                        background += value
                        outside += 1
            above = total - inside * (background / max(outside, 1))
            dy, dx = (my / above, mx / above) if above > 0.0 else (0.0, 0.0)
            found[frame, index, 0] = y + min(np.float64(window), max(-np.float64(window), dy))
            found[frame, index, 1] = x + min(np.float64(window), max(-np.float64(window), dx))
