from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from emdvc.formats import sidecar as sidecars
from emdvc.formats.contract import ReadOptions
from emdvc.formats.describe import describe
from emdvc.formats.digest import content_digest
from emdvc.formats.registry import open_file

SCAN = (np.arange(4 * 5 * 16 * 12) % 211).astype("u2").reshape(4, 5, 16, 12)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A calibrated scan as a Zarr store, without a sidecar."""
    path = tmp_path / "scan.zarr"
    group = zarr.create_group(path)
    dims = ("y", "x", "ky", "kx")
    frames = group.create_array("frames", shape=SCAN.shape, dtype="u2", chunks=(1, 5, 16, 12), dimension_names=dims)
    frames[...] = SCAN
    frames.attrs["units"] = "counts"
    for dim, size, scale, unit in zip(
        dims, SCAN.shape, (2.0, 2.0, 0.05, 0.05), ("nm", "nm", "1/nm", "1/nm"), strict=True
    ):
        group.create_array(dim, data=scale * np.arange(size), dimension_names=(dim,), attributes={"units": unit})
    return path


@pytest.fixture
def added():
    """Write the sidecar of raw data, as adding it does."""

    def add(path: Path, **options) -> Path:
        known = ReadOptions.from_dict(options)
        opened = open_file(path, known)
        digests = {variable.name: content_digest(variable.array) for variable in opened.variables}
        sidecar = describe(opened, options=known, files=[{"path": path.name, "sha256": "", "size": 0}], digests=digests)
        opened.close()
        return sidecars.write(path, sidecar)

    return add
