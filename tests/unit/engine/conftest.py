"""Small scans in many chunks, and blocks so small that each scan has many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.spectra import EelsPhantom
from emdvc.testing.write import write_zarr


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut scans into blocks of some kilobytes."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 15)


@pytest.fixture(scope="session")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 16 x 18 patterns of 32 x 32 counts, in chunks of 4 x 4 patterns."""
    path = tmp_path_factory.mktemp("counts") / "scan.zarr"
    return write_zarr(path, DiffractionPhantom((16, 18), (32, 32), brightness=60.0), scan_chunk=4)


@pytest.fixture(scope="session")
def floats(counts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 8 x 12 of these patterns as floats with fractions, whose sums depend on the order of the additions."""
    path = tmp_path_factory.mktemp("floats") / "scan.zarr"
    whole = zarr.open_group(counts, mode="r")
    part = zarr.open_group(path, mode="w", attributes=dict(whole.attrs))
    values = whole["counts"][:8, :12]
    values = values * np.float32(0.7331) + np.random.default_rng(3).random(values.shape, np.float32)
    dims = ("y", "x", "ky", "kx")
    part.create_array("counts", data=values, chunks=(4, 4, 32, 32), dimension_names=dims)
    for dim, size in zip(dims, values.shape, strict=True):
        axis = whole[dim]
        part.create_array(dim, data=axis[:size], dimension_names=(dim,), attributes=dict(axis.attrs))
    return path


@pytest.fixture(scope="session")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 8 x 12 spectra of 512 channels, in chunks of 4 x 4 spectra."""
    path = tmp_path_factory.mktemp("spectra") / "scan.zarr"
    return write_zarr(path, EelsPhantom((8, 12)), scan_chunk=4)
