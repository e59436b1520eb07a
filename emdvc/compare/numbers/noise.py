"""Whether counts differ as two exposures of the same thing do.

Of two Poisson draws a and b of the same unknown rate, given their sum n = a + b, a is binomial(n, 1/2) (the conditional
test of Przyborowski and Wilenski, Biometrika 31 (1940) 313): whatever the rate, (a - b)^2 / n has the mean 1 and the
variance 2 - 2/n. Summed over the pixels of a pattern that is nearly chi-squared. Noise is refused where the sum is too
large (something changed) and where it is too small (most counts are the very same: an edit, not a new exposure).

Four tests are combined (Bonferroni: the smallest p-value times their number): all pixels of all patterns together; the
most unlikely pattern; the total counts of each pattern; the most unlikely pixel over all patterns.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.compare.numbers.values import Noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Below this p-value noise does not explain a difference.
THRESHOLD = 1e-3
#: Pixels of a pattern of which sums over the patterns are kept.
_PIXELS = 1 << 22
#: At most this part of the pixels may be stuck and left out.
_STUCK = 0.02
#: A pixel with the same count in every pair is stuck where chance gives that less often.
_CHANCE = math.log(1e-6)


@dataclass
class NoiseTest:
    """Sums over the differing patterns, gathered block by block.

    Parameters
    ----------
    pixels
        Pixels of a pattern.
    """

    pixels: int
    _squares: list[NDArray[np.float64]] = field(default_factory=list)
    _negative: bool = False
    _partial: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        kept = self.pixels if self.pixels <= _PIXELS else 0
        #: For each pixel over all patterns: sum of a - b, sum of n, log of the chance that a = b every time, and
        #: whether a = b every time.
        self._delta, self._sum, self._chance = (np.zeros(kept) for _ in range(3))
        self._same = np.ones(kept, np.bool_)
        self._per_pixel: list[NDArray[np.float64]] = [np.zeros(kept), np.zeros(kept), np.zeros(kept)]

    def add(self, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Count differing patterns, each (patterns, pixels) of integers.

        Where only a part of a pattern is read (an image without probe positions that changed in some of its chunks)
        nothing is said about noise.
        """
        if not before.size:
            return
        if before.shape[1] != self.pixels:
            self._partial = True
            return
        if min(before.min(), after.min()) < 0:
            self._negative = True
            return
        a, b = before.astype(np.float64), after.astype(np.float64)
        total, delta = a + b, b - a
        hit = total > 0
        n = np.where(hit, total, 1.0)
        square = np.where(hit, delta * delta / n, 0.0)
        spread = np.where(hit, 2.0 - 2.0 / n, 0.0)
        rows = np.stack(
            [square.sum(axis=1), hit.sum(axis=1), spread.sum(axis=1), delta.sum(axis=1), total.sum(axis=1)], axis=1
        )
        with self._lock:
            self._squares.append(rows)
            if self._same.size:
                self._delta += delta.sum(axis=0)
                self._sum += total.sum(axis=0)
                self._same &= ~(delta != 0).any(axis=0)
                # of an even n, a = b has nearly the chance sqrt(2 / (pi n)) (Stirling)
                self._chance += np.where(hit, np.minimum(0.0, 0.5 * np.log(2.0 / (math.pi * n))), 0.0).sum(axis=0)
                for index, part in enumerate((square, hit, spread)):
                    self._per_pixel[index] += part.sum(axis=0)

    def result(self) -> Noise | None:
        """Return the combined test; None where there was nothing to test, or no counts."""
        if self._negative or self._partial or not self._squares:
            return None
        rows = np.concatenate(self._squares)
        square, hit, spread, delta, total = rows.T
        stuck = self._stuck()
        all_square, all_hit, all_spread = square.sum(), hit.sum(), spread.sum()
        if stuck.any():
            for_pixels = [kept[stuck].sum() for kept in self._per_pixel]
            all_square, all_hit, all_spread = (
                x - y for x, y in zip((all_square, all_hit, all_spread), for_pixels, strict=True)
            )
        if all_hit <= 0:
            return Noise(0.0, int(stuck.sum()))
        tests = [
            two_sided(chi_squared(all_square, all_hit, all_spread)),
            _most_unlikely([chi_squared(*row) for row in zip(square, hit, spread, strict=True)], both=not stuck.any()),
            two_sided(chi_squared(*_totals(delta, total))),
        ]
        if self._same.size and len(rows) > 1:
            seen = self._sum > 0
            deviations = np.abs(self._delta[seen]) / np.sqrt(self._sum[seen])
            tests.append(_most_unlikely([float(deviations.max(initial=0.0))], count=int(seen.sum())))
        return Noise(min(1.0, min(tests) * len(tests)), int(stuck.sum()) + self._dead(len(rows)))

    def _stuck(self) -> NDArray[np.bool_]:
        if not self._same.size:
            return np.zeros(0, np.bool_)
        stuck: NDArray[np.bool_] = self._same & (self._sum > 0) & (self._chance < _CHANCE)
        # many such pixels are no fault of a detector: most of the pattern was not touched
        return stuck if stuck.sum() <= _STUCK * stuck.size else np.zeros_like(stuck)

    def _dead(self, patterns: int) -> int:
        """Return the pixels without a count where the others have many: those never took part in the test."""
        if not self._same.size or self._sum.mean() < 20.0 or patterns < 1:
            return 0
        return int(np.count_nonzero(self._sum == 0))


def _totals(delta: NDArray[np.float64], total: NDArray[np.float64]) -> tuple[float, float, float]:
    hit = total > 0
    n = total[hit]
    return float((delta[hit] ** 2 / n).sum()), float(hit.sum()), float((2.0 - 2.0 / n).sum())


def chi_squared(value: float, mean: float, variance: float) -> float:
    """Return how far a sum of squares lies from its mean, as a standard normal deviate.

    The sum is taken as a multiple of a chi-squared variable with the same mean and variance, and that is made normal by
    its cube root (Wilson and Hilferty, PNAS 17 (1931) 684).
    """
    if mean <= 0 or variance <= 0:
        return 0.0 if value == mean else math.copysign(math.inf, value - mean)
    freedom = 2.0 * mean * mean / variance
    small = 2.0 / (9.0 * freedom)
    return float((math.cbrt(max(value, 0.0) / mean) - (1.0 - small)) / math.sqrt(small))


def two_sided(deviate: float) -> float:
    """Return the chance that a standard normal deviate lies as far from zero."""
    return math.erfc(abs(deviate) / math.sqrt(2.0))


def _most_unlikely(deviates: list[float], *, count: int | None = None, both: bool = True) -> float:
    """Return the p-value of the farthest of many deviates."""
    far = max((abs(d) if both else d for d in deviates), default=0.0)
    return min(1.0, two_sided(max(0.0, far)) * (count if count is not None else len(deviates)))
