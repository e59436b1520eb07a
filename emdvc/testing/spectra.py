"""Simulated spectrum images whose truth is known: EDX lines over a background, and an EELS edge over a power law."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.testing.counts import CountTable, exact_exp
from emdvc.testing.rows import DrawnByRows

#: X-ray lines (name, energy in eV, counts per unit of abundance), by element. Energies: NIST X-ray transition database.
LINES = {
    "O": (("O Ka", 524.9, 60.0),),
    "Si": (("Si Ka", 1740.0, 90.0),),
    "Cu": (("Cu La", 929.7, 30.0), ("Cu Ka", 8047.8, 70.0), ("Cu Kb", 8905.3, 10.0)),
}
_MN_KA = 5898.8
_FWHM_TO_SIGMA = 2.3548200450309493

Array = NDArray[np.float64]


def _disk(shape: tuple[int, int], at: tuple[float, float], radius: float) -> Array:
    """Return 1 inside a disk, 0 outside, with a soft edge; lengths in fractions of the scan."""
    y = (np.arange(shape[0], dtype=np.float64)[:, None] + 0.5) / shape[0] - at[0]
    x = (np.arange(shape[1], dtype=np.float64)[None, :] + 0.5) / shape[1] - at[1]
    return np.clip((radius - np.sqrt(y * y + x * x)) * 16.0 + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class SpectrumImage(DrawnByRows):
    """A spectrum image of shape ``(y, x, energy)``: each spectrum a sum of components times their abundances.

    Parameters
    ----------
    scan_shape
        Probe positions (y, x).
    seed
        Of the counts.
    """

    scan_shape: tuple[int, int] = (32, 32)
    seed: int = 1

    dims = ("y", "x", "energy")
    dtype = np.dtype("<u2")
    name = "counts"
    channels = 1024
    #: Energy of channel 0 and width of a channel, in eV.
    offset = 0.0
    dispersion = 10.0
    #: Highest rate that is drawn, in counts per channel.
    highest = 16.0
    title = "simulated spectrum image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples along ``(y, x, energy)``."""
        return (*self.scan_shape, self.channels)

    def energies(self) -> Array:
        """Return the energy of every channel, in eV."""
        return self.offset + np.arange(self.channels, dtype=np.float64) * self.dispersion

    def abundances(self) -> dict[str, Array]:
        """Return how much of each component there is at each probe position, shape (y, x), from 0 to 1."""
        raise NotImplementedError

    def components(self) -> dict[str, Array]:
        """Return the spectrum of each component at abundance 1, in counts per channel."""
        raise NotImplementedError

    def record(self) -> dict[str, Any]:
        """Return the acquisition record that an instrument would have written."""
        return {
            "title": self.title,
            "mode": "STEM",
            "beam": {"energy": Quantity(200.0, "keV", Origin.FILE).to_dict()},
            "instrument": {"model": "emdvc phantom"},
            "scan": {"shape": list(self.scan_shape), "step": Quantity((2.0, 2.0), "nm", Origin.FILE).to_dict()},
        }

    def axes(self) -> dict[str, Axis]:
        """Return the axes; the record calibrates those of the scan."""
        ny, nx = self.scan_shape
        return {
            "y": Axis("y", ny, Role.SCAN, calibration=CALIBRATED_BY[Role.SCAN, "y"]),
            "x": Axis("x", nx, Role.SCAN, calibration=CALIBRATED_BY[Role.SCAN, "x"]),
            "energy": Axis(
                "energy",
                self.channels,
                Role.SPECTRUM,
                scale=Quantity(self.dispersion, "eV"),
                offset=Quantity(self.offset, "eV"),
            ),
        }

    @cached_property
    def table(self) -> CountTable:
        """The table that turns rates into counts."""
        return CountTable(self.highest)

    @cached_property
    def _sources(self) -> tuple[tuple[Array, Array], ...]:
        abundances, components = self.abundances(), self.components()
        return tuple((abundances[name], components[name]) for name in components)

    def levels(self, y: int) -> NDArray[np.uint8]:
        """Return the level of the table for every count of one row of the scan."""
        # added one after the other: the order of a matrix product's sums is the library's own
        rates = np.zeros((self.scan_shape[1], self.channels))
        for abundance, spectrum in self._sources:
            rates += abundance[y][:, None] * spectrum[None, :]
        return self.table.levels(rates)


@dataclass(frozen=True)
class EdxPhantom(SpectrumImage):
    """Copper particles in silica: the lines of O, Si and Cu over bremsstrahlung.

    Lines are Gaussian, as wide as a silicon drift detector with 130 eV at Mn Ka makes them (Fiori and Newbury, 1978:
    FWHM^2 = FWHM_Mn^2 + 2.5 eV (E - E_Mn)). The background follows Kramers (1923), (E0 - E) / E, and is cut below
    200 eV.
    """

    title = "simulated EDX spectrum image"

    def abundances(self) -> dict[str, Array]:
        """Return how much of each component there is at each probe position, shape (y, x), from 0 to 1."""
        copper = np.maximum(_disk(self.scan_shape, (0.35, 0.3), 0.18), _disk(self.scan_shape, (0.65, 0.7), 0.24))
        silica = 1.0 - copper
        return {"background": 0.5 + 0.5 * copper, "O": silica, "Si": silica, "Cu": copper}

    def components(self) -> dict[str, Array]:
        """Return the spectrum of each component at abundance 1, in counts per channel."""
        energy = self.energies()
        kramers = np.where(energy < 200.0, 0.0, (200e3 - energy) / np.maximum(energy, 200.0) / 2000.0)
        parts = {"background": kramers}
        for element, lines in LINES.items():
            spectrum = np.zeros(self.channels)
            for _, line, counts in lines:
                sigma = float(np.sqrt(130.0 * 130.0 + 2.5 * (line - _MN_KA))) / _FWHM_TO_SIGMA
                off = (energy - line) / sigma
                peak = exact_exp((off * off * -0.5).tolist())
                spectrum += peak * (counts * self.dispersion / (sigma * 2.5066282746310002))
            parts[element] = spectrum
        return parts

    def record(self) -> dict[str, Any]:
        """Return the acquisition record that an instrument would have written."""
        resolution = {"eds": {"energy_resolution": Quantity(130.0, "eV", Origin.FILE).to_dict()}}
        sample = {"sample": {"description": "copper particles in silica", "elements": ["Cu", "O", "Si"]}}
        return {**super().record(), **sample, **resolution}


@dataclass(frozen=True)
class EelsPhantom(SpectrumImage):
    """A carbon K edge at 284 eV over a power law: A (E / 200 eV)^-3; the edge falls as (E / 284 eV)^-2."""

    channels = 512
    offset = 200.0
    dispersion = 0.5
    highest = 64.0
    title = "simulated EELS spectrum image"
    #: Counts per channel of the background at 200 eV, and of the edge at its onset.
    background_at_start = 40.0
    edge_at_onset = 12.0
    onset = 284.0

    def abundances(self) -> dict[str, Array]:
        """Return how much of each component there is at each probe position, shape (y, x), from 0 to 1."""
        return {"background": np.ones(self.scan_shape), "C": _disk(self.scan_shape, (0.5, 0.5), 0.3)}

    def components(self) -> dict[str, Array]:
        """Return the spectrum of each component at abundance 1, in counts per channel."""
        energy = self.energies()
        start, above = energy / self.offset, energy / self.onset
        edge = np.where(above < 1.0, 0.0, self.edge_at_onset / (above * above))
        return {"background": self.background_at_start / (start * start * start), "C": edge}
