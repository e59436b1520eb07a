"""Mean, extremes and scatter over a scan: analytic values, and NumPy's."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable

from .conftest import dataset, run


def test_normalised_variance_of_poisson_frames() -> None:
    """Poisson frames of mean m have the normalised variance 1/m: here the mean over 3072 pixels, each of 500 frames."""
    for level in (0.5, 4.0, 40.0):
        frames = np.random.default_rng(6).poisson(level, (500, 48, 64)).astype(np.uint16)
        found = run("frame_statistics", dataset(frames, "frame ky kx"), ddof=1)
        mean, variance = found["mean"].values.mean(), found["variance"].values.mean()
        # the mean variance of 3072 pixels is known to sqrt(2 / (500 * 3072)) = 0.1 %, for rare counts to 0.2 %
        assert variance / mean**2 == pytest.approx(1 / level, rel=0.01)


def test_values_by_hand() -> None:
    """1, 2, 3, 6: mean 3, variance 14/4, with ddof 1 14/3."""
    frames = np.array([1, 2, 3, 6], np.uint8).reshape(2, 2, 1, 1)
    found = {n: v.values[0, 0] for n, v in run("frame_statistics", dataset(frames, "y x ky kx")).items()}
    assert found == {"mean": 3.0, "max": 6, "min": 1, "variance": 3.5, "deviation": np.sqrt(3.5)}
    sample = run("frame_statistics", dataset(frames, "y x ky kx"), ddof=1)
    assert sample["variance"].values[0, 0] == 14 / 3
    assert (sample["variance"].unit, sample["deviation"].unit) == ("counts^2", "counts")


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(["u1", "u2", "u4", "i2", "i4", "u8"]).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), (2, 3, 2, 3), elements=st.integers(0, 127 if kind[1] == "1" else 30000))
    )
)
def test_integers_are_exact(frames: NDArray[Any]) -> None:
    """The variance is the fraction of whole numbers, rounded once."""
    found = run("frame_statistics", dataset(frames, "y x ky kx"))
    for pixel in np.ndindex(2, 3):
        samples = [Fraction(int(value)) for value in frames[..., *pixel].reshape(-1)]
        mean = sum(samples) / 6
        exact = sum((value - mean) ** 2 for value in samples) / 6
        assert found["variance"].values[pixel] == float(exact)
        assert found["min"].values[pixel] == min(samples)
        assert found["max"].values[pixel] == max(samples)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats(kind: str) -> None:
    """NumPy's variance in 64 bits, to within the rounding of sums; a large mean costs nothing."""
    frames = np.random.default_rng(1).normal(5000, 2, (9, 7, 8, 6)).astype(kind)
    found = run("frame_statistics", dataset(frames, "y x ky kx"), threads=2, ddof=1)
    wide = frames.astype(np.float64)
    assert np.allclose(found["mean"].values, wide.mean(axis=(0, 1)), rtol=1e-14, atol=0)
    assert np.allclose(found["variance"].values, wide.var(axis=(0, 1), ddof=1), rtol=1e-11, atol=0)
    assert found["max"].values.dtype == np.dtype(kind)


def test_spectra() -> None:
    """The same of spectra, stored energy first."""
    counts = np.random.default_rng(5).poisson(3, (16, 5, 4)).astype(np.uint8)
    found = run("spectrum_statistics", dataset(counts, "energy y x", energy=(0, 10)))
    assert found["variance"].dims == ("energy",)
    assert np.allclose(found["variance"].values, counts.var(axis=(1, 2)), rtol=1e-13)
    assert (found["mean"].values == counts.sum(axis=(1, 2), dtype=np.uint64) / 20).all()


def test_too_few_frames() -> None:
    """One frame has no sample variance; its own variance is 0."""
    opened = dataset(np.ones((1, 4, 4), np.uint16), "frame ky kx")
    with pytest.raises(StepError, match="more than 1 frame"):
        run("frame_statistics", opened, ddof=1)
    assert not run("frame_statistics", opened)["variance"].values.any()
    assert not run("frame_statistics", dataset(np.ones((4, 4), np.uint16), "ky kx"))["deviation"].values.any()


def test_sums_of_sums_are_refused() -> None:
    """64-bit numbers beyond 32 bits cannot be squared exactly."""
    frames = np.full((2, 4, 4), 2**33, np.uint64)
    with pytest.raises(StepError, match="do not fit 64 bits") as caught:
        run("frame_statistics", dataset(frames, "frame ky kx"))
    assert caught.value.code == Code.STEP_COUNTS


@pytest.mark.parametrize("kind", ["u2", "i4", "f4", "f8"])
def test_one_and_two_threads_give_the_same_bytes(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats depend on the order of the blocks, which does not depend on the threads."""
    monkeypatch.setattr("emdvc.engine.blocks.LARGE_ENOUGH", 1 << 14)
    frames = np.random.default_rng(3).gamma(2.0, 30.0, (17, 5, 24, 20)).astype(kind)
    array = MemoryArray(frames)
    array.chunks = (1, *frames.shape[1:])
    whole = dataset(frames, "y x ky kx")
    opened = Opened((Variable("counts", ("y", "x", "ky", "kx"), array, "counts"),), whole.axes, whole.record)
    one, two = (run("frame_statistics", opened, threads=threads) for threads in (1, 2))
    assert {n: v.values.tobytes() for n, v in one.items()} == {n: v.values.tobytes() for n, v in two.items()}
    assert np.allclose(one["variance"].values, frames.astype(np.float64).var(axis=(0, 1)), rtol=1e-11)
