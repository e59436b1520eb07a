"""Maps over a scan in memory, for the steps that work on the results of others; and a run with references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.engine.run import run_step
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.results import Result, ResultVariable
from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.sidecar import calibrate, merge
from emdvc.steps.contract import Reference
from emdvc.steps.registry import find

DIMS = ("y", "x")


def maps(arrays: Mapping[str, NDArray[Any]], unit: str = "px", **record: str) -> Opened:
    """Return maps over y, x as an open result; keywords are record keys with ``__`` for the dot."""
    fields: rec.Record = {}
    for key, text in record.items():
        rec.put(fields, key.replace("__", "."), rec.parse_value(key.replace("__", "."), text))
    shape = next(iter(arrays.values())).shape
    axes = {
        dim: calibrate(Axis(dim, n, Role.SCAN, calibration="scan.step"), fields)
        for dim, n in zip(DIMS, shape, strict=True)
    }
    variables = tuple(Variable(name, DIMS, MemoryArray(values), unit) for name, values in arrays.items())
    return Opened(variables, axes, fields)


def centres(y: NDArray[Any], x: NDArray[Any], **record: str) -> Opened:
    """Return a centre-of-mass result."""
    return maps({"com_y": y, "com_x": x}, **record)


def reference(arrays: Mapping[str, NDArray[Any]], dims: tuple[str, ...] = DIMS) -> Reference:
    """Return arrays as a dataset that a step reads besides its input."""
    return Reference(dict(arrays), dict.fromkeys(arrays, dims), {}, "results/other.zarr")


def result(name: str, opened: Opened, references: Mapping[str, Reference] | None = None, **parameters: Any) -> Result:
    """Run a step and return its result."""
    threads = parameters.pop("threads", 1)
    step = find(name)
    return run_step(
        step, step.Parameters(**parameters), opened, name="scan", references=references or {}, threads=threads
    )


def outputs(
    name: str, opened: Opened, references: Mapping[str, Reference] | None = None, **parameters: Any
) -> dict[str, ResultVariable]:
    """Run a step and return its outputs by name."""
    return {variable.name: variable for variable in result(name, opened, references, **parameters).variables}


def reopened(found: Result) -> Opened:
    """Return a result as the next step would open it."""
    variables = tuple(Variable(one.name, one.dims, MemoryArray(one.values), one.unit) for one in found.variables)
    return Opened(variables, dict(found.axes), merge(found.record, found.own_record))


def differences(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the central differences of a potential along y and x (one-sided at the edges): NumPy's gradient.

    Differences along y and along x commute, so that such a field has no curl at all, but for rounding.
    """
    y, x = np.gradient(values)
    return y, x


def as_detected(
    y: NDArray[np.float64], x: NDArray[np.float64], degrees: float, flip: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a detector that is turned and mirrored against the scan measures of a field along the scan's axes."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned_y, turned_x = cosine * y - sine * x, cosine * x + sine * y
    return (-turned_y if flip else turned_y), turned_x
