"""Energy-loss spectra aligned by their zero-loss peak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from emdvc.errors import StepError
from emdvc.kernels import zero_loss as kernels
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import contract, spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.values import Energy

_METHODS = {
    "maximum": kernels.MAXIMUM,
    "parabola": kernels.PARABOLA,
    "center_of_mass": kernels.CENTRE_OF_MASS,
}
#: Positions are summed as whole numbers of this part of a channel, so that their spread is exact.
_PARTS = 1024
#: Where the peak is looked for, in eV.
_EXPECTED, _SEARCH = 0.0, 5.0


@dataclass(frozen=True)
class _Window:
    """Where the peak may lie, and what every aligned spectrum has, in channels.

    Parameters
    ----------
    zero
        Channel where the peak is expected.
    first, last
        It is searched from `first` to `last` - 1.
    half
        How far a position may lie from the highest channel.
    start, size
        The aligned spectra's first channel counted from the peak, and how many they have.
    """

    zero: int
    first: int
    last: int
    half: int
    start: int
    size: int


class _Aligned(Plan):
    """The peak of each spectrum, and the spectrum moved by it."""

    def __init__(self, source: Input, window: _Window, method: str, interpolate: bool) -> None:
        self._window, self._method, self._interpolate = window, method, interpolate
        self._scale = spectral.dispersion(source)
        self._zero = float(spectral.energies(source)[window.zero])
        narrow = source.dtype.itemsize <= 2 or source.dtype == np.float32
        self._type = np.dtype(np.float32 if narrow else np.float64) if interpolate else source.dtype
        self.axes = {
            "energy": Axis(
                "energy",
                window.size,
                Role.SPECTRUM,
                scale=Quantity(self._scale, "eV", Origin.DERIVED),
                offset=Quantity(window.start * self._scale, "eV", Origin.DERIVED),
            )
        }
        self.outputs = (
            Output("spectra", ("energy",), source.unit, title="spectra, zero-loss peak at 0 eV"),
            Output("shift", (), "eV", signed=True, title="energy of the zero-loss peak before"),
            Output("mean_shift", (), "eV", per_probe=False, title="mean of the shift"),
            Output("spread", (), "eV", per_probe=False, title="standard deviation of the shift"),
        )

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Find and move; the sums of positions are those of whole numbers."""
        window = self._window
        positions = np.empty(frames.shape[0])
        method = _METHODS[self._method]
        kernels.peak_positions(frames, window.first, window.last, method, window.half, positions)
        away = positions - window.zero
        known = ~np.isnan(away)
        moves = np.where(known, away, 0.0)  # a spectrum without a peak stays where it is
        whole = np.floor(moves) if self._interpolate else np.rint(moves)
        starts = whole.astype(np.int64) + window.zero + window.start
        spectra = np.empty((frames.shape[0], window.size), self._type)
        if self._interpolate:
            kernels.moved_between_channels(frames, starts, moves - whole, spectra)
        else:
            kernels.moved_by_channels(frames, starts, spectra)
        parts = np.rint(away[known] * _PARTS).astype(np.int64)
        sums = np.array([parts.size, parts.sum(), (parts * parts).sum()], np.int64)
        return Partial({"spectra": spectra, "shift": away * self._scale + self._zero}, (sums,))

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return the sums of two blocks."""
        return (first[0] + second[0],)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Return mean and standard deviation of the shift; NaN where no spectrum has a peak."""
        count, total, squares = (0, 0, 0) if reduction is None else (int(number) for number in reduction[0])
        if count == 0:
            return {"mean_shift": np.array(np.nan), "spread": np.array(np.nan)}
        variance = (count * squares - total * total) / (count * count)  # of exact integers: never below zero
        return {
            "mean_shift": np.array(total / (count * _PARTS) * self._scale + self._zero),
            "spread": np.sqrt(np.array(variance)) / _PARTS * self._scale,
        }


