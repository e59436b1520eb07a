"""Finding what is no count: a NaN, an infinity, a negative number."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

#: What :func:`first_invalid` found.
VALID, NEGATIVE, NOT_FINITE = 0, 1, 2


def first_invalid(frames: NDArray[Any], allow_negative: bool) -> tuple[int, int]:
    """Return what is wrong with the first sample that is no count, and its flat index.

    Parameters
    ----------
    frames
        Any shape, C-contiguous.
    allow_negative
        Whether negative numbers are data (a dark-subtracted camera) and only NaN and infinity are refused.

    Returns
    -------
    kind
        :data:`VALID`, :data:`NEGATIVE` or :data:`NOT_FINITE`.
    index
        Flat index of the sample; -1 when all are valid.
    """
    if frames.dtype.kind in "ub" or (frames.dtype.kind == "i" and allow_negative):
        return VALID, -1
    flat = frames.reshape(-1)
    index = _first_bad_float(flat, allow_negative) if frames.dtype.kind == "f" else _first_negative(flat)
    if index < 0:
        return VALID, -1
    return (NOT_FINITE if not np.isfinite(flat[index]) else NEGATIVE), int(index)


@njit(nogil=True, cache=True)
def _first_negative(flat):  # type: ignore[no-untyped-def]
    for index in range(flat.shape[0]):
        if flat[index] < 0:
            return index
    return -1


@njit(nogil=True, cache=True)
def _first_bad_float(flat, allow_negative):  # type: ignore[no-untyped-def]
    for index in range(flat.shape[0]):
        value = flat[index]
        if not np.isfinite(value) or (value < 0 and not allow_negative):
            return index
    return -1
