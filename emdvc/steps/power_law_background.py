"""Spectra without their power-law background."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from emdvc.errors import StepError
from emdvc.kernels.exact_math import logs
from emdvc.kernels.labels import label_sums
from emdvc.kernels.power_law import subtract_power_laws
from emdvc.steps import spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.power_law import FitParameters, PowerLaw, fit_window
from emdvc.steps.values import Energy


class _Subtracted(Plan):
    """The power law of each spectrum, and the spectrum without it."""

    def __init__(self, source: Input, energies: NDArray[np.float64], law: PowerLaw, part: slice, spectra: bool) -> None:
        self._law, self._part, self._spectra = law, part, spectra
        self._x = logs(energies[part])
        self._labels = np.full(energies.size, -1, np.int32)
        for label, half in enumerate(law.halves):
            self._labels[half] = label
        maps = (
            Output("A", (), source.unit, title="background per channel at 1 eV, A"),
            Output("r", (), "", title="exponent of the background, r"),
        )
        subtracted = Output("spectra", ("energy",), source.unit, signed=True, title="background subtracted")
        self.outputs = (subtracted, *maps) if spectra else maps
        if spectra:
            self.axes = {"energy": spectral.part_axis(source, energies, part)}

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the fits of a block and the differences."""
        low, high = label_sums(frames, self._labels, 2).T
        if self._law.method == "two_area":
            fit = self._law.from_halves(low, high)
        else:
            fit = self._law.from_frames(frames, low + high)
        maps: dict[str, NDArray[Any]] = {"A": fit.a, "r": fit.r}
        if self._spectra:
            maps["spectra"] = np.empty((frames.shape[0], self._x.size), np.float32)
            subtract_power_laws(frames, self._part.start, self._x, fit.r, fit.log_a, maps["spectra"])
        return Partial(maps)


class PowerLawBackground(FrameStep):
    """Each energy-loss spectrum less the power law that is fitted before an edge, with the maps of A and r.

    N(E) = A E^-r counts per channel are fitted from `fit_start` to `fit_stop`, by one of the methods of
    ``elemental_map``, whose page says what each is worth; the law is subtracted from `start` on. The fits are computed
    in 64-bit floats, the differences are kept in 32 bits (a relative error of 6e-8). Logarithms and exponentials are
    emdvc's own: all outputs are the same bits on every machine. A spectrum without counts in the window has A = 0 and
    r = NaN, and nothing is subtracted.

    Source: Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011), section 4.4; Cash,
    Astrophysical Journal 228, 939 (1979) for the likelihood.
    """

    name = "power_law_background"
    version = 1
    summary = "energy-loss spectra less a power law fitted before an edge"
    core = ("energy",)

    class Parameters(FitParameters):
        """Where the law is fitted, and where it is subtracted."""

        fit_start: Energy
        """Lowest energy of the window where the power law is fitted."""
        fit_stop: Energy
        """Its highest energy: below the edge's onset."""
        start: Energy | None = None
        """Lowest energy that is kept; default: `fit_start`."""
        stop: Energy | None = None
        """Highest energy that is kept; default: the end of the axis."""
        spectra: bool = True
        """Whether the spectra are given, or the maps of A and r alone."""

        @model_validator(mode="after")
        def _windows(self) -> PowerLawBackground.Parameters:
            if spectral.ev(self.fit_start) >= spectral.ev(self.fit_stop):
                raise ValueError(f"the window is empty: it starts at {self.fit_start} and stops at {self.fit_stop}")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis."""
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the window and the tables of sums.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated.
        StepError
            A window holds too few channels, or energies that are not positive.
        """
        energies = spectral.energies(source)
        law = PowerLaw(
            energies, fit_window(source, energies, parameters.fit_start, parameters.fit_stop, "fit"), parameters
        )
        part = spectral.window(source, energies, parameters.start or parameters.fit_start, parameters.stop, "kept")
        if energies[part.start] <= 0:
            raise StepError(
                "a power law holds for positive energies only",
                evidence=f"it is to be subtracted from {energies[part.start]:.6g} eV on",
                hint="--set start=ENERGY",
            )
        return _Subtracted(source, energies, law, part, parameters.spectra)
