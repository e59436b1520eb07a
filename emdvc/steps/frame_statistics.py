"""Mean, extremes and scatter of every detector pixel over the scan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from emdvc.errors import Code, StepError
from emdvc.kernels.spread import float_spread, joined_spread, whole_sums, whole_variance
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan

Sums = tuple[NDArray[Any], ...]


class SpreadOverFrames(Plan):
    """Mean, maximum, minimum, variance and standard deviation over all probe positions, of patterns or of spectra.

    Parameters
    ----------
    source, core
        The input, and the dimensions of one frame.
    ddof
        Subtracted from the number of frames in the divisor of the variance.
    what
        What one frame is called.

    Raises
    ------
    StepError
        There are too few frames for a variance.
    """

    def __init__(self, source: Input, core: tuple[str, ...], ddof: int, what: str) -> None:
        frames = math.prod(source.scan(core)[1])
        if frames <= ddof:
            raise StepError(
                f"the variance needs more than {ddof} frame{'s' if ddof != 1 else ''}",
                evidence=f"{source.name} has {frames}",
                hint="--set ddof=0",
            )
        self._shape = tuple(source.size(dim) for dim in core)
        self._ddof = ddof
        self._whole = source.dtype.kind != "f"
        square = f"{source.unit}^2" if source.unit else ""
        self.outputs = (
            Output("mean", core, source.unit, per_probe=False, title=f"mean {what}"),
            Output("max", core, source.unit, per_probe=False, title=f"maximum {what}"),
            Output("min", core, source.unit, per_probe=False, title=f"minimum {what}"),
            Output("variance", core, square, per_probe=False, title="variance"),
            Output("deviation", core, source.unit, per_probe=False, title="standard deviation"),
        )

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the sums of a block."""
        flat = frames.reshape(frames.shape[0], -1)
        if self._whole:
            return Partial(reduction=whole_sums(_at_most_32_bits(flat)))
        return Partial(reduction=(np.array([flat.shape[0]]), *float_spread(flat)))

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return the sums of two blocks."""
        if self._whole:
            added = tuple(a + b for a, b in zip(first[:3], second[:3], strict=True))
            return (*added, np.minimum(first[3], second[3]), np.maximum(first[4], second[4]))
        joined = joined_spread(first[1:], second[1:], int(first[0][0]), int(second[0][0]))
        return (first[0] + second[0], *joined)

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return the five arrays in the shape of a frame."""
        assert reduction is not None
        if self._whole:
            total, low, high, smallest, largest = reduction
            mean = total / np.float64(frames)
            variance = whole_variance(total, low, high, frames, self._ddof)
        else:
            _, mean, deviations, smallest, largest = reduction
            variance = deviations / np.float64(frames - self._ddof)
        found = {"mean": mean, "max": largest, "min": smallest, "variance": variance, "deviation": np.sqrt(variance)}
        return {name: values.reshape(self._shape) for name, values in found.items()}


def _at_most_32_bits(frames: NDArray[Any]) -> NDArray[Any]:
    if frames.dtype.itemsize <= 4:
        return frames
    narrow = np.dtype(f"{frames.dtype.kind}4")
    limits = np.iinfo(narrow)
    if frames.max() > limits.max or frames.min() < limits.min:
        raise StepError(
            "the squares of these counts do not fit 64 bits",
            code=Code.STEP_COUNTS,
            evidence=f"they reach {int(frames.max())}, the largest that can be squared exactly is {limits.max}",
            hint="is the input already a sum over a scan? give the scan itself",
        )
    return frames.astype(narrow)


class Parameters(contract.Parameters):
    """Which variance is meant."""

    ddof: NonNegativeInt = 0
    """The variance divides by the number of frames less this: 0 describes these frames, 1 estimates a population."""


class FrameStatistics(FrameStep):
    """Mean, maximum, minimum, variance and standard deviation of every detector pixel over all probe positions.

    ``variance = (n S2 - S1^2) / (n (n - ddof))`` with n the number of probe positions, S1 a pixel's sum and S2 its sum
    of squares. Of integers both sums are exact, in as many bits as they need, and the quotient is rounded once: mean,
    variance and deviation have the same bits on every machine. Of floats the deviations from the mean are summed in 64
    bits, block by block in the order of the scan (Chan, Golub and LeVeque, The American Statistician 37, 242 (1983)):
    the same bits for any number of threads.

    Counts that scatter by chance alone have a variance equal to their mean (Poisson); a larger one shows where the
    sample scatters differently from place to place, a smaller one a pixel that does not count.
    """

    name = "frame_statistics"
    version = 1
    summary = "mean, extremes, variance and standard deviation of every detector pixel over the scan"
    core = ("ky", "kx")

    Parameters = Parameters

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: counts are compared pixel by pixel."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input.

        Raises
        ------
        StepError
            There are too few frames for a variance.
        """
        return SpreadOverFrames(source, self.core, parameters.ddof, "pattern")
