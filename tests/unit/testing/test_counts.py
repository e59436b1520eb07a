from __future__ import annotations

import math

import numpy as np
import pytest

from emdvc.testing.counts import LEVELS, CountTable, exact_exp


@pytest.fixture(scope="module")
def table() -> CountTable:
    return CountTable(16.0)


@pytest.mark.parametrize("rate", [0.0, 0.004, 0.1, 1.0, 3.7, 16.0])
def test_mean_and_variance_are_those_of_poisson(table: CountTable, rate: float) -> None:
    number = 400_000
    levels = table.levels(np.full(number, rate))
    true = float(table.rates[levels[0]])
    counts = table.draw(levels, np.random.PCG64(7)).astype(float)
    # 5 standard errors, of the mean sqrt(m / n), of the variance sqrt((m + 2 m^2) / n), and the table's own error
    assert counts.mean() == pytest.approx(true, abs=5 * math.sqrt(true / number) + 2e-4)
    assert counts.var() == pytest.approx(true, abs=5 * math.sqrt((true + 2 * true * true) / number) + 2e-3)


def test_probabilities_are_those_of_poisson(table: CountTable) -> None:
    level = int(table.levels(np.array([2.0]))[0])
    rate = float(table.rates[level])
    # every one of the 65 536 draws once: the share of each count is its probability, to one draw
    share = np.bincount(table._inverse[level], minlength=12) / 65536
    for k in range(12):
        expected = math.exp(-rate) * rate**k / math.factorial(k)
        assert share[k] == pytest.approx(expected, abs=1.01 / 65536)


def test_levels_resolve_dim_pixels(table: CountTable) -> None:
    rates = np.array([0.001, 0.01, 0.1, 1.0, 10.0])
    nearest = table.rates[table.levels(rates)]
    # neighbouring levels lie 2 sqrt(highest * rate) / 255 apart
    assert np.all(np.abs(nearest - rates) <= 1.01 * np.sqrt(16.0 * rates) / (LEVELS - 1) + 16.0 / (LEVELS - 1) ** 2)


def test_rates_beyond_the_ends_take_the_end(table: CountTable) -> None:
    assert table.levels(np.array([-1.0, 1e9])).tolist() == [0, LEVELS - 1]


@pytest.mark.parametrize("highest", [0.0, -1.0, 181.0])
def test_impossible_rates_are_refused(highest: float) -> None:
    with pytest.raises(ValueError, match="highest rate"):
        CountTable(highest)


def test_exact_exp() -> None:
    # nearest doubles to e^-1 and e^-20, from 40 digits
    assert exact_exp([0.0, -1.0, -20.0]).tolist() == [1.0, 0.36787944117144233, 2.061153622438558e-09]
