"""Power-law backgrounds of energy-loss spectra: A and r of each spectrum from the channels before an edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from emdvc.errors import StepError
from emdvc.kernels import power_law as kernels
from emdvc.kernels.exact_math import exps, logs
from emdvc.steps import contract
from emdvc.steps.contract import Input

Method = Literal["likelihood", "two_area", "log_fit"]

#: Spacing of the exponents that sums over channels are tabulated at: the interpolation between them errs below 1e-11.
_STEP = 1.0 / 64.0
#: Weights of the likelihood's sum: logarithms of energies as whole numbers up to this one.
_WEIGHT = 65535.0


class FitParameters(contract.Parameters):
    """How a power law is fitted."""

    method: Method = "likelihood"
    """How A and r are found: by maximum likelihood, from the sums over two halves, or by a line through logarithms."""
    r_min: float = Field(default=0.0, ge=-30.0, le=30.0)
    """Smallest exponent; a spectrum that asks for less gets it, with A fitted to its counts."""
    r_max: float = Field(default=12.0, ge=-30.0, le=30.0)
    """Largest exponent, likewise."""

    @model_validator(mode="after")
    def _ascending(self) -> FitParameters:
        if self.r_min >= self.r_max:
            raise ValueError(f"r_min must be below r_max: {self.r_min} and {self.r_max}")
        return self


@dataclass(frozen=True)
class Fitted:
    """Power laws of n spectra; where r is NaN there was nothing to fit, and A is 0."""

    r: NDArray[np.float64]
    log_a: NDArray[np.float64]

    @property
    def a(self) -> NDArray[np.float64]:
        """A in counts per channel at 1 eV."""
        return exps(self.log_a)


class PowerLaw:
    """The fit of a power law to a window of channels, made ready.

    Parameters
    ----------
    energies
        Of all channels, in eV.
    window
        Channels that are fitted.
    parameters
        The method and the range of exponents.

    Raises
    ------
    StepError
        An energy of the window is not positive.
    """

    def __init__(self, energies: NDArray[np.float64], window: slice, parameters: FitParameters) -> None:
        if energies[window.start] <= 0:
            raise StepError(
                "a power law holds for positive energies only",
                evidence=f"the window starts at {energies[window.start]:.6g} eV",
            )
        self.window, self.method = window, parameters.method
        self._x = logs(energies[window])
        span = (self._x - self._x[0]) / (self._x[-1] - self._x[0])
        self.weights = np.rint(span * _WEIGHT).astype(np.int64)
        self._range = (float(parameters.r_min), float(parameters.r_max))
        steps = int(np.ceil((self._range[1] - self._range[0]) / _STEP))
        width = (self._range[1] - self._range[0]) / steps
        self._exponents = self._range[0] + width * np.arange(steps + 1)
        self._sums = kernels.log_power_sums(self._x, self.weights.astype("f8"), self._exponents)
        self.half = window.start + (window.stop - window.start) // 2
        low, high = (self.sums_over(energies, part) for part in self.halves)
        if self.method == "likelihood":
            self._table, self._slopes = self._sums[:, 2].copy(), -self._sums[:, 3]
        else:
            self._table, self._slopes = high[:, 0] - low[:, 0], low[:, 1] - high[:, 1]

    @property
    def halves(self) -> tuple[slice, slice]:
        """The two halves of the window."""
        return slice(self.window.start, self.half), slice(self.half, self.window.stop)

    def sums_over(self, energies: NDArray[np.float64], window: slice) -> NDArray[np.float64]:
        """Return the table of ln sum E^-r over a window: see :func:`emdvc.kernels.power_law.log_power_sums`."""
        x = logs(energies[window])
        found: NDArray[np.float64] = kernels.log_power_sums(x, x, self._exponents)
        return found

    def from_halves(self, first: NDArray[Any], second: NDArray[Any]) -> Fitted:
        """Return the fits from the sums over the two halves of the window."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = second / first
        return self._fitted(logs(ratio), first + second)

    def from_frames(self, frames: NDArray[Any], total: NDArray[Any]) -> Fitted:
        """Return the fits of whole spectra, by the likelihood or by logarithms.

        Parameters
        ----------
        frames
            Shape (n, channels).
        total
            Shape (n,): their sums over the window.
        """
        if self.method == "log_fit":
            r, log_a = np.empty(frames.shape[0]), np.empty(frames.shape[0])
            kernels.log_fits(frames, self.window.start, self._x, *self._range, r, log_a)
            return Fitted(r, log_a)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = kernels.weighted_sums(frames, self.window.start, self.weights) / total
        return self._fitted(mean, total)

    def _fitted(self, statistic: NDArray[np.float64], total: NDArray[Any]) -> Fitted:
        r = np.empty(statistic.shape)
        # a sum of dark-subtracted counts may be negative: no power law is
        statistic = np.where(total > 0, statistic, np.nan)
        kernels.exponents_of(statistic, self._table, self._slopes, self._exponents, r)
        log_a = logs(np.where(total > 0, total, 0)) - self.log_sums(r, self._sums)
        return Fitted(r, np.where(np.isnan(r), -np.inf, log_a))

    def log_sums(self, r: NDArray[np.float64], table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ln sum E^-r over a table's window for each exponent."""
        found = np.empty(r.shape)
        kernels.log_sums_at(r, self._exponents, table, found)
        return found

    def extrapolated(self, fitted: Fitted, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the counts that each power law has in a table's window; 0 where none was fitted."""
        sums = fitted.log_a + np.where(np.isnan(fitted.r), 0.0, self.log_sums(fitted.r, table))
        return exps(sums)


def fit_window(source: Input, energies: NDArray[np.float64], start: Any, stop: Any, name: str) -> slice:
    """Return the channels of a fit's window: at least four."""
    from emdvc.steps import spectral

    return spectral.window(source, energies, start, stop, name, least=4)
