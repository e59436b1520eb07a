"""Sidecars to compare: a raw scan as ``emdvc add`` describes it, and a result of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo


def _raw(changes: dict[str, Any] | None = None, **parts: Any) -> Sidecar:
    record: dict[str, Any] = {}
    known = {
        "beam.energy": Quantity(200.0, "keV"),
        "scan.step": Quantity((0.8, 0.8), "nm"),
        "diffraction.pixel_size": Quantity(0.02, "1/angstrom"),
        "diffraction.center": Quantity((32.0, 32.0), "px"),
        "operator": "B. v. Borries",
        "sample.elements": ["Au", "C"],
    }
    for key, value in {**known, **(changes or {})}.items():
        rec.put(record, key, value)
    axes = {
        "y": Axis("y", 8, Role.SCAN, calibration="scan.step"),
        "x": Axis("x", 8, Role.SCAN, calibration="scan.step"),
        "ky": Axis("ky", 64, Role.DETECTOR, calibration="diffraction.pixel_size"),
        "kx": Axis("kx", 64, Role.DETECTOR, calibration="diffraction.pixel_size"),
    }
    contents: dict[str, Any] = {
        "record": record,
        "axes": axes,
        "variables": {"data": VariableInfo(("y", "x", "ky", "kx"), (8, 8, 64, 64), "uint16", "a" * 64)},
        "main": "data",
        "source": {"reader": "mib@1", "files": [{"path": "scan.mib", "sha256": "b" * 64, "size": 1000}]},
        "vendor": {"Acquisition": {"value": "anything", "unit": "none"}},
    }
    return Sidecar(**{**contents, **parts})


@pytest.fixture
def raw() -> Callable[..., Sidecar]:
    return _raw
