"""Logarithm and exponential function against decimal arithmetic of 40 digits."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels.exact_math import exps, logs


def _ulps(found: NDArray[Any], true: list[Decimal]) -> float:
    """Return the largest distance from the true values, in units of the last place."""
    return max(
        abs(float((Decimal(float(number)) - exact) / Decimal(math.ulp(float(exact)))))
        for number, exact in zip(found, true, strict=True)
    )


def test_log_is_within_an_ulp() -> None:
    rng = np.random.default_rng(1)
    numbers = np.concatenate(
        [
            10 ** rng.uniform(-300, 300, 1000),
            rng.uniform(0.5, 2.0, 2000),
            1.0 + rng.uniform(-1e-6, 1e-6, 1000),
            np.arange(1.0, 3000.0),
            np.nextafter(np.sqrt(2.0), [0.0, 2.0]),
        ]
    )
    numbers = numbers[numbers != 1.0]
    with localcontext(Context(prec=40)):
        assert _ulps(logs(numbers), [Decimal(float(x)).ln() for x in numbers]) < 1.0
    assert logs(np.array([1.0]))[0] == 0.0


def test_exp_is_within_an_ulp() -> None:
    rng = np.random.default_rng(2)
    numbers = np.concatenate(
        [rng.uniform(-707, 709, 2000), rng.uniform(-2, 2, 2000), rng.uniform(-1e-6, 1e-6, 500), [0.0, 1.0, -1.0]]
    )
    with localcontext(Context(prec=40)):
        assert _ulps(exps(numbers), [Decimal(float(x)).exp() for x in numbers]) < 1.0


@pytest.mark.parametrize(
    ("function", "argument", "value"),
    [
        (logs, 0.0, -math.inf),
        (logs, math.inf, math.inf),
        (logs, 5e-324, math.log(5e-324)),  # the smallest subnormal number
        (exps, 0.0, 1.0),
        (exps, -800.0, 0.0),
        (exps, -math.inf, 0.0),
        (exps, 800.0, math.inf),
        (exps, math.inf, math.inf),
    ],
)
def test_ends_of_the_range(function: Any, argument: float, value: float) -> None:
    assert function(np.array([argument]))[0] == value


@pytest.mark.parametrize(("function", "argument"), [(logs, -1.0), (logs, -0.5), (logs, math.nan), (exps, math.nan)])
def test_what_has_no_value(function: Any, argument: float) -> None:
    assert math.isnan(function(np.array([argument]))[0])


def test_shapes_are_kept() -> None:
    numbers = np.arange(1.0, 7.0, dtype=np.float32).reshape(2, 3)[:, ::-1]
    assert logs(numbers).shape == (2, 3)
    assert np.allclose(exps(logs(numbers)), numbers, rtol=1e-14)


@settings(deadline=None, max_examples=200)
@given(st.floats(1e-300, 1e300))
def test_they_undo_each_other(number: float) -> None:
    """exp(log(x)) is x but for the logarithm's own rounding, which the exponential magnifies by up to |log(x)|."""
    back = exps(logs(np.array([number])))[0]
    assert back == pytest.approx(number, rel=2e-16 * (2.0 + abs(math.log(number))))
