"""A dataset's part of a report: its picture, its axes, arrays and record, and how it came to be."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from emdvc.compare.report.state import DatasetState
from emdvc.model.record import BY_KEY
from emdvc.model.units import pretty
from emdvc.render import columns as text
from emdvc.render import sheet
from emdvc.render.page import Html, anchor, disclosure, figure, joined, section, table
from emdvc.render.page import facts as definitions
from emdvc.render.report import facts

STYLE = """
.dataset { display: flex; flex-wrap: wrap; gap: .4rem 2rem; align-items: flex-start; }
.dataset > figure { flex: 0 1 27rem; }
.dataset > .told { flex: 1 1 20rem; min-width: 0; }
.dataset.wide > figure { flex: 0 0 auto; width: 100%; max-width: 50rem; }
.dataset table { font-size: .875rem; }
.dataset tbody th { min-width: 3.2rem; }
"""


def place(dataset: DatasetState) -> str:
    """Return the anchor of a dataset's part of the page."""
    return anchor(f"data {dataset.path}")


def dataset_section(dataset: DatasetState, beside: Html, png: bytes | None) -> Html:
    """Return the part of a page on a dataset.

    Parameters
    ----------
    dataset
        The dataset.
    beside
        Badges beside the heading.
    png
        Its picture; None: none.
    """
    drawn = Html("")
    if png is not None:
        what = f"{sheet.what(dataset.sidecar)}, {facts.shape(dataset)}"
        drawn = figure(png, f"Picture of {dataset.path}: {what}", _caption(dataset))
    wide = " wide" if png is not None and _is_wide(png) else ""
    beginning = Html(f'<div class="dataset{wide}">{drawn}<div class="told">{_first(dataset)}</div></div>')
    body = joined(beginning, _told(dataset))
    return section(str(dataset.path), body, name=place(dataset), beside=beside)


def _is_wide(png: bytes) -> bool:
    """Say whether a picture has panels side by side: it needs the whole width to be read."""
    width, height = struct.unpack(">II", png[16:24])
    return bool(width > 1.25 * height)


def _caption(dataset: DatasetState) -> str:
    if dataset.kind == "raw":
        return "Drawn for this report from the raw data."
    return f"Committed with the result: {dataset.path.with_suffix('.png')}"


def _first(dataset: DatasetState) -> Html:
    """Return what stands beside the picture."""
    sidecar = dataset.sidecar
    pairs = [
        ("what it is", sheet.what(sidecar)),
        ("kind", "raw data, as the instrument wrote it" if dataset.kind == "raw" else "result, computed by a stage"),
        ("stage", dataset.stage or ""),
        ("on disk", facts.data_size(dataset)),
        ("last changed", facts.brought(dataset)),
    ]
    axes = [_axis_cells(sheet.axis_row(axis)) for axis in sheet.ordered_axes(sidecar)]
    return joined(
        definitions([(name, value) for name, value in pairs if value]),
        _part("Axes", axes, ("axis", "samples x step", "field of view", "from, to")),
    )


def _told(dataset: DatasetState) -> Html:
    """Return what stands below the picture."""
    sidecar = dataset.sidecar
    arrays = [
        (name, ", ".join(info.dims), text.shape(info.shape), info.dtype, pretty(info.unit))
        for name, info in sidecar.variables.items()
    ]
    parts = [_part("Arrays", arrays, ("array", "dimensions", "shape", "type", "unit"))]
    figures = sheet.statistic_rows(sidecar)
    if figures:
        head, *rows = figures
        names = ("array", *head[1:-1], "unit")
        parts.append(disclosure("Values: sum, range, quantiles", table(rows, names, numbers=range(1, len(names) - 1))))
    record = [(_meaning(key), value, key) for key, value in sheet.record_rows(sidecar, dataset.own_keys)]
    if record:
        many = facts.counted(len(record), "entry", "entries")
        parts.append(disclosure(f"Acquisition record: {many}", table(record, ("what", "value", "key"))))
    origin = [(row[0], "  ".join(cell for cell in row[1:] if cell)) for row in sheet.origin_rows(sidecar)]
    if origin:
        parts.append(disclosure("How it came to be", table(origin, ("what", "which"))))
    return joined(*parts)


def _axis_cells(row: Sequence[str]) -> tuple[str, ...]:
    return row[0], row[1], row[2].removeprefix("= "), row[3]


def _meaning(key: str) -> str:
    field_ = BY_KEY.get(key)
    return field_.doc if field_ is not None else key


def _part(heading: str, rows: Sequence[Sequence[str]], head: Sequence[str]) -> Html:
    return section(heading, table(rows, head), level=3) if rows else Html("")
