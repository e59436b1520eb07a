"""Datasets in memory for the steps, and one call that runs a step on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.engine.run import run_step
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.results import ResultVariable
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import calibrate
from emdvc.steps.registry import find

ROLES = {"y": Role.SCAN, "x": Role.SCAN, "ky": Role.DETECTOR, "kx": Role.DETECTOR, "energy": Role.SPECTRUM}


def dataset(values: NDArray[Any], dims: str, energy: tuple[float, float] | None = None, **record: str) -> Opened:
    """Return an array as an open dataset; keywords are record keys with ``__`` for the dot."""
    from emdvc.model import record as rec

    fields: rec.Record = {}
    for key, text in record.items():
        rec.put(fields, key.replace("__", "."), rec.parse_value(key.replace("__", "."), text))
    names = tuple(dims.split())
    axes = {}
    for dim, size in zip(names, values.shape, strict=True):
        role = ROLES.get(dim, Role.STACK)
        axis = Axis(dim, size, role, calibration=CALIBRATED_BY.get((role, dim)))
        if dim == "energy" and energy is not None:
            axis = Axis(dim, size, role, scale=Quantity(energy[1], "eV"), offset=Quantity(energy[0], "eV"))
        axes[dim] = calibrate(axis, fields)
    return Opened((Variable("counts", names, MemoryArray(values), "counts"),), axes, fields)


def run(name: str, opened: Opened, threads: int = 1, **parameters: Any) -> dict[str, ResultVariable]:
    """Run a step and return its outputs by name."""
    step = find(name)
    result = run_step(step, step.Parameters(**parameters), opened, name="scan", threads=threads)
    return {variable.name: variable for variable in result.variables}


@pytest.fixture
def disk() -> NDArray[np.uint16]:
    """Return 3 x 4 patterns of 33 x 41 px: a disk of radius 6 whose centre moves by (y - 1, x - 2) px from (16, 20)."""
    y, x = np.mgrid[0:33, 0:41]
    frames = [[((y - 16 - (i - 1)) ** 2 + (x - 20 - (j - 2)) ** 2 < 36) * 50 for j in range(4)] for i in range(3)]
    return np.array(frames, np.uint16)
