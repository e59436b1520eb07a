"""Alignment of measured patterns, against their stored sums and published centres of mass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.formats.contract import Opened

from .conftest import dataset
from .scan_maps import outputs, reference, reopened, result


@pytest.fixture
def merlin(realdata: Path) -> Opened:
    """Return the Merlin scan of pixstem's test data: 2 x 2 patterns of 256 x 256."""
    with h5py.File(realdata / "fpd_merlin_2x2x256x256.hdf5") as file:
        frames: NDArray[Any] = file["fpd_expt/fpd_data/data"][:, :, 0]
    return dataset(frames, "y x ky kx")


def test_measured_patterns_are_brought_to_the_middle(merlin: Opened) -> None:
    """The first pattern's centre of mass is (125.8536, 129.1354) px (fpd 0.2, LiberTEM 0.16): it moves by (2, -1) px.

    The four patterns hold 821833, 822375, 821384 and 823283 counts (stored with them by fpd): kept and lost together.
    """
    moments = outputs("center_of_mass", merlin)
    maps = {name: moments[name].values for name in ("com_y", "com_x")}
    moved = result(
        "align", merlin, {"centers": reference(maps)}, centers="com.zarr", kind="center_of_mass", target="128,128"
    )
    found = {variable.name: variable.values for variable in moved.variables}
    assert (found["shift_y"][0, 0], found["shift_x"][0, 0]) == (2, -1)
    assert (
        found["counts"][0, 0, 2:, :-1]
        == merlin.variable().array.read((slice(0, 1),) * 2 + (slice(0, 254), slice(1, 256)))
    ).all()
    kept = found["counts"].sum(axis=(2, 3), dtype=np.uint64)
    assert (kept + found["lost"]).tolist() == [[821833, 822375], [821384, 823283]]
    assert 0 < found["lost"].max() < 0.003 * 821384  # there are counts up to the edges


def test_parts_of_a_pixel_bring_them_nearer(merlin: Opened) -> None:
    """Bilinear, to the whole pixel by which least is cut off: the centres of mass stand there in all four patterns."""
    moments = outputs("center_of_mass", merlin)
    fitted = outputs("descan_fit", reopened(result("center_of_mass", merlin)), order="constant")
    assert fitted["offset"].values[0] == pytest.approx(moments["com_y"].values.mean(), rel=1e-14)
    maps = {name: moments[name].values for name in ("com_y", "com_x")}
    moved = result(
        "align",
        merlin,
        {"centers": reference(maps)},
        centers="com.zarr",
        kind="center_of_mass",
        method="bilinear",
    )
    assert list(moved.own_record["diffraction"]["center"]["value"]) == [126.0, 129.0]
    before, after = moments, outputs("center_of_mass", reopened(moved))
    for name, target in (("com_y", 126), ("com_x", 129)):
        # a few hundred counts, 0.03 %, leave the detector at 128 px from the middle
        assert np.abs(after[name].values - target).max() < 0.05 < np.abs(before[name].values - target).max()
