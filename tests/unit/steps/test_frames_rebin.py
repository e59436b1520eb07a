"""Binning: counts are conserved exactly, and the calibration follows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from emdvc.engine.run import run_step
from emdvc.errors import Code, StepError
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import write_result
from emdvc.model import record as rec
from emdvc.steps.contract import FrameStep, Input, Metadata, Place, Span
from emdvc.steps.rebin import frame_groups
from emdvc.steps.registry import find
from emdvc.testing.phantoms import DiffractionPhantom
from emdvc.testing.write import write_zarr

from .conftest import dataset, run


@pytest.fixture(scope="module")
def frames() -> NDArray[np.uint16]:
    """Return 6 x 8 patterns of 12 x 20 px with any 16-bit counts."""
    return np.random.default_rng(2).integers(0, 65536, (6, 8, 12, 20)).astype(np.uint16)


def blocks_of(frames: NDArray[Any], factors: tuple[int, int, int, int]) -> NDArray[Any]:
    """Return NumPy's sums over blocks, in 64 bits; what is left over is left out."""
    sizes = [n // f for n, f in zip(frames.shape, factors, strict=True)]
    cut = frames[tuple(slice(0, n * f) for n, f in zip(sizes, factors, strict=True))]
    split = [part for n, f in zip(sizes, factors, strict=True) for part in (n, f)]
    sums: NDArray[Any] = cut.reshape(split).sum(axis=(1, 3, 5, 7), dtype=np.int64)
    return sums


@settings(deadline=None, max_examples=40)
@given(st.tuples(*(st.integers(1, 4) for _ in range(4))))
def test_blocks_are_summed_exactly(factors: tuple[int, int, int, int]) -> None:
    """Any factors along the four dimensions: NumPy's sums, and with nothing left over no count is lost."""
    values = np.random.default_rng(2).integers(0, 65536, (6, 8, 12, 20)).astype(np.uint16)
    if factors == (1, 1, 1, 1):
        return
    found = run(
        "rebin", dataset(values, "y x ky kx"), scan=factors[:2], detector=factors[2:], remainder="crop", threads=2
    )["counts"].values
    expected = blocks_of(values, factors)
    assert found.shape == expected.shape
    assert (found == expected).all()
    if all(n % f == 0 for n, f in zip(values.shape, factors, strict=True)):
        assert found.sum(dtype=np.uint64) == values.sum(dtype=np.uint64)


def test_counts_of_a_phantom_are_conserved() -> None:
    """Binned 2 x 2 x 2 x 2, the scan holds the very counts it held before."""
    scan = np.stack(list(DiffractionPhantom((8, 8), (64, 64)).rows()))
    found = run("rebin", dataset(scan, "y x ky kx"), scan=2, detector=2)["counts"]
    assert found.values.shape == (4, 4, 32, 32)
    assert found.values.dtype == np.uint32
    assert int(found.values.sum()) == int(scan.sum(dtype=np.uint64))


def test_saturated_counters() -> None:
    """All pixels at 65 535: the sum of 64 of them fits, as 32-bit counts."""
    found = run("rebin", dataset(np.full((4, 4, 8, 8), 65535, np.uint16), "y x ky kx"), scan=4, detector="2,2")
    assert (found["counts"].values == 64 * 65535).all()


def test_64_bit_numbers_that_do_not_fit_are_refused() -> None:
    values = np.full((2, 8, 8), 2**61, np.uint64)
    with pytest.raises(StepError, match="may not fit 64 bits"):
        run("rebin", dataset(values, "frame ky kx"), detector=4)
    assert (run("rebin", dataset(values >> 3, "frame ky kx"), detector=4)["counts"].values == 2**62).all()


def test_the_remainder(frames: NDArray[np.uint16]) -> None:
    """It is refused by default, and left out when the person says so."""
    with pytest.raises(StepError, match="5 does not divide the 12 samples of ky") as caught:
        run("rebin", dataset(frames, "y x ky kx"), detector=5)
    assert "remainder=crop" in str(caught.value)
    with pytest.raises(StepError, match="smaller than one block"):
        run("rebin", dataset(frames, "y x ky kx"), scan=9, remainder="crop")
    with pytest.raises(StepError, match="no dimension y") as missing:
        run("rebin", dataset(frames[0], "frame ky kx"), scan=2)
    assert missing.value.code == Code.STEP_DIMENSIONS


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "factor above 1"),
        ({"scan": 0}, "greater than 0"),
        ({"detector": "2,2,2"}, "two for (y, x)"),
        ({"detector": "a"}, "integer"),
        ({"detector": True}, "two for (y, x)"),
    ],
)
def test_bad_factors(parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        find("rebin").Parameters(**parameters)
    assert says in str(caught.value)


def test_a_series_of_scans(frames: NDArray[np.uint16]) -> None:
    """Only y and x are joined; every time keeps its scan."""
    series = np.stack([frames, frames[::-1]])
    found = run("rebin", dataset(series, "time y x ky kx"), scan="3,2", threads=2)["counts"]
    assert found.dims == ("time", "y", "x", "ky", "kx")
    assert (found.values == np.stack([blocks_of(one, (3, 2, 1, 1)) for one in series])).all()


def test_groups_of_frames() -> None:
    """2 x 2 of a block of 2 x 4: frames 0, 1, 4, 5 and 2, 3, 6, 7."""
    assert frame_groups((2, 4), (2, 2)).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    assert frame_groups((), ()).tolist() == [[0]]


@pytest.mark.parametrize("kind", ["u1", "f4"])
def test_one_and_two_threads_give_the_same_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 14)
    values = (np.random.default_rng(3).gamma(2.0, 9.0, (13, 6, 24, 21))).astype(kind)
    array = MemoryArray(values)
    array.chunks = (1, 3, 24, 21)
    whole = dataset(values, "y x ky kx")
    opened = Opened((Variable("counts", ("y", "x", "ky", "kx"), array, "counts"),), whole.axes, whole.record)
    results = [
        run("rebin", opened, threads=n, scan=2, detector=(2, 3), remainder="crop")["counts"].values for n in (1, 2)
    ]
    assert results[0].tobytes() == results[1].tobytes()
    wide = values[:12].astype(np.float64).reshape(6, 2, 3, 2, 12, 2, 7, 3).sum(axis=(1, 3, 5, 7))
    assert np.allclose(results[0], wide, rtol=0 if kind == "u1" else 1e-7, atol=0)


