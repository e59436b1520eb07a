"""Mends what readers are known to get wrong: the table ``corrections.yaml``, and the few actions that it is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from emdvc.formats.contract import Opened
from emdvc.formats.hyperspy_tree import exact
from emdvc.model import record as rec
from emdvc.model.axis import Axis
from emdvc.model.quantity import Origin, Quantity

Arguments = Mapping[str, Any]
Action = Callable[[Opened, Arguments], Opened]


@dataclass(frozen=True, slots=True)
class Correction:
    """One row of the table: see its head for what the parts say."""

    id: str
    reader: str
    seen_in: str
    fixed_in: str | None
    fault: str
    when: tuple[Arguments, ...]
    do: Arguments
    evidence: str

    def concerns(self, reader: str, version: str) -> bool:
        """Say whether the row is for files of a reader, in a version of its package."""
        if self.fixed_in is not None and _version(version) >= _version(self.fixed_in):
            return False
        return self.reader == reader or (self.reader == "*" and reader in _foreign())


@lru_cache(maxsize=1)
def table() -> tuple[Correction, ...]:
    """Return all rows."""
    from emdvc.formats.sidecar import load_yaml

    path = Path(__file__).with_name("corrections.yaml")
    rows = load_yaml(path.read_text(encoding="utf-8"), path.name)
    return tuple(Correction(**{**row, "when": tuple(row.get("when", ()))}) for row in rows)


def apply(opened: Opened, path: Path, reader: str) -> Opened:
    """Return an open file with the known faults of its reader mended; ``vendor.corrections`` names what was done.

    Parameters
    ----------
    opened
        What the reader said; changed in place where it can be.
    path
        The file.
    reader
        Name of the reader.
    """
    done = []
    version = opened.reader.rpartition("@")[2]
    for row in table():
        if row.concerns(reader, version) and all(holds(condition, opened) for condition in row.when):
            before = (dict(rec.leaves(opened.record)), dict(opened.axes), opened.variables)
            opened = ACTIONS[row.do["action"]](opened, row.do)
            if before != (dict(rec.leaves(opened.record)), dict(opened.axes), opened.variables):
                done.append(row.id)
    if done:
        opened.vendor["corrections"] = done
    return opened


def holds(condition: Arguments, opened: Opened) -> bool:
    """Say whether a condition of a row holds: on ``vendor``, on ``record``, or that there is a ``dim``."""
    if "dim" in condition:
        return condition["dim"] in opened.axes
    if "vendor" in condition:
        value = at(opened.vendor, condition["vendor"])
    else:
        value = rec.get(opened.record, condition["record"])
        value = value.values[0] if isinstance(value, Quantity) else value
    if value is None:
        return False
    if "equals" in condition:
        wanted = condition["equals"]
        return exact(value) == wanted if isinstance(wanted, int | float) else str(value) == wanted
    if "contains" in condition:
        return str(condition["contains"]) in str(value)
    if "above" in condition:
        number = exact(value)
        return number is not None and number > condition["above"]
    return bool(condition["present"])


def at(tree: Any, path: str) -> Any:
    """Return what stands at a dotted path of a vendor's tree, or None.

    A part ``*`` is the first key below which the rest of the path leads somewhere; keys may hold dots themselves.
    """
    if not path:
        return tree
    if not isinstance(tree, Mapping):
        return None
    parts = path.split(".")
    if parts[0] == "*":
        rest = ".".join(parts[1:])
        return next((value for key in sorted(tree) if (value := at(tree[key], rest)) is not None), None)
    for end in range(len(parts), 0, -1):
        key = ".".join(parts[:end])
        if key in tree:
            found = at(tree[key], ".".join(parts[end:]))
            if found is not None:
                return found
    return None


def _set(opened: Opened, do: Arguments) -> Opened:
    rec.put(opened.record, do["key"], do["value"])
    return opened


def _drop(opened: Opened, do: Arguments) -> Opened:
    section, _, last = do["key"].rpartition(".")
    node: Any = opened.record
    for part in section.split(".") if section else []:
        node = node.get(part, {})
    node.pop(last, None)
    if section and not node:
        opened.record.pop(section, None)
    return opened


def _move(opened: Opened, do: Arguments) -> Opened:
    value = rec.get(opened.record, do["key"])
    rec.put(opened.record, do["to"], value)
    return _drop(opened, do)


def _multiply(opened: Opened, do: Arguments) -> Opened:
    value = rec.quantity(opened.record, do["key"])
    if value is not None:
        numbers = tuple(exact(v, do["factor"]) or 0.0 for v in value.values)
        product = numbers if isinstance(value.value, tuple) else numbers[0]
        rec.put(opened.record, do["key"], replace(value, value=product))
    return opened


def _from_vendor(opened: Opened, do: Arguments) -> Opened:
    numbers = [exact(at(opened.vendor, path), do.get("factor", "1")) for path in do["vendor"]]
    whole = tuple(float(f"{n:.15g}") for n in numbers if n is not None)
    if len(whole) == len(numbers):
        rec.put(opened.record, do["key"], Quantity(whole if len(whole) > 1 else whole[0], do["unit"]))
    return opened


def _quotient(opened: Opened, do: Arguments) -> Opened:
    """Set a factor divided by the vendor's numbers, a plain number where no unit is given; a known value stays."""
    numbers = [exact(at(opened.vendor, path)) for path in do["vendor"]]
    below = math.prod(n for n in numbers if n is not None)
    if below and None not in numbers and rec.get(opened.record, do["key"]) is None:
        value = float(f"{float(do['factor']) / below:.15g}")
        rec.put(opened.record, do["key"], Quantity(value, do["unit"], Origin.DERIVED) if "unit" in do else value)
    return opened


