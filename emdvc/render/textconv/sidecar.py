"""A sidecar as text for git: record, axes, arrays, provenance, source files, and the vendor's tree at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from emdvc.compare.extent import field_of_view
from emdvc.model.axis import INHERITED, Axis
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar
from emdvc.model.units import pretty
from emdvc.render.sheet import ordered_axes, what
from emdvc.render.textconv import leaves


def sidecar_lines(mapping: Mapping[str, Any]) -> list[str]:
    """Return the lines of a sidecar's text.

    Parameters
    ----------
    mapping
        Plain values of the file.

    Raises
    ------
    MetadataError
        It is damaged, or of a newer schema.
    """
    sidecar = Sidecar.from_dict(mapping)
    sidecar = replace(sidecar, record=leaves.canonical_record(sidecar.record))
    sections = [
        ("dataset", _dataset(sidecar)),
        ("record", leaves.lines(sidecar.record)),
        ("axes", [line for axis in ordered_axes(sidecar.resolved()) for line in _axis(axis)]),
        *((f"array {leaves.one_line(name)}", _array(sidecar, name)) for name in sorted(sidecar.variables)),
        ("statistics", leaves.lines(_of_no_array(sidecar))),
        ("provenance", leaves.lines(sidecar.provenance)),
        ("source", _source(sidecar.source)),
        ("vendor", leaves.lines(sidecar.vendor)),
    ]
    return [line for name, lines in sections if lines for line in (f"{name}:", *lines)]


def _dataset(sidecar: Sidecar) -> list[str]:
    lines = [f"  what: {'result' if sidecar.kind == 'result' else 'raw data'}, {what(sidecar)}"]
    if len(sidecar.variables) != 1 or sidecar.main not in sidecar.variables:
        lines.append(f"  main: {leaves.plain(sidecar.main)}")
    if sidecar.inherits:
        lines.append(f"  inherits: {leaves.plain(sidecar.inherits)}")
    return lines


def _axis(axis: Axis) -> list[str]:
    by = axis.calibration
    parts = {"size": str(axis.size), "role": str(axis.role)}
    if by == INHERITED:
        parts["scale"] = INHERITED
    elif by is not None and axis.scale is None:
        parts["scale"] = f"by {by}"
    else:
        for name in ("scale", "offset", "values"):
            said: Quantity | None = getattr(axis, name)
            if said is not None:
                # what the record holds for an axis has its origin there
                parts[name] = leaves.quantity(said) if by is None else f"{_bare(said)} (by {by})"
    view = field_of_view(axis)
    if view is not None:
        parts["field of view"] = _bare(Quantity(float(f"{float(view.values[0]):.12g}"), view.unit))
    return [f"  {leaves.one_line(axis.dim)}.{name}: {said}" for name, said in parts.items()]


def _bare(found: Quantity) -> str:
    unit = pretty(found.unit)
    # steps times a centre: the last digits are those of the multiplication
    return f"{leaves.number(float(f'{float(found.values[0]):.12g}'))}{'' if unit in ('', '°') else ' '}{unit}"


def _array(sidecar: Sidecar, name: str) -> list[str]:
    info = sidecar.variables[name]
    parts = {
        "dims": ", ".join(info.dims) or "none",
        "shape": " x ".join(map(str, info.shape)) or "one value",
        "dtype": info.dtype,
        "unit": pretty(info.unit) or "unknown",
        "digest": leaves.plain(info.digest) if info.digest else "unknown",
    }
    figures = sidecar.statistics.get(name)
    return [f"  {key}: {leaves.one_line(said)}" for key, said in parts.items()] + leaves.lines(figures or {})


def _of_no_array(sidecar: Sidecar) -> dict[str, Any]:
    return {name: figures for name, figures in sidecar.statistics.items() if name not in sidecar.variables}


def _source(source: Mapping[str, Any]) -> list[str]:
    files = source.get("files")
    if not isinstance(files, list) or not all(isinstance(one, dict) and "path" in one for one in files):
        return leaves.lines(source)
    lines = leaves.lines({key: node for key, node in source.items() if key != "files"})
    for one in sorted(files, key=lambda one: str(one["path"])):
        rest = ", ".join(f"{key} {leaves.value(one[key])}" for key in sorted(one) if key != "path")
        lines.append(f"  file {leaves.one_line(str(one['path']))}: {rest}")
    return lines
