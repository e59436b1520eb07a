"""Angular correlations of diffraction patterns: the rotational symmetry of what the beam hits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from emdvc.kernels.correlation import angular_correlations, pairs_of
from emdvc.model.axis import Axis
from emdvc.steps import contract, fixed_point, rings
from emdvc.steps.contract import Input, Output, Partial, Place, Plan
from emdvc.steps.polar_grid import PolarGrid, azimuth_axis, polar_grid

Sums = tuple[NDArray[Any], ...]


class _Correlations(Plan):
    """The correlation of each frame, and the mean of all."""

    def __init__(self, grid: PolarGrid, axes: Mapping[str, Axis], single: bool) -> None:
        azimuths = grid.pixels.shape[0]
        # ring by ring
        self._pixels = np.ascontiguousarray(grid.pixels.transpose(1, 0, 2)).reshape(-1, 4)
        self._weights = np.ascontiguousarray(grid.weights.transpose(1, 0, 2)).reshape(-1, 4)
        self._pairs, self._single = pairs_of(self._weights, azimuths), single
        self.axes = axes
        dims = ("k", "delta_phi")
        overall = Output("mean_correlation", dims, per_probe=False, signed=True, title="mean angular correlation")
        each = Output("correlation", dims, per_probe=True, signed=True, title="angular correlation")
        number = Output("patterns", ("k",), per_probe=False, title="patterns with counts on the ring")
        self.outputs = (overall, *((each,) * single), number)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the correlation of each frame, and their sum."""
        flat = frames.reshape(frames.shape[0], -1)
        kept = np.empty((frames.shape[0], *self._pairs.shape), np.float32) if self._single else None
        total, counted = angular_correlations(flat, self._pixels, self._weights, self._pairs, kept)
        # split, so that the sum over any number of blocks fits 64 bits
        return Partial({} if kept is None else {"correlation": kept}, (fixed_point.split(total), counted))

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return the sums of two blocks."""
        return first[0] + second[0], first[1] + second[1]

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Divide by the number of frames that have counts on a ring."""
        assert reduction is not None
        total, counted = reduction
        number = np.where(counted[:, None] * self._pairs == 0, np.nan, counted[:, None].astype(np.float64))
        return {"mean_correlation": fixed_point.joined(total) / number, "patterns": counted}


class AngularCorrelation(rings.RingStep):
    """Correlation of each diffraction pattern with itself, turned: m-fold symmetry gives maxima every 360 / m degrees.

    ``C(k, delta) = (<I(k, phi) I(k, phi + delta)> - <I(k, phi)>^2) / <I(k, phi)>^2``, means over all azimuths phi of
    the pattern in polar coordinates (as ``polar_transform`` samples it), for turns delta from 0 to 180 degrees: C is
    symmetric about both ends. ``mean_correlation`` is the mean of the C of all patterns that have counts on the ring; a
    ring without counts has none (NaN). Where there is no sample, outside the detector or behind a `mask`, the means are
    over the samples and the pairs of samples that there are. Noise adds to C where the samples share pixels: at delta =
    0, and near it on small rings.

    Direct sums, no Fourier transform: they are exact while the squared counts on a ring add up to less than two
    million, beyond that rounded in the order of the azimuths; the mean is summed in parts of 2^-32. So the bits do not
    depend on the threads, the chunks or the machine.

    Source: Wochner et al., PNAS 106, 11511 (2009); Gibson et al., Physical Review Letters 105, 125504 (2010).
    """

    name = "angular_correlation"
    version = 1
    summary = "angular correlation of each diffraction pattern, ring by ring"
    core = ("ky", "kx")

    class Parameters(rings.RingParameters, contract.Parameters):
        """The rings and their samples."""

        azimuths: int = Field(default=180, ge=4, le=3600)
        """Samples on each ring; an even number."""
        per_probe: bool = False
        """Whether to keep the correlation of each probe position besides the mean."""

        @field_validator("azimuths")
        @classmethod
        def _even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("the number of azimuths must be even, so that there is a sample at 180 degrees")
            return value

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the samples for an input."""
        chosen = rings.rings(parameters, source)
        grid = polar_grid(source, chosen, parameters.azimuths)
        angles = azimuth_axis("delta_phi", parameters.azimuths // 2 + 1, parameters.azimuths)
        return _Correlations(grid, {"k": chosen.axis(), "delta_phi": angles}, parameters.per_probe)
