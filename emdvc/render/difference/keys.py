"""What changed of one key, one axis, one array or one figure, in the words and units of the field."""

from __future__ import annotations

import math
from collections.abc import Sequence

from emdvc.compare.axes import AxisChange
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange, VariableChange
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity
from emdvc.model.units import pretty
from emdvc.render import columns as text

#: Figures of an array that a reader wants first; --json has all.
_FIGURES = ("sum", "min", "q50", "max")
_FIGURE_NAMES = {"q01": "1 % quantile", "q50": "median", "q99": "99 % quantile"}
#: Units on whose scale zero is a choice (a place, a direction, a temperature): a ratio says nothing there.
_PLACES = ("px", "deg", "degC")


def key_change(change: KeyChange) -> str:
    """Return the change of one key, as in ``0.02 -> 0.022 1/Å  (+10 %)``."""
    by = grown(change)
    if change.origin_only:
        return f"{change.after}  ({by})"
    return f"{both_values(change)}" + (f"  ({by})" if by else "")


def both_values(change: KeyChange) -> str:
    """Return what a key held and holds; of quantities both in the unit of the new one."""
    before, after, numbers = change.before, change.after, change.numbers
    if isinstance(before, Quantity) and isinstance(after, Quantity):
        if numbers is None:
            return f"{before} -> {after}"
        return f"{Quantity(numbers[0] if isinstance(after.value, tuple) else numbers[0][0])} -> {after}"
    return f"{text.value(before)} -> {text.value(after)}"


def grown(change: KeyChange) -> str:
    """Return by how much a value grew, in its unit, in percent or both, or how its origin changed; empty for a text."""
    if isinstance(change.before, Quantity) and isinstance(change.after, Quantity):
        if change.origin_only:
            return f"origin {change.before.origin} -> {change.after.origin}"
        return _grown(change, change.after.unit)
    # the second version is not twice the first
    counted = change.key.rpartition(".")[2] != "version"
    return percent(change.percent[0]) if change.percent and counted else ""


def _grown(change: KeyChange, unit: str) -> str:
    """Return by how much a quantity grew: in its unit, in percent, or both, whichever reads well."""
    deltas, percents = change.delta or (), change.percent or ()
    if not deltas or not all(map(math.isfinite, deltas)):
        return ""
    relative = ", ".join(dict.fromkeys(percent(p) for p in percents))
    absolute = ", ".join(f"{delta:+.4g}" if delta else "0" for delta in deltas)
    if len(set(deltas)) == 1:
        absolute = absolute.split(",")[0]
    # a unit is no text of emdvc's own: a file may hold any
    absolute = text.shortened(f"{absolute}{'' if pretty(unit) == '°' else ' '}{pretty(unit)}")
    if unit in _PLACES or not all(p is not None and math.isfinite(p) for p in percents):
        return absolute
    # of small numbers the difference is as long as the numbers themselves
    return f"{absolute}, {relative}" if all(delta == 0 or abs(delta) >= 1 for delta in deltas) else relative


def percent(change: float | None) -> str:
    """Return a relative change; empty where it says nothing."""
    if change is None or not math.isfinite(change):
        return ""
    return text.percent(change) if change else "0 %"


def axis_lines(changes: Sequence[AxisChange]) -> list[str]:
    """Return what changed of some axes; axes with the same change share a line."""
    grouped: dict[str, list[str]] = {}
    for change in changes:
        grouped.setdefault(axis_change(change), []).append(change.dim)
    return [f"{', '.join(dims)}: {what}" for what, dims in grouped.items()]


def axis_change(change: AxisChange) -> str:
    """Return what changed of one axis."""
    before, after = change.before, change.after
    if before is None or after is None:
        there = after or before
        assert there is not None
        return f"{'new' if before is None else 'gone'}, {there.size} samples"
    parts = []
    if "size" in change.aspects:
        parts.append(f"{before.size} -> {after.size} samples")
    if "role" in change.aspects:
        parts.append(f"{before.role} -> {after.role}")
    views = change.fields_of_view
    if {"scale", "size"} & set(change.aspects) and (views[0] or views[1]):
        parts.append(f"field of view {_both(*views)}")
    elif "scale" in change.aspects or "unit" in change.aspects:
        parts.append(f"unit {before.unit} -> {after.unit}" if before.unit != after.unit else "step differs")
    if "values" in change.aspects:
        parts.append(f"coordinates {_range(before)} -> {_range(after)}")
    elif "offset" in change.aspects and "scale" not in change.aspects:
        first = Quantity(before.extent()[0], before.unit), Quantity(after.extent()[0], after.unit)
        parts.append(f"first sample {_both(*first)}")
    return "; ".join(parts)


def _both(before: Quantity | None, after: Quantity | None) -> str:
    if before is None or after is None:
        return f"{_known(before)} -> {_known(after)}"
    if before.unit == after.unit:
        return f"{before.values[0]:.4g} -> {after:.4g}"
    return f"{before:.4g} -> {after:.4g}"


def _known(view: Quantity | None) -> str:
    return "unknown" if view is None else f"{view:.4g}"


def _range(axis: Axis) -> str:
    if not axis.size:
        return "none"
    first, last = axis.extent()
    return f"{first:.4g} ... {last:.4g} {axis.unit}"


def variable_parts(change: VariableChange) -> list[str]:
    """Return what changed of the form of one array; empty where only its numbers did."""
    before, after = change.before, change.after
    if before is None or after is None:
        there = after or before
        assert there is not None
        return [f"{'new' if before is None else 'gone'}, {text.shape(there.shape)} {there.dtype}"]
    parts = []
    if "shape" in change.aspects:
        parts.append(f"{text.shape(before.shape)} -> {text.shape(after.shape)}")
    if "dims" in change.aspects:
        parts.append(f"dimensions {', '.join(before.dims)} -> {', '.join(after.dims)}")
    if "dtype" in change.aspects:
        parts.append(f"{before.dtype} -> {after.dtype}")
    if "unit" in change.aspects:
        parts.append(f"unit {before.unit or 'none'} -> {after.unit or 'none'}")
    return parts


def figures(statistics: Sequence[StatisticChange]) -> list[str]:
    """Return the changes of the figures that a reader wants first, in that order."""
    return [statistic(s) for name in _FIGURES for s in statistics if s.name == name]


def statistic(change: StatisticChange) -> str:
    """Return the change of one figure, as in ``sum 1 204 331 -> 1 198 003 (-0.53 %)``."""
    name = _FIGURE_NAMES.get(change.name, change.name)
    relative = percent(change.percent)
    return f"{name} {text.figure(change.before)} -> {text.figure(change.after)}" + (
        f" ({relative})" if relative else ""
    )