class AlignZeroLoss(FrameStep):
    """Energy-loss spectra moved so that the zero-loss peak of each lies at 0 eV.

    The peak is the highest channel within `search` of the energy where it is expected; its position is refined by
    `method`: ``parabola`` through the highest channel and its neighbours (exact for a parabola; for a Gaussian peak
    whose sigma is 1.5 channels or more within 0.03 channels), ``center_of_mass`` over the channels within `half_width`
    of it (best for asymmetric or noisy peaks), or ``maximum``, the channel itself.

    By default a spectrum moves by the nearest whole number of channels: its counts and their Poisson statistics are
    kept, and its peak lies within half a channel of 0 eV. With `interpolate` it moves by the exact shift, by linear
    interpolation between channels, which lowers the variance of the noise by up to one half.

    The aligned spectra have those channels that every spectrum within the search has: the axis loses up to `search` at
    both ends and its offset is mended. ``shift`` is the energy that the peak had on the old axis, NaN for a spectrum
    without counts there, which stays unmoved. ``spread`` is the standard deviation of the shift, from exact sums of
    1/1024 channels. All outputs are the same bits on every machine.

    Source: Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011), section 2.6.
    """

    name = "align_zero_loss"
    version = 1
    summary = "energy-loss spectra with the zero-loss peak at 0 eV"
    core = ("energy",)
    example: ClassVar[Mapping[str, Any]] = {"expected": "20eV"}

    class Parameters(contract.Parameters):
        """Where the peak is searched, and how spectra are moved."""

        expected: Energy | None = None
        """Where the peak lies about, on the axis as recorded; default: 0 eV."""
        search: Energy | None = None
        """How far from there it may lie; default: 5 eV."""
        method: Literal["parabola", "center_of_mass", "maximum"] = "parabola"
        """How the position is refined below one channel."""
        half_width: Energy | None = None
        """Channels on either side that the centre of mass takes in; default: three channels."""
        interpolate: bool = False
        """Whether to move by parts of a channel too, by linear interpolation."""

        @model_validator(mode="after")
        def _positive(self) -> AlignZeroLoss.Parameters:
            for name, value in (("search", self.search), ("half_width", self.half_width)):
                if value is not None and spectral.ev(value) <= 0:
                    raise ValueError(f"{name} must be above 0, not {value}")
            if self.half_width is not None and self.method != "center_of_mass":
                raise ValueError("half_width is the centre of mass's: set method=center_of_mass")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis."""
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the window of the search and the channels that come out.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated.
        StepError
            The expected energy is not on the axis, or no channel is left.
        """
        return _Aligned(source, _window(parameters, source), parameters.method, parameters.interpolate)


def _window(parameters: Any, source: Input) -> _Window:
    energies = spectral.energies(source)
    scale = spectral.dispersion(source)
    size = energies.size
    expected = _EXPECTED if parameters.expected is None else spectral.ev(parameters.expected)
    search = _SEARCH if parameters.search is None else spectral.ev(parameters.search)
    zero = round((expected - float(energies[0])) / scale)
    if not 0 <= zero < size:
        raise StepError(
            f"the zero-loss peak is expected at {expected:g} eV, where {source.name} has no channel",
            evidence=f"its axis runs from {energies[0]:.6g} to {energies[-1]:.6g} eV",
            hint="--set expected=ENERGY says where the peak lies on this axis",
        )
    reach = max(1, round(search / scale))
    first, last = max(0, zero - reach), min(size, zero + reach + 1)
    half = {"maximum": 0, "parabola": 1}.get(parameters.method, 3)
    if parameters.half_width is not None:
        half = max(1, round(spectral.ev(parameters.half_width) / scale))
    # the farthest that a spectrum moves, and one channel more to interpolate with
    lowest, highest = first - half - zero, last - 1 + half - zero
    start = -zero - lowest
    stop = size - zero - highest - (1 if parameters.interpolate else 0)
    if not start <= 0 < stop:
        raise StepError(
            "too few channels on one side of the zero-loss peak to move the spectra by",
            evidence=f"channel {zero} of {size} is expected at 0 eV, and the peak is searched {reach} channels around",
            hint="--set search=ENERGY, smaller",
        )
    return _Window(zero, first, last, half, start, stop - start)
