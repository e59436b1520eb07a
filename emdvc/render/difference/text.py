"""Differences for a reader: by dataset, in the words and units of the field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import ValueChange
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.verdict import Verdict
from emdvc.history.experiments import Experiment
from emdvc.render.columns import columns
from emdvc.render.difference.causes import cause_line
from emdvc.render.difference.keys import axis_change, axis_lines, figures, key_change, statistic, variable_parts
from emdvc.render.difference.values import value_lines, what_differs

if TYPE_CHECKING:
    from emdvc.render.terminal import Colours

__all__ = [
    "as_overview",
    "as_text",
    "axis_change",
    "axis_lines",
    "counts",
    "experiment",
    "gist",
    "head",
    "key_change",
    "nothing",
    "own_details",
    "statistic",
    "unseen",
    "value_lines",
    "variable_statements",
]

#: Letters in a line, where it can be broken.
WIDTH = 100
#: Causes that are listed; --json has all.
_CAUSES = 10
#: Parts of a result's provenance that its causes tell.
_TOLD_BY_CAUSES = ("parameters", "version", "inputs")
#: How a terminal shows a verdict: stronger ones warmer. The word stands there anyway.
_SHADES = {
    Verdict.STRUCTURE: "1;31",
    Verdict.VALUES: "31",
    Verdict.CALIBRATION: "33",
    Verdict.NOISE_EQUIVALENT: "36",
    Verdict.WITHIN_TOLERANCE: "36",
    Verdict.METADATA: "34",
    Verdict.ENCODING: "32",
    Verdict.IDENTICAL: "32",
}


def as_text(
    difference: ProjectDifference, *, vendor: bool = False, colours: Colours | None = None, width: int = WIDTH
) -> str:
    """Return the difference of two revisions; one paragraph per dataset that differs.

    Parameters
    ----------
    difference
        What differs.
    vendor
        Whether the keys of the vendor's tree are listed; else only their number is said.
    colours
        What the terminal can show; None is as no colours.
    width
        Letters in a line, for what can be broken: sentences, and the map of probe positions.
    """
    if not difference:
        return nothing(difference)
    coloured = _coloured(colours)
    lines = []
    for line, dataset in zip(_heads(difference, coloured), difference.datasets, strict=True):
        lines += [line, *dataset_lines(dataset, vendor=vendor, blocks=coloured, width=width)]
    return "\n".join(lines)


def as_overview(difference: ProjectDifference, *, colours: Colours | None = None) -> str:
    """Return one line per dataset that differs: its verdict, and what differs most."""
    if not difference:
        return nothing(difference)
    return "\n".join(_heads(difference, _coloured(colours), gists=True))


def nothing(difference: ProjectDifference) -> str:
    """Return the sentence that says that nothing differs."""
    many = f"{difference.compared} dataset{'' if difference.compared == 1 else 's'}"
    return printable(f"no difference in {many} between {difference.before} and {difference.after or 'the workspace'}")


def experiment(one: Experiment) -> str:
    """Return the sentence that says which experiment a revision names."""
    words = f"{one.name} is the experiment {one.oid[:7]}, which began at {one.baseline[:7]}"
    if one.others:
        words += f"; {'another' if one.others == 1 else f'{one.others} more'} of that name began elsewhere"
    return printable(words)


def _coloured(colours: Colours | None) -> bool:
    # spelt out: the module of the terminal's colours brings NumPy along, which a plain answer need not wait for
    return colours is not None and colours != "none"


def _heads(difference: ProjectDifference, coloured: bool, gists: bool = False) -> list[str]:
    rows = [(*head(d), gist(d)) if gists else head(d) for d in difference.datasets]
    start = max(len(row[0]) for row in rows) + 2
    lines = columns(rows, indent="")
    if not coloured:
        return lines
    painted = []
    for line, row, dataset in zip(lines, rows, difference.datasets, strict=True):
        shade, end = _SHADES[dataset.verdict], start + len(row[1])
        name = len(row[0])
        painted.append(
            f"\x1b[1m{line[:name]}\x1b[0m{line[name:start]}\x1b[{shade}m{line[start:end]}\x1b[0m{line[end:]}"
        )
    return painted


def head(dataset: DatasetDifference) -> tuple[str, str]:
    """Return a dataset's name and its verdict, or that it came, went or was renamed."""
    word = str(dataset.verdict)
    if dataset.status == "renamed":
        word = "renamed" if dataset.verdict is Verdict.METADATA else f"renamed, {word}"
    elif dataset.status != "changed":
        word = dataset.status
    return printable(str(dataset.path)), word


