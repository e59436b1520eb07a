"""Sum, mean and maximum of all spectra."""

from __future__ import annotations

from typing import Any

from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Plan
from emdvc.steps.sum_pattern import SumOverFrames


class SumSpectrum(FrameStep):
    """Sum, mean and maximum of all spectra of a spectrum image, channel by channel.

    The sum is exact (64-bit integers where the data are integers). The maximum shows lines of rare particles that the
    sum hides.
    """

    name = "sum_spectrum"
    version = 1
    summary = "sum, mean and maximum of all spectra"
    core = ("energy",)

    class Parameters(contract.Parameters):
        """The step has no parameters."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: counts are summed channel by channel."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input."""
        return SumOverFrames(source, self.core, "spectrum")