def _time(opened: Opened, do: Arguments) -> Opened:
    """Set the start of the measurement in UTC, from ``unix`` seconds, a ``serial`` date, or what is ``local`` here."""
    if do["as"] == "local":
        text = str(rec.get(opened.record, "acquired_at"))
        moment = datetime.fromisoformat(re.sub(r"(Z|[+-]\d\d:\d\d)$", "", text)).astimezone(UTC)
    else:
        number = exact(at(opened.vendor, do["vendor"])) or 0.0
        # a serial date counts the days since 1899-12-30 (OLE automation)
        start, unit = (datetime(1970, 1, 1, tzinfo=UTC), 1) if do["as"] == "unix" else (
            datetime(1899, 12, 30, tzinfo=UTC), 86400,
        )  # fmt: skip
        moment = start + timedelta(milliseconds=round(number * unit * 1000))
    rec.put(opened.record, "acquired_at", moment.isoformat(timespec="auto"))
    return opened


def _multiply_offset(opened: Opened, do: Arguments) -> Opened:
    for dim, axis in opened.axes.items():
        if axis.offset is not None and axis.scale is not None and axis.scale.unit == do["unit"]:
            value = exact(axis.offset.values[0], do["factor"]) or 0.0
            opened.axes[dim] = replace(axis, offset=replace(axis.offset, value=value))
    return opened


def _drop_offset(opened: Opened, do: Arguments) -> Opened:
    axis = opened.axes.get(do["dim"])
    if axis is not None and axis.offset is not None:
        opened.axes[do["dim"]] = replace(axis, offset=replace(axis.offset, value=0.0))
    return opened


def _uncalibrate(opened: Opened, do: Arguments) -> Opened:
    for dim in do["dims"]:
        axis = opened.axes.get(dim)
        if axis is None:
            continue
        opened.axes[dim] = replace(axis, scale=None, offset=None, values=None)
        if axis.calibration in ("scan.step", "diffraction.pixel_size"):
            _drop(opened, {"key": axis.calibration})
            if axis.calibration == "diffraction.pixel_size":
                _drop(opened, {"key": "diffraction.center"})
    return opened


def _rename_dim(opened: Opened, do: Arguments) -> Opened:
    """Give a dimension, whose scale is none, its right name."""
    axis = opened.axes[do["dim"]]
    axes = {
        (do["to"] if dim == do["dim"] else dim): (Axis(do["to"], axis.size, axis.role) if dim == do["dim"] else known)
        for dim, known in opened.axes.items()
    }
    variables = tuple(
        replace(v, dims=tuple(do["to"] if dim == do["dim"] else dim for dim in v.dims)) for v in opened.variables
    )
    return replace(opened, variables=variables, axes=axes)


def _swap_scan(opened: Opened, do: Arguments) -> Opened:
    """Exchange the names of the two first dimensions of a variable where they come as x, y; each keeps its scale."""
    axes, variables = dict(opened.axes), []
    swapped: set[str] = set()
    for variable in opened.variables:
        first, second = (*variable.dims, "", "")[:2]
        if re.fullmatch(r"x(_.+)?", first) and second == "y" + first[1:]:
            variables.append(replace(variable, dims=(second, first, *variable.dims[2:])))
            if first not in swapped:
                one, two = axes[first], axes[second]
                axes[first], axes[second] = replace(one, size=two.size), replace(two, size=one.size)
                swapped.add(first)
        else:
            variables.append(variable)
    return replace(opened, variables=tuple(variables), axes=axes)


def _adopt_x_step(opened: Opened, do: Arguments) -> Opened:
    """Take a map's step along x from an image of the same pixels, whose x axis then is the map's."""
    step = rec.quantity(opened.record, "scan.step")
    if step is None or "x" not in opened.axes:
        return opened
    for variable in opened.variables[1:]:
        own = variable.dims[-1]
        axis = opened.axes[own]
        if variable.dims != ("y", own) or own == "x" or axis.size != opened.axes["x"].size or axis.scale is None:
            continue
        value = (float(step.values[0]), float(axis.scale.to(step.unit).values[0]))
        rec.put(opened.record, "scan.step", replace(step, value=value))
        variables = tuple(
            replace(v, dims=tuple("x" if dim == own else dim for dim in v.dims)) for v in opened.variables
        )
        return replace(opened, variables=variables, axes={d: a for d, a in opened.axes.items() if d != own})
    return opened


ACTIONS: dict[str, Action] = {
    "set": _set,
    "drop": _drop,
    "move": _move,
    "multiply": _multiply,
    "from_vendor": _from_vendor,
    "quotient": _quotient,
    "time": _time,
    "multiply_offset": _multiply_offset,
    "drop_offset": _drop_offset,
    "uncalibrate": _uncalibrate,
    "rename_dim": _rename_dim,
    "swap_scan": _swap_scan,
    "adopt_x_step": _adopt_x_step,
}


@lru_cache(maxsize=1)
def _foreign() -> frozenset[str]:
    from emdvc.formats.readers.rosettasciio_specs import BY_NAME

    return frozenset(BY_NAME)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
