"""A simulated 4D-STEM scan whose truth is known: vacuum, a film of gold nanocrystals, and three crystal grains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.testing.counts import CountTable
from emdvc.testing.rows import DrawnByRows

#: Lattice parameter of gold, in angstrom (JCPDS 04-0784).
GOLD = 4.0786
#: h^2 + k^2 + l^2 of gold's rings that fit the detector, with their brightness relative to the first.
RINGS = ((3, 1.0), (4, 0.5), (8, 0.4), (11, 0.45))
#: Rotations of the grains as (cosine, sine): Pythagorean, so that they are exact.
ROTATIONS = ((1.0, 0.0), (0.8, 0.6), (12 / 13, -5 / 13))
VACUUM, FILM = 0, 1

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DiffractionPhantom(DrawnByRows):
    """A scan of shape ``(y, x, ky, kx)``, counts, drawn row by row: the same bytes on every machine.

    A bright-field disk with a soft edge. In the film also the rings of gold over a halo; in a grain, Bragg disks on a
    square lattice. The whole pattern moves with the beam: linearly over the scan (descan), and by a step from the
    middle column on. All lengths on the detector scale with its smaller side.

    Parameters
    ----------
    scan_shape, detector_shape
        Probe positions (y, x) and pixels (ky, kx).
    seed
        Of the counts; the rates do not depend on it.
    brightness
        Counts per pixel in the bright-field disk in vacuum.
    descan
        How far the pattern moves per probe position, in px: ((ky per y, ky per x), (kx per y, kx per x)).
    step
        Additional shift (ky, kx) from the middle column on, in px.
    """

    scan_shape: tuple[int, int] = (32, 32)
    detector_shape: tuple[int, int] = (128, 128)
    seed: int = 1
    brightness: float = 8.0
    descan: tuple[tuple[float, float], tuple[float, float]] = ((0.03125, 0.0078125), (-0.015625, 0.046875))
    step: tuple[float, float] = (0.5, -0.75)

    dims = ("y", "x", "ky", "kx")
    dtype = np.dtype("<u2")
    name = "counts"

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples along ``(y, x, ky, kx)``."""
        return (*self.scan_shape, *self.detector_shape)

    @property
    def scale(self) -> float:
        """Lengths on the detector, relative to one of 128 pixels."""
        return min(self.detector_shape) / 128

    @property
    def center(self) -> tuple[float, float]:
        """The undiffracted beam (ky, kx) at probe position (0, 0), in px."""
        return self.detector_shape[0] / 2 - 0.75, self.detector_shape[1] / 2 + 0.25

    @property
    def disk_radius(self) -> float:
        """Radius of the bright-field disk and the Bragg disks, in px."""
        return 8 * self.scale

    @property
    def pixel_size(self) -> float:
        """True size of a detector pixel, in 1/angstrom: gold's first ring (111) lies at 22 px of 128."""
        return float(np.sqrt(3.0)) / GOLD / (22 * self.scale)

    def ring_radii(self) -> tuple[float, ...]:
        """Return the radii of gold's rings, in px."""
        return tuple(float(np.sqrt(float(n))) / GOLD / self.pixel_size for n, _ in RINGS)

    def shifts(self) -> Array:
        """Return how far the pattern is moved at each probe position, shape (y, x, 2) for (ky, kx), in px.

        Rounded to sixteenths of a pixel, which makes them exact and lets neighbours share a pattern.
        """
        y, x = (np.arange(n, dtype=np.float64) for n in self.scan_shape)
        moved = np.empty((*self.scan_shape, 2))
        for axis, (per_y, per_x) in enumerate(self.descan):
            moved[..., axis] = y[:, None] * per_y + x[None, :] * per_x
        moved[:, self.scan_shape[1] // 2 :] += np.array(self.step)
        return np.rint(moved * 16) / 16

    def regions(self) -> NDArray[np.uint8]:
        """Return what each probe position hits, shape (y, x): 0 vacuum, 1 film, 2 and on the grains."""
        ny, nx = self.scan_shape
        y = (np.arange(ny, dtype=np.float64)[:, None] + 0.5) / ny
        x = (np.arange(nx, dtype=np.float64)[None, :] + 0.5) / nx
        hit = np.where(x + 0.0 * y < 0.125, VACUUM, FILM).astype(np.uint8)
        for grain, (at_y, at_x, radius) in enumerate(((0.3, 0.42, 0.2), (0.68, 0.5, 0.22), (0.42, 0.8, 0.16))):
            hit[(y - at_y) * (y - at_y) + (x - at_x) * (x - at_x) < radius * radius] = FILM + 1 + grain
        return hit

    def rates(self, region: int, shift: tuple[float, float]) -> Array:
        """Return the expected counts of one pattern, shape (ky, kx), before they are rounded to levels.

        Parameters
        ----------
        region
            As :meth:`regions` gives it.
        shift
            Of the whole pattern (ky, kx), in px.
        """
        at = (self.center[0] + shift[0], self.center[1] + shift[1])
        pattern = self._disk(at) * (self.brightness * (1.0 if region == VACUUM else 0.75 if region == FILM else 0.625))
        if region == VACUUM:
            return pattern
        r = self._distance(at) / self.scale
        pattern += self.brightness * 0.015625 / (1.0 + r * r / 400.0)
        if region == FILM:
            for radius, (_, weight) in zip(self.ring_radii(), RINGS, strict=True):
                off = (r - radius / self.scale) / 1.5
                pattern += self.brightness * 0.09375 * weight * np.maximum(1.0 - off * off, 0.0)
            return pattern
        cosine, sine = ROTATIONS[region - FILM - 1]
        for h, k in ((h, k) for h in range(-2, 3) for k in range(-2, 3) if 0 < h * h + k * k <= 4):
            g = 24.0 * self.scale
            spot = (at[0] + g * (h * cosine - k * sine), at[1] + g * (h * sine + k * cosine))
            pattern += self._disk(spot) * (self.brightness * 0.1875 / (h * h + k * k))
        return pattern

    def record(self) -> dict[str, Any]:
        """Return the acquisition record that an instrument would have written.

        As in life, the pixel size is the nominal one of the camera length: 4 % too large. The true one is
        :attr:`pixel_size`.
        """

        def said(value: float | tuple[float, ...], unit: str) -> dict[str, Any]:
            return Quantity(value, unit, Origin.FILE).to_dict()

        return {
            "title": "simulated 4D-STEM scan",
            "mode": "STEM",
            "sample": {"description": "gold nanocrystals and three grains", "elements": ["Au"]},
            "instrument": {"model": "emdvc phantom"},
            "beam": {"energy": said(200.0, "keV")},
            "scan": {"shape": list(self.scan_shape), "step": said((1.5, 1.5), "nm"), "dwell": said(0.001, "s")},
            "detector": {"name": "simulated counting detector", "shape": list(self.detector_shape)},
            "diffraction": {
                "pixel_size": said(round(1.04 * self.pixel_size, 6), "1/angstrom"),
                "center": said(self.center, "px"),
            },
        }

    def axes(self) -> dict[str, Axis]:
        """Return the axes; the record calibrates them."""
        roles = (Role.SCAN, Role.SCAN, Role.DETECTOR, Role.DETECTOR)
        return {
            dim: Axis(dim, size, role, calibration=CALIBRATED_BY[role, dim])
            for dim, size, role in zip(self.dims, self.shape, roles, strict=True)
        }

    @cached_property
    def table(self) -> CountTable:
        """The table that turns rates into counts."""
        return CountTable(2 * self.brightness)

    def levels(self, y: int) -> NDArray[np.uint8]:
        """Return the level of the table for every count of one row of the scan."""
        # neighbours mostly share region and shift: each different pattern of a row is made once
        keys = [(int(r), float(a), float(b)) for r, (a, b) in zip(self.regions()[y], self.shifts()[y], strict=True)]
        patterns = {key: self.table.levels(self.rates(key[0], key[1:])) for key in dict.fromkeys(keys)}
        return np.stack([patterns[key] for key in keys])

    def _distance(self, at: tuple[float, float]) -> Array:
        y, x = (np.arange(n, dtype=np.float64) - c for n, c in zip(self.detector_shape, at, strict=True))
        squares = (y * y)[:, None] + (x * x)[None, :]
        return np.sqrt(squares)

    def _disk(self, at: tuple[float, float]) -> Array:
        # 1 inside, 0 outside, a linear ramp of one pixel at the edge
        return np.clip(self.disk_radius + 0.5 - self._distance(at), 0.0, 1.0)
