"""What an axis covers."""

from __future__ import annotations

from typing import Any

from emdvc.compare.plain import finite, plain
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity


def field_of_view(axis: Axis | None) -> Quantity | None:
    """Return the length that an axis covers: samples times step; None where it has no even, known step."""
    if axis is None or axis.scale is None or axis.values is not None:
        return None
    return Quantity(abs(float(axis.scale.values[0])) * axis.size, axis.scale.unit, axis.scale.origin)


def described(axis: Axis | None) -> dict[str, Any] | None:
    """Return an axis as plain values, for ``--json``: what it covers, spelt out."""
    if axis is None:
        return None
    view = field_of_view(axis)
    first, last = axis.extent() if axis.size else (None, None)
    said: dict[str, Any] = plain(
        {
            "size": axis.size,
            "role": str(axis.role),
            "unit": axis.unit,
            "scale": axis.scale.to_dict() if axis.scale else None,
            "first": finite(first),
            "last": finite(last),
            "field_of_view": view.to_dict() if view else None,
            "calibration": axis.calibration,
        }
    )
    return said
