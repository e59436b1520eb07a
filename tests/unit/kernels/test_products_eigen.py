"""Sums of products, projections, and eigenvectors, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels import products
from emdvc.kernels.eigen import leading_eigenpairs


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from(["u1", "u2", "u4", "i2", "i4"]), st.integers(0, 2**31))
def test_integer_products(frames: int, channels: int, kind: str, seed: int) -> None:
    low, high = (-300, 300) if kind.startswith("i") else (0, 250)
    values = np.random.default_rng(seed).integers(low, high, (frames, channels)).astype(kind)
    wide = values.astype("i8")
    found = products.integer_products(values)
    assert found.dtype == np.int64
    assert (products.square(found) == wide.T @ wide).all()


@pytest.mark.parametrize("highest", [30_000_001, 94_906_265, 94_906_267, 1_000_000_007])
def test_products_near_the_end_of_exact_floats(highest: int) -> None:
    """Batches are cut so that no sum passes 2^53; a count whose square does is multiplied in integers."""
    values = np.array([[highest, 3], [highest - 2, 5], [1, highest - 6]], np.uint32)
    exact = [[sum(int(a) * int(b) for a, b in zip(x, y, strict=True)) for y in values.T] for x in values.T]
    assert products.integer_products(values).tolist() == [exact[0][0], exact[0][1], exact[1][1]]


def test_products_that_could_overflow_are_refused() -> None:
    with pytest.raises(OverflowError):
        products.integer_products(np.full((3, 2), 2_000_000_000, np.uint32))


@pytest.mark.parametrize(("frames", "channels"), [(1, 1), (9, 40), (2050, 300)])
def test_scaled_products(frames: int, channels: int) -> None:
    rng = np.random.default_rng(3)
    values = rng.poisson(2.0, (frames, channels)).astype("u2")
    scales = rng.uniform(0.1, 2.0, frames)
    scaled = values * scales[:, None]
    assert np.allclose(products.square(products.scaled_products(values, scales)), scaled.T @ scaled, rtol=1e-12)


def test_scaled_products_are_added_frame_by_frame() -> None:
    """The order is that of the frames, to the last bit: a plain loop gives the same."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(30, 5)).astype("f4")
    scales = rng.uniform(0.5, 1.5, 30)
    total = np.zeros((5, 5))
    for frame, scale in zip(values, scales, strict=True):
        row = frame * scale
        total += row[:, None] * row[None, :]
    assert (products.square(products.scaled_products(values, scales)) == total).all()


def test_projections_and_compositions() -> None:
    rng = np.random.default_rng(5)
    frames = rng.poisson(3.0, (7, 20)).astype("u2")
    scales, weights, mean = rng.uniform(size=7), rng.uniform(size=15), rng.uniform(size=15)
    loadings = rng.normal(size=(15, 3))
    scores = np.empty((7, 3))
    products.project(frames, 2, scales, weights, mean, loadings, scores)
    assert np.allclose(scores, (frames[:, 2:17] * scales[:, None] * weights - mean) @ loadings, rtol=1e-12)
    found = np.empty((7, 15))
    components = np.ascontiguousarray(loadings.T)
    products.compose(scores, components, mean, found)
    assert np.allclose(found, mean + scores @ components, rtol=1e-12)


def _check(matrix: NDArray[Any], count: int) -> NDArray[Any]:
    values, vectors = leading_eigenpairs(matrix, count)
    scale = np.abs(matrix).max() + 1e-300
    expected = np.linalg.eigvalsh(matrix)[::-1][:count]
    assert np.abs(values - expected).max() < 1e-12 * scale * matrix.shape[0]
    assert np.abs(vectors @ matrix - values[:, None] * vectors).max() < 1e-12 * scale * matrix.shape[0]
    assert np.abs(vectors @ vectors.T - np.eye(count)).max() < 1e-12
    return vectors


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 40), st.integers(0, 2**31))
def test_eigenpairs_of_any_rank(size: int, rank: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rank, size))
    _check(values.T @ values, min(count, size))


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(50),
        np.zeros((30, 30)),
        np.diag([2.0, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]),
        np.diag(np.repeat([5.0, 3.0, 1.0], 40)),
        np.ones((100, 100)),
    ],
)
def test_equal_eigenvalues(matrix: NDArray[Any]) -> None:
    """Each is found as often as it occurs."""
    _check(matrix, 4)


def test_vectors_of_well_separated_components() -> None:
    """Four spectra in Poisson noise: the vectors are LAPACK's, and the noise's own vectors are found too."""
    rng = np.random.default_rng(6)
    spectra = rng.gamma(2.0, size=(4, 300))
    counts = rng.poisson(rng.gamma(1.0, 2.0, size=(3000, 4)) @ spectra).astype("f8")
    matrix = counts.T @ counts
    vectors = _check(matrix, 10)
    lapack = np.linalg.eigh(matrix)[1][:, ::-1].T[:10]
    assert np.abs(np.abs((vectors * lapack).sum(axis=1)) - 1.0).max() < 1e-9
