"""Plans whose outputs are sums of each frame over sets of its pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type
from emdvc.kernels.labels import label_sums, label_sums_and_squares
from emdvc.steps.contract import Input, Output, Partial, Place, Plan


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


class LabelPlan(Plan):
    """A plan that needs of each frame only its sums over sets of pixels.

    Every pixel carries one label. The engine computes the sums of several such plans in one pass over a frame, whatever
    the number of their labels, and hands each its own.
    """

    #: Shape (pixels,): label of each pixel of a frame, in C order; negative where it belongs to none.
    labels: NDArray[np.int32]
    #: Number of labels.
    count: int
    #: Whether the sums of the squared values are needed too.
    squares: bool = False

    @abstractmethod
    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return what a block gives.

        Parameters
        ----------
        sums
            Shape (n, count): of each frame over each label; 64-bit integers where the data are integers.
        squares
            The same of the squared values; None unless :attr:`squares`.
        place
            Which probe positions these are.
        """

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return what a block gives, the sums made for this plan alone."""
        flat = frames.reshape(frames.shape[0], -1)
        if self.squares:
            return self.from_sums(*label_sums_and_squares(flat, self.labels, self.count), place)
        return self.from_sums(label_sums(flat, self.labels, self.count), None, place)


class MaskSums(LabelPlan):
    """Sum of each frame over each of several masks, which may overlap."""

    def __init__(self, source: Input, masks: dict[str, NDArray[np.bool_]], titles: dict[str, str]) -> None:
        stacked = np.stack([mask.reshape(-1) for mask in masks.values()])
        self.labels, members = joint_labels(stacked)
        self.count = members.shape[0]
        self._members = members.astype(total_type(source.dtype))
        self._names = tuple(masks)
        self.outputs = tuple(
            Output(name, (), source.unit, per_probe=True, title=titles.get(name, name)) for name in self._names
        )

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the sums of a block's frames over each mask."""
        # an explicit sum over labels: a matrix product of floats would be ordered by the BLAS library in use
        maps = {}
        for index, name in enumerate(self._names):
            total = np.zeros(sums.shape[0], sums.dtype)
            for label in np.flatnonzero(self._members[:, index]):
                total += sums[:, label]
            maps[name] = total
        return Partial(maps)
