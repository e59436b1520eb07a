"""Plans whose outputs are sums of each frame over sets of its pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.accumulators import total_type
from emdvc.kernels.labels import label_sums, label_sums_and_squares
from emdvc.kernels.weights import weigh
from emdvc.steps.contract import Input, Output, Partial, Place, Plan


@dataclass(frozen=True, slots=True)
class Mask:
    """A set of pixels, or whole-number weights for them.

    Parameters
    ----------
    weights
        Shape of a frame: truth values, or integers.
    step
        What a weight of 1 stands for, a power of two: the sum is multiplied by it and becomes a float. None for sums
        that stay as they are.
    """

    weights: NDArray[Any]
    step: float | None = None


def joint_labels(masks: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return one label per pixel that tells which of several overlapping masks hold it, and with which weights.

    Parameters
    ----------
    masks
        Shape (masks, pixels): truth values, or integers.

    Returns
    -------
    labels
        Shape (pixels,); -1 where no mask holds the pixel.
    members
        Shape (labels, masks): the weight of the pixels of a label in a mask; 1 or 0 of truth values. The sums over
        masks are the sums over labels times this matrix, exactly.
    """
    combination = np.zeros(masks.shape[1], np.int64)
    for mask in masks:
        # pixels are numbered by the masks so far, then by this one's weight
        values, place = np.unique(mask, return_inverse=True)
        _, combination = np.unique(combination * values.size + place, return_inverse=True)
    _, first = np.unique(combination, return_index=True)
    members = masks[:, first].T.astype(np.int64)
    held = members.any(axis=1)
    numbers = np.where(held, np.cumsum(held) - 1, -1)
    return numbers[combination].astype(np.int32), members[held]


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
    """Sum of each frame over each of several masks, which may overlap and may weigh the pixels.

    Pixels that have the same weight in every mask share a label, so that soft edges cost no further pass.
    """

    def __init__(self, source: Input, masks: Mapping[str, NDArray[Any] | Mask], titles: Mapping[str, str]) -> None:
        chosen = {name: mask if isinstance(mask, Mask) else Mask(mask) for name, mask in masks.items()}
        self.labels, members = joint_labels(np.stack([mask.weights.reshape(-1) for mask in chosen.values()]))
        self.count = members.shape[0]
        pixels = np.bincount(self.labels[self.labels >= 0], minlength=self.count)
        self._sums = {}
        for (name, mask), weights in zip(chosen.items(), members.T, strict=True):
            labels = np.flatnonzero(weights)
            number = _number_type(source.dtype, weights, pixels)
            self._sums[name] = (labels, weights[labels].astype(number), mask.step)
        self.outputs = tuple(
            Output(name, (), source.unit, per_probe=True, title=titles.get(name, name)) for name in chosen
        )

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the sums of a block's frames over each mask."""
        # an explicit sum over labels: a matrix product of floats would be ordered by the BLAS library in use
        maps = {}
        for name, (labels, weights, step) in self._sums.items():
            total = weigh(sums, labels, weights)
            maps[name] = total if step is None else total.astype(np.float64) * step
        return Partial(maps)


def _number_type(dtype: np.dtype[Any], weights: NDArray[np.int64], pixels: NDArray[np.int64]) -> np.dtype[Any]:
    """Return the type in which a weighted sum is exact; where none has room for it, floats added label by label."""
    number = np.dtype("i8") if dtype.kind in "ub" and (weights < 0).any() else total_type(dtype)
    if number.kind == "f" or ((weights == 0) | (weights == 1)).all():
        return number
    highest = 1 if dtype.kind == "b" else max(abs(int(end)) for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    most = highest * sum(abs(w) * n for w, n in zip(weights.tolist(), pixels.tolist(), strict=True))
    return number if most <= np.iinfo(number).max else np.dtype("f8")
