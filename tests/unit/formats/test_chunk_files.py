"""An array in files of its own: written chunk by chunk, read back in any region, and what a result makes of it."""

from __future__ import annotations

from pathlib import Path

import every_output as every
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.engine.how import How
from emdvc.errors import FormatError
from emdvc.formats.chunk_files import ChunkFiles, in_memory
from emdvc.formats.dataset import open_lazy
from emdvc.formats.digest import array_digest, content_digest
from emdvc.formats.results import write_result
from emdvc.formats.statistics import statistics
from emdvc.render.picture import draw
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr


def fill(folder: Path, values: np.ndarray, chunks: tuple[int, ...]) -> ChunkFiles:
    folder.mkdir(parents=True)
    files = ChunkFiles(folder, values.shape, values.dtype, chunks)
    for index in files.indices():
        files.write(index, values[files.region(index)])
    return files


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_any_region(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever the shape, the chunks and the region: what was written is read."""
    shape = data.draw(st.tuples(*(st.integers(1, 9) for _ in range(data.draw(st.integers(1, 3))))))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    dtype = data.draw(st.sampled_from(["u1", "<u2", "<f4", "<i8", "bool"]))
    values = np.random.default_rng(1).integers(0, 2**7, shape).astype(dtype)
    files = fill(tmp_path_factory.mktemp("files") / "a", values, chunks)
    region = tuple(
        slice(start := data.draw(st.integers(0, n - 1)), data.draw(st.integers(start + 1, n))) for n in shape
    )
    assert np.array_equal(files.read(region), values[region])
    assert np.array_equal(in_memory(files), values)
    assert files.read(region).dtype == values.dtype
    assert (files.size, files.ndim) == (values.size, values.ndim)


def test_a_file_that_is_not_there_or_not_whole(tmp_path: Path) -> None:
    files = fill(tmp_path / "a", np.arange(24.0).reshape(4, 6), (2, 4))
    path = files.file((1, 1))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="truncated"):
        files.chunk((1, 1))
    path.unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        in_memory(files)


@pytest.mark.parametrize("dtype", ["u2", "i8", "f4", "f8"])
def test_statistics_and_digest_are_those_of_the_array(dtype: str, tmp_path: Path) -> None:
    """But for the quantiles, which would need all of it at once; floats that are no numbers are left out."""
    values = (np.random.default_rng(4).random((7, 9, 5)) * 1e4).astype(dtype)
    if dtype.startswith("f"):
        values[2, 3, 1:3] = np.nan
        values[6] = np.inf
    files = fill(tmp_path / "a", values, (3, 4, 5))
    expected = {key: value for key, value in statistics(values).items() if not key.startswith("q")}
    found = statistics(files)
    # the sums of the chunks are rounded before they are added
    assert found.pop("sum") == pytest.approx(expected.pop("sum"), rel=1e-15)
    assert found.pop("mean") == pytest.approx(expected.pop("mean"), rel=1e-15)
    assert found == expected
    assert content_digest(files) == array_digest(values)


def test_nothing_but_no_numbers(tmp_path: Path) -> None:
    assert statistics(fill(tmp_path / "a", np.full((3, 3), np.nan), (2, 2))) == {"count": 0}


STEPS = ("center_of_mass", "radial_profile", "polar_transform", "find_peaks", "crop", "rebin", "virtual_image")


@pytest.mark.parametrize("name", STEPS)
def test_a_large_result_is_stored_in_several_chunks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit one chunk is read by emdvc and by zarr as what it is in memory; it has a picture."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 15)
    scan = write_zarr(tmp_path / "scan.zarr", DiffractionPhantom((16, 18), (32, 32)), scan_chunk=4)
    recipe = {name: every.PATTERNS[name]}
    small = every.run(scan, recipe, How(threads=2, folder=tmp_path / "one"))[name]
    monkeypatch.setattr("emdvc.engine.map_file.ONE_CHUNK", 1 << 9)
    large = every.run(scan, recipe, How(threads=2, folder=tmp_path / "many"))[name]
    per_probe = [one for one in large.variables if isinstance(one.values, ChunkFiles)]
    assert per_probe, "nothing was large enough"
    expected = {one.name: in_memory(one.values) for one in small.variables}
    assert draw(large) == draw(small)
    target = tmp_path / "result.zarr"
    sidecar = write_result(target, large, picture=draw(large))
    assert {key: info.digest for key, info in sidecar.variables.items()} == {
        key: array_digest(values) for key, values in expected.items()
    }
    opened, _ = open_lazy(target)
    for variable in opened.variables:
        found = variable.array.read(tuple(slice(0, n) for n in variable.array.shape))
        assert np.array_equal(found, expected[variable.name], equal_nan=found.dtype.kind == "f")
        stored = zarr.open_array(target / variable.name, mode="r")
        assert np.array_equal(stored[...], found, equal_nan=found.dtype.kind == "f")
        if variable.name in {one.name for one in per_probe}:
            assert stored.nchunks > 1
    opened.close()
