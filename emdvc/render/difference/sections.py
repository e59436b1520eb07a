"""What differs in one dataset as parts of a page: why, record, axes, numbers, figures, origin, the vendor's tree."""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.compare.axes import AxisChange
from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Noise, ValueChange
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity
from emdvc.model.units import pretty
from emdvc.render import columns as text
from emdvc.render import page, rounding
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.keys import axis_lines, grown, percent, variable_parts
from emdvc.render.difference.text import own_details, unseen
from emdvc.render.difference.values import tolerance_text, value_lines
from emdvc.render.page import Html

#: Rows of one table; --json has all.
_ROWS = 200
_FIGURES = {"q01": "1 % quantile", "q50": "median", "q99": "99 % quantile"}
#: Aspects of an axis that its table does not show.
_MOVED = {"offset", "values", "role"}
_NOTHING = Html('<span class="soft">none</span>')


def before_numbers(dataset: DatasetDifference) -> Html:
    """Return the parts that come before the numbers: why, record, axes, arrays."""
    return page.joined(_renamed(dataset), _why(dataset), _record(dataset), _axes(dataset), _arrays(dataset))


def after_numbers(dataset: DatasetDifference) -> Html:
    """Return the parts that come after the numbers: figures, origin, the vendor's tree."""
    return page.joined(_statistics(dataset.statistics), _origin(dataset), _vendor(dataset.vendor))


def arrows(words: str) -> str:
    """Return a line of text with the arrows that a page can show."""
    return words.replace(" -> ", " → ")


def _renamed(dataset: DatasetDifference) -> Html:
    told = [f"Was {dataset.before_path}."] if dataset.before_path is not None else []
    told += [f"{unseen(dataset)[:1].upper()}{unseen(dataset)[1:]}."] if unseen(dataset) else []
    return page.joined(*(Html(f"<p>{page.escaped(line)}</p>") for line in told))


def _why(dataset: DatasetDifference) -> str:
    if not dataset.causes:
        return ""
    shown = [f"<li>{page.escaped(arrows(cause_line(cause)))}</li>" for cause in dataset.causes[:_ROWS]]
    return page.section("Why", f"<ul>{''.join(shown)}</ul>{_more(dataset.causes)}", level=3)


def _record(dataset: DatasetDifference) -> str:
    own = [change for change in dataset.record if not change.inherited]
    inherited = [change.key for change in dataset.record if change.inherited]
    parts = [_keys(own)] if own else []
    if inherited:
        names = ", ".join(inherited)
        parts.append(Html(f'<p class="soft">Inherited from the raw data, and shown there: {page.escaped(names)}.</p>'))
    return page.section("Acquisition record", page.joined(*parts), level=3) if parts else ""


def _keys(changes: Sequence[KeyChange]) -> Html:
    """Return keys with what they held, what they hold, and by how much that differs."""
    rows = []
    for change in changes[:_ROWS]:
        if change.origin_only:
            old, new, by = text.value(change.before), text.value(change.after), grown(change)
            rows.append([page.breakable(change.key), old, new, arrows(by), ""])
            continue
        delta, relative = _delta(change)
        rows.append([page.breakable(change.key), _leaf(change.before), _leaf(change.after), delta, relative])
    if any(row[3] or row[4] for row in rows):
        head = ["key", "before", "after", "difference", "relative"]
    else:
        head, rows = ["key", "before", "after"], [row[:3] for row in rows]
    return Html(page.table(rows, head) + _more(changes))


def _leaf(value: object) -> str:
    return _NOTHING if value is None else text.value(value)


def _delta(change: KeyChange) -> tuple[str, str]:
    """Return the difference in the unit of the new value, and in percent; empty where there is none."""
    deltas, found = change.delta or (), change.numbers
    # the second version is not twice the first
    if not deltas or found is None or change.key.rpartition(".")[2] == "version":
        return "", ""
    unit = text.shortened(pretty(found[2])) if found[2] else ""
    numbers = ", ".join(("+" if delta > 0 else "") + rounding.number(delta) for delta in deltas)
    percents = [percent(p) for p in change.percent or ()]
    relative = ", ".join(dict.fromkeys(percents)) if found[2] != "px" else ""
    return f"{numbers} {unit}".rstrip(), relative.replace("-", "−")


def _axes(dataset: DatasetDifference) -> str:
    if not dataset.axes:
        return ""
    rows = [
        [axis.dim, _ruler(axis.before), _ruler(axis.after), _view(axis, 0), _view(axis, 1), ", ".join(axis.because)]
        for axis in dataset.axes
    ]
    head = ["axis", "before", "after", "field of view before", "field of view after", "follows"]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    # what the columns do not show: where the samples begin, what they run over
    more = axis_lines([axis for axis in dataset.axes if _MOVED & set(axis.aspects) and "scale" not in axis.aspects])
    told = "".join(f"<li>{page.escaped(arrows(line))}</li>" for line in more)
    return page.section("Axes", page.table(rows, head) + (f"<ul>{told}</ul>" if told else ""), level=3)


def _ruler(axis: Axis | None) -> str:
    """Return how many samples an axis has and how far apart they are."""
    if axis is None:
        return _NOTHING
    if axis.values is not None or axis.scale is None:
        return f"{axis.size} samples{f', {axis.unit}' if axis.values is not None else ', not calibrated'}"
    return f"{axis.size} × {axis.scale:.6g}"


