"""Sums of floats over frames that do not depend on the order: made in whole parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Parts of 1 that a number is rounded to before it is added.
FIXED = 2.0**32
_LOW = np.int64(0xFFFFFFFF)


def in_parts(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers in whole parts of 2^-32; a number below 2^31 is wrong by at most half a part."""
    found: NDArray[np.int64] = np.rint(values * FIXED).astype(np.int64)
    return found


def split(parts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers of parts as whole numbers and the parts beyond, stacked: 2^31 of them may be added."""
    return np.stack([parts >> np.int64(32), parts & _LOW])


def joined(total: NDArray[Any]) -> NDArray[np.float64]:
    """Return sums of what :func:`split` gave as numbers."""
    found: NDArray[np.float64] = total[0].astype(np.float64) + total[1].astype(np.float64) / FIXED
    return found
