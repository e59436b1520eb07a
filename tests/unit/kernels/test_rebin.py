"""Sums over blocks against NumPy's in whole numbers of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from emdvc.kernels.rebin import sum_blocks, sum_type

TYPES = ["u1", "u2", "u4", "i1", "i2", "i4"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(TYPES).flatmap(
        lambda kind: hnp.arrays(np.dtype(kind), st.tuples(st.just(6), st.integers(5, 13), st.integers(5, 13)))
    ),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([1, 2, 3, 6]),
)
def test_sum_blocks(frames: NDArray[Any], ky: int, kx: int, joined: int) -> None:
    """Every block is NumPy's sum, in a type that holds it; what is left over at the end is left out."""
    groups = np.arange(6).reshape(-1, joined)
    height, width = frames.shape[1] // ky, frames.shape[2] // kx
    cut = frames[:, : height * ky, : width * kx].astype(object)
    expected = cut.reshape(-1, joined, height, ky, width, kx).sum(axis=(1, 3, 5))
    found = sum_blocks(frames, groups, ky, kx)
    assert found.dtype == sum_type(frames.dtype, joined * ky * kx)
    assert found.shape == expected.shape
    assert (found == expected).all()


@pytest.mark.parametrize(
    ("kind", "samples", "expected"),
    [
        ("u1", 1, "u1"),
        ("u1", 257, "u2"),  # 257 * 255 = 65535
        ("u1", 258, "u4"),
        ("u2", 16, "u4"),
        ("u2", 65537, "u4"),  # 65537 * 65535 = 2**32 - 1
        ("u2", 65538, "u8"),
        ("u4", 2, "u8"),
        ("i1", 256, "i2"),  # 256 * -128 = -2**15
        ("i1", 257, "i4"),
        ("i2", 65536, "i4"),
        ("i2", 65537, "i8"),
        ("f4", 16, "f4"),
        ("u8", 16, "u8"),
    ],
)
def test_the_type_of_a_sum_is_the_narrowest_that_surely_holds_it(kind: str, samples: int, expected: str) -> None:
    assert sum_type(np.dtype(kind), samples) == np.dtype(expected)


def test_saturated_counts_do_not_overflow() -> None:
    """2 x 2 x 2 x 2 saturated 16-bit pixels: 1 048 560 in each block."""
    found = sum_blocks(np.full((4, 8, 8), 65535, np.uint16), np.arange(4)[None], 2, 2)
    assert (found == 16 * 65535).all()


def test_floats_are_summed_in_64_bits() -> None:
    """A sum of 32-bit floats that 32-bit additions would lose: 2**24 + 1 + 1 + 1 + 1."""
    frames = np.array([[[2.0**24, 1.0, 1.0, 1.0]], [[1.0, 0.0, 0.0, 0.0]]], np.float32)
    found = sum_blocks(frames, np.arange(2)[None], 1, 4)
    assert found.dtype == np.float32
    assert found[0, 0, 0] == 2.0**24 + 4
