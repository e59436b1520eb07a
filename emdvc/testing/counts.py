"""Poisson counts that are the same bytes on every machine.

A library's Poisson sampler is free to change its stream with a release, and ``exp``, ``sin`` or ``hypot`` of an array
differ in the last bit between processors. So the phantoms are built from what cannot differ:

- rates from ``+ - * /`` and ``sqrt`` alone, which IEEE 754 rounds in one way only, one operation at a time;
- 256 levels of rates (spaced as squares, so that dim pixels are as well resolved as bright ones): a rate is replaced by
  the level's, and that is the truth then;
- per level, a table of the inverse Poisson distribution at 65 536 points, made in decimal arithmetic of 40 digits;
- 16-bit draws from the raw stream of PCG64, which NumPy promises not to change.

With 16-bit draws the tail beyond a probability of 1.5e-5 is cut; the mean of a level is off by less than 2e-4 counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

LEVELS = 256
_DRAWS = 1 << 16
_DECIMAL = Context(prec=40, rounding=ROUND_HALF_EVEN)


def exact_exp(exponents: Iterable[float]) -> NDArray[np.float64]:
    """Return e to the power of each number, correctly rounded: a processor's own ``exp`` may be one bit off."""
    with localcontext(_DECIMAL):
        return np.array([float(Decimal(x).exp()) for x in exponents], np.float64)


class CountTable:
    """Draws Poisson counts for rates from 0 to a highest one.

    Parameters
    ----------
    highest
        Highest rate, in counts per pixel; at most 180, so that a count fits a byte.
    """

    def __init__(self, highest: float) -> None:
        if not 0 < highest <= 180:
            raise ValueError(f"the highest rate must lie between 0 and 180 counts per pixel, not {highest}")
        self.highest = float(highest)
        #: Rate of each level, counts per pixel.
        self.rates: NDArray[np.float64] = np.array([highest * (i * i) / (LEVELS - 1) ** 2 for i in range(LEVELS)])
        self._inverse = _inverse_distributions(self.highest)

    def levels(self, rates: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the level nearest to each rate, on the scale of square roots; rates beyond the ends take the end's."""
        roots = np.sqrt(np.clip(rates, 0.0, self.highest) / self.highest)
        nearest: NDArray[np.uint8] = np.rint(roots * (LEVELS - 1)).astype(np.uint8)
        return nearest

    def draw(self, levels: NDArray[np.uint8], stream: np.random.PCG64) -> NDArray[np.uint16]:
        """Return one count for each pixel, in the order of the memory."""
        words = stream.random_raw(-(-levels.size // 4))
        draws = np.asarray(words, "<u8").view("<u2")[: levels.size].reshape(levels.shape)
        counts: NDArray[np.uint16] = self._inverse[levels, draws].astype(np.uint16)
        return counts


@lru_cache(maxsize=4)
def _inverse_distributions(highest: float) -> NDArray[np.uint8]:
    table = np.empty((LEVELS, _DRAWS), np.uint8)
    with localcontext(_DECIMAL):
        for level in range(LEVELS):
            table[level] = _inverse_distribution(Decimal(highest * (level * level) / (LEVELS - 1) ** 2))
    table.setflags(write=False)
    return table


def _inverse_distribution(rate: Decimal) -> NDArray[np.uint8]:
    # P(count <= k) in units of 1/65536; the draw u gives the smallest k whose value is above u
    probability = (-rate).exp()
    cumulative = probability
    thresholds = [_threshold(cumulative)]
    while thresholds[-1] < _DRAWS and len(thresholds) < LEVELS:
        probability = probability * rate / len(thresholds)
        cumulative += probability
        thresholds.append(_threshold(cumulative))
    return np.repeat(np.arange(len(thresholds), dtype=np.uint8), np.diff([0, *thresholds[:-1], _DRAWS]))


def _threshold(cumulative: Decimal) -> int:
    return min(int((cumulative * _DRAWS).to_integral_value()), _DRAWS)
