"""Differences of axes: how many samples, how far apart, where they begin, in which unit, over what they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emdvc.compare.extent import described, field_of_view
from emdvc.compare.verdict import Verdict, strongest
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity

#: Aspects of an axis, and what a difference in each amounts to.
_VERDICTS = {
    "size": Verdict.STRUCTURE,
    "role": Verdict.STRUCTURE,
    "scale": Verdict.CALIBRATION,
    "offset": Verdict.CALIBRATION,
    "values": Verdict.CALIBRATION,
    "unit": Verdict.METADATA,
}
#: Keys of the record that place the samples of an axis which they calibrate.
_PLACED_BY = {
    "scan.step": ("scan.step",),
    "diffraction.pixel_size": ("diffraction.pixel_size", "diffraction.center"),
}


@dataclass(frozen=True, slots=True)
class AxisChange:
    """One axis that differs.

    Parameters
    ----------
    dim
        Name of the dimension.
    before, after
        The axis, calibrated; None where there is none.
    aspects
        What differs: ``size``, ``role``, ``scale``, ``offset``, ``values``, ``unit``; empty when it came or went.
    because
        Keys of the record whose change is the only cause; empty when the axis itself was changed.
    """

    dim: str
    before: Axis | None
    after: Axis | None
    aspects: tuple[str, ...] = ()
    because: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How much it matters."""
        if self.before is None or self.after is None:
            return Verdict.STRUCTURE
        return strongest(_VERDICTS[aspect] for aspect in self.aspects)

    @property
    def fields_of_view(self) -> tuple[Quantity | None, Quantity | None]:
        """Length that the axis covers, samples times step, before and after; None where it is uncalibrated."""
        return field_of_view(self.before), field_of_view(self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain values."""
        return {
            "dim": self.dim,
            "before": described(self.before),
            "after": described(self.after),
            "aspects": list(self.aspects),
            "because": list(self.because),
            "verdict": str(self.verdict),
        }


def compare_axes(
    before: Mapping[str, Axis], after: Mapping[str, Axis], changed_keys: frozenset[str] = frozenset()
) -> tuple[AxisChange, ...]:
    """Return the axes that differ, in the order of the sidecars.

    Parameters
    ----------
    before, after
        Axes by name, calibrated.
    changed_keys
        Keys of the record whose values differ: an axis that they calibrate changed with them.
    """
    changes = []
    for dim in dict.fromkeys((*before, *after)):
        a, b = before.get(dim), after.get(dim)
        if a is None or b is None:
            changes.append(AxisChange(dim, a, b))
            continue
        aspects = _aspects(a, b)
        if aspects:
            changes.append(AxisChange(dim, a, b, aspects, _cause(a, b, aspects, changed_keys)))
    return tuple(changes)


def _aspects(a: Axis, b: Axis) -> tuple[str, ...]:
    found = []
    if a.size != b.size:
        found.append("size")
    if a.role != b.role:
        found.append("role")
    # an uncalibrated axis counts samples; one that is calibrated to 1 px per sample says the same
    one = Quantity(1.0, "px")
    if a.values is None and b.values is None:
        if not (a.scale or one).same(b.scale or one):
            found.append("scale")
        if not _same_offset(a, b):
            found.append("offset")
    elif a.values is None or b.values is None or not a.values.same(b.values):
        found.append("values")
    if a.unit != b.unit:
        found.append("unit")
    return tuple(found)


def _same_offset(a: Axis, b: Axis) -> bool:
    first, second = a.offset or Quantity(0.0, a.unit), b.offset or Quantity(0.0, b.unit)
    if float(first.values[0]) == 0.0 == float(second.values[0]):
        return True  # zero is zero in every unit
    return first.same(second)


def _cause(a: Axis, b: Axis, aspects: tuple[str, ...], changed_keys: frozenset[str]) -> tuple[str, ...]:
    if {"size", "role", "values"} & set(aspects) or a.calibration != b.calibration or a.calibration is None:
        return ()
    # an inherited axis says no more than that: it follows the keys that calibrate its dimension
    keys = _PLACED_BY.get(a.calibration) or _keys_for(a)
    return tuple(key for key in keys if key in changed_keys)


def _keys_for(axis: Axis) -> tuple[str, ...]:
    from emdvc.model.axis import CALIBRATED_BY

    return _PLACED_BY.get(CALIBRATED_BY.get((axis.role, axis.dim), ""), ())
