"""One histogram for several plans: each pixel gets a joint label, read once, and each plan its own sums of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.labels import label_sums, label_sums_and_squares, regroup
from emdvc.steps.contract import Partial, Place
from emdvc.steps.label_plan import LabelPlan


class JointLabels:
    """Several plans over labels as one.

    Only for integers: their sums do not depend on the order, those of floats would.

    Parameters
    ----------
    plans
        The plans, two or more.
    """

    def __init__(self, plans: Sequence[LabelPlan]) -> None:
        joint = np.zeros(plans[0].labels.shape, np.int64)
        for plan in plans:
            # one number for each combination so far, without gaps: it cannot overflow
            _, joint = np.unique(joint * (plan.count + 1) + plan.labels + 1, return_inverse=True)
        _, first, inverse = np.unique(joint, return_index=True, return_inverse=True)
        # the label that each plan gives to the pixels of a combination
        members = np.stack([plan.labels[first] for plan in plans])
        held = (members >= 0).any(axis=0)
        self._labels = np.where(held, np.cumsum(held) - 1, -1)[inverse].astype(np.int32)
        self._members = members[:, held].astype(np.int64)
        self._plans = tuple(plans)
        self._squares = any(plan.squares for plan in plans)

    def block(self, frames: NDArray[Any], place: Place) -> list[Partial]:
        """Return what a block gives for each plan."""
        flat = frames.reshape(frames.shape[0], -1)
        count = self._members.shape[1]
        if self._squares:
            sums, squares = label_sums_and_squares(flat, self._labels, count)
        else:
            sums, squares = label_sums(flat, self._labels, count), None
        found = []
        for plan, members in zip(self._plans, self._members, strict=True):
            own = regroup(sums, members, plan.count)
            powers = regroup(squares, members, plan.count) if plan.squares and squares is not None else None
            found.append(plan.from_sums(own, powers, place))
        return found
