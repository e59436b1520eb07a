"""A simulated scan of a strained crystal: Bragg disks whose places follow a known strain at each probe position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.testing.counts import CountTable
from emdvc.testing.rows import DrawnByRows

Array = NDArray[np.float64]
#: Least distance of a disk's middle from the detector's edge, in radii.
_MARGIN = 1.75


@dataclass(frozen=True)
class Deformation:
    """How a region differs from the reference: stretch first, then rotation; all exact by + - * / and sqrt.

    Parameters
    ----------
    xx, yy, xy
        Components of the strain; x runs along kx, y along ky.
    half_tangent
        Tangent of half the angle of rotation, from x towards y; 0.5 degrees is 0.0043633508.
    """

    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0
    half_tangent: float = 0.0

    @property
    def degrees(self) -> float:
        """Angle of rotation."""
        return math.degrees(2.0 * math.atan(self.half_tangent))

    def gradient(self) -> Array:
        """Return the deformation gradient F = R (1 + e), which real-space vectors (x, y) are multiplied by."""
        t = self.half_tangent
        cosine, sine = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
        xx, xy, yy = 1.0 + self.xx, self.xy, 1.0 + self.yy
        return np.array(
            [
                [cosine * xx - sine * xy, cosine * xy - sine * yy],
                [sine * xx + cosine * xy, sine * xy + cosine * yy],
            ]
        )

    def of_reciprocal(self, vector: tuple[float, float]) -> tuple[float, float]:
        """Return a reciprocal vector (x, y) of the reference after the deformation: F to the power -T, times it."""
        (a, b), (c, d) = self.gradient().tolist()
        determinant = a * d - b * c
        x, y = vector
        return (d * x - c * y) / determinant, (a * y - b * x) / determinant


@dataclass(frozen=True)
class LatticePhantom(DrawnByRows):
    """A scan of shape ``(y, x, ky, kx)``, counts, drawn row by row: the same bytes on every machine.

    Equal vertical bands of the scan, one for each deformation, the leftmost first. At each probe position there are
    the Bragg disks of its band's lattice, all of the same number of counts, those that fit the detector; the
    undiffracted disk is brighter. The pattern moves linearly over the scan, so that the disks take all places between
    pixels.

    Parameters
    ----------
    scan_shape, detector_shape
        Probe positions (y, x) and pixels (ky, kx).
    deformations
        Of the bands.
    a, b
        Reciprocal vectors (x, y) of the reference, px.
    radius
        Of the disks, where they have fallen to one half, px; their edge is one pixel wide.
    counts
        Of one Bragg disk.
    direct
        Counts of the undiffracted disk, relative to those of a Bragg disk.
    background
        Counts per pixel everywhere.
    descan
        How far the pattern moves per probe position, px: ((ky per y, ky per x), (kx per y, kx per x)).
    seed
        Of the counts.
    """

    scan_shape: tuple[int, int] = (8, 16)
    detector_shape: tuple[int, int] = (128, 128)
    deformations: tuple[Deformation, ...] = (Deformation(), Deformation(xx=0.01))
    a: tuple[float, float] = (18.0, 0.0)
    b: tuple[float, float] = (0.0, 18.0)
    radius: float = 5.0
    counts: float = 1000.0
    direct: float = 2.0
    background: float = 0.05
    descan: tuple[tuple[float, float], tuple[float, float]] = ((0.05859375, -0.02734375), (0.03515625, 0.08203125))
    seed: int = 1

    dims = ("y", "x", "ky", "kx")
    dtype = np.dtype("<u2")
    name = "counts"

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples along ``(y, x, ky, kx)``."""
        return (*self.scan_shape, *self.detector_shape)

    def bands(self) -> NDArray[np.int64]:
        """Return the number of the deformation at each probe position, shape (y, x)."""
        ny, nx = self.scan_shape
        columns = np.arange(nx) * len(self.deformations) // nx
        return np.broadcast_to(columns, (ny, nx)).copy()

    def origins(self) -> Array:
        """Return the place (ky, kx) of the undiffracted disk at each probe position, shape (y, x, 2), px."""
        y, x = (np.arange(n, dtype=np.float64) - (n - 1) / 2 for n in self.scan_shape)
        found = np.empty((*self.scan_shape, 2))
        for axis, (per_y, per_x) in enumerate(self.descan):
            found[..., axis] = (self.detector_shape[axis] - 1) / 2 + (y[:, None] * per_y + x[None, :] * per_x)
        return found

    def disks(self, y: int, x: int) -> list[tuple[float, float, float]]:
        """Return place (ky, kx) in px and counts of every disk of a pattern, the undiffracted one first."""
        deformation = self.deformations[int(self.bands()[y, x])]
        (ax, ay), (bx, by) = deformation.of_reciprocal(self.a), deformation.of_reciprocal(self.b)
        origin_y, origin_x = (float(value) for value in self.origins()[y, x])
        reach = round(2 * max(self.detector_shape) / min(math.hypot(*self.a), math.hypot(*self.b)))
        found = [(origin_y, origin_x, self.counts * self.direct)]
        for h in range(-reach, reach + 1):
            for k in range(-reach, reach + 1):
                ky, kx = origin_y + (h * ay + k * by), origin_x + (h * ax + k * bx)
                inside = all(
                    _MARGIN * self.radius <= at <= n - 1 - _MARGIN * self.radius
                    for at, n in zip((ky, kx), self.detector_shape, strict=True)
                )
                if inside and (h, k) != (0, 0):
                    found.append((ky, kx, self.counts))
        return found

    def rates(self, y: int, x: int) -> Array:
        """Return the expected counts of one pattern, shape (ky, kx), before they are rounded to levels."""
        pattern = np.full(self.detector_shape, self.background)
        for ky, kx, counts in self.disks(y, x):
            rows, columns = (_around(at, self.radius, n) for at, n in zip((ky, kx), self.detector_shape, strict=True))
            dy, dx = (np.arange(part.start, part.stop) - at for part, at in zip((rows, columns), (ky, kx), strict=True))
            distance = np.sqrt((dy * dy)[:, None] + (dx * dx)[None, :])
            # 1 inside, 0 outside, a linear ramp of one pixel at the edge
            pattern[rows, columns] += np.clip(self.radius + 0.5 - distance, 0.0, 1.0) * (counts / self._area)
        return pattern

    def record(self) -> dict[str, Any]:
        """Return the acquisition record that an instrument would have written."""

        def said(value: float | tuple[float, ...], unit: str) -> dict[str, Any]:
            return Quantity(value, unit, Origin.FILE).to_dict()

        return {
            "title": "simulated scan of a strained crystal",
            "mode": "STEM",
            "beam": {"energy": said(200.0, "keV")},
            "scan": {"shape": list(self.scan_shape), "step": said((2.0, 2.0), "nm")},
            "diffraction": {"pixel_size": said(0.03, "1/angstrom")},
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
        return CountTable(1.01 * (self.counts * max(self.direct, 1.0) / self._area + self.background))

    def levels(self, y: int) -> NDArray[np.uint8]:
        """Return the level of the table for every count of one row of the scan."""
        return np.stack([self.table.levels(self.rates(y, x)) for x in range(self.scan_shape[1])])

    @property
    def _area(self) -> float:
        # of the disk with its ramp, in continuous coordinates: pi times the mean square of its edge's radii
        return math.pi * (self.radius * self.radius + 1.0 / 12.0)


def _around(at: float, radius: float, size: int) -> slice:
    return slice(max(0, math.floor(at - radius - 1)), min(size, math.ceil(at + radius + 1) + 1))
