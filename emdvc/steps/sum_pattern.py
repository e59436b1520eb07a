"""Sum, mean and maximum of all diffraction patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.frames import sum_and_max
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan

Sums = tuple[NDArray[Any], ...]


class SumOverFrames(Plan):
    """Sum, mean and maximum over all probe positions, of patterns or of spectra."""

    def __init__(self, source: Input, core: tuple[str, ...], what: str) -> None:
        self._shape = tuple(source.size(dim) for dim in core)
        self.outputs = (
            Output("sum", core, source.unit, per_probe=False, title=f"sum {what}"),
            Output("mean", core, source.unit, per_probe=False, title=f"mean {what}"),
            Output("max", core, source.unit, per_probe=False, title=f"maximum {what}"),
        )

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the sum and the maximum of a block."""
        return Partial(reduction=sum_and_max(frames.reshape(frames.shape[0], -1)))

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return sum and maximum of two blocks."""
        return first[0] + second[0], np.maximum(first[1], second[1])

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return the three arrays in the shape of a frame."""
        assert reduction is not None
        total, largest = (array.reshape(self._shape) for array in reduction)
        return {"sum": total, "mean": total / np.float64(frames), "max": largest}


class SumPattern(FrameStep):
    """Sum, mean and maximum of all diffraction patterns of a scan, pixel by pixel.

    The sum is exact (64-bit integers where the data are integers); the mean is its quotient by the number of probe
    positions. The maximum shows every Bragg disk that appears anywhere in the scan.
    """

    name = "sum_pattern"
    version = 1
    summary = "sum, mean and maximum of all diffraction patterns"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """The step has no parameters."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: counts are summed pixel by pixel."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input."""
        return SumOverFrames(source, self.core, "pattern")
