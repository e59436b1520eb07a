"""Directions of vectors, from operations that IEEE 754 rounds in one way only: an ``arctan2`` may differ in a bit."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DEGREES = 180.0 / math.pi


def directions(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle of each vector, from x towards y.

    Parameters
    ----------
    y, x
        Components, of one shape.

    Returns
    -------
    array
        Degrees, from -180 to 180; 0 for the zero vector, NaN where a component is. Within 5 units in the last place
        of the true angle, and the same bits on every machine.
    """
    found = np.empty(y.shape)
    _directions(np.ascontiguousarray(y).reshape(-1), np.ascontiguousarray(x).reshape(-1), _DEGREES, found.reshape(-1))
    return found


@njit(nogil=True, cache=True)
def _directions(y, x, degrees, found):  # type: ignore[no-untyped-def]
    for index in range(y.shape[0]):
        rise, run = abs(y[index]), abs(x[index])
        if rise == 0.0 and run == 0.0:
            found[index] = 0.0
            continue
        steep = rise > run
        slope = run / rise if steep else rise / run
        # atan t = 4 atan t/4': halving the angle twice leaves a slope below 0.2, where eleven terms are enough
        for _ in range(2):
            slope = slope / (1.0 + math.sqrt(1.0 + slope * slope))
        square = slope * slope
        series = 0.0
        for term in range(23, 0, -2):
            series = 1.0 / term - square * series
        angle = 4.0 * slope * series * degrees
        if steep:
            angle = 90.0 - angle
        if x[index] < 0.0:
            angle = 180.0 - angle
        found[index] = -angle if y[index] < 0.0 else angle
