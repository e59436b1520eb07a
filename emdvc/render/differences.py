"""Differences for a reader: by dataset, in the words and units of the field."""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.compare.axes import AxisChange
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange, VariableChange
from emdvc.model.quantity import Quantity
from emdvc.render import columns as text
from emdvc.render.columns import columns, percent

#: Figures of an array that a reader wants first; --json has all.
_FIGURES = ("sum", "min", "q50", "max")
_FIGURE_NAMES = {"q01": "1 % quantile", "q50": "median", "q99": "99 % quantile"}


def as_text(difference: ProjectDifference, *, vendor: bool = False) -> str:
    """Return the difference of two revisions; one paragraph per dataset that differs.

    Parameters
    ----------
    difference
        What differs.
    vendor
        Whether the keys of the vendor's tree are listed; else only their number is said.
    """
    if not difference:
        return nothing(difference)
    heads = columns([head(dataset) for dataset in difference.datasets], indent="")
    lines = []
    for line, dataset in zip(heads, difference.datasets, strict=True):
        lines += [line, *dataset_lines(dataset, vendor=vendor)]
    return "\n".join(lines)


def as_overview(difference: ProjectDifference) -> str:
    """Return one line per dataset that differs: its verdict, and how many things changed."""
    if not difference:
        return nothing(difference)
    return "\n".join(columns([(*head(d), counts(d)) for d in difference.datasets], indent=""))


def nothing(difference: ProjectDifference) -> str:
    """Return the sentence that says that nothing differs."""
    many = f"{difference.compared} dataset{'' if difference.compared == 1 else 's'}"
    return f"no difference in {many} between {difference.before} and {difference.after or 'the workspace'}"


def head(dataset: DatasetDifference) -> tuple[str, str]:
    """Return a dataset's name and its verdict, or that it came or went."""
    word = str(dataset.verdict) if dataset.status == "changed" else dataset.status
    return str(dataset.path), word


def counts(dataset: DatasetDifference) -> str:
    """Return how many keys, axes, arrays and figures differ."""
    numbers = (
        (len(dataset.record), "key"),
        (len(dataset.axes), "axis"),
        (len(dataset.variables), "array"),
        (len(dataset.provenance) + len(dataset.source), "detail of origin"),
        (len(dataset.vendor), "vendor key"),
    )
    plural = {"axis": "axes", "detail of origin": "details of origin"}
    return ", ".join(f"{n} {word if n == 1 else plural.get(word, word + 's')}" for n, word in numbers if n)


def dataset_lines(dataset: DatasetDifference, *, vendor: bool = False) -> list[str]:
    """Return the lines below a dataset's name."""
    lines = _record_lines(dataset)
    lines += [f"  {line}" for line in axis_lines([axis for axis in dataset.axes if not axis.because])]
    for change in dataset.variables:
        lines += variable_lines(change, [s for s in dataset.statistics if s.variable == change.name])
    told = {change.name for change in dataset.variables}
    lines += [f"  {s.variable}  {statistic(s)}" for s in dataset.statistics if s.variable not in told]
    lines += columns([(change.key, key_change(change)) for change in (*dataset.provenance, *_prefixed(dataset.source))])
    if vendor:
        lines += columns([(f"vendor.{change.key}", key_change(change)) for change in dataset.vendor])
    elif dataset.vendor:
        many = len(dataset.vendor)
        lines.append(f"  vendor: {many} key{'' if many == 1 else 's'} differ{'s' if many == 1 else ''} (--vendor)")
    return lines


def _prefixed(changes: Sequence[KeyChange]) -> list[KeyChange]:
    return [KeyChange(f"source.{change.key}", change.before, change.after) for change in changes]


def _record_lines(dataset: DatasetDifference) -> list[str]:
    own = [change for change in dataset.record if not change.inherited]
    lines = []
    for change, line in zip(own, columns([(change.key, key_change(change)) for change in own]), strict=True):
        lines.append(line)
        # what the key calibrates is shown below it, once
        lines += [f"    {axis}" for axis in axis_lines([a for a in dataset.axes if a.because[:1] == (change.key,)])]
    inherited = [change.key for change in dataset.record if change.inherited]
    if inherited:
        lines.append(f"  inherited: {', '.join(inherited)}")
        axes = [axis for axis in dataset.axes if axis.because and axis.because[0] in inherited]
        lines += [f"    {line}" for line in axis_lines(axes)]
    return lines


def key_change(change: KeyChange) -> str:
    """Return the change of one key, as in ``0.02 -> 0.022 1/Å  (+10 %)``."""
    before, after = change.before, change.after
    if isinstance(before, Quantity) and isinstance(after, Quantity):
        if change.origin_only:
            return f"{after}  (origin {before.origin} -> {after.origin})"
        return quantity_change(change, before, after)
    relative = percent(change.percent[0]) if change.percent else ""
    return f"{text.value(before)} -> {text.value(after)}" + (f"  ({relative})" if relative else "")


def quantity_change(change: KeyChange, before: Quantity, after: Quantity) -> str:
    """Return the change of a quantity, both in the unit of the new one, with the relative change."""
    numbers = change.numbers
    if numbers is None:
        return f"{before} -> {after}"
    shown = Quantity(numbers[0] if isinstance(after.value, tuple) else numbers[0][0])
    relative = list(dict.fromkeys(percent(p) for p in change.percent or () if p is not None))
    return f"{shown} -> {after}" + (f"  ({', '.join(relative)})" if relative else "")


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
        parts.append(f"coordinates {_range(change.before)} -> {_range(change.after)}")
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


def _range(axis: object) -> str:
    from emdvc.model.axis import Axis

    assert isinstance(axis, Axis)
    first, last = axis.extent()
    return f"{first:.4g} ... {last:.4g} {axis.unit}"


def variable_lines(change: VariableChange, statistics: Sequence[StatisticChange]) -> list[str]:
    """Return what changed of one array: its form, then its figures."""
    before, after = change.before, change.after
    if before is None or after is None:
        there = after or before
        assert there is not None
        word = "new" if before is None else "gone"
        return [f"  {change.name}  {word}, {text.shape(there.shape)} {there.dtype}"]
    parts = []
    if "shape" in change.aspects:
        parts.append(f"{text.shape(before.shape)} -> {text.shape(after.shape)}")
    if "dims" in change.aspects:
        parts.append(f"dimensions {', '.join(before.dims)} -> {', '.join(after.dims)}")
    if "dtype" in change.aspects:
        parts.append(f"{before.dtype} -> {after.dtype}")
    if "unit" in change.aspects:
        parts.append(f"unit {before.unit or 'none'} -> {after.unit or 'none'}")
    parts += [statistic(s) for name in _FIGURES for s in statistics if s.name == name]
    if not parts:
        parts.append("the numbers differ")
    return [f"  {change.name}  {parts[0]}", *(f"  {' ' * len(change.name)}  {part}" for part in parts[1:])]


def statistic(change: StatisticChange) -> str:
    """Return the change of one figure, as in ``sum 1 204 331 -> 1 198 003 (-0.53 %)``."""
    name = _FIGURE_NAMES.get(change.name, change.name)
    relative = f" ({percent(change.percent)})" if change.percent is not None else ""
    return f"{name} {text.figure(change.before)} -> {text.figure(change.after)}{relative}"
