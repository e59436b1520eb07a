"""The data sheet of a dataset: what it is, its axes with units, its record, its size, how it came to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emdvc.compare.extent import described, field_of_view
from emdvc.compare.leaves import leaves as any_leaves
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.record import BY_KEY, leaves
from emdvc.model.sidecar import Sidecar, VariableInfo
from emdvc.model.units import pretty
from emdvc.render import columns as text
from emdvc.render.columns import columns

if TYPE_CHECKING:
    from emdvc.compare.state import State
    from emdvc.history.edited import Edited

#: Last dimensions -> what a dataset is called whose probe positions are `y, x`, and alone.
_KINDS = {
    ("ky", "kx"): ("4D-STEM scan", "diffraction pattern"),
    ("energy",): ("spectrum image", "spectrum"),
    ("k",): ("map of radial profiles", "radial profile"),
}
_FIGURES = {
    "sum": "sum",
    "min": "min",
    "q01": "1 %",
    "q50": "median",
    "mean": "mean",
    "q99": "99 %",
    "max": "max",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a dataset are.

    Parameters
    ----------
    here
        Whether they are in the workspace; None where a revision was asked for.
    count
        Bytes on disk; None where they are not here and not recorded.
    command
        What brings them.
    edited
        What is declared of data that people go on editing; None of any other.
    """

    here: bool | None = None
    count: int | None = None
    command: str | None = None
    edited: Edited | None = None


