"""Logarithm and exponential function whose bits are the same on every machine.

The ``log`` and ``exp`` of processors and libraries differ in the last bit. These are made of ``+ - * /`` and of moves
of bits alone, which IEEE 754 rounds in one way only, one operation at a time (numba joins no multiplication and
addition into one). Their results lie within 1 ulp of the true value: the tests hold them to that.

``log``: with x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and s = f / (2 + f), ln(1 + f) = 2 artanh(s)
= f - s (f - R), where R = 2 s^2 / 3 + 2 s^4 / 5 + ...; ``exp``: with x = k ln 2 + t, |t| <= ln(2) / 2, the series of
exp(t), times 2^k. Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 4.1.27 and 4.2.1. The series end
where the next term is below 1e-17 of the result.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# ln 2 in two parts: a multiple of the first by any exponent is exact
_LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_PER_LN2 = 1.4426950408889634
_SQRT2 = 1.4142135623730951
_SMALLEST = 2.2250738585072014e-308  # the smallest normal number
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
_ONE = np.int64(0x3FF0000000000000)
_TWO52 = 4503599627370496.0
_TWO52_BITS = np.int64(0x4330000000000000)
# arguments whose exponential is a normal number
_LOWEST, _HIGHEST = -708.0, 709.0


@njit(nogil=True, cache=True, error_model="numpy")
def log(x):  # type: ignore[no-untyped-def]
    """Return the natural logarithm of a float: -inf of zero, NaN of a negative number."""
    scaled = x * 18014398509481984.0 if x < _SMALLEST else x  # 2^54: subnormal numbers become normal
    bits = np.float64(scaled).view(np.int64)
    # the exponent's bits in the mantissa of 2^52: its conversion to a float, in a form that fits SIMD registers
    exponent = np.int64((bits >> 52) | _TWO52_BITS).view(np.float64) - (_TWO52 + 1023.0)
    exponent = exponent - (54.0 if x < _SMALLEST else 0.0)
    unit = np.int64((bits & _MANTISSA) | _ONE).view(np.float64)
    large = unit > _SQRT2
    mantissa = unit * 0.5 if large else unit
    exponent = exponent + 1.0 if large else exponent
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = 2.0 / 19.0 + z * (2.0 / 21.0)
    r = 2.0 / 15.0 + z * (2.0 / 17.0 + z * r)
    r = 2.0 / 11.0 + z * (2.0 / 13.0 + z * r)
    r = 2.0 / 7.0 + z * (2.0 / 9.0 + z * r)
    r = z * (2.0 / 3.0 + z * (2.0 / 5.0 + z * r))
    found = exponent * _LN2_HIGH + (f - (s * (f - r) - exponent * _LN2_LOW))
    high = x if x == math.inf else found
    low = -math.inf if x == 0.0 else high
    return low if x >= 0.0 else math.nan


@njit(nogil=True, cache=True, error_model="numpy")
def exp(x):  # type: ignore[no-untyped-def]
    """Return e to the power of a float: 0 below -708 (no subnormal numbers), infinity above 709."""
    inside = min(max(x, _LOWEST), _HIGHEST)
    k = math.floor(inside * _PER_LN2 + 0.5)
    t = (inside - k * _LN2_HIGH) - k * _LN2_LOW
    p = 1.0 / 479001600.0 + t * (1.0 / 6227020800.0)
    p = 1.0 / 3628800.0 + t * (1.0 / 39916800.0 + t * p)
    p = 1.0 / 40320.0 + t * (1.0 / 362880.0 + t * p)
    p = 1.0 / 720.0 + t * (1.0 / 5040.0 + t * p)
    p = 1.0 / 24.0 + t * (1.0 / 120.0 + t * p)
    p = 0.5 + t * (1.0 / 6.0 + t * p)
    power = np.int64((np.int64(k) + 1023) << 52).view(np.float64)
    found = (1.0 + (t + t * t * p)) * power
    high = math.inf if x > _HIGHEST else found
    low = 0.0 if x < _LOWEST else high
    return math.nan if math.isnan(x) else low


@njit(nogil=True, cache=True, error_model="numpy")
def _logs(values, found):  # type: ignore[no-untyped-def]
    for index in range(values.shape[0]):
        found[index] = log(values[index])


@njit(nogil=True, cache=True, error_model="numpy")
def _exps(values, found):  # type: ignore[no-untyped-def]
    for index in range(values.shape[0]):
        found[index] = exp(values[index])


def logs(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the natural logarithm of every number of an array of any shape."""
    flat = np.ascontiguousarray(values, np.float64).reshape(-1)
    found = np.empty_like(flat)
    _logs(flat, found)
    return found.reshape(values.shape)


def exps(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return e to the power of every number of an array of any shape."""
    flat = np.ascontiguousarray(values, np.float64).reshape(-1)
    found = np.empty_like(flat)
    _exps(flat, found)
    return found.reshape(values.shape)
