"""Sines, cosines and angles that are the same bits on every machine.

A processor's own ``sin`` or ``atan2`` may be off in the last bit, and differently so on another. These are made in
decimal arithmetic of 50 digits and rounded once; a table of a few thousand takes some milliseconds.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

_DECIMAL = Context(prec=50, rounding=ROUND_HALF_EVEN)
_PI = Decimal("3.1415926535897932384626433832795028841971693993751058209749445923")


def of_degrees(degrees: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in degrees, correctly rounded: those of 90 degrees are 0 and 1."""
    turns = Fraction(degrees) / 360
    return _cosine(turns), _cosine(turns - Fraction(1, 4))


def cosine_table(n: int) -> NDArray[np.float64]:
    """Return ``cos(2 pi j / n)`` for j = 0 to n - 1, correctly rounded.

    The sine is the same table a quarter of a turn earlier: ``table[j - n / 4]`` where n is a multiple of 4.
    """
    return np.array([_cosine(Fraction(j, n)) for j in range(n)], np.float64)


def degrees_of(y: float, x: float) -> float:
    """Return the angle of the vector (y, x), from x towards y, in degrees from -180 to 180, correctly rounded."""
    near = math.atan2(y, x)
    if x == 0 and y == 0:
        return 0.0
    with localcontext(_DECIMAL):
        start = Decimal(near)
        cosine, sine = _series(start, odd=False), _series(start, odd=True)
        # what the library's value lacks is so small that two terms of the arc tangent's series hold 50 digits of it
        rest = (Decimal(y) * cosine - Decimal(x) * sine) / (Decimal(x) * cosine + Decimal(y) * sine)
        return float((start + rest - rest**3 / 3) * 180 / _PI)


def _cosine(turns: Fraction) -> float:
    # into the first eighth of a turn, where the same angle is always written in the same way
    turns %= 1
    if turns > Fraction(1, 2):
        turns = 1 - turns
    negative = turns > Fraction(1, 4)
    if negative:
        turns = Fraction(1, 2) - turns
    odd = turns > Fraction(1, 8)
    if odd:
        turns = Fraction(1, 4) - turns
    value = _octant(turns, odd)
    return -value if negative and value else value


@lru_cache(maxsize=1 << 14)
def _octant(turns: Fraction, odd: bool) -> float:
    with localcontext(_DECIMAL):
        return float(_series(2 * _PI * turns.numerator / turns.denominator, odd=odd))


def _series(angle: Decimal, *, odd: bool) -> Decimal:
    """Return the sine (odd) or the cosine by its power series."""
    term = angle if odd else Decimal(1)
    total, square = term, angle * angle
    for n in count(2 if odd else 1, 2):
        term = -term * square / (n * (n + 1))
        if total + term == total:
            return total
        total += term
    raise AssertionError  # pragma: no cover - the series converges
