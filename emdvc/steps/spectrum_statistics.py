"""Mean, extremes and scatter of every energy channel over the scan."""

from __future__ import annotations

from typing import Any

from emdvc.steps.contract import FrameStep, Input, Plan
from emdvc.steps.frame_statistics import Parameters, SpreadOverFrames


class SpectrumStatistics(FrameStep):
    """Mean, maximum, minimum, variance and standard deviation of every energy channel over all probe positions.

    ``variance = (n S2 - S1^2) / (n (n - ddof))`` with n the number of spectra, S1 a channel's sum and S2 its sum of
    squares; exact sums and one rounding where the data are integers, as ``frame_statistics`` does it for patterns.

    A line that is present everywhere has a variance near its mean (Poisson); that of an element which only some places
    hold is larger.
    """

    name = "spectrum_statistics"
    version = 1
    summary = "mean, extremes, variance and standard deviation of every energy channel over the scan"
    core = ("energy",)

    Parameters = Parameters

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: counts are compared channel by channel."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input.

        Raises
        ------
        StepError
            There are too few frames for a variance.
        """
        return SpreadOverFrames(source, self.core, parameters.ddof, "spectrum")
