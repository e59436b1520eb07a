"""Power laws A E^-r: their sums over channels for any exponent, and their fits to spectra.

Every sum over channels that a fit or an extrapolation needs is a smooth function of the exponent r alone. It is made
once, on evenly spaced exponents with its first derivative, and looked up by cubic Hermite interpolation, whose error
here is below 1e-12; no power is computed per spectrum and channel. Logarithms and exponentials are those of
:mod:`emdvc.kernels.exact_math`, sums are made channel by channel: the bits are the same on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type
from emdvc.kernels.exact_math import exp, log

# channels that share one exponential, and the largest exponent that the series beside it is used for
_NEAR, _SERIES = 16, 0.15


@njit(nogil=True, cache=True, error_model="numpy")
def log_power_sums(x, weights, exponents):  # type: ignore[no-untyped-def]
    """Return sums over channels of exp(-r x), as logarithms, and the moments of `weights` under them.

    Parameters
    ----------
    x
        Shape (n,): logarithms of energies.
    weights
        Shape (n,): any function w of the channel.
    exponents
        Shape (m,): exponents r.

    Returns
    -------
    array
        Shape (m, 4): ln S with S = sum exp(-r x); the mean of x, sum x exp(-r x) / S, which is -d ln S / dr; the mean
        of w; the covariance of w and x, which is -d mean(w) / dr.
    """
    found = np.empty((exponents.shape[0], 4))
    base = x[0]
    for j in range(exponents.shape[0]):
        r = exponents[j]
        total, mean, mean_w, product = 0.0, 0.0, 0.0, 0.0
        for i in range(x.shape[0]):
            away = x[i] - base
            p = exp(-r * away)
            total += p
            mean += p * away
            mean_w += p * weights[i]
            product += p * away * weights[i]
        mean /= total
        mean_w /= total
        found[j, 0] = log(total) - r * base
        found[j, 1] = base + mean
        found[j, 2] = mean_w
        found[j, 3] = product / total - mean * mean_w
    return found


@njit(nogil=True, cache=True, error_model="numpy")
def _hermite(t, width, first, slope, last, last_slope):  # type: ignore[no-untyped-def]
    # the cubic through two values with two derivatives; t runs from 0 to 1 over `width`
    change = last - first
    a = slope * width - change
    b = change - last_slope * width
    return first + t * (change + (1.0 - t) * (a * (1.0 - t) + b * t))


@njit(nogil=True, cache=True, error_model="numpy")
def exponents_of(statistic, table, slopes, exponents, found):  # type: ignore[no-untyped-def]
    """Find for each spectrum the exponent at which a statistic has its value.

    Parameters
    ----------
    statistic
        Shape (n,): value of each spectrum; NaN where there is none.
    table, slopes
        Shape (m,): the statistic's expectation at each exponent, which falls, and its derivative.
    exponents
        Shape (m,), ascending.
    found
        Shape (n,): receives the exponents, at most the last and at least the first; NaN where the statistic is NaN.
    """
    last = table.shape[0] - 1
    for index in range(statistic.shape[0]):
        q = statistic[index]
        if np.isnan(q):
            found[index] = np.nan
        elif q >= table[0]:
            found[index] = exponents[0]
        elif q <= table[last]:
            found[index] = exponents[last]
        else:
            low, high = 0, last
            while high - low > 1:
                middle = (low + high) // 2
                if table[middle] > q:
                    low = middle
                else:
                    high = middle
            width = table[high] - table[low]
            t = (q - table[low]) / width
            found[index] = _hermite(t, width, exponents[low], 1.0 / slopes[low], exponents[high], 1.0 / slopes[high])


@njit(nogil=True, cache=True, error_model="numpy")
def log_sums_at(r, exponents, sums, found):  # type: ignore[no-untyped-def]
    """Look up ln S for each exponent.

    Parameters
    ----------
    r
        Shape (n,): exponents within the table's.
    exponents, sums
        The table: evenly spaced exponents, and :func:`log_power_sums` of them.
    found
        Shape (n,): receives ln S; NaN where r is.
    """
    step = exponents[1] - exponents[0]
    last = exponents.shape[0] - 2
    for index in range(r.shape[0]):
        if np.isnan(r[index]):
            found[index] = np.nan
            continue
        place = (r[index] - exponents[0]) / step
        low = min(max(int(place), 0), last)
        found[index] = _hermite(place - low, step, sums[low, 0], -sums[low, 1], sums[low + 1, 0], -sums[low + 1, 1])


def weighted_sums(frames: NDArray[Any], first: int, weights: NDArray[np.int64]) -> NDArray[Any]:
    """Return sums of each frame's samples times whole-number weights.

    Parameters
    ----------
    frames
        Shape (n, channels), C-contiguous.
    first
        Channel that the first weight belongs to.
    weights
        Shape (w,).

    Returns
    -------
    array
        Shape (n,): 64-bit integers where the data are integers (exact while they fit), else floats.
    """
    kind = total_type(frames.dtype)
    sums = np.zeros(frames.shape[0], kind)
    _weighted_sums(frames, first, weights.astype(kind), sums)
    return sums


@njit(nogil=True, cache=True)
def _weighted_sums(frames, first, weights, sums):  # type: ignore[no-untyped-def]
    # four frames side by side: their sums do not wait for one another
    kind = sums.dtype.type
    count = weights.shape[0]
    final = frames.shape[0] - 1
    for start in range(0, frames.shape[0], 4):
        f0 = frames[start, first : first + count]
        f1 = frames[min(start + 1, final), first : first + count]
        f2 = frames[min(start + 2, final), first : first + count]
        f3 = frames[min(start + 3, final), first : first + count]
        s0, s1, s2, s3 = kind(0), kind(0), kind(0), kind(0)
        for i in range(count):
            w = weights[i]
            s0 += kind(f0[i]) * w
            s1 += kind(f1[i]) * w
            s2 += kind(f2[i]) * w
            s3 += kind(f3[i]) * w
        # past the last frame the sums are those of the last frame again
        sums[start] = s0
        sums[min(start + 1, final)] = s1
        sums[min(start + 2, final)] = s2
        sums[min(start + 3, final)] = s3


@njit(nogil=True, cache=True, error_model="numpy")
def log_fits(frames, first, x, lowest, highest, r, log_a):  # type: ignore[no-untyped-def]
    """Fit straight lines to the logarithms of spectra: ln N = ln A - r x, each channel with counts weighed alike.

    Parameters
    ----------
    frames
        Shape (n, channels).
    first
        Channel that the first of `x` belongs to.
    x
        Shape (w,): logarithms of energies.
    lowest, highest
        Smallest and largest exponent; beyond them it is held there and A alone is fitted.
    r, log_a
        Shape (n,): receive r and ln A; r is NaN and ln A -inf where fewer than two channels hold counts.
    """
    base = x[0]
    for frame in range(frames.shape[0]):
        n, sx, sy, sxx, sxy = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(x.shape[0]):
            value = float(frames[frame, first + i])
            if value > 0.0:
                away = x[i] - base
                y = log(value)
                n += 1.0
                sx += away
                sy += y
                sxx += away * away
                sxy += away * y
        if n < 2.0:
            r[frame] = np.nan
            log_a[frame] = -np.inf
            continue
        slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
        r[frame] = min(max(-slope, lowest), highest)
        log_a[frame] = (sy + r[frame] * sx) / n + r[frame] * base


def subtract_power_laws(
    frames: NDArray[Any],
    first: int,
    x: NDArray[np.float64],
    r: NDArray[np.float64],
    log_a: NDArray[np.float64],
    found: NDArray[np.float32],
) -> None:
    """Subtract from each spectrum its power law.

    One exponential is computed for sixteen channels; those beside it follow by the series of exp(-r d) to the sixth
    power, d the distance in ln E, whose relative error is below 1e-9 (and each has its own where r d is larger).

    Parameters
    ----------
    frames
        Shape (n, channels).
    first
        Channel that the first of `x` belongs to.
    x
        Shape (w,): logarithms of energies.
    r, log_a
        Shape (n,): exponents and logarithms of A; where r is NaN nothing is subtracted.
    found
        Shape (n, w): receives the differences.
    """
    middles = x[np.minimum(np.arange(0, x.size, _NEAR) + _NEAR // 2, x.size - 1)]
    away = np.zeros(middles.size * _NEAR)  # whole groups
    away[: x.size] = x - np.repeat(middles, _NEAR)[: x.size]
    reach = np.abs(away).reshape(-1, _NEAR).max(axis=1)
    _subtract_power_laws(frames, first, away, middles, reach, r, log_a, found)


@njit(nogil=True, cache=True, error_model="numpy")
def _subtract_power_laws(frames, first, away, middles, reach, r, log_a, found):  # type: ignore[no-untyped-def]
    heights = np.empty(middles.shape[0])
    background = np.empty(away.shape[0])
    for frame in range(frames.shape[0]):
        exponent, log_first = r[frame], log_a[frame]
        if np.isnan(exponent):
            exponent, log_first = 0.0, -np.inf
        for group in range(middles.shape[0]):
            heights[group] = exp(log_first - exponent * middles[group])
        for group in range(middles.shape[0]):
            start, height = group * _NEAR, heights[group]
            if abs(exponent) * reach[group] <= _SERIES:
                for i in range(_NEAR):
                    u = -exponent * away[start + i]
                    p = 1.0 / 24.0 + u * (1.0 / 120.0 + u * (1.0 / 720.0))
                    background[start + i] = height * (1.0 + u * (1.0 + u * (0.5 + u * (1.0 / 6.0 + u * p))))
            else:
                for i in range(_NEAR):
                    background[start + i] = height * exp(-exponent * away[start + i])
        for i in range(found.shape[1]):
            found[frame, i] = float(frames[frame, first + i]) - background[i]
