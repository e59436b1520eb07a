"""Energy windows: the sum of each spectrum over ranges of energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from emdvc.errors import StepError
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Plan
from emdvc.steps.label_plan import MaskSums
from emdvc.steps.spectral import energy_axis
from emdvc.steps.values import Energy


class Window(BaseModel):
    """A range of energy."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    start: Energy
    """Lowest energy; a channel belongs to the window from it on."""
    stop: Energy
    """Highest energy; a channel belongs to the window below it."""

    @model_validator(mode="after")
    def _ascending(self) -> Window:
        if self.start.to("eV").values[0] >= self.stop.to("eV").values[0]:
            raise ValueError(f"the window is empty: it starts at {self.start} and stops at {self.stop}")
        return self


class EnergyMap(FrameStep):
    """Sum of each spectrum over windows of energy: one map per window, of an element's line or of an edge.

    A channel belongs to a window when its energy E is ``start <= E < stop``. The sums are exact (64-bit integers where
    the data are integers) and hold all counts of the window, background included. Windows may overlap.
    """

    name = "energy_map"
    version = 1
    summary = "sum of each spectrum over windows of energy"
    core = ("energy",)

    class Parameters(contract.Parameters):
        """The windows."""

        windows: dict[str, Window]
        """Windows by name, each with `start` and `stop`."""

        @model_validator(mode="after")
        def _at_least_one(self) -> EnergyMap.Parameters:
            if not self.windows:
                raise ValueError("give at least one window: windows.NAME.start and windows.NAME.stop")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis."""
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the channels of each window.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated.
        StepError
            A window holds no channel.
        """
        axis = energy_axis(source)
        energies = np.asarray(axis.coordinates())
        masks, titles = {}, {}
        for name, window in parameters.windows.items():
            start, stop = (float(edge.to(axis.unit).values[0]) for edge in (window.start, window.stop))
            mask = (energies >= start) & (energies < stop)
            if not mask.any():
                raise StepError(
                    f"the window '{name}' holds no channel",
                    evidence=f"{window.start} to {window.stop}; the axis runs from {energies[0]:.6g} to "
                    f"{energies[-1]:.6g} {axis.unit}",
                )
            masks[name] = mask
            titles[name] = f"{name}: {window.start} to {window.stop}"
        return MaskSums(source, masks, titles)
