"""What a user's own step may know of the data besides the numbers: centre, radii, energies, any declared metadata."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.model import units
from emdvc.model.quantity import Quantity
from emdvc.steps import geometry
from emdvc.steps.contract import Input


class Calibration:
    """The calibration of a step's input.

    A function gets it by an argument with this type: ``def halo(frame, calibration: emdvc.Calibration, ...)``. Only
    what the step declares can be read, so that no dependency is missed: a stage is rerun when that changes, and by
    nothing else. What the units of its ``emdvc.Radius`` and ``emdvc.Energy`` parameters need is declared
    without being asked for; all else is named in ``@emdvc.step(metadata=...)``.
    """

    def __init__(self, source: Input) -> None:
        self._source = source
        # computed at the first frame that asks, for all frames; two threads may both do it, with the same result
        self._radii: dict[tuple[str, Quantity | None], NDArray[np.float64]] = {}
        self._masks: dict[tuple[Quantity | None, ...], NDArray[np.bool_]] = {}

    @property
    def name(self) -> str:
        """Name of the dataset, for messages."""
        return self._source.name

    @property
    def unit(self) -> str:
        """Unit of the numbers: mostly ``counts``."""
        return self._source.unit

    @property
    def sizes(self) -> dict[str, int]:
        """Samples along each dimension of the data, by name."""
        return dict(zip(self._source.dims, self._source.shape, strict=True))

    @property
    def center(self) -> tuple[float, float]:
        """Undiffracted beam (y, x) in pixels: the recorded one, else the middle of the detector."""
        self._declared("diffraction.center")
        return geometry.center_of(self._source, None)

    def quantity(self, key: str) -> Quantity | None:
        """Return what the record holds at a key such as ``beam.energy``; None where it does not know it."""
        self._declared(key)
        return self._source.metadata.quantity(key)

    def coordinates(self, dim: str, unit: str | None = None) -> NDArray[np.float64]:
        """Return the coordinate of each sample along a dimension: ``coordinates("energy", "eV")``.

        Raises
        ------
        MetadataError
            The axis is not calibrated in such a unit.
        """
        self._declared(f"axes.{dim}")
        axis = self._source.metadata.axis(dim)
        values = np.asarray(axis.coordinates(), dtype="f8")
        return values if unit is None else values * units.factor(axis.unit, unit)

    def radii(self, unit: str = "px", center: Quantity | None = None) -> NDArray[np.float64]:
        """Return the distance of every detector pixel from the undiffracted beam, shape (ky, kx); read-only.

        Parameters
        ----------
        unit
            ``px``, ``1/angstrom`` or ``mrad``.
        center
            Another centre (y, x); default: the recorded one.

        Raises
        ------
        MetadataError
            The record lacks the calibration, or the beam energy.
        """
        if (unit, center) not in self._radii:
            found = np.sqrt(self._squared(geometry.radius_unit(Quantity(1.0, unit)), center))
            found.flags.writeable = False
            self._radii[unit, center] = found
        return self._radii[unit, center]

    def mask(
        self, inner: Quantity | None = None, outer: Quantity | None = None, center: Quantity | None = None
    ) -> NDArray[np.bool_]:
        """Return which detector pixels lie in ``inner <= r < outer``, shape (ky, kx); read-only.

        Parameters
        ----------
        inner, outer
            With their unit; one may be left out.
        center
            Another centre (y, x); default: the recorded one.

        Raises
        ------
        MetadataError
            The record lacks the calibration, or the beam energy.
        """
        asked = (inner, outer, center)
        if asked not in self._masks:
            unit = geometry.radius_unit(inner, outer)
            found = geometry.annulus(self._squared(unit, center), inner, outer, unit)
            found.flags.writeable = False
            self._masks[asked] = found
        return self._masks[asked]

    def _squared(self, unit: str, center: Quantity | None) -> NDArray[np.float64]:
        for key in geometry.metadata_for(unit, center):
            self._declared(key)
        if center is None:
            self._declared("diffraction.center")
        at = geometry.center_of(self._source, center)
        return geometry.squared_radii(self._source, at, geometry.scale_in(self._source, unit))

    def _declared(self, key: str) -> None:
        declared = self._source.metadata.declared
        if not any(key == name or key.startswith(f"{name}.") for name in declared):
            said = f"it declares {', '.join(declared)}" if declared else "it declares none"
            raise LookupError(f'{key} is metadata that the step does not declare ({said}): write metadata=("{key}",)')

    def __getstate__(self) -> dict[str, Any]:
        return {"_source": self._source, "_radii": {}, "_masks": {}}
