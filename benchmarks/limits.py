"""What the machine can do at most: reading memory, and decoding chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Data
from emdvc.engine.blocks import cut
from emdvc.engine.cores import one_processor
from emdvc.formats.contract import LazyArray, ReadOptions
from emdvc.formats.registry import open_file
from emdvc.testing.write import Phantom

#: Probe positions in a chunk along each direction of the scan.
CHUNK = 8


@numba.njit(nogil=True)
def _read(words: Any) -> Any:
    total = np.uint64(0)
    for word in words:
        total += word
    return total


def read_sum(counts: NDArray[Any], threads: int) -> Callable[[], None]:
    """Return a run that reads all memory of an array once and adds it up, as 64-bit words."""
    words = counts.reshape(-1).view(np.uint64)
    parts = np.array_split(words, 16 * threads)
    _read(words[:8])
    return lambda: _each(_read, parts, threads)


def decode(array: LazyArray, threads: int) -> Callable[[], None]:
    """Return a run that reads an array block by block, as a step does, and does nothing with it."""
    blocks = list(cut(array, (0, 1)))
    rest = tuple(slice(0, n) for n in array.shape[2:])

    def one(region: tuple[slice, ...]) -> None:
        with one_processor():
            array.read((*region, *rest))

    return lambda: _each(one, blocks, threads)


def _each(function: Callable[[Any], Any], parts: Iterable[Any], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(function, parts):
            pass


def write_zarr(data: Data, name: str = "scan", rows: int | None = None) -> Path:
    """Write a phantom as Zarr in chunks of 8 x 8 patterns, Blosc lz4 with bitshuffle, and return its path.

    Parameters
    ----------
    data, name
        The phantom.
    rows
        Of the scan; default: all.
    """
    import zarr
    from zarr.codecs import BloscCodec

    phantom: Phantom = data.phantoms[name]
    counts = data.array(name)[:rows]
    path = data.folder / f"{name}-{'x'.join(map(str, counts.shape))}.zarr"
    if path.is_dir():
        return path
    half_done = path.with_suffix(".partial")
    group = zarr.open_group(half_done, mode="w")
    array: Any = group.create_array(
        phantom.name,
        shape=counts.shape,
        dtype=counts.dtype,
        chunks=(CHUNK, CHUNK, *counts.shape[2:]),
        compressors=[BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle", typesize=2)],
        dimension_names=phantom.dims,
        chunk_key_encoding={"name": "v2", "separator": "."},
    )
    for start in range(0, len(counts), CHUNK):
        array[start : start + CHUNK] = counts[start : start + CHUNK]
    half_done.rename(path)
    return path


def opened(path: Path) -> Any:
    """Return a Zarr store, open."""
    return open_file(path, ReadOptions())


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
