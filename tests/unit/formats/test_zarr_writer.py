"""What is written here is Zarr 3: zarr-python reads it, and would have written the same metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.formats import zarr_writer

KINDS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "?", ">u2", ">f8"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(KINDS).flatmap(lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=0, max_dims=4)))
)
def test_zarr_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, values: NDArray[Any]) -> None:
    path = zarr_writer.create_group(tmp_path_factory.mktemp("z") / "store.zarr")
    dims = ("a", "b", "c", "d")[: values.ndim]
    zarr_writer.write_array(path / "data", values, dims, {"units": "counts", "long_name": ""})
    array: Any = zarr.open_group(path, mode="r")["data"]
    assert array.dtype == values.dtype.newbyteorder("=")
    assert np.asarray(array[...]).tobytes() == values.astype(values.dtype.newbyteorder("=")).tobytes()
    assert array.metadata.dimension_names == dims
    assert dict(array.attrs) == {"units": "counts"}


@pytest.mark.parametrize("kind", ["u2", "u8", "f4", "f8", "?"])
def test_the_metadata_is_zarrs_own(tmp_path: Path, kind: str) -> None:
    """The same keys and values as zarr-python writes for the same array: nothing is missing, nothing is invented."""
    theirs = zarr.create_group(tmp_path / "theirs.zarr", zarr_format=3)
    theirs.create_array(
        "data",
        shape=(4, 5),
        dtype=kind,
        chunks=(2, 5),
        compressors=None,
        chunk_key_encoding={"name": "v2", "separator": "."},
        dimension_names=("y", "x"),
        attributes={"units": "px"},
    )
    ours = zarr_writer.create_group(tmp_path / "ours.zarr")
    zarr_writer.create_array(ours / "data", (4, 5), kind, ("y", "x"), chunks=(2, 5), attributes={"units": "px"})
    for name in ("zarr.json", "data/zarr.json"):
        assert json.loads((ours / name).read_text()) == json.loads((tmp_path / "theirs.zarr" / name).read_text())


def test_chunks_at_the_edge_are_full_chunks(tmp_path: Path) -> None:
    values = np.arange(35, dtype=np.int16).reshape(5, 7)
    path = zarr_writer.create_group(tmp_path / "store.zarr")
    zarr_writer.create_array(path / "data", (5, 7), "i2", ("y", "x"), chunks=(2, 4))
    for i in range(3):
        for j in range(2):
            part = values[2 * i : 2 * i + 2, 4 * j : 4 * j + 4]
            zarr_writer.write_chunk(path / "data", (i, j), part, (2, 4))
    assert {file.stat().st_size for file in (path / "data").iterdir() if file.name != "zarr.json"} == {16}
    assert np.array_equal(np.asarray(zarr.open_group(path, mode="r")["data"][...]), values)  # type: ignore[index, arg-type]


def test_zeros_are_written_too(tmp_path: Path) -> None:
    """A chunk that is not there is lost, not zero: zarr-python would leave it out."""
    path = zarr_writer.create_group(tmp_path / "store.zarr")
    zarr_writer.write_array(path / "data", np.zeros((3, 3), np.uint16), ("y", "x"))
    assert (path / "data" / "0.0").read_bytes() == bytes(18)
