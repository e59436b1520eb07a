"""A scan of 2 GiB, written in a few seconds: some rows of a phantom again and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr

from emdvc.testing.phantoms import DiffractionPhantom


def write_large_scan(path: Path, chunk: int = 8, *, distinct: bool = False) -> Path:
    """Write a Zarr store of 256 x 256 patterns of 128 x 128 px, uint16, and return its path.

    Parameters
    ----------
    path
        Where.
    chunk
        Probe positions in a chunk along each direction of the scan.
    distinct
        Whether no two chunks hold the same: else equal rows are stored once by DVC.
    """
    rows = np.stack(list(DiffractionPhantom(scan_shape=(chunk, 256)).rows()))
    array = zarr.create_group(path, zarr_format=3).create_array(
        "counts",
        shape=(256, *rows.shape[1:]),
        dtype="u2",
        chunks=(chunk, chunk, 128, 128),
        dimension_names=("y", "x", "ky", "kx"),
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    for start in range(0, 256, chunk):
        if distinct:
            rows[..., 0, 0] = np.arange(256) // chunk + start * 32
        array[start : start + chunk] = rows
    assert array.nbytes == 2 << 30
    return path
