from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emdvc.errors import Code, FormatError
from emdvc.formats.arrays import (
    BinaryArray,
    DaskArray,
    Flipped,
    Guarded,
    Hdf5Array,
    Joined,
    MemoryArray,
    Reshaped,
    Squeezed,
    Transposed,
    ZarrArray,
    contiguous_chunks,
)
from emdvc.formats.region import whole

VALUES = (np.arange(5 * 6 * 7 * 9) * 37 % 1009).astype(">u2").reshape(5, 6, 7, 9)


@st.composite
def regions(draw, shape=VALUES.shape):
    parts = []
    for n in shape:
        start = draw(st.integers(0, n))
        parts.append(slice(start, draw(st.integers(start, n))))
    return tuple(parts)


@pytest.fixture(scope="module")
def lazies(tmp_path_factory):
    """The same numbers in every kind of container."""
    folder = tmp_path_factory.mktemp("arrays")
    raw = folder / "a.raw"
    raw.write_bytes(b"x" * 5 + VALUES.tobytes())
    framed = folder / "framed.raw"
    framed.write_bytes(b"".join(b"HEAD" + row.tobytes() for row in VALUES))
    file = h5py.File(folder / "a.h5", "w")
    file.create_dataset("plain", data=VALUES)
    file.create_dataset("chunked", data=VALUES, chunks=(2, 2, 4, 9), compression="gzip")
    store = zarr.create_array(folder / "a.zarr", shape=VALUES.shape, chunks=(2, 3, 4, 5), dtype="u2")
    store[...] = VALUES
    import dask.array as da

    turned = MemoryArray(np.ascontiguousarray(VALUES.transpose(2, 0, 3, 1)))
    made = {
        "memory": MemoryArray(VALUES),
        "hdf5": Hdf5Array(file["plain"]),
        "hdf5 chunked": Hdf5Array(file["chunked"]),
        "zarr": ZarrArray(store),
        "dask": DaskArray(da.from_array(VALUES, chunks=(2, 6, 7, 4))),
        "binary": BinaryArray(raw, VALUES.shape, VALUES.dtype, 5),
        "binary with gaps": BinaryArray(framed, VALUES.shape, VALUES.dtype, 4, 4),
        "transposed": Transposed(turned, (1, 3, 0, 2)),
        "flipped": Flipped(MemoryArray(VALUES[:, ::-1, :, ::-1]), (1, -1)),
        "squeezed": Squeezed(MemoryArray(VALUES[:, None, :, :, :, None]), (1, 5)),
        "joined": Joined([MemoryArray(VALUES[:2]), MemoryArray(VALUES[2:3]), MemoryArray(VALUES[3:])]),
        "scan of frames": Reshaped(MemoryArray(VALUES.reshape(30, 7, 9)), (5, 6)),
        "scan of a wrong scan": Reshaped(MemoryArray(VALUES.reshape(3, 10, 7, 9)), (5, 6), lead=2),
        "guarded": Guarded(MemoryArray(VALUES), "a"),
    }
    yield made
    file.close()
    for name in ("binary", "binary with gaps"):
        made[name].close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(regions())
def test_every_array_reads_any_region_as_numpy_does(lazies, region):
    expected = VALUES[region].astype("u2")
    for name, lazy in lazies.items():
        assert lazy.shape == VALUES.shape, name
        assert lazy.dtype == np.dtype("u2") and lazy.dtype.isnative, name
        assert len(lazy.chunks) == 4 and all(1 <= c <= n for c, n in zip(lazy.chunks, lazy.shape, strict=True)), name
        values = lazy.read(region)
        assert values.flags.c_contiguous and values.dtype.isnative, name
        np.testing.assert_array_equal(values, expected, err_msg=name)


def test_what_is_read_is_memory_of_its_own(lazies):
    for name, lazy in lazies.items():
        first = lazy.read(whole(lazy))
        first[...] = 0
        assert lazy.read(whole(lazy)).any(), name


def test_arrays_are_read_from_many_threads_at_once(lazies):
    parts = [(slice(i, i + 1), slice(j, j + 2), slice(0, 7), slice(1, 8)) for i in range(5) for j in range(0, 5)] * 8
    for name, lazy in lazies.items():
        with ThreadPoolExecutor(8) as pool:
            for part, values in zip(parts, pool.map(lazy.read, parts), strict=True):
                np.testing.assert_array_equal(values, VALUES[part], err_msg=name)


def test_a_scan_shape_that_does_not_fit_names_one_that_does():
    with pytest.raises(FormatError) as caught:
        Reshaped(MemoryArray(np.zeros((12, 4, 4), "u1")), (5, 5))
    assert caught.value.code == Code.SCAN_SHAPE
    assert "25" in str(caught.value) and "3x4" in str(caught.value)


def test_a_binary_file_that_is_too_short_is_refused(tmp_path: Path):
    path = tmp_path / "short.raw"
    path.write_bytes(bytes(99))
    with pytest.raises(FormatError, match="truncated"):
        BinaryArray(path, (10, 10), np.dtype("u1"))


def test_a_binary_file_that_is_cut_while_open_is_refused(tmp_path: Path):
    path = tmp_path / "cut.raw"
    path.write_bytes(bytes(100))
    array = BinaryArray(path, (10, 10), np.dtype("u1"))
    with path.open("r+b") as file:
        file.truncate(50)
    with pytest.raises(FormatError, match="ends too early"):
        array.read(whole(array))
    array.close()


def test_parts_that_do_not_fit_are_not_joined():
    with pytest.raises(FormatError, match="fit together"):
        Joined([MemoryArray(np.zeros((2, 3))), MemoryArray(np.zeros((2, 4)))])


def test_only_axes_of_one_are_left_out():
    with pytest.raises(ValueError, match="length 1"):
        Squeezed(MemoryArray(np.zeros((2, 3))), [0])


def test_a_foreign_error_becomes_one_that_names_the_file():
    class Broken(MemoryArray):
        def read(self, region):
            raise OSError("filter returned failure")

    with pytest.raises(FormatError) as caught:
        Guarded(Broken(np.zeros((2, 3))), "scan.h5").read((slice(0, 1), slice(0, 3)))
    assert caught.value.code == Code.FORMAT_BROKEN
    assert "scan.h5 cannot be read at [0:1, 0:3]" in str(caught.value)
    assert "filter returned failure" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "itemsize", "expected"),
    [
        ((256, 256, 256, 256), 2, (1, 1, 256, 256)),
        ((100, 100, 1024), 4, (1, 100, 1024)),
        ((1 << 31,), 1, (4 << 20,)),
        ((77, 256, 256), 2, (1, 256, 256)),
        ((), 4, ()),
    ],
)
def test_pieces_of_an_array_without_chunks(shape, itemsize, expected):
    assert contiguous_chunks(shape, itemsize) == expected
