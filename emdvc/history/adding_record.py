"""The record of ``emdvc add``: what the file says, what a person sets, and what is kept when a file is read anew."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from emdvc.errors import Code, MetadataError, UsageError, suggest
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.history.progress import Progress
from emdvc.model import record as rec
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, merge

_AXIS = re.compile(r"^axes\.(?P<dim>\w+)\.(?P<part>\w+)$")
#: Follow from the data's shape: never carried over from an older reading.
_SHAPES = ("scan.shape", "detector.shape")


@dataclass(frozen=True, slots=True)
class Setting:
    """One ``--set``: a key of the record or of an axis, and what was typed for it."""

    key: str
    text: str


def parse(texts: tuple[str, ...]) -> list[Setting]:
    """Return the settings that were typed, checked as far as they can be without the file.

    Raises
    ------
    UsageError
        There is no ``=``.
    MetadataError
        An unknown key, a wrong unit, an impossible value.
    """
    settings = []
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"'{text}' sets nothing", hint="write key=value, as in --set beam.energy=200keV")
        setting = Setting(key.strip(), value.strip())
        if not _AXIS.match(setting.key):
            rec.parse_value(setting.key, setting.text)
        settings.append(setting)
    return settings


def described(opened: Opened, options: ReadOptions, progress: Progress, files: list[dict[str, Any]]) -> Sidecar:
    """Return the sidecar of an open file; every array is read once, for its content digest.

    Raises
    ------
    FormatError
        The file turns out to be truncated or damaged.
    """
    from emdvc.formats.describe import describe
    from emdvc.formats.digest import content_digest

    digests = {}
    for variable in opened.variables:
        size = variable.array.dtype.itemsize
        for samples in variable.array.shape:
            size *= samples
        with progress(f"reading {variable.name}", size) as advance:
            digests[variable.name] = content_digest(variable.array, advance=advance)
    return describe(opened, options=options, files=files, digests=digests)


def apply(sidecar: Sidecar, settings: list[Setting]) -> Sidecar:
    """Return a sidecar with what a person set.

    Raises
    ------
    MetadataError
        An axis that is not there, or one that the record calibrates.
    """
    record, axes = deepcopy(sidecar.record), dict(sidecar.axes)
    for setting in settings:
        match = _AXIS.match(setting.key)
        if match is None:
            value = rec.parse_value(setting.key, setting.text)
            if not _holds(rec.get(record, setting.key), value):
                rec.put(record, setting.key, value)
        else:
            dim, part = match["dim"], match["part"]
            axes[dim] = replace(_axis(axes, dim, part), **{part: _coordinate(axes[dim].unit, setting)})
    rec.check(record)
    return replace(sidecar, record=record, axes=axes)


def _holds(old: Any, new: Any) -> bool:
    # setting what a person set before changes nothing, whatever unit it is typed in
    if isinstance(old, Quantity) and isinstance(new, Quantity):
        return old.origin == new.origin and old.same(new)
    return bool(old == new)


def _axis(axes: dict[str, Any], dim: str, part: str) -> Any:
    if dim not in axes:
        near = suggest(dim, list(axes))
        raise MetadataError(
            f"there is no axis '{dim}'",
            code=Code.METADATA_KEY,
            evidence=f"the axes are {', '.join(axes)}",
            hint=f"did you mean axes.{near}.{part}?" if near else None,
        )
    if part not in ("scale", "offset"):
        raise MetadataError(
            f"unknown metadata key 'axes.{dim}.{part}'",
            code=Code.METADATA_KEY,
            hint=f"set axes.{dim}.scale or axes.{dim}.offset",
        )
    axis = axes[dim]
    if axis.calibration is not None:
        centre = part == "offset" and axis.calibration.startswith("diffraction")
        key = "diffraction.center" if centre else axis.calibration
        raise MetadataError(
            f"the axis {dim} is calibrated by {axis.calibration}", code=Code.METADATA_KEY, hint=f"--set {key}=..."
        )
    return axis


def _coordinate(unit: str, setting: Setting) -> Quantity:
    value = Quantity.parse(setting.text, unit="" if unit == "px" else unit, origin=Origin.USER)
    if isinstance(value.value, tuple):
        raise MetadataError(f"{setting.key} is one number", evidence=f"got '{setting.text}'")
    return value


def carried(old: Sidecar, new: Sidecar, *, same_bytes: bool) -> Sidecar:
    """Return a new reading's sidecar with what people set or calibrated before.

    Parameters
    ----------
    same_bytes
        Whether only the way of reading changed: then text that stands in the old record is kept too.
    """
    record = merge(old.record, new.record)
    for key, value in rec.leaves(old.record):
        keep = value.origin is not Origin.FILE if isinstance(value, Quantity) else same_bytes and value is not None
        if keep and key not in _SHAPES:
            rec.put(record, key, value)
    axes = {}
    for dim, axis in new.axes.items():
        before = old.axes.get(dim) if axis.calibration is None else None
        parts = {part: getattr(before, part, None) for part in ("scale", "offset")}
        by_hand = {part: q for part, q in parts.items() if q is not None and q.origin is not Origin.FILE}
        axes[dim] = replace(axis, **by_hand)
    return replace(new, record=record, axes=axes)