def test_a_plan_goes_to_another_process(frames: NDArray[np.uint16]) -> None:
    """It can be pickled, and then gives the same."""
    step = find("rebin")
    assert isinstance(step, FrameStep)
    parameters = step.Parameters(scan=2, detector=2)
    source = Input(("y", "x", "ky", "kx"), frames.shape, frames.dtype, Metadata({}, {}, step.metadata(parameters)))
    plan = step.prepare(parameters, source)
    again = pickle.loads(pickle.dumps(plan))
    place = Place((slice(0, 6), slice(0, 8)))
    mine, theirs = (one.block(frames.reshape(48, 12, 20), place).maps["counts"] for one in (plan, again))
    assert mine.tobytes() == theirs.tobytes()
    assert dict(again.spans) == {"y": Span(0, 6, 2), "x": Span(0, 8, 2)}


def test_the_calibration_follows(tmp_path: Path) -> None:
    """From a file through the step to a file: a feature keeps its coordinates on the detector and in the scan."""
    phantom = DiffractionPhantom((8, 6), (64, 48))
    raw = write_zarr(tmp_path / "raw.zarr", phantom)
    opened, _ = open_lazy(raw)
    step = find("rebin")
    parameters = step.Parameters(scan=(2, 3), detector=4)
    result = run_step(step, parameters, opened, name="raw.zarr")
    before = {dim: np.array(axis.coordinates()) for dim, axis in opened.axes.items()}
    write_result(tmp_path / "binned.zarr", result)
    binned, sidecar = open_lazy(tmp_path / "binned.zarr")
    factors = {"y": 2, "x": 3, "ky": 4, "kx": 4}
    for dim, factor in factors.items():
        axis = binned.axes[dim]
        assert axis.unit == opened.axes[dim].unit
        # the middle of a block is the mean of the middles of its samples
        assert np.allclose(axis.coordinates(), before[dim].reshape(-1, factor).mean(axis=1), rtol=0, atol=1e-12)
    center = rec.quantity(sidecar.record, "diffraction.center")
    assert center is not None
    assert center.values == pytest.approx([(c - 1.5) / 4 for c in phantom.center])
    dwell = rec.quantity(sidecar.record, "scan.dwell")
    assert dwell is not None
    assert dwell.value == pytest.approx(0.006)
    assert rec.get(sidecar.record, "scan.shape") == [4, 2]
    assert rec.get(sidecar.record, "detector.shape") == [16, 12]
    counts = binned.variable().array.read(tuple(slice(0, n) for n in (4, 2, 16, 12)))
    assert int(counts.sum()) == sum(int(row.sum(dtype=np.uint64)) for row in phantom.rows())
    opened.close()
    binned.close()


def test_other_pixels_in_y_than_in_x(frames: NDArray[np.uint16]) -> None:
    """Factors that differ make pixels and steps that do: the sizes become pairs."""
    opened = dataset(
        frames,
        "y x ky kx",
        scan__step="1.5nm",
        diffraction__pixel_size="0.02/angstrom",
        detector__pixel_pitch="55um",
        diffraction__center="5.5,9.5px",
    )
    step = find("rebin")
    result = run_step(step, step.Parameters(scan=(1, 2), detector=(2, 4)), opened, name="scan")
    said = {key: rec.quantity(result.own_record, key) for key in ("scan.step", "diffraction.pixel_size")}
    assert {key: q.values for key, q in said.items() if q is not None} == {
        "scan.step": (1.5, 3.0),
        "diffraction.pixel_size": (0.04, 0.08),
    }
    center = rec.quantity(result.own_record, "diffraction.center")
    pitch = rec.quantity(result.own_record, "detector.pixel_pitch")
    offset = rec.quantity(result.own_record, "scan.offset")
    assert center is not None and center.values == (2.5, 2.0)
    assert pitch is not None and pitch.values == (110.0, 220.0)
    assert offset is not None and offset.values == (0.0, 0.25)
