"""Hot and dead pixels of a detector, found from the whole scan."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from emdvc.kernels.defects import DEAD, HOT, Behaviour, find_defects
from emdvc.kernels.spread import whole_variance
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Plan
from emdvc.steps.frame_statistics import SpreadOverFrames, Sums


class _Defects(SpreadOverFrames):
    """What every pixel did over the scan, compared with its neighbours."""

    def __init__(self, source: Input, core: tuple[str, ...], parameters: Any) -> None:
        super().__init__(source, core, 0, "pattern")
        self._limits = (parameters.radius, parameters.sigma, parameters.tolerance)
        self.outputs = (
            Output("mask", core, "", per_probe=False, title="bad pixels: 1 hot, 2 dead"),
            Output("mean", core, source.unit, per_probe=False, title="mean pattern"),
            Output("hot", (), "px", per_probe=False, title="number of hot pixels"),
            Output("dead", (), "px", per_probe=False, title="number of dead pixels"),
        )

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return the mask, the mean pattern and the numbers of bad pixels."""
        assert reduction is not None
        mean, seen = (self._of_integers if self._whole else self._of_floats)(reduction, frames)
        mask = find_defects(seen, *self._limits)
        return {
            "mask": mask,
            "mean": mean.reshape(self._shape),
            "hot": np.asarray(np.count_nonzero(mask == HOT)),
            "dead": np.asarray(np.count_nonzero(mask == DEAD)),
        }

    def _of_integers(self, sums: Sums, frames: int) -> tuple[NDArray[np.float64], Behaviour]:
        total, low, high, smallest, largest = sums
        mean = total / np.float64(frames)
        constant = smallest == largest
        left = frames
        if frames > 1:  # without the largest sample of each pixel, exactly
            left = frames - 1
            top = largest.astype(total.dtype)
            magnitude = np.abs(largest.astype(np.int64)).astype(np.uint64)
            square = magnitude * magnitude
            # the low half may owe one to the high half
            low, high = low + np.uint64(2**32) - (square & np.uint64(2**32 - 1)), high - (square >> np.uint64(32))
            total, low, high = total - top, low & np.uint64(2**32 - 1), high - np.uint64(1) + (low >> np.uint64(32))
        variance = whole_variance(total, low, high, left, 0)
        return mean, self._behaviour(total / np.float64(left), variance, smallest, constant, left)

    def _of_floats(self, sums: Sums, frames: int) -> tuple[NDArray[np.float64], Behaviour]:
        _, mean, deviations, smallest, largest = sums
        if frames == 1:
            return mean, self._behaviour(mean, deviations, smallest, smallest == largest, 1)
        left = frames - 1
        over = largest - mean
        variance = np.maximum(deviations - over * over * (frames / left), 0.0) / left
        return mean, self._behaviour(mean - over / left, variance, smallest, smallest == largest, left)

    def _behaviour(
        self,
        mean: NDArray[Any],
        variance: NDArray[Any],
        smallest: NDArray[Any],
        constant: NDArray[np.bool_],
        frames: int,
    ) -> Behaviour:
        values = [array.reshape(self._shape) for array in (mean, variance, smallest.astype(np.float64))]
        return Behaviour(values[0], values[1], values[2], constant.reshape(self._shape), frames)


class BadPixels(FrameStep):
    """Hot and dead pixels of the detector, found from what every pixel counted over the whole scan.

    A pixel is compared with the good ones in the square around it (5 x 5). It is **hot** when its mean over the scan
    exceeds that of all but six of them, and **dead** when it falls below that of all but six, by

    - more than ``sigma`` standard deviations ``sqrt(max(v, m, 1/n) / n + s^2 + t^2)``, with n the number of frames, v
      the neighbours' median variance, m the neighbour's mean (Poisson: their variance cannot be smaller), s the scatter
      of the neighbours' means (1.4826 MAD) and t that of adjoining pixels on most of the detector (likewise); s is left
      out for a pixel that says less than a tenth of the lowest of them, and
    - more than ``tolerance`` relative to the neighbours: what deviates less is a pixel's own sensitivity, which a flat
      field corrects,

    and when it stands alone: of a spot of the beam, the pixels beside the brightest have at least a tenth of its
    height. A pixel that never changes is dead too, whatever it says, where its neighbours change. The largest sample of
    each pixel does not count: an X-ray that hits a pixel once does not make it hot. What is found is taken out of the
    neighbourhoods, and the search repeated until nothing more is found.

    So the edges of disks and rings are no defects, as more than six neighbours are as bright and as dark; lines of bad
    pixels, one pixel wide, and clusters of up to seven are found. Where nothing hits the detector no pixel can be seen
    to be dead. What cannot be told from a defect: a spot or a line of the beam that is sharper than the detector's
    pixels and stays at one place through the scan.

    Of integers all sums are exact and every further operation is correctly rounded, in a fixed order: the same bits on
    every machine. The step ``correct`` takes the mask.

    Source of the scatter: Hampel, Journal of the American Statistical Association 69, 383 (1974).
    """

    name = "bad_pixels"
    version = 1
    summary = "hot and dead pixels of the detector, as a mask"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """How far a bad pixel deviates."""

        sigma: PositiveFloat = 5.0
        """Least deviation from the neighbours, in standard deviations."""
        tolerance: float = Field(0.5, ge=0.0)
        """Least deviation from the neighbours, relative to them."""
        radius: int = Field(2, ge=1, le=8)
        """The neighbours are those in the square of this radius, in px: a larger one finds larger clusters."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: pixels are compared with their neighbours."""
        return ()

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input."""
        return _Defects(source, self.core, parameters)
