"""Variance within each ring of each diffraction pattern."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import Axis
from emdvc.steps import contract, fixed_point, rings
from emdvc.steps.contract import Input, Output, Partial, Place, Plan
from emdvc.steps.label_plan import LabelPlan

Sums = tuple[NDArray[Any], ...]


class _RingVariance(LabelPlan):
    """Normalised variance over the pixels of each ring, per frame and its mean."""

    squares = True

    def __init__(self, labels: NDArray[np.int32], axis: Axis, subtract: bool) -> None:
        self.labels, self.count, self._subtract = labels, axis.size, subtract
        self._pixels = np.bincount(labels[labels >= 0], minlength=axis.size)
        self.axes = {"k": axis}
        title = "normalised variance within rings"
        self.outputs = (
            Output("mean_variance", ("k",), per_probe=False, signed=subtract, title=f"mean {title}"),
            Output("variance", ("k",), per_probe=True, signed=subtract, title=title),
            Output("pixels", ("k",), "px", per_probe=False, title="pixels per ring"),
            Output("patterns", ("k",), per_probe=False, title="patterns with counts on the ring"),
        )

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the variances of each frame, and their sums over the block."""
        assert squares is not None
        total = sums.astype(np.float64)
        seen = total != 0
        safe = np.where(seen, total, 1.0)
        variance = squares.astype(np.float64) * self._pixels / (safe * safe) - 1.0
        if self._subtract:
            variance -= self._pixels / safe
        variance = np.where(seen, variance, np.nan)
        parts = fixed_point.split(fixed_point.in_parts(np.where(seen, variance, 0.0)))
        return Partial({"variance": variance}, (parts.sum(axis=1), seen.sum(axis=0, dtype=np.int64)))

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return the sums of two blocks."""
        return first[0] + second[0], first[1] + second[1]

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Divide by the number of frames that have counts on a ring."""
        assert reduction is not None
        total, patterns = reduction
        number = np.where(patterns == 0, np.nan, patterns.astype(np.float64))
        return {
            "mean_variance": fixed_point.joined(total) / number,
            "pixels": self._pixels.astype(np.int64),
            "patterns": patterns,
        }


class RingVariance(rings.RingStep):
    """Normalised variance of the counts within each ring of each pattern: how speckled the ring is.

    ``V(k) = <I^2> / <I>^2 - 1``, means over the pixels of a ring; one profile per probe position and its mean over
    all that have counts on the ring (V_r of Daulton et al.). Rings are those of ``radial_profile``. Poisson noise of
    mean m alone gives 1 / m, which ``shot_noise=subtract`` takes off, with the mean of the ring itself. The sums of
    counts and of their squares are exact, V is wrong by less than 1e-15 of 1 + V, and the mean is summed in parts of
    2^-32: the bits do not depend on the threads, the chunks or the machine. A ring without counts has no variance
    (NaN).

    Source: Daulton, Bondi and Kelton, Ultramicroscopy 110, 1279 (2010).
    """

    name = "ring_variance"
    version = 1
    summary = "normalised variance within each ring of each pattern"
    core = ("ky", "kx")

    class Parameters(rings.RingParameters, contract.Parameters):
        """The rings."""

        shot_noise: Literal["keep", "subtract"] = "keep"
        """Whether to take off the variance that counting alone gives; the data must be electrons then."""

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the rings for an input."""
        chosen = rings.rings(parameters, source)
        return _RingVariance(chosen.labels(source), chosen.axis(), parameters.shot_noise == "subtract")
