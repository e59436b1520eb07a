"""Power laws: tables of sums against the sums themselves, and kernels against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels import power_law as kernels


@pytest.fixture(scope="module")
def x() -> NDArray[np.float64]:
    """Return logarithms of energies from 205 to 280 eV."""
    return np.log(np.arange(205.0, 280.0, 0.5))


@pytest.fixture(scope="module")
def exponents() -> NDArray[np.float64]:
    return np.arange(-2.0, 12.0 + 1 / 128, 1 / 64)


def test_sums_of_powers_are_the_sums(x: NDArray[Any], exponents: NDArray[Any]) -> None:
    """The table against sums made by NumPy, and its derivatives against differences."""
    weights = np.rint((x - x[0]) / (x[-1] - x[0]) * 65535)
    table = kernels.log_power_sums(x, weights, exponents)
    powers = np.exp(-exponents[:, None] * x[None, :])
    total = powers.sum(axis=1)
    assert np.allclose(table[:, 0], np.log(total), rtol=1e-14)
    assert np.allclose(table[:, 1], (powers * x).sum(axis=1) / total, rtol=1e-13)
    assert np.allclose(table[:, 2], (powers * weights).sum(axis=1) / total, rtol=1e-12)
    middle = slice(1, -1)
    assert np.allclose(table[middle, 3], -(table[2:, 2] - table[:-2, 2]) / (2 / 64), rtol=1e-4)


def test_interpolated_sums_are_the_sums(x: NDArray[Any], exponents: NDArray[Any]) -> None:
    """Between the table's exponents the interpolation errs by less than 1e-11."""
    table = kernels.log_power_sums(x, x, exponents)
    r = np.random.default_rng(1).uniform(-2, 12, 500)
    r = np.append(r, [exponents[0], exponents[-1], np.nan])
    found = np.empty(r.size)
    kernels.log_sums_at(r, exponents, table, found)
    direct = np.log(np.exp(-r[:-1, None] * x[None, :]).sum(axis=1))
    assert np.abs(found[:-1] - direct).max() < 1e-11
    assert np.isnan(found[-1])


def test_exponents_are_found_again(x: NDArray[Any], exponents: NDArray[Any]) -> None:
    """From the mean of ln E under a known exponent the exponent comes back; outside of the table it is its end."""
    table = kernels.log_power_sums(x, x, exponents)
    r = np.append(np.random.default_rng(2).uniform(-2, 12, 500), [-5.0, 20.0])
    powers = np.exp(-r[:, None] * x[None, :])
    statistic = np.append((powers * x).sum(axis=1) / powers.sum(axis=1), np.nan)
    found = np.empty(statistic.size)
    kernels.exponents_of(statistic, table[:, 2].copy(), -table[:, 3], exponents, found)
    assert np.abs(found[:500] - r[:500]).max() < 1e-9
    assert found[500:502].tolist() == [-2.0, exponents[-1]]
    assert np.isnan(found[502])


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["u1", "u2", "u4", "i2", "f4", "f8"]), st.integers(1, 11), st.integers(0, 9), st.integers(0, 2**31)
)
def test_weighted_sums(kind: str, frames: int, first: int, seed: int) -> None:
    """Any number of frames, against NumPy's product."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 100, (frames, 30)).astype(kind)
    weights = rng.integers(0, 65536, 20)
    found = kernels.weighted_sums(values, first, weights)
    assert found.dtype.kind == np.dtype(kind).kind
    assert (found == (values[:, first : first + 20].astype("i8") * weights).sum(axis=1)).all()


def test_weighted_sums_of_large_counts_are_exact() -> None:
    values = np.full((2, 1000), 4_294_967_295, np.uint32)
    found = kernels.weighted_sums(values, 0, np.full(1000, 65535))
    assert found.tolist() == [4_294_967_295 * 65535 * 1000] * 2


def test_lines_through_logarithms(x: NDArray[Any]) -> None:
    """Against numpy.polyfit, channels without counts left out."""
    counts = np.random.default_rng(4).poisson(6.0, (20, x.size)).astype("u2")
    r, log_a = np.empty(20), np.empty(20)
    kernels.log_fits(counts, 0, x, -50.0, 50.0, r, log_a)
    for row, exponent, height in zip(counts, r, log_a, strict=True):
        slope, intercept = np.polyfit(x[row > 0], np.log(row[row > 0].astype("f8")), 1)
        assert exponent == pytest.approx(-slope, rel=1e-8, abs=1e-8)
        assert height == pytest.approx(intercept, rel=1e-8, abs=1e-8)


def test_a_line_needs_two_channels_and_keeps_to_its_range(x: NDArray[Any]) -> None:
    counts = np.zeros((3, x.size), np.uint16)
    counts[1, 3] = 7
    counts[2] = np.arange(x.size) + 1  # rises: the exponent would be negative
    r, log_a = np.empty(3), np.empty(3)
    kernels.log_fits(counts, 0, x, 0.5, 12.0, r, log_a)
    assert np.isnan(r[:2]).all()
    assert (log_a[:2] == -np.inf).all()
    assert r[2] == 0.5
    assert log_a[2] == pytest.approx(np.log(counts[2].astype("f8")).mean() + 0.5 * x.mean(), rel=1e-12)


@pytest.mark.parametrize("energies", [np.arange(205.0, 400.0, 0.5), np.arange(0.5, 40.0, 0.25), np.arange(3.0, 9.0)])
def test_subtracted_power_laws(energies: NDArray[Any]) -> None:
    """Against powers by NumPy, where channels share an exponential and where (near 0 eV) they cannot."""
    rng = np.random.default_rng(5)
    r = np.append(rng.uniform(0.5, 12.0, 6), np.nan)
    log_a = np.log(1000.0) + np.where(np.isnan(r), 0.0, r) * np.log(energies[energies.size // 2])
    frames = rng.integers(0, 2000, (7, energies.size + 2)).astype("u2")
    found = np.empty((7, energies.size), np.float64)
    kernels.subtract_power_laws(frames, 1, np.log(energies), r, log_a, found)
    counts = frames[:, 1:-1].astype("f8")
    background = np.exp(log_a[:6, None]) * energies ** -r[:6, None]
    assert np.abs((counts[:6] - found[:6]) / background - 1.0)[background > 1e-3].max() < 1e-9 + 1e-9
    assert (found[6] == counts[6]).all()
