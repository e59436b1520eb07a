"""The correlation with a template against the plain sum over its pixels, for every number type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from emdvc.kernels.template_correlation import Workspace, correlate, lane_for, taps_of

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4"]


def plain(frames: NDArray[Any], template: NDArray[np.int64]) -> NDArray[Any]:
    """Return sum T(v, u) f(y + v, x + u), the edge going on around the frames, term by term in numbers of any size."""
    ry, rx = template.shape[0] // 2, template.shape[1] // 2
    padded = np.pad(frames.astype(object), ((0, 0), (ry, ry), (rx, rx)), mode="edge")
    windows = sliding_window_view(padded, template.shape, axis=(1, 2))
    return (windows * template.astype(object)).sum(axis=(-2, -1))


@st.composite
def templates(draw: st.DrawFn) -> NDArray[np.int64]:
    sides = st.sampled_from([1, 3, 5, 7])
    return draw(hnp.arrays(np.int64, st.tuples(sides, sides), elements=st.integers(-90, 90)))


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(TYPES), templates(), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12), st.data())
def test_correlation_is_the_plain_sum(
    kind: str, template: NDArray[np.int64], n: int, height: int, width: int, data: st.DataObject
) -> None:
    frames = data.draw(hnp.arrays(np.dtype(kind), (n, height, width)))
    assert (correlate(frames, taps_of(template)) == plain(frames, template)).all()


@pytest.mark.parametrize(("value", "lane"), [(65535 // 9, "u4"), (65535, "u8")])
def test_both_widths_give_the_same(value: int, lane: str) -> None:
    """Saturated pixels under a template of up to 40 000 a pixel: row sums overflow 32 bits, correlations may."""
    template = np.full((5, 5), 10_000, np.int64)
    template[2, 2] = -40_000
    frames = np.full((2, 40, 300), value, np.uint16)
    assert lane_for(frames, taps_of(template)) == np.dtype(lane if value > 7282 else "u4")
    assert (correlate(frames, taps_of(template))[:, 20, 150] == value * 200_000).all()


def test_a_flat_template_changes_at_its_edges_only() -> None:
    """A square of 31 x 31 pixels has two changes a row, whatever its width."""
    taps = taps_of(np.ones((31, 31), np.int64))
    assert np.count_nonzero(taps.weights) == 62
    assert taps.reach == (15, 15)
    assert taps.bound == 31 * 31


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats(kind: str) -> None:
    rng = np.random.default_rng(2)
    frames = rng.normal(size=(3, 20, 30)).astype(kind)
    template = rng.integers(-50, 50, (7, 5))
    found = correlate(frames, taps_of(template))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, plain(frames.astype("f8"), template).astype("f8"), atol=1e-9)


def test_whole_floats_give_the_integers() -> None:
    """Counts that were stored as floats give the same numbers: sums of whole numbers below 2^53 are exact."""
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 1000, (3, 17, 23)).astype(np.uint16)
    taps = taps_of(rng.integers(-50, 50, (5, 7)))
    assert (correlate(counts.astype("f4"), taps) == correlate(counts, taps)).all()


def test_frames_do_not_see_each_other() -> None:
    """A frame's correlation is the same alone, as the first, and as a later one in the memory of others."""
    rng = np.random.default_rng(4)
    frames = rng.integers(0, 9, (40, 130, 140)).astype(np.uint8)
    taps = taps_of(rng.integers(-9, 9, (9, 9)))
    assert Workspace((130, 140), taps, np.dtype("u4"), 40).frames < 40
    together = correlate(frames, taps)
    assert all((correlate(frames[i : i + 1], taps)[0] == together[i]).all() for i in range(40))


def test_the_border_is_left_out() -> None:
    """Rows that are not asked for are not computed; those that are do not change."""
    rng = np.random.default_rng(5)
    frames = rng.integers(1, 9, (1, 20, 20)).astype(np.uint8)
    taps = taps_of(np.ones((3, 3), np.int64))
    some = Workspace((20, 20), taps, np.dtype("u4"), 1, border=4).correlate(frames)[:, :, :20]
    assert (some[:, 4:16] == correlate(frames, taps)[:, 4:16]).all()
    assert (some[:, :3] == 0).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["u1", "u2", "f4"]), st.integers(1, 12), st.integers(1, 12))
def test_a_doubled_template_is_the_sum_of_four(seed: int, kind: str, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    half = rng.integers(-40, 40, (rng.choice([2, 4, 6]), rng.choice([2, 4])))
    whole = np.zeros((half.shape[0] + 1, half.shape[1] + 1), np.int64)
    for dy in (0, 1):
        for dx in (0, 1):
            whole[dy : dy + half.shape[0], dx : dx + half.shape[1]] += half
    frames = rng.integers(0, 200, (2, height, width)).astype(kind)
    taps = taps_of(half, doubled=True)
    assert taps.reach == (whole.shape[0] // 2, whole.shape[1] // 2)
    assert (correlate(frames, taps) == plain(frames.astype("i8"), whole)).all()


def test_a_template_has_a_middle() -> None:
    with pytest.raises(ValueError, match="odd sides"):
        taps_of(np.ones((3, 4), np.int64))
    with pytest.raises(ValueError, match="even if doubled"):
        taps_of(np.ones((4, 3), np.int64), doubled=True)
