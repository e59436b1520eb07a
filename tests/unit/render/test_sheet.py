from __future__ import annotations

import pytest

from emdvc.model.axis import Axis, Role
from emdvc.model.sidecar import Sidecar, VariableInfo
from emdvc.render import sheet

ROLES = {"ky": Role.DETECTOR, "kx": Role.DETECTOR, "energy": Role.SPECTRUM, "k": Role.DETECTOR, "tilt": Role.STACK}


@pytest.mark.parametrize(
    ("dims", "result", "expected"),
    [
        ("y x ky kx", False, "4D-STEM scan"),
        ("ky kx", False, "diffraction pattern"),
        ("frame ky kx", False, "diffraction patterns over frame"),
        ("x ky kx", False, "line scan of diffraction patterns"),
        ("y x energy", False, "spectrum image"),
        ("energy", True, "spectrum"),
        ("y x k", True, "map of radial profiles"),
        ("y x", True, "map of the scan"),
        ("y x", False, "image"),
        ("tilt y x", False, "tilt series of images"),
        ("", True, "single value"),
    ],
)
def test_what_a_dataset_is(dims: str, result: bool, expected: str) -> None:
    names = tuple(dims.split())
    axes = {dim: Axis(dim, 4, ROLES.get(dim, Role.SCAN)) for dim in names}
    info = VariableInfo(names, (4,) * len(names), "uint16")
    sidecar = Sidecar(axes=axes, variables={"data": info}, main="data", provenance={"step": "s"} if result else {})
    assert sheet.what(sidecar) == expected
    assert sheet.array_bytes(info) == 2 * 4 ** len(names)
