"""Steps that give a list of peaks for each diffraction pattern: their common parameters and plan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveInt

from emdvc.kernels.peaks import Aperture, Choice, peaks
from emdvc.kernels.template_correlation import Taps
from emdvc.model.quantity import Quantity
from emdvc.steps import contract, geometry
from emdvc.steps.contract import Input, Output, Partial, Place, Plan
from emdvc.steps.values import Radius

#: Columns of a table of peaks: place (y, x) and intensity. ``ky`` alone would be the coordinate of the dimension.
TABLE = ("peak_ky", "peak_kx", "intensity")
#: Default of ``min_significance`` where the data are whole numbers.
SIGNIFICANT = 5.0


class PeakParameters(contract.Parameters):
    """Which maxima are peaks."""

    min_relative: float = Field(0.01, ge=0, le=1)
    """Least correlation of a peak, relative to the strongest of the same pattern."""
    min_intensity: NonNegativeFloat = 0.0
    """Least intensity of a peak, in the data's unit."""
    min_significance: NonNegativeFloat | None = None
    """Least intensity of a peak in units of its Poisson noise; default: 5 where the data are whole numbers, else 0."""
    min_distance: Radius | None = None
    """Of two peaks nearer than this the weaker is left out; default: the disk's radius (the size of a spot)."""
    max_peaks: PositiveInt = 70
    """Largest number of peaks of one pattern; the strongest are kept."""
    border: Radius | None = None
    """Width of the detector's edge where no peak is looked for; default: the disk's radius (the size of a spot)."""
    bragg_map: bool = False
    """Whether the Bragg vector map is made: the intensities of all peaks of the scan, added up at their places."""


def choice(parameters: Any, source: Input, size: float, window: int = 0, ring: int = 0) -> Choice:
    """Return which maxima are peaks.

    Parameters
    ----------
    parameters
        Of a step.
    source
        The input, for what is given in mrad or 1/angstrom.
    size
        What distance and border are by default, px.
    window, ring
        As in :class:`emdvc.kernels.peaks.Choice`.
    """
    significance = parameters.min_significance
    if significance is None:
        significance = 0.0 if source.dtype.kind == "f" else SIGNIFICANT
    distance = float(size) if parameters.min_distance is None else in_pixels(parameters.min_distance, source)
    border = size if parameters.border is None else in_pixels(parameters.border, source)
    return Choice(
        lowest=parameters.min_intensity,
        relative=parameters.min_relative,
        significance=significance,
        distance=distance,
        number=parameters.max_peaks,
        margin=max(1, math.ceil(border)),
        window=window,
        ring=ring,
    )


def in_pixels(radius: Quantity, source: Input) -> float:
    """Return a radius in px; of pixels that are no squares the geometric mean of their sides counts.

    Raises
    ------
    MetadataError
        The record lacks the calibration, or the beam energy.
    """
    scale = geometry.scale_in(source, geometry.radius_unit(radius))
    return float(radius.to(scale.unit).values[0]) / math.sqrt(scale.y * scale.x)


def metadata_of(*radii: Quantity | None) -> tuple[str, ...]:
    """Return the metadata keys that radii in their units depend on: none in px."""
    keys: set[str] = set()
    for radius in radii:
        unit = geometry.radius_unit(radius)
        keys |= set() if unit == "px" else {"diffraction.pixel_size"}
        keys |= {"beam.energy"} if unit == "mrad" else set()
    return tuple(sorted(keys))


class PeakPlan(Plan):
    """Peaks of each pattern by correlation with a template, and their histogram on the detector."""

    def __init__(
        self,
        source: Input,
        taps: Taps,
        aperture: Aperture,
        chosen: Choice,
        *,
        offset: tuple[float, float] = (0.0, 0.0),
        root: bool = False,
        bragg_map: bool = False,
    ) -> None:
        self._taps, self._aperture, self._choice = taps, aperture, chosen
        self._offset, self._root = offset, root
        self._shape = (source.size("ky"), source.size("kx"))
        self._mapped = bragg_map
        rows = (
            Output(TABLE[0], ("peak",), "px", per_probe=False, ragged=True, title="place of the peak, ky"),
            Output(TABLE[1], ("peak",), "px", per_probe=False, ragged=True, title="place of the peak, kx"),
            Output(TABLE[2], ("peak",), source.unit, per_probe=False, ragged=True, title="intensity of the peak"),
        )
        total = Output("bragg_map", ("ky", "kx"), source.unit, per_probe=False, title="Bragg vector map")
        self.outputs = (Output("count", (), "", title="number of peaks"), *rows, *((total,) if bragg_map else ()))

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the peaks of a block's frames; with the map, the sum of their intensities at each pixel."""
        searched = _sixteen_roots(frames) if self._root else frames
        number, table = peaks(searched, frames, self._taps, self._aperture, self._choice)
        y, x = table[:, 0] + self._offset[0], table[:, 1] + self._offset[1]
        intensity = table[:, 2]
        found = Partial({"count": number.astype(np.int32)})
        # seven digits: a hundred times finer than the noise of a peak, in half the space
        found.ragged = {name: a.astype(np.float32) for name, a in zip(TABLE, (y, x, intensity), strict=True)}
        if self._mapped:
            total = np.zeros(self._shape, np.int64)
            at = tuple(np.clip(np.rint(p), 0, n - 1).astype(np.int64) for p, n in zip((y, x), self._shape, strict=True))
            np.add.at(total, at, np.rint(intensity).astype(np.int64))
            found.reduction = (total,)
        return found

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return the map of two blocks."""
        return (first[0] + second[0],)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Return the map, where one is made: all else is final."""
        return {} if reduction is None else {"bragg_map": reduction[0]}


def _sixteen_roots(frames: NDArray[Any]) -> NDArray[Any]:
    """Return 16 sqrt(f), rounded down where f are whole numbers; a negative number keeps its sign."""
    if frames.dtype.kind == "f":
        roots: NDArray[Any] = np.copysign(np.sqrt(np.abs(frames.astype(np.float64))) * 16.0, frames)
        return roots
    low, high = int(frames.min()), int(frames.max())
    if low >= 0 and high < 1 << 16:  # counts are small: a table is faster
        table = _whole_roots(np.arange(high + 1))
        found: NDArray[np.int32] = table[frames]
        return found
    return _whole_roots(frames)


def _whole_roots(values: NDArray[Any]) -> NDArray[np.int32]:
    roots = np.floor(np.sqrt(np.abs(values.astype(np.float64))) * 16.0)
    found: NDArray[np.int32] = np.copysign(roots, values).astype(np.int32)
    return found
