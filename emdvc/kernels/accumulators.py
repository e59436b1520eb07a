"""Number types that sums are made in: wide enough that no sum of counts overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Additions of 16-bit counts that surely fit 32 bits: 65536 * 65535 < 2**32.
NARROW_ADDITIONS = 65536


def total_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a sum over samples of a type: 64 bits of the same kind."""
    return np.dtype({"u": "u8", "b": "u8", "i": "i8", "f": "f8"}[dtype.kind])


def lane_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a sum over at most :data:`NARROW_ADDITIONS` samples of a type.

    Unsigned counts of up to 16 bits are summed in 32 bits, so that twice as many frames fit a SIMD register.
    """
    if dtype.kind == "u" and dtype.itemsize <= 2:
        return np.dtype("u4")
    return total_type(dtype)
