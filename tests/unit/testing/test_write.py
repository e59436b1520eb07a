from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EdxPhantom
from emdvc.testing.write import write_npy, write_raw, write_zarr

SCAN = DiffractionPhantom((9, 10), (32, 24))


def _hash(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file()):
        found.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize("compressed", [True, False])
def test_zarr_holds_data_calibration_and_record(tmp_path: Path, compressed: bool) -> None:
    path = write_zarr(tmp_path / "scan.zarr", SCAN, scan_chunk=4, compressed=compressed)
    scan = xr.open_zarr(path, consolidated=False)
    assert scan["counts"].dims == SCAN.dims
    assert np.array_equal(scan["counts"].values, np.stack(list(SCAN.rows())))
    assert scan["y"].attrs["units"] == "nm"
    assert float(scan["y"][2]) == 3.0
    assert scan["kx"].attrs["units"] == "1/angstrom"
    nominal = scan.attrs["emdvc"]["record"]["diffraction"]["pixel_size"]["value"]
    assert float(scan["kx"][1] - scan["kx"][0]) == pytest.approx(nominal)
    assert nominal == pytest.approx(1.04 * SCAN.pixel_size, rel=1e-3)
    assert all("/" not in name for name in _chunks(path / "counts"))


def _chunks(array: Path) -> list[str]:
    return [file.relative_to(array).as_posix() for file in array.rglob("*") if file.is_file()]


def test_zarr_is_written_the_same_twice(tmp_path: Path) -> None:
    first = write_zarr(tmp_path / "a.zarr", EdxPhantom((5, 6)))
    second = write_zarr(tmp_path / "b.zarr", EdxPhantom((5, 6)))
    assert _hash(first) == _hash(second)


def test_npy_and_raw(tmp_path: Path) -> None:
    expected = np.stack(list(SCAN.rows()))
    assert np.array_equal(np.load(write_npy(tmp_path / "scan.npy", SCAN)), expected)
    raw = write_raw(tmp_path / "scan.raw", SCAN, header=b"a header").read_bytes()
    assert raw == b"a header" + expected.astype("<u2").tobytes()
