"""The engine gives the same bits for any thread count, and cuts a scan along its chunks within its bound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.engine.block_task import Work
from emdvc.engine.blocks import LARGE_ENOUGH, SMALL_ENOUGH, cut
from emdvc.engine.compute import compute
from emdvc.engine.cores import default_threads
from emdvc.engine.frames import Frames
from emdvc.engine.how import How
from emdvc.errors import StepError, UsageError
from emdvc.formats.arrays import ZarrArray
from emdvc.steps.contract import Input, Metadata
from emdvc.steps.registry import find


class Shape:
    """An array of which only the outside matters."""

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str = "u2") -> None:
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(dtype)

    def read(self, region: tuple[slice, ...]) -> NDArray[Any]:
        """Never called: the cut reads nothing."""
        raise AssertionError


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.sampled_from([(16, 16), (128, 128), (1024, 1024)]),
)
def test_blocks_cover_the_scan_once(scan: tuple[int, int], chunk: tuple[int, int], frame: tuple[int, int]) -> None:
    """Every probe position lies in exactly one block, whole chunks stay whole where the bound allows it."""
    chunks = tuple(min(a, b) for a, b in zip(chunk, scan, strict=True))
    blocks = cut(Shape((*scan, *frame), (*chunks, *frame)), (0, 1))
    seen = np.zeros(scan, int)
    for region in blocks:
        seen[region] += 1
    assert (seen == 1).all()
    assert len(list(blocks)) == len(blocks)
    frame_bytes = math.prod(frame) * 2
    if math.prod(blocks.block) > 1:
        assert math.prod(blocks.block) * frame_bytes <= max(
            SMALL_ENOUGH, LARGE_ENOUGH + math.prod(chunks) * frame_bytes
        )
    if math.prod(chunks) * frame_bytes <= SMALL_ENOUGH:
        assert all(b % c == 0 or b == n for b, c, n in zip(blocks.block, chunks, scan, strict=True))


@pytest.fixture
def scan(tmp_path: Path) -> ZarrArray:
    """Return 20 x 24 patterns of 32 x 32 floats, in 4 x 4 chunks."""
    values = np.random.default_rng(11).gamma(2.0, 3.0, (20, 24, 32, 32)).astype(np.float32)
    array = zarr.create_array(tmp_path / "scan.zarr", shape=values.shape, chunks=(4, 4, 32, 32), dtype="f4")
    array[...] = values
    return ZarrArray(array)


def plans(dtype: Any) -> list[Work]:
    """Return one plan of every step for diffraction patterns."""
    source = Input(("y", "x", "ky", "kx"), (20, 24, 32, 32), dtype, Metadata({}, {}, ("diffraction", "beam.energy")))
    parameters: dict[str, dict[str, Any]] = {"virtual_detector": {"outer": 9}}
    works = []
    for name in ("sum_pattern", "virtual_image", "virtual_detector", "center_of_mass", "radial_profile"):
        step = find(name)
        works.append(Work(step.prepare(step.Parameters(**parameters.get(name, {})), source)))
    return works


def test_one_pass_gives_the_same_bits_for_any_thread_count(scan: ZarrArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats, whose sums depend on the order: 1, 2 and 7 threads agree to the last bit, for all steps in one pass."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 17)  # so that there are many blocks
    dims, core = ("y", "x", "ky", "kx"), ("ky", "kx")
    frames = Frames(scan, dims, core)
    results = [compute(frames, plans(scan.dtype), How(threads=threads)) for threads in (1, 2, 7)]
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            assert mine.arrays.keys() == theirs.arrays.keys()
            for name in mine.arrays:
                assert mine.arrays[name].tobytes() == theirs.arrays[name].tobytes(), name


def test_progress_counts_every_probe_position(scan: ZarrArray) -> None:
    """The progress adds up to the scan."""
    counted: list[int] = []
    frames = Frames(scan, ("y", "x", "ky", "kx"), ("ky", "kx"))
    compute(frames, plans(scan.dtype)[:1], How(threads=2, advance=counted.append))
    assert sum(counted) == 20 * 24


def test_the_first_bad_sample_is_named(tmp_path: Path) -> None:
    """A NaN deep in a scan is reported with its probe position and pixel."""
    values = np.ones((6, 5, 8, 8), np.float32)
    values[4, 3, 2, 1] = np.nan
    array = zarr.create_array(tmp_path / "bad.zarr", shape=values.shape, chunks=(2, 2, 8, 8), dtype="f4")
    array[...] = values
    step = find("virtual_image")
    source = Input(("y", "x", "ky", "kx"), values.shape, values.dtype, Metadata({}, {}, ()))
    with pytest.raises(StepError) as caught:
        compute(
            Frames(ZarrArray(array), source.dims, ("ky", "kx")),
            [Work(step.prepare(step.Parameters(), source))],
            How(threads=2),
        )
    assert "y=4, x=3, ky=2, kx=1" in str(caught.value)


def test_thread_count_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """EMDVC_THREADS sets the threads; nonsense is refused."""
    monkeypatch.setenv("EMDVC_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.setenv("EMDVC_THREADS", "many")
    with pytest.raises(UsageError):
        default_threads()
