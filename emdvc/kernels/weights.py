"""Weighted sums over labels: what virtual detectors with soft edges make of the sums over sets of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def weigh(sums: NDArray[Any], labels: NDArray[np.int64], weights: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of weight times label sum, for every frame.

    Parameters
    ----------
    sums
        Shape (n, count): of each frame over each label.
    labels
        Shape (m,): the labels that count.
    weights
        Shape (m,): their weights, in the number type of the result.

    Returns
    -------
    array
        Shape (n,), of the weights' type; added in the order of `labels`.
    """
    total = np.zeros(sums.shape[0], weights.dtype)
    _weigh(sums, labels, weights, total)
    return total


@njit(nogil=True, cache=True)
def _weigh(sums, labels, weights, total):  # type: ignore[no-untyped-def]
    number = weights.dtype.type
    for frame in range(sums.shape[0]):
        for index in range(labels.shape[0]):
            total[frame] += number(sums[frame, labels[index]]) * weights[index]
