"""A shard carries a checksum for each chunk in it; a chunk with a file of its own does not need one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from emdvc.errors import FormatError
from emdvc.formats.arrays import ZarrArray
from emdvc.formats.readers.zarr import open_node
from emdvc.formats.stored_array import StoredArray
from emdvc.formats.zarr_codecs import Encoder, named
from emdvc.formats.zarr_layout import chunks_of

VALUES = np.random.default_rng(1).poisson(5, (7, 6, 8, 8)).astype("u2")


def stored(folder: Path, shard: tuple[int, ...] | None, codec: Encoder | None) -> StoredArray:
    array = StoredArray(
        "counts", VALUES.shape, VALUES.dtype, ("y", "x", "ky", "kx"), "", (2, 2, 8, 8), shard, codec=codec
    )
    array.create(folder)
    for index in array.keys.indices():
        array.write(folder, index, lambda region: VALUES[region])
    return array


@pytest.mark.parametrize("codec", ["none", "blosc-lz4", "zstd-1"])
def test_each_chunk_of_a_shard_is_checked(tmp_path: Path, codec: str) -> None:
    stored(tmp_path, (4, 4, 8, 8), named(codec, 2))
    array = open_node(tmp_path, "counts")
    np.testing.assert_array_equal(array[:], VALUES)
    ours = chunks_of(array)
    assert ours is not None and ours.encoded.checked
    np.testing.assert_array_equal(ZarrArray(array).read(tuple(slice(0, n) for n in VALUES.shape)), VALUES)
    file = tmp_path / "counts" / "0.0.0.0"
    content = bytearray(file.read_bytes())
    content[20] ^= 1
    file.write_bytes(content)
    with pytest.raises(FormatError, match=r"0\.0\.0\.0 is damaged"):
        ZarrArray(array).read((slice(0, 1), slice(0, 1), slice(0, 8), slice(0, 8)))


def test_a_chunk_with_a_file_of_its_own_is_as_it_was(tmp_path: Path) -> None:
    stored(tmp_path, None, None)
    assert (tmp_path / "counts" / "0.0.0.0").stat().st_size == 2 * 2 * 8 * 8 * 2
    assert [codec.to_dict()["name"] for codec in zarr.open(tmp_path / "counts").metadata.codecs] == ["bytes"]
