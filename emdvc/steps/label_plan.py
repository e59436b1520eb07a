"""Plans whose outputs are sums of each frame over sets of its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type
from emdvc.kernels.labels import label_sums
from emdvc.steps.contract import Input, Output, Partial, Plan


def joint_labels(masks: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return one label per pixel that tells which of several overlapping masks hold it.

    Parameters
    ----------
    masks
        Shape (masks, pixels).

    Returns
    -------
    labels
        Shape (pixels,); -1 where no mask holds the pixel.
    members
        Shape (labels, masks): 1 where the pixels of a label belong to a mask. The sums over masks are the sums over
        labels times this matrix, exactly.
    """
    combinations, inverse = np.unique(masks.T, axis=0, return_inverse=True)
    held = combinations.any(axis=1)
    numbers = np.where(held, np.cumsum(held) - 1, -1)
    return numbers[inverse.reshape(-1)].astype(np.int32), combinations[held].astype(np.int64)


class MaskSums(Plan):
    """Sum of each frame over each of several masks, which may overlap."""

    def __init__(self, source: Input, masks: dict[str, NDArray[np.bool_]], titles: dict[str, str]) -> None:
        stacked = np.stack([mask.reshape(-1) for mask in masks.values()])
        self._labels, members = joint_labels(stacked)
        self._members = members.astype(total_type(source.dtype))
        self._names = tuple(masks)
        self.outputs = tuple(
            Output(name, (), source.unit, per_probe=True, title=titles.get(name, name)) for name in self._names
        )

    def block(self, frames: NDArray[Any]) -> Partial:
        """Return the sums of a block's frames over each mask."""
        sums = label_sums(frames.reshape(frames.shape[0], -1), self._labels, self._members.shape[0])
        # an explicit sum over labels: a matrix product of floats would be ordered by the BLAS library in use
        maps = {}
        for index, name in enumerate(self._names):
            total = np.zeros(frames.shape[0], sums.dtype)
            for label in np.flatnonzero(self._members[:, index]):
                total += sums[:, label]
            maps[name] = total
        return Partial(maps)

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Any, frames: int) -> dict[str, NDArray[Any]]:
        """Return the sums as they are."""
        return maps
