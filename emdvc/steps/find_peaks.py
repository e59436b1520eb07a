"""Peaks of each diffraction pattern without a template."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from emdvc.errors import StepError
from emdvc.kernels.peaks import Aperture
from emdvc.kernels.template_correlation import taps_of
from emdvc.steps import peak_plan
from emdvc.steps.contract import FrameStep, Input, Plan


class FindPeaks(FrameStep):
    """Place and intensity of every peak of each diffraction pattern, as a table; for spots smaller than disks.

    A pixel is a peak where the mean of a square around it, less the mean of the larger square's rest around that, is
    the largest of 3 x 3 pixels, high enough (`min_relative`) and significant. The peak's place is the centre of mass of
    the inner square after the rest's mean is taken off, ``y = sum y (f - b) / sum (f - b)``; its intensity
    ``sum (f - b)``. Nothing is assumed of the peak's shape but that it fits the inner square.

    The table is ragged: the rows of all probe positions follow each other in C order of the scan along `peak`, and
    `count` says how many each has. Places are in pixels, counted from the middle of pixel 0.

    The difference of the squares is exact where the data are whole numbers; all further operations have a fixed order:
    the table is the same bytes on every machine. Beyond the detector's edge its nearest pixel is taken for the
    difference, and none for places and intensities.

    Source: Kabsch, J. Appl. Cryst. 21, 916 (1988), on spots above a background that is taken from around them.
    """

    name = "find_peaks"
    version = 1
    summary = "place and intensity of the peaks of each pattern, without a template"
    core = ("ky", "kx")

    class Parameters(peak_plan.PeakParameters):
        """The squares, and which maxima are peaks."""

        size: PositiveInt = 2
        """Pixels from the middle of the inner square to its edge: it is 2 size + 1 wide."""
        background: PositiveInt = 5
        """Pixels from the middle of the outer square to its edge; larger than size."""

        @model_validator(mode="after")
        def _nested(self) -> FindPeaks.Parameters:
            if self.background <= self.size:
                raise ValueError(f"background must be larger than size: {self.background} and {self.size} px")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what distance and border need: nothing in px."""
        return peak_plan.metadata_of(parameters.min_distance, parameters.border)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the squares for an input.

        Raises
        ------
        StepError
            The squares do not fit the detector.
        """
        height, width = source.size("ky"), source.size("kx")
        if 2 * parameters.background + 1 > min(height, width):
            raise StepError(
                "the squares do not fit the detector",
                evidence=f"the outer one is {2 * parameters.background + 1} px wide, the detector {height} x {width}",
                hint="--set size=1 --set background=2",
            )
        weights, aperture = _squares(parameters.size, parameters.background)
        chosen = peak_plan.choice(
            parameters, source, parameters.size, window=parameters.size, ring=parameters.background
        )
        return peak_plan.PeakPlan(source, taps_of(weights), aperture, chosen, bragg_map=parameters.bragg_map)


def _squares(size: int, background: int) -> tuple[NDArray[np.int64], Aperture]:
    """Return the difference of the squares' means times both their numbers of pixels, and the two squares."""
    side = 2 * background + 1
    inside = np.zeros((side, side), np.int64)
    middle = slice(background - size, background + size + 1)
    inside[middle, middle] = 1
    around = 1 - inside
    return inside * int(around.sum()) - around * int(inside.sum()), Aperture(inside, around)
