"""Differences of the arrays themselves, as far as their sidecars tell: shape, number type, digest, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from emdvc.compare.plain import finite, plain
from emdvc.compare.record import percentage, same_value
from emdvc.compare.verdict import Verdict, strongest
from emdvc.model.sidecar import VariableInfo

_VERDICTS = {
    "dims": Verdict.STRUCTURE,
    "shape": Verdict.STRUCTURE,
    "dtype": Verdict.STRUCTURE,
    "digest": Verdict.VALUES,
    "unit": Verdict.CALIBRATION,
}


@dataclass(frozen=True, slots=True)
class VariableChange:
    """One array that differs.

    Parameters
    ----------
    name
        Name of the array.
    before, after
        What the sidecars say of it; None where there is none.
    aspects
        What differs: ``dims``, ``shape``, ``dtype``, ``digest``, ``unit``; empty when it came or went.
    """

    name: str
    before: VariableInfo | None
    after: VariableInfo | None
    aspects: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """How much it matters."""
        if self.before is None or self.after is None:
            return Verdict.STRUCTURE
        return strongest(_VERDICTS[aspect] for aspect in self.aspects)

    def without(self, aspect: str) -> VariableChange:
        """Return the change with one aspect left out: something else tells of it."""
        return replace(self, aspects=tuple(one for one in self.aspects if one != aspect))

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain values."""
        return {
            "name": self.name,
            "before": self.before.to_dict() if self.before else None,
            "after": self.after.to_dict() if self.after else None,
            "aspects": list(self.aspects),
            "verdict": str(self.verdict),
        }


@dataclass(frozen=True, slots=True)
class StatisticChange:
    """One figure of an array (``sum``, ``max``, ``q50``) that differs."""

    variable: str
    name: str
    before: float
    after: float

    @property
    def percent(self) -> float | None:
        """Change in percent of the old figure; None where that was zero."""
        return percentage(self.before, self.after)

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain values."""
        return {
            "variable": self.variable,
            "name": self.name,
            "before": plain(self.before),
            "after": plain(self.after),
            "delta": finite(self.after - self.before),
            "percent": finite(self.percent),
        }


def compare_variables(
    before: Mapping[str, VariableInfo], after: Mapping[str, VariableInfo]
) -> tuple[VariableChange, ...]:
    """Return the arrays that differ. A digest that one side does not know is no difference."""
    changes = []
    for name in dict.fromkeys((*before, *after)):
        a, b = before.get(name), after.get(name)
        if a is None or b is None:
            changes.append(VariableChange(name, a, b))
            continue
        aspects = tuple(aspect for aspect in _VERDICTS if getattr(a, aspect) != getattr(b, aspect))
        if not (a.digest and b.digest):
            aspects = tuple(aspect for aspect in aspects if aspect != "digest")
        if aspects:
            changes.append(VariableChange(name, a, b, aspects))
    return tuple(changes)


def compare_statistics(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[StatisticChange, ...]:
    """Return the figures that differ, of arrays that both sides have."""
    changes = []
    for variable, figures in after.items():
        old = before.get(variable)
        if not isinstance(old, dict) or not isinstance(figures, dict):
            continue
        for name, value in figures.items():
            if name in old and not same_value(old[name], value):
                changes.append(StatisticChange(variable, name, old[name], value))
    return tuple(changes)
