"""Arrays read by their placement, without the reader that found it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from merlin_file import frame, write_merlin

from emdvc.errors import FormatError
from emdvc.formats import registry
from emdvc.formats.arrays import BinaryArray
from emdvc.formats.byte_source import LocalFile, Stream
from emdvc.formats.contract import Opened, ReadOptions
from emdvc.formats.placement import Placed, placements, samples
from emdvc.formats.region import whole
from emdvc.formats.strides import packed_strides, strided
from emdvc.formats.views import Flipped, Joined, Reshaped, Squeezed, Transposed


def stored(path: Path, values: np.ndarray, before: int = 0) -> Path:
    path.write_bytes(bytes(before) + values.tobytes())
    return path


def again(placement: list[dict], folder: Path) -> np.ndarray:
    placed = Placed(placement, lambda name: LocalFile(folder / Path(name).name))
    try:
        return placed.array.read(whole(placed.array))
    finally:
        placed.close()


def test_views_one_on_the_other(tmp_path: Path) -> None:
    values = np.arange(2 * 6 * 1 * 4 * 5, dtype=">u2").reshape(12, 1, 4, 5)
    array = BinaryArray(stored(tmp_path / "a.raw", values, 7), values.shape, values.dtype, 7)
    view = Transposed(Flipped(Reshaped(Squeezed(array, [1]), (4, 3)), [2, 0]), [1, 0, 3, 2])
    found = view.placement()
    assert found is not None
    expected = values[:, 0].reshape(4, 3, 4, 5)[::-1, :, ::-1].transpose(1, 0, 3, 2)
    assert np.array_equal(view.read(whole(view)), expected)
    assert np.array_equal(again(found, tmp_path), expected)
    array.close()


def test_files_one_after_the_other(tmp_path: Path) -> None:
    values = np.arange(5 * 3 * 4, dtype="<f4").reshape(5, 3, 4)
    parts = [
        BinaryArray(stored(tmp_path / f"{number}.raw", part), part.shape, part.dtype)
        for number, part in enumerate((values[:2], values[2:]))
    ]
    found = Joined(parts).placement()
    assert found is not None
    assert np.array_equal(again(found, tmp_path), values)
    for part in parts:
        part.close()


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, :, ::-1],
        lambda a: a.transpose(2, 0, 1),
        lambda a: a.transpose(1, 2, 0)[:, ::-1],
        lambda a: a[1:5, 2:3, 1:7],
        lambda a: a[:, :, ::2],
        lambda a: a[::3, ::-2],
    ],
)
def test_any_even_distances(tmp_path: Path, view) -> None:
    whole_array = np.arange(6 * 5 * 8, dtype="<i4").reshape(6, 5, 8)
    part = view(whole_array)
    offset = 16 + part.__array_interface__["data"][0] - whole_array.__array_interface__["data"][0]
    stored(tmp_path / "a.raw", whole_array, 16)
    found = strided("a.raw", part.dtype, offset, part.shape, part.strides)
    assert np.array_equal(again(found, tmp_path), part)


def test_packed_numbers_need_no_strides() -> None:
    (said,) = strided("a", np.dtype("<u2"), 8, (3, 4), packed_strides((3, 4), 2))
    assert said == {"file": "a", "offset": 8, "dtype": "<u2", "shape": [3, 4]}


def placed(path: Path, options: ReadOptions | None = None) -> tuple[Opened, dict]:
    opened = registry.open_file(path, options)
    return opened, placements(opened, {path: "."})


def same(opened: Opened, found: dict, path: Path) -> None:
    for variable in opened.variables:
        other = Placed(found[variable.name], lambda name: LocalFile(path))
        expected = variable.array.read(whole(variable.array))
        values = other.array.read(whole(other.array))
        assert values.dtype == expected.dtype
        assert values.tobytes() == expected.tobytes()
        other.close()
    opened.close()


def test_merlin(tmp_path: Path) -> None:
    path = tmp_path / "scan.mib"
    write_merlin(path, 12, (16, 24))
    opened, found = placed(path, ReadOptions(scan_shape=(3, 4)))
    assert found["diffraction"][0]["offset"] == 384
    assert opened.variables[0].array.shape == (3, 4, 16, 24)
    other = Placed(found["diffraction"], lambda name: LocalFile(path))
    region = (slice(2, 3), slice(1, 2), slice(0, 16), slice(0, 24))
    assert np.array_equal(other.array.read(region)[0, 0], frame(9, (16, 24)))
    other.close()
    same(opened, found, path)


@pytest.mark.parametrize("chunks", [None, (1, 16, 16)])
def test_hdf5(tmp_path: Path, chunks) -> None:
    path = tmp_path / "stack.h5"
    values = np.random.default_rng(1).integers(0, 60000, (5, 32, 32), dtype="u2")
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data", data=values, chunks=chunks, compression="gzip" if chunks else None)
    opened, found = placed(path, ReadOptions(inner="/entry/data"))
    # numbers that follow one another need not even HDF5
    assert set(found["data"][0]) == ({"file", "dataset"} if chunks else {"file", "offset", "dtype", "shape"})
    same(opened, found, path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff(tmp_path: Path, compression) -> None:
    path = tmp_path / "stack.tif"
    values = np.random.default_rng(2).integers(0, 60000, (4, 20, 30), dtype="u2")
    tifffile.imwrite(path, values, compression=compression, photometric="minisblack")
    opened, found = placed(path)
    assert ("series" in next(iter(found.values()))[0]) == (compression is not None)
    same(opened, found, path)


def test_a_wrong_placement_is_not_recorded(tmp_path: Path) -> None:
    values = np.arange(4 * 8, dtype="<u2").reshape(4, 8)
    path = tmp_path / "a.npy"
    np.save(path, values)
    opened = registry.open_file(path)

    class Misled:
        shape, dtype, chunks = values.shape, values.dtype, values.shape

        def read(self, region):
            return np.ascontiguousarray(values[region])

        def placement(self):
            (said,) = opened.variables[0].array.placement()
            return [said | {"offset": said["offset"] - 2}]

    from dataclasses import replace

    misled = replace(opened, variables=(replace(opened.variables[0], array=Misled()),))
    assert placements(opened, {path: "."}) != {}
    assert placements(misled, {path: "."}) == {}
    assert placements(opened, {tmp_path / "other.npy": "."}) == {}  # a file that does not belong to the dataset
    opened.close()


def test_samples_meet_both_ends() -> None:
    regions = samples((3, 4, 5))
    assert tuple(slice(0, 1) for _ in range(3)) in regions
    assert (slice(2, 3), slice(3, 4), slice(4, 5)) in regions
    assert samples((0, 4)) == []


def test_a_step_that_is_not_known(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.raw", np.zeros(4, "u1"))
    numbers = {"file": ".", "offset": 0, "dtype": "|u1", "shape": [4]}
    for placement in ([numbers, {"spun": [1]}], [{"cloud": 1}], [{"file": ".", "cloud": 1}]):
        with pytest.raises(FormatError, match="does not know"):
            Placed(placement, lambda name: LocalFile(path))


def test_a_stream_reads_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    content = bytes(range(256)) * 10
    path.write_bytes(content)
    with Stream(LocalFile(path)) as stream:
        assert stream.seek(-6, 2) == len(content) - 6
        assert stream.read(100) == content[-6:]
        assert stream.read(1) == b""
        stream.seek(5)
        assert stream.read(3) == content[5:8] and stream.tell() == 8
        assert stream.seek(2, 1) == 10


class Far(LocalFile):
    """A file whose bytes seem to come from far away; it notes what is asked for."""

    grain = 64

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[list[tuple[int, int]]] = []

    def prefetch(self, spans) -> None:
        self.asked.append(list(spans))


def test_lines_of_a_region_are_asked_for_at_once(tmp_path: Path) -> None:
    values = np.arange(12 * 4 * 5, dtype="<u2").reshape(12, 4, 5)
    far = Far(stored(tmp_path / "a.raw", values))
    array = Reshaped(Flipped(BinaryArray(far, values.shape, values.dtype), [1]), (3, 4))
    region = (slice(0, 3), slice(1, 3), slice(0, 4), slice(0, 5))
    assert np.array_equal(array.read(region), values.reshape(3, 4, 4, 5)[:, 1:3, ::-1])
    assert far.asked[0] == [(start * 40, start * 40 + 80) for start in (1, 5, 9)]
    far.close()


def test_pieces_of_far_bytes_are_as_large_as_a_block(tmp_path: Path) -> None:
    values = np.zeros((64, 32, 32), "u2")
    far = Far(stored(tmp_path / "a.raw", values))
    far.grain = 1 << 17
    assert BinaryArray(far, values.shape, values.dtype).chunks == (64, 32, 32)
    here = BinaryArray(tmp_path / "a.raw", values.shape, values.dtype)
    assert here.chunks == (32, 32, 32)
    here.close()
    far.close()
