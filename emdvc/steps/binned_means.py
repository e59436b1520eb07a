"""Means of each frame over bins of its pixels: rings, or sectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis
from emdvc.steps.contract import Input, Output, Partial, Place
from emdvc.steps.label_plan import LabelPlan


class BinnedMeans(LabelPlan):
    """Mean over the pixels of each bin, per frame and over all frames.

    Parameters
    ----------
    source
        The input.
    labels
        Shape (pixels,): the bin of each pixel, negative for none.
    axis
        The bins.
    words
        What a reader calls the profile and the bins: ``("radial profile", "ring")``.
    scanned
        Whether there is more than one frame, so that a mean over them says something.
    """

    def __init__(
        self, source: Input, labels: NDArray[np.int32], axis: Axis, words: tuple[str, str], scanned: bool
    ) -> None:
        self.labels, self.count, self._scanned = labels, axis.size, scanned
        pixels = np.bincount(labels[labels >= 0], minlength=axis.size)
        self._counted = pixels.astype("i8")
        # a bin without a pixel has no mean: NaN
        self._pixels = np.where(pixels == 0, np.nan, pixels.astype("f8"))
        self.axes = {axis.dim: axis}
        unit = f"{source.unit}/px" if source.unit else ""
        profile, single_bin = words
        overall = Output("mean_profile", (axis.dim,), unit, per_probe=False, title=f"mean {profile}")
        single = Output("profile", (axis.dim,), unit, per_probe=True, title=profile)
        number = Output("pixels", (axis.dim,), "px", per_probe=False, title=f"pixels per {single_bin}")
        self.outputs = (overall, single, number) if scanned else (single, number)

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the means of each frame, and the sums over the block."""
        return Partial({"profile": sums / self._pixels}, (sums.sum(axis=0, dtype=sums.dtype),))

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return the sums of two blocks."""
        return (first[0] + second[0],)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Divide by the number of pixels and of frames."""
        found: dict[str, NDArray[Any]] = {"pixels": self._counted}
        if self._scanned and reduction is not None:
            found["mean_profile"] = reduction[0] / (self._pixels * frames)
        return found
