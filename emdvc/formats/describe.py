"""The sidecar of raw data: what an open file says about itself, complete and in plain values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any

from emdvc.formats.contract import Opened, ReadOptions
from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record
from emdvc.model.sidecar import Sidecar, VariableInfo, merge

#: An array with more numbers stands in ``vendor`` as its shape and digest.
LARGE = 64
#: A longer text stands in ``vendor`` cut, with its length said.
LONG = 2000


def describe(opened: Opened, *, options: ReadOptions, files: list[dict[str, Any]], digests: dict[str, str]) -> Sidecar:
    """Return the sidecar of raw data.

    The record always holds the keys that built-in steps may read, null where unknown: DVC cannot depend on a key that
    is not there.

    Parameters
    ----------
    opened
        The file; nothing of its arrays is read.
    options
        How it was opened; kept, so that it opens the same again.
    files
        The bytes: one mapping ``{path, sha256, size}`` per file (``files`` too for a directory).
    digests
        Content digest by variable.
    """
    record = merge(_always(opened), _plain_record(opened.record))
    source: dict[str, Any] = {"reader": opened.reader, "files": files}
    if said := options.to_dict():
        source["options"] = said
    return Sidecar(
        record=record,
        axes={dim: _kept(axis) for dim, axis in opened.axes.items()},
        variables={
            variable.name: VariableInfo(
                variable.dims,
                variable.array.shape,
                variable.array.dtype.name,
                digests.get(variable.name, ""),
                variable.unit,
            )
            for variable in opened.variables
        },
        main=opened.variables[0].name,
        source=source,
        vendor=plain(opened.vendor),
    )


def _always(opened: Opened) -> Record:
    sizes = {(axis.role, dim): axis.size for dim, axis in opened.axes.items()}
    record: Record = {"beam": {"energy": None}}
    scan = [sizes[Role.SCAN, dim] for dim in ("y", "x") if (Role.SCAN, dim) in sizes]
    if scan:
        record["scan"] = {"step": None, "shape": scan}
    detector = [sizes[Role.DETECTOR, dim] for dim in ("ky", "kx") if (Role.DETECTOR, dim) in sizes]
    if detector:
        record["diffraction"] = {"pixel_size": None, "center": None}
        record["detector"] = {"shape": detector}
    return record


def _kept(axis: Axis) -> Axis:
    """Return an axis as it is kept: what the record calibrates holds no scale of its own."""
    return Axis(axis.dim, axis.size, axis.role, calibration=axis.calibration) if axis.calibration else axis


def _plain_record(record: Record) -> Record:
    found: Record = {}
    for key, value in rec.leaves(record):
        if not isinstance(value, Quantity):
            rec.put(found, key, plain(value))
            continue
        numbers = tuple(_number(v) for v in value.values)
        if all(math.isfinite(v) for v in numbers):  # a quantity that is no number says nothing
            single = numbers if isinstance(value.value, tuple) else numbers[0]
            rec.put(found, key, Quantity(single, value.unit, value.origin))
    return found


def _number(value: Any) -> float | int:
    return value if type(value) in (int, float) else value.item() if hasattr(value, "item") else float(value)


def plain(value: Any) -> Any:
    """Return any value as what YAML and JSON can hold, without loss where it is small.

    A large array becomes ``{shape, dtype, sha256}``, bytes become text, a number that is not finite becomes the text
    ``nan``, ``inf`` or ``-inf``, and a long text is cut with its length said.
    """
    if value is None or isinstance(value, bool | int):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return _bytes(bytes(value))
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, Quantity):
        return value.to_dict()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, list | tuple | set | frozenset):
        return _sequence(list(value))
    return _from_numpy(value)


def _mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, node in value.items():
        name = _text(key.decode("latin-1") if isinstance(key, bytes) else str(key))
        found[name] = plain(node)
    return found


def _sequence(values: list[Any]) -> Any:
    if len(values) > LARGE and all(type(v) in (int, float) for v in values):
        import numpy as np

        return _from_numpy(np.asarray(values))
    return [plain(v) for v in values]


def _from_numpy(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        return plain(value.item()) if not isinstance(value, np.void) else _void(value)
    if not isinstance(value, np.ndarray):
        return _text(str(value))
    if value.dtype.kind in "OSUV" or value.dtype.names:
        return _sequence(value.tolist()) if value.size <= LARGE else _large(value)
    return plain(value.tolist()) if value.size <= LARGE else _large(value)


def _void(value: Any) -> Any:
    if value.dtype.names:
        return {name: plain(value[name]) for name in value.dtype.names}
    return _bytes(value.tobytes())


def _large(value: Any) -> dict[str, Any]:
    from emdvc.formats.digest import array_digest

    if value.dtype.kind in "biufc":
        digest = array_digest(value)
    else:
        digest = hashlib.sha256(repr(value.tolist()).encode()).hexdigest()
    return {"shape": list(value.shape), "dtype": value.dtype.name, "sha256": digest.rpartition(":")[2]}


def _bytes(value: bytes) -> str:
    stripped = value.rstrip(b"\0")
    try:
        return _text(stripped.decode("utf-8"))
    except UnicodeDecodeError:
        pass
    if len(value) > LARGE:
        return f"{len(value)} bytes, sha256 {hashlib.sha256(value).hexdigest()}"
    return _text(stripped.decode("latin-1"))


def _text(value: str) -> str:
    # YAML has no way to write most control characters as they are
    clean = "".join(
        c if c in "\n\t" or ((c.isprintable() or c.isspace()) and ord(c) >= 32) else "\ufffd" for c in value
    )
    clean = clean.replace("\r\n", "\n").replace("\x85", " ").replace("\u2028", " ").replace("\u2029", " ")
    if len(clean) <= LONG:
        return clean
    return f"{clean[:LONG]} ... ({len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()[:16]})"