def printable(line: str) -> str:
    """Return a line without anything that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in line)


def gist(dataset: DatasetDifference) -> str:
    """Return what differs in one line: of the numbers first, else the only key, else how many things."""
    parts = [f"was {dataset.before_path}"] if dataset.before_path is not None else []
    telling = [change for change in dataset.values if change.verdict is dataset.verdict or change.arrangement]
    if telling:
        others = ((len(telling) - 1, "more array"), (len(dataset.record), "key"))
        parts += [
            what_differs(telling[0]),
            *(f"{many} {word}{'s' if many > 1 else ''}" for many, word in others if many),
        ]
    elif len(dataset.record) == 1 and not (dataset.variables or dataset.vendor or dataset.provenance):
        parts.append(f"{dataset.record[0].key} {key_change(dataset.record[0])}")
    else:
        parts += [what_differs(change) for change in dataset.values[:1]]
        parts += [part for part in (counts(dataset), unseen(dataset)) if part]
    return printable("; ".join(parts))


def counts(dataset: DatasetDifference) -> str:
    """Return how many keys, axes, arrays and figures differ."""
    arrays = {change.name for change in dataset.variables}
    arrays |= {v.variable for v in dataset.values if v.verdict not in (Verdict.IDENTICAL, Verdict.ENCODING)}
    numbers = (
        (len(dataset.record), "key"),
        (len(dataset.axes), "axis"),
        (len(arrays), "array"),
        (len(dataset.provenance) + len(dataset.source), "detail of origin"),
        (len(dataset.vendor), "vendor key"),
    )
    plural = {"axis": "axes", "detail of origin": "details of origin"}
    return ", ".join(f"{n} {word if n == 1 else plural.get(word, word + 's')}" for n, word in numbers if n)


def dataset_lines(
    dataset: DatasetDifference, *, vendor: bool = False, blocks: bool = False, width: int = WIDTH
) -> list[str]:
    """Return the lines below a dataset's name.

    Parameters
    ----------
    dataset
        What differs.
    vendor
        Whether the keys of the vendor's tree are listed.
    blocks
        Whether the terminal shows colours.
    width
        Letters in a line, for what can be broken.
    """
    lines = [f"  was {dataset.before_path}"] if dataset.before_path is not None else []
    lines += _cause_lines(dataset, width)
    lines += _record_lines(dataset)
    lines += [f"  {line}" for line in axis_lines([axis for axis in dataset.axes if not axis.because])]
    lines = [*map(printable, lines)]
    for name, parts in variable_statements(dataset).items():
        lines += map(printable, _hanging(f"  {name}  ", parts, width))
        lines += _map(dataset, name, blocks, width)
    return [*lines, *map(printable, _aside(dataset, vendor, width))]


def _aside(dataset: DatasetDifference, vendor: bool, width: int) -> list[str]:
    """Return what stands beside the data: figures alone, bytes alone, the origin, the vendor's tree."""
    told = {change.name for change in dataset.variables} | {change.variable for change in dataset.values}
    lines = [f"  {s.variable}  {statistic(s)}" for s in dataset.statistics if s.variable not in told]
    lines += _hanging("  ", [unseen(dataset)] if unseen(dataset) else [], width)
    lines += columns([(change.key, key_change(change)) for change in own_details(dataset)])
    if vendor:
        lines += columns([(f"vendor.{change.key}", key_change(change)) for change in dataset.vendor])
    elif dataset.vendor:
        many = len(dataset.vendor)
        lines.append(f"  vendor: {many} key{'' if many == 1 else 's'} differ{'s' if many == 1 else ''} (--vendor)")
    return lines