def as_dict(state: State, place: Place, *, vendor: bool = False, last: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the data sheet as plain values, for ``--json``.

    Parameters
    ----------
    state, place
        The dataset, and where its bytes are.
    vendor
        Whether the vendor's tree is wanted.
    last
        Its last change, as plain values; None where git knows nothing of it.
    """
    sidecar = state.sidecar
    mapping: dict[str, Any] = {
        "path": state.path.as_posix(),
        "revision": state.revision,
        "recorded": state.recorded,
        "kind": sidecar.kind,
        "what": what(sidecar),
        "here": place.here,
        "edited": place.edited.to_dict() if place.edited is not None else None,
        "bytes": place.count,
        "main": sidecar.main,
        "variables": {name: {**info.to_dict(), "bytes": array_bytes(info)} for name, info in sidecar.variables.items()},
        "axes": {dim: described(axis) for dim, axis in sidecar.axes.items()},
        "record": sidecar.record,
        "inherits": sidecar.inherits,
        "source": sidecar.source,
        "provenance": sidecar.provenance,
        "statistics": sidecar.statistics,
        "last_change": last,
    }
    if vendor:
        mapping["vendor"] = sidecar.vendor
    return mapping


def as_text(state: State, place: Place, *, vendor: bool = False, last: Sequence[Sequence[str]] = ()) -> str:
    """Return the data sheet for a reader; what is unknown is left out.

    Parameters
    ----------
    state, place
        The dataset, and where its bytes are.
    vendor
        Whether the vendor's tree is wanted.
    last
        Rows about its last change.
    """
    sidecar = state.sidecar
    sections = [
        [f"{state.name}  {what(sidecar)}", f"  {_where(state, place)}"],
        _section("data", [_variable_row(name, info) for name, info in sidecar.variables.items()]),
        _section("axes", [axis_row(axis) for axis in ordered_axes(sidecar)]),
        _section("record", record_rows(sidecar, state.own_keys)),
        _section("came from", origin_rows(sidecar)),
        _section("values", statistic_rows(sidecar)),
        _section("history", last),
    ]
    if vendor:
        sections.append(_section("vendor", [(key, text.value(leaf)) for key, leaf in any_leaves(sidecar.vendor)]))
    return "\n".join("\n".join(lines) for lines in sections if lines)


def what(sidecar: Sidecar) -> str:
    """Return what a dataset is, in the field's words, as in ``4D-STEM scan``."""
    info = sidecar.variables.get(sidecar.main)
    if info is None:
        return "dataset without arrays"
    dims = info.dims
    roles = [sidecar.axes[dim].role for dim in dims if dim in sidecar.axes]
    for last, (scanned, alone) in _KINDS.items():
        if dims[-len(last) :] == last:
            before = dims[: -len(last)]
            if not before:
                return alone
            if before in (("y", "x"), ("y",), ("x",)):
                return scanned if len(before) == 2 else f"line scan of {alone}s"
            return f"{alone}s over {', '.join(before)}"
    if dims[-2:] == ("y", "x"):
        scanned_image = Role.SCAN in roles
        if len(dims) == 2:
            return "map of the scan" if sidecar.provenance and scanned_image else "image"
        return "tilt series of images" if dims[0] == "tilt" else f"images over {', '.join(dims[:-2])}"
    return f"array over {', '.join(dims)}" if dims else "single value"


def ordered_axes(sidecar: Sidecar) -> list[Axis]:
    """Return the axes in the order of the main array's dimensions, then the others."""
    info = sidecar.variables.get(sidecar.main)
    dims = dict.fromkeys((*(info.dims if info else ()), *sidecar.axes))
    return [sidecar.axes[dim] for dim in dims if dim in sidecar.axes]


def _where(state: State, place: Place) -> str:
    size = text.size(place.count) if place.count is not None else ""
    if not state.recorded:
        return f"{size}, under no version control  (emdvc add {state.path.as_posix()})"
    word = "result" if state.sidecar.kind == "result" else "edited data" if place.edited is not None else "raw data"
    if place.edited is not None and place.edited.by_element:
        word += f" (by element: {', '.join(place.edited.by_element)})"
    if place.here is None:
        return f"{word}{f', {size}' if size else ''}"
    if place.here:
        return f"{word}, here, {size}"
    return f"{word}{f', {size}' if size else ''}, not here" + (f"  ({place.command})" if place.command else "")


def _section(name: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return [name, *columns(rows)] if rows else []


def array_bytes(info: VariableInfo) -> int:
    """Return the bytes of an array in memory."""
    count = text.item_bytes(info.dtype)
    for n in info.shape:
        count *= n
    return count


def _variable_row(name: str, info: VariableInfo) -> tuple[str, ...]:
    dims = ", ".join(info.dims)
    return name, dims, text.shape(info.shape), info.dtype, pretty(info.unit), text.size(array_bytes(info))


def axis_row(axis: Axis) -> tuple[str, ...]:
    """Return the cells of an axis: name, samples and step, extent, what it is calibrated by."""
    if axis.scale is None and axis.values is None:
        return axis.dim, str(axis.size), "not calibrated", ""
    first, last = axis.extent() if axis.size else (0.0, 0.0)
    extent = f"{first:.5g} to {last:.5g} {pretty(axis.unit)}"
    view = field_of_view(axis)
    if view is None or axis.scale is None:
        return axis.dim, f"{axis.size} values", "", extent
    step = Quantity(axis.scale.values[0], axis.scale.unit)
    return axis.dim, f"{axis.size} x {step:.5g}", f"= {view:.5g}", extent


def record_rows(sidecar: Sidecar, own_keys: frozenset[str]) -> list[tuple[str, str]]:
    """Return key and value of the record's known leaves; where a value is not the file's, its origin is said."""
    order = {key: index for index, key in enumerate(BY_KEY)}
    rows = []
    for key, leaf in sorted(leaves(sidecar.record), key=lambda pair: (order.get(pair[0], len(order)), pair[0])):
        if leaf is None or leaf in ("", [], {}):
            continue
        shown = text.value(leaf)
        notes = []
        if isinstance(leaf, Quantity) and leaf.origin is not Origin.FILE:
            notes.append(str(leaf.origin))
        if sidecar.inherits and key not in own_keys:
            notes.append("inherited")
        rows.append((key, shown + (f"  ({', '.join(notes)})" if notes else "")))
    return rows


def origin_rows(sidecar: Sidecar) -> list[tuple[str, ...]]:
    """Return how a dataset came to be: reader and files, or step, version, parameters and inputs."""
    rows: list[tuple[str, ...]] = []
    source, provenance = sidecar.source, sidecar.provenance
    if source.get("reader"):
        options = ", ".join(f"{key} {text.value(leaf)}" for key, leaf in (source.get("options") or {}).items())
        rows.append(("reader", str(source["reader"]).replace("@", " ") + (f"  ({options})" if options else "")))
    for entry in source.get("files") or []:
        rows.append(("file", *_file_cells(entry)))
    if provenance.get("step"):
        version = provenance.get("version")
        rows.append(("step", f"{provenance['step']}" + (f" (version {version})" if version is not None else "")))
    for key, leaf in any_leaves(provenance.get("parameters") or {}):
        rows.append(("parameter", f"{key} = {text.value(leaf)}"))
    for name, leaf in (provenance.get("inputs") or {}).items():
        rows.append(("input", f"{name}  {text.value(_digest(leaf))}".rstrip()))
    for key, leaf in provenance.items():
        if key not in ("step", "version", "parameters", "inputs", "metadata"):
            rows.append((key, text.value(leaf)))
    return rows


def _file_cells(entry: Any) -> tuple[str, str]:
    if not isinstance(entry, dict):
        return str(entry), ""
    files = f", {entry['files']} files" if entry.get("files") else ""
    size = text.size(int(entry["size"])) if entry.get("size") is not None else ""
    checksum = f", sha256 {str(entry['sha256'])[:8]}..." if entry.get("sha256") else ""
    return str(entry.get("path", "")), f"{size}{files}{checksum}".removeprefix(", ")


def _digest(leaf: Any) -> Any:
    if isinstance(leaf, dict):
        return leaf.get("digest") or leaf.get("sha256") or leaf.get("md5") or ""
    return leaf or ""


def statistic_rows(sidecar: Sidecar) -> list[tuple[str, ...]]:
    """Return the figures of each array, under their names."""
    known = {name: figures for name, figures in sidecar.statistics.items() if isinstance(figures, dict)}
    shown = [key for key in _FIGURES if any(key in figures for figures in known.values())]
    if not shown:
        return []
    rows: list[tuple[str, ...]] = [("", *(_FIGURES[key] for key in shown), "")]
    for name, figures in known.items():
        unit = pretty(sidecar.variables[name].unit) if name in sidecar.variables else ""
        rows.append((name, *(text.figure(figures[key]) if key in figures else "" for key in shown), unit))
    return rows
