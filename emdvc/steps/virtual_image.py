"""The sum of each pattern over the whole detector."""

from __future__ import annotations

from typing import Any

import numpy as np

from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Plan
from emdvc.steps.label_plan import MaskSums


class VirtualImage(FrameStep):
    """Sum of each diffraction pattern over the whole detector, one value per probe position.

    Exact: 64-bit integers where the data are integers. Where all scattered electrons hit the detector it shows the beam
    current; its structure shows what the detector misses.
    """

    name = "virtual_image"
    version = 1
    summary = "sum of each diffraction pattern over the whole detector"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """The step has no parameters."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: every pixel counts."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input."""
        everything = np.ones((source.size("ky"), source.size("kx")), np.bool_)
        return MaskSums(source, {"image": everything}, {"image": "virtual image"})