def variable_statements(dataset: DatasetDifference) -> dict[str, list[str]]:
    """Return for each array that differs what is said of it: its form, its numbers, its figures."""
    forms = {change.name: change for change in dataset.variables}
    values: dict[str, list[ValueChange]] = {}
    for change in dataset.values:
        if change.verdict is not Verdict.IDENTICAL or change.arrangement or change.variable in forms:
            values.setdefault(change.variable, []).append(change)
    statements = {}
    for name in dict.fromkeys((*forms, *values)):
        parts = variable_parts(forms[name]) if name in forms else []
        parts += [line for change in values.get(name, ()) for line in value_lines(change)]
        parts += figures([s for s in dataset.statistics if s.variable == name])
        statements[name] = parts or ["the numbers differ"]
    return statements


def own_details(dataset: DatasetDifference) -> list[KeyChange]:
    """Return what changed of a dataset's origin, as far as its causes do not tell it."""
    told = _TOLD_BY_CAUSES if dataset.causes else ()
    details = [change for change in dataset.provenance if change.key.split(".")[0] not in told]
    return [*details, *(KeyChange(f"source.{change.key}", change.before, change.after) for change in dataset.source)]


def unseen(dataset: DatasetDifference) -> str:
    """Return what is to be said of bytes that differ where no array tells it; empty where there is nothing to say."""
    if dataset.unread:
        return f"the numbers were not compared: {dataset.unread}"
    if not dataset.bytes_differ or dataset.values or dataset.variables:
        return ""
    # without having been read: by digests that are known on both sides
    sides = [side.variables if side is not None else {} for side in (dataset.before_sidecar, dataset.after_sidecar)]
    digests = [{name: info.digest for name, info in variables.items()} for variables in sides]
    same = digests[0] == digests[1] and bool(digests[0]) and all(digests[0].values())
    return "other bytes, the same numbers" if same else "other bytes; the numbers were not compared"


def _cause_lines(dataset: DatasetDifference, width: int) -> list[str]:
    shown = [cause_line(cause) for cause in dataset.causes[:_CAUSES]]
    more = len(dataset.causes) - len(shown)
    return _hanging("  because: ", [*shown, *([f"and {more} more (--json)"] if more else [])], width)


def _record_lines(dataset: DatasetDifference) -> list[str]:
    own = [change for change in dataset.record if not change.inherited]
    lines = []
    rows = columns([(change.key, key_change(change)) for change in own])
    for change, line in zip(own, rows, strict=True):
        lines.append(line)
        # what the key calibrates is shown below it, once
        lines += [f"    {axis}" for axis in axis_lines([a for a in dataset.axes if a.because[:1] == (change.key,)])]
    inherited = [change.key for change in dataset.record if change.inherited]
    if inherited:
        lines.append(f"  inherited: {', '.join(inherited)}")
        axes = [axis for axis in dataset.axes if axis.because and axis.because[0] in inherited]
        lines += [f"    {line}" for line in axis_lines(axes)]
    return lines


def _map(dataset: DatasetDifference, name: str, blocks: bool, width: int) -> list[str]:
    if not any(v.variable == name and v.seen is not None and v.seen.changed is not None for v in dataset.values):
        return []
    from emdvc.render.difference.map import map_lines

    found = [map_lines(v, blocks=blocks, width=width - 4) for v in dataset.values if v.variable == name]
    return [f"    {line}" for lines in found for line in lines]


def _hanging(first: str, parts: Sequence[str], width: int) -> list[str]:
    """Return sentences behind a name, each on a line of its own and broken where it is too long."""
    import textwrap

    lines: list[str] = []
    for part in parts:
        before = first if not lines else " " * len(first)
        # a sentence that goes on is set in
        room = max(width - len(first), 24)
        wrapped = textwrap.wrap(part, room, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        lines += [(before if number == 0 else " " * len(first)) + line for number, line in enumerate(wrapped or [""])]
    return [line.rstrip() for line in lines]
