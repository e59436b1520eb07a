"""A result is written whole or not at all, and the same numbers give the same bytes."""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.errors import ConflictError
from emdvc.formats import results, sidecar
from emdvc.formats.publishing import picture_path
from emdvc.formats.results import Result, ResultVariable, write_result
from emdvc.formats.statistics import statistics
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Quantity


def result(offset: int = 0) -> Result:
    """Return a map over the scan and a profile over rings that the step made itself."""
    scan = {
        dim: Axis(dim, 3, Role.SCAN, scale=Quantity(0.5, "nm"), calibration=CALIBRATED_BY[Role.SCAN, dim])
        for dim in "yx"
    }
    rings = Axis("k", 4, Role.DETECTOR, scale=Quantity(0.1, "1/angstrom"), offset=Quantity(0.05, "1/angstrom"))
    return Result(
        (
            ResultVariable(
                "image", ("y", "x"), np.arange(9, dtype="u8").reshape(3, 3) + offset, "counts", title="image"
            ),
            ResultVariable("profile", ("k",), np.linspace(0, 1, 4), "counts/px"),
        ),
        {**scan, "k": rings},
        frozenset({"k"}),
        {"step": "virtual_image", "version": 1},
    )


def tree(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_numbers_same_bytes(tmp_path: Path) -> None:
    """Two writes, and one over an older result, give the same files."""
    for place in ("a", "b"):
        write_result(tmp_path / place / "v.zarr", result(), source=tmp_path / "raw" / "s.zarr", picture=b"png")
    write_result(tmp_path / "c" / "v.zarr", result(offset=5), source=tmp_path / "raw" / "s.zarr", picture=b"old")
    write_result(tmp_path / "c" / "v.zarr", result(), source=tmp_path / "raw" / "s.zarr", picture=b"png")
    assert tree(tmp_path / "a") == tree(tmp_path / "b") == tree(tmp_path / "c")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["v.png", "v.zarr", "v.zarr.em.yaml"]


def test_other_readers_can_read_it(tmp_path: Path) -> None:
    """The store is plain Zarr 3 with named dimensions, units, and the coordinates that the step made."""
    write_result(tmp_path / "v.zarr", result())
    group = zarr.open_group(tmp_path / "v.zarr", mode="r")
    image: Any = group["image"]
    assert image.metadata.dimension_names == ("y", "x")
    assert image.attrs["units"] == "counts"
    assert np.asarray(image[...]).tolist() == np.arange(9).reshape(3, 3).tolist()
    assert np.allclose(np.asarray(group["k"][...]), [0.05, 0.15, 0.25, 0.35])  # type: ignore[index, arg-type]
    assert "y" not in group  # its calibration is kept with the input alone


def test_calibration_is_inherited_by_reference(tmp_path: Path) -> None:
    """The scan's step is not written with the result; the step's own axis is."""
    write_result(tmp_path / "results" / "v.zarr", result(), source=tmp_path / "raw" / "s.zarr")
    written = sidecar.read(tmp_path / "results" / "v.zarr")
    assert written.inherits == "../raw/s.zarr"
    assert written.axes["y"].scale is None
    assert written.axes["y"].calibration == "scan.step"
    assert written.axes["k"].scale == Quantity(0.1, "1/angstrom")
    assert written.statistics["image"]["sum"] == 36


def test_a_failure_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of writing: the old result stands, no partial file is left."""
    target = tmp_path / "v.zarr"
    write_result(target, result(), picture=b"png")
    before = tree(tmp_path)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.zarr_writer, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        write_result(target, result(offset=1), picture=b"new")
    assert tree(tmp_path) == before


def test_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    """What a killed process left is cleared by the next run; what a living one writes is left alone."""
    (tmp_path / ".v.zarr.999999999.partial").mkdir()
    (tmp_path / ".v.zarr.999999999.partial" / "zarr.json").write_text("{}")
    living = tmp_path / f".v.zarr.{os.getppid()}.partial"
    living.mkdir()
    write_result(tmp_path / "v.zarr", result())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, "v.zarr", "v.zarr.em.yaml"])


def test_what_is_no_result_is_not_overwritten(tmp_path: Path) -> None:
    """A folder or file of somebody's own at the output's place is refused."""
    (tmp_path / "v.zarr").mkdir()
    (tmp_path / "v.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(ConflictError):
        write_result(tmp_path / "v.zarr", result())
    assert (tmp_path / "v.zarr" / "notes.txt").read_text() == "mine"


@given(hnp.arrays(st.sampled_from([np.dtype(t) for t in ("u1", "u8", "i8", "u2")]), st.integers(1, 3000)))
def test_whole_numbers_are_summed_exactly(values: NDArray[Any]) -> None:
    """The sum of integers is Python's sum, beyond 64 bits too."""
    found = statistics(values)
    assert found["sum"] == sum(int(v) for v in values)
    assert found["min"] == int(values.min())
    assert found["max"] == int(values.max())
    assert found["q50"] in values


def test_large_integers_in_many_pieces() -> None:
    """More than a piece of 2**20 samples, near the limits of 64 bits."""
    top = np.full((1 << 20) + 5, 2**64 - 1, np.uint64)
    assert statistics(top)["sum"] == ((1 << 20) + 5) * (2**64 - 1)
    low = np.full((1 << 20) + 5, -(2**63), np.int64)
    assert statistics(low)["sum"] == -((1 << 20) + 5) * 2**63


def test_floats_are_summed_to_the_last_bit() -> None:
    """The sum of floats is correctly rounded, so it does not depend on their order; NaN are left out and counted."""
    values = np.array([1e16, 1.0, -1e16, math.nan, 2.5])
    assert statistics(values)["sum"] == statistics(values[::-1].copy())["sum"] == 3.5
    assert statistics(values)["count"] == 4
    assert statistics(np.array([math.nan])) == {"count": 0}


def test_picture_lies_beside_the_store() -> None:
    """``results/v.zarr`` has ``results/v.png``."""
    assert picture_path(Path("results/v.zarr")) == Path("results/v.png")
