"""An axis: one named dimension of a dataset, with its calibration or the record's key that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from emdvc.model.quantity import Quantity


class Role(StrEnum):
    """What an axis runs over."""

    SCAN = "scan"
    DETECTOR = "detector"
    SPECTRUM = "spectrum"
    IMAGE = "image"
    STACK = "stack"


#: The record's key that calibrates a dimension of a given role. Such an axis holds no scale of its own: one truth.
CALIBRATED_BY = {
    (Role.SCAN, "y"): "scan.step",
    (Role.SCAN, "x"): "scan.step",
    (Role.DETECTOR, "ky"): "diffraction.pixel_size",
    (Role.DETECTOR, "kx"): "diffraction.pixel_size",
}

#: Stands in ``calibration`` of a result's axis that is the input's own: its scale is read from the input's sidecar.
INHERITED = "inherited"


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension: coordinate ``i`` lies at ``offset + i * scale``.

    Parameters
    ----------
    dim
        Name of the dimension (``y``, ``x``, ``ky``, ``kx``, ``energy``, ``k``, ``tilt``, ``time``, ``frame``).
    size
        Number of samples.
    role
        What the axis runs over.
    scale
        Step between samples; None when it is uncalibrated or when the record holds it.
    offset
        Coordinate of sample 0, in the unit of `scale`.
    values
        The coordinates themselves where they are not evenly spaced (tilt angles).
    calibration
        Where the scale is kept when not here: a key of the record (see :data:`CALIBRATED_BY`), or :data:`INHERITED`.
    """

    dim: str
    size: int
    role: Role
    scale: Quantity | None = None
    offset: Quantity | None = None
    values: Quantity | None = None
    calibration: str | None = None

    @property
    def unit(self) -> str:
        """The unit of the coordinates: ``px`` when the axis is uncalibrated."""
        if self.values is not None:
            return self.values.unit
        return self.scale.unit if self.scale is not None else "px"

    def coordinates(self) -> list[float]:
        """Return the coordinate of every sample, in :attr:`unit`."""
        if self.values is not None:
            return [float(v) for v in self.values.values]
        step = float(self.scale.values[0]) if self.scale is not None else 1.0
        start = float(self.offset.to(self.unit).values[0]) if self.offset is not None else 0.0
        return [start + index * step for index in range(self.size)]

    def extent(self) -> tuple[float, float]:
        """Return the coordinates of the first and the last sample."""
        if self.values is not None:
            numbers = self.values.values
            return float(numbers[0]), float(numbers[-1])
        step = float(self.scale.values[0]) if self.scale is not None else 1.0
        start = float(self.offset.to(self.unit).values[0]) if self.offset is not None else 0.0
        return start, start + (self.size - 1) * step

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that stands in a sidecar under ``axes:``."""
        mapping: dict[str, Any] = {"size": self.size, "role": str(self.role)}
        if self.calibration is not None:
            mapping["calibration"] = self.calibration
            return mapping
        for name in ("scale", "offset", "values"):
            quantity = getattr(self, name)
            if quantity is not None:
                mapping[name] = quantity.to_dict()
        return mapping

    @classmethod
    def from_dict(cls, dim: str, mapping: dict[str, Any]) -> Axis:
        """Return the axis that a sidecar's mapping holds (not yet resolved against the record)."""
        quantities = {
            name: Quantity.from_dict(mapping[name]) for name in ("scale", "offset", "values") if mapping.get(name)
        }
        return cls(
            dim, int(mapping["size"]), Role(mapping["role"]), calibration=mapping.get("calibration"), **quantities
        )