def _view(axis: AxisChange, side: int) -> str:
    view: Quantity | None = axis.fields_of_view[side]
    return f"{view:.4g}" if view is not None else ""


def _arrays(dataset: DatasetDifference) -> str:
    """Return what changed of the form of arrays, where that is not told with their numbers."""
    rows = [[change.name, arrows("; ".join(variable_parts(change)))] for change in dataset.variables]
    known = {change.variable for change in dataset.values}
    unknown = [row[0] for row in rows if not row[1] and row[0] not in known]
    rows = [row for row in rows if row[1]] + [[name, "the numbers differ"] for name in unknown]
    return page.section("Arrays", page.table(rows[:_ROWS], ["array", "change"]), level=3) if rows else ""


def numbers_summary(change: ValueChange, dataset: DatasetDifference) -> Html:
    """Return what differs in the numbers of one array: how many and where in a sentence, then each figure."""
    sentences = [arrows(line) for line in value_lines(change)]
    first = f"<p><strong>{page.escaped(sentences[0][:1].upper() + sentences[0][1:])}.</strong></p>" if sentences else ""
    return Html(
        first + page.facts([(name, value) for name, value in (_place(change, dataset), *_figures(change)) if value])
    )


def _figures(change: ValueChange) -> list[tuple[str, str]]:
    unit = text.shortened(pretty(change.unit)) if change.unit else ""
    some = bool(change.differing)
    ratio, total = change.sum_ratio, change.total or change.compared
    noise, tolerance = change.noise, change.tolerance
    masked = f", {text.figure(noise.masked)} dead or stuck pixels left out" if noise and noise.masked else ""
    return [
        ("Numbers", f"{text.figure(change.differing)} of {text.figure(total)}" if some and change.scan else ""),
        ("Largest difference", f"{_short(change.largest)} {unit}" if some else ""),
        ("Mean difference", f"{_short(change.mean)} {unit}" if some else ""),
        ("RMS difference", f"{_short(change.rms)} {unit}" if some else ""),
        ("Sum after / before", f"{ratio:.6g}" if some and ratio is not None else ""),
        ("NaN only after", text.figure(change.nan_after) if change.nan_after else ""),
        ("NaN only before", text.figure(change.nan_before) if change.nan_before else ""),
        ("Noise", f"{_p_value(noise)} for two exposures of the same{masked}" if noise else ""),
        ("Tolerance", tolerance_text(tolerance, change.unit) if tolerance else ""),
        ("Beyond it", f"{text.figure(change.outside)} numbers" if tolerance and some else ""),
        (
            "Chunks",
            f"{text.figure(change.chunks)} of {text.figure(change.chunks_of)} differ" if change.chunks_of > 1 else "",
        ),
        ("Comparison", "" if change.complete else "stopped early: there may be more"),
    ]


def _p_value(noise: Noise) -> str:
    """Return the probability that noise alone differs as much."""
    return "p < 1e-12" if noise.p_value < 1e-12 else f"p = {noise.p_value:.2g}"


def _place(change: ValueChange, dataset: DatasetDifference) -> tuple[str, str]:
    """Return where the probe positions that differ lie, in the scan's unit; empty where that is not calibrated."""
    sidecar, sizes = dataset.after_sidecar, dict(change.scan)
    if all((first, last) == (0, sizes.get(dim, 0) - 1) for dim, first, last in change.box):
        return "Place", ""  # everywhere
    parts = []
    for dim, first, last in change.box:
        axis = sidecar.axes.get(dim) if sidecar is not None else None
        if axis is None or axis.scale is None or max(first, last) >= axis.size:
            return "Place", ""
        places = axis.coordinates()
        ends = f"{places[first]:.4g}" if first == last else f"{places[first]:.4g} to {places[last]:.4g}"
        parts.append(f"{dim} {ends} {pretty(axis.unit)}")
    return "Place", ", ".join(parts)


def _short(number: float) -> str:
    return rounding.number(number)


def _statistics(changes: Sequence[StatisticChange]) -> str:
    if not changes:
        return ""
    rows = [
        [
            f"{_FIGURES.get(change.name, change.name)} of {change.variable}",
            text.figure(change.before),
            text.figure(change.after),
            percent(change.percent).replace("-", "−"),
        ]
        for change in changes[:_ROWS]
    ]
    table = page.table(rows, ["figure", "before", "after", "relative"], numbers=(1, 2, 3))
    return page.section("Statistics", table + _more(changes), level=3)


def _origin(dataset: DatasetDifference) -> str:
    details = own_details(dataset)
    return page.section("Origin", _keys(details), level=3) if details else ""


def _vendor(changes: Sequence[KeyChange]) -> str:
    if not changes:
        return ""
    many = f"{text.figure(len(changes))} key{'' if len(changes) == 1 else 's'}"
    return page.disclosure(f"The vendor's metadata: {many} differ{'s' if len(changes) == 1 else ''}", _keys(changes))


def _more(changes: Sequence[object]) -> str:
    more = len(changes) - _ROWS
    return f'<p class="soft">And {text.figure(more)} more: emdvc diff --json lists all.</p>' if more > 0 else ""
