"""The same bits everywhere: digests of whole results on inputs that are the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.formats.results import Result

from .conftest import dataset
from .scan_maps import centres, reference, reopened, result

RECORD = {"scan__step": "0.3nm", "diffraction__pixel_size": "0.013/angstrom", "beam__energy": "200keV"}


def numbers(count: int, seed: int) -> NDArray[np.float64]:
    """Return numbers between 0 and 1 from the raw stream of PCG64, which NumPy promises not to change."""
    return (np.random.PCG64(seed).random_raw(count) >> np.uint64(11)).astype(np.float64) / 2.0**53


def digest(*results: Result) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for found in results:
        for variable in found.variables:
            values = np.ascontiguousarray(variable.values)
            md5.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
    return md5.hexdigest()


@pytest.fixture(scope="module")
def moments() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gradient of a rough potential with noise, 37 x 42, seen at an odd angle."""
    potential = np.cumsum(np.cumsum(numbers(38 * 43, 1).reshape(38, 43) - 0.5, axis=0), axis=1)
    noise = numbers(2 * 37 * 42, 2).reshape(2, 37, 42)
    y, x = np.diff(potential, axis=0)[:, 1:] + 0.3 * noise[0], np.diff(potential, axis=1)[1:] + 0.3 * noise[1]
    return 0.8 * y + 0.6 * x + 60.0, 0.6 * y - 0.8 * x + 62.0


# The digests were made on x86-64 by code for the host's processor and for a generic one (NUMBA_CPU_NAME=generic, and
# NumPy without its vectorised loops), which agree. A change of a step that changes them raises its version.
def test_phase_contrast(moments: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    """Rotation from the curl, deflection in mrad, its direction, and the phase by both kinds of edges."""
    opened = centres(*moments, **RECORD)
    deflected = result("dpc", opened, unit="mrad", half_turn="atoms")
    phases = [result("idpc", reopened(deflected), edges=edges, high_pass="9px") for edges in ("free", "periodic")]
    assert digest(result("scan_rotation", opened)) == "7e0cda89d56ff08d38298772f9a223ef"
    assert digest(deflected) == "8ee58835f08e837b60d53faddcf2d2b0"
    assert digest(*phases) == "632dd7c5022460ce15a575e4c74d8cd4"


def test_alignment(moments: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    """A quadratic fit without outliers, and patterns moved by whole pixels and by parts of one."""
    fitted = result("descan_fit", centres(*moments), order="quadratic", rejection=2)
    frames = (numbers(9 * 8 * 30 * 31, 3) * 999).astype(np.uint16).reshape(9, 8, 30, 31)
    places = numbers(2 * 72, 4).reshape(2, 9, 8)
    centers = {"centers": reference({"center_y": 13 + 5 * places[0], "center_x": 12 + 6 * places[1]})}
    opened = dataset(frames, "y x ky kx")
    moved = [result("align", opened, centers, centers="a.zarr", method=method) for method in ("pixel", "bilinear")]
    assert digest(fitted) == "33815f4125afaacf2e72099f30e8b4ea"
    assert digest(*moved) == "10e04355868a584a1e07157fce14a8da"
