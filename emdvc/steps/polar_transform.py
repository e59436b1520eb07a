"""Diffraction patterns in polar coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from emdvc.kernels.frames import sum_and_max
from emdvc.kernels.polar import WHOLE, polar_samples
from emdvc.model.axis import Axis
from emdvc.steps import contract, rings
from emdvc.steps.contract import Input, Output, Partial, Place, Plan
from emdvc.steps.polar_grid import PolarGrid, azimuth_axis, polar_grid

Sums = tuple[NDArray[Any], ...]


class _Polar(Plan):
    """Every frame sampled, and the sum of all frames."""

    def __init__(self, source: Input, grid: PolarGrid, axes: Mapping[str, Axis], single: bool, mean: bool) -> None:
        self._grid, self._single, self._mean = grid, single, mean
        self.axes = axes
        unit = f"{source.unit}/px" if source.unit else ""
        each = Output("polar", ("phi", "k"), unit, per_probe=True, title="pattern in polar coordinates")
        overall = Output("mean_polar", ("phi", "k"), unit, per_probe=False, title="mean pattern in polar coordinates")
        self.outputs = (overall,) * mean + (each,) * single

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the samples of each frame, and the sum of the frames."""
        flat = frames.reshape(frames.shape[0], -1)
        partial = Partial(reduction=sum_and_max(flat)[:1] if self._mean else None)
        if self._single:
            samples = polar_samples(flat, self._grid.pixels.reshape(-1, 4), self._grid.weights.reshape(-1, 4))
            missing = self._grid.missing
            samples[:, missing.reshape(-1)] = np.nan
            partial.maps["polar"] = samples.reshape(-1, *missing.shape)
        return partial

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return the sum pattern of two blocks."""
        return (first[0] + second[0],)

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return the samples of the mean pattern: sampling is linear."""
        if reduction is None:
            return {}
        total = np.zeros(self._grid.pixels.shape[:2])
        for corner in range(4):
            values = reduction[0][self._grid.pixels[..., corner]]
            total += values.astype(np.float64) * self._grid.weights[..., corner]
        return {"mean_polar": np.where(self._grid.missing, np.nan, total / (float(WHOLE) * frames))}


class PolarTransform(rings.RingStep):
    """Each diffraction pattern in polar coordinates, and the mean of all.

    Sample (i, j) is the pattern at azimuth phi = 360 i / azimuths degrees, from +kx towards +ky, and at the radius k =
    (j + 1/2) w with w = outer / bins, by bilinear interpolation between the middles of four pixels; NaN outside the
    detector and where one of the pixels does not count. Positions are rounded to 1/256 px, so that the weights are
    whole numbers and the weighted sums exact integers where the data are integers; one rounding makes a 32-bit float of
    them (64 bits for the mean; where the data are floats, their sum over frames follows the blocks of the file). With
    an ellipse, phi and k are those of the undistorted pattern. Samples are counts per pixel; for sums of counts, which
    interpolation does not conserve, take ``radial_profile`` or ``azimuthal_profile``.

    Source of bilinear interpolation: Press et al., Numerical Recipes, 3rd ed., section 3.6.
    """

    name = "polar_transform"
    version = 1
    summary = "each diffraction pattern in polar coordinates"
    core = ("ky", "kx")

    class Parameters(rings.RingParameters, contract.Parameters):
        """The samples."""

        azimuths: int = Field(default=180, ge=1, le=3600)
        """Samples around the circle."""
        per_probe: bool = True
        """Whether to keep the pattern of each probe position, or the mean alone."""

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the samples for an input."""
        chosen = rings.rings(parameters, source)
        grid = polar_grid(source, chosen, parameters.azimuths)
        scanned = len(source.dims) > len(self.core)
        axes = {"phi": azimuth_axis("phi", parameters.azimuths, parameters.azimuths), "k": chosen.axis()}
        return _Polar(source, grid, axes, parameters.per_probe or not scanned, scanned)
