"""Kernels whose float operations have a fixed order: against plain NumPy, and to the bit against plain loops."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.kernels.angles import directions
from emdvc.kernels.matrix_product import product
from emdvc.kernels.polynomials import monomial_sums
from emdvc.steps.trigonometry import of_degrees


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_matrix_product(rows: int, n: int, columns: int, seed: int) -> None:
    """Each element is the plain loop's sum, to the bit; transposed arguments are no trouble."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(n, rows)).T, rng.normal(size=(columns, n)).T
    expected = np.zeros((rows, columns))
    for k in range(n):
        expected += first[:, k, None] * second[None, k]
    assert (product(first, second) == expected).all()
    assert np.allclose(expected, first @ second, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_monomial_sums(ny: int, nx: int, seed: int) -> None:
    """Against sums in fractions: within the rounding of the products."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(2, ny, nx)) * 10.0 ** rng.integers(-5, 6, (2, ny, nx))
    used = rng.random((ny, nx)) < 0.8
    powers = np.array([(p, q) for p in range(3) for q in range(3)])
    found = monomial_sums(values, used, powers)
    for index in range(2):
        for term, (p, q) in enumerate(powers.tolist()):
            exact, size = Fraction(0), Fraction(0)
            for y, x in zip(*np.nonzero(used), strict=True):
                weight = (2 * int(y) - ny + 1) ** p * (2 * int(x) - nx + 1) ** q
                exact += weight * Fraction(float(values[index, y, x]))
                size += abs(weight * Fraction(float(values[index, y, x])))
            assert abs(Fraction(float(found[index, term])) - exact) <= size * Fraction(4, 2**53)


def test_sums_do_not_lose_small_values() -> None:
    """A sum that plain additions get wrong: 1, 1e100, 1, -1e100 is 2."""
    values = np.array([[[1.0, 1e100, 1.0, -1e100]]])
    assert monomial_sums(values, np.ones((1, 4), bool), np.array([[0, 0]]))[0, 0] == 2.0


def true_degrees(y: float, x: float) -> Decimal:
    """Return the angle of a vector to 30 digits: the library's value mended by one step of Newton's method."""
    getcontext().prec = 50
    pi = Decimal("3.14159265358979323846264338327950288419716939937510")
    near = Decimal(math.atan2(y, x))
    term, sine, cosine = near, Decimal(0), Decimal(0)
    power = Decimal(1)
    for n in range(90):
        if n:
            power = power * near / n
        part = power if n % 4 < 2 else -power
        if n % 2:
            sine += part
        else:
            cosine += part
    small = (Decimal(y) * cosine - Decimal(x) * sine) / (Decimal(x) * cosine + Decimal(y) * sine)
    assert abs(small) < Decimal("1e-15")
    return (term + small - small**3 / 3) * 180 / pi


def test_directions_are_nearly_correctly_rounded() -> None:
    """Within 5 units in the last place, in all octants and for steep and flat vectors."""
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=(2, 1000)) * 10.0 ** rng.uniform(-6, 6, (2, 1000))
    found = directions(y, x)
    for one, other, angle in zip(y.tolist(), x.tolist(), found.tolist(), strict=True):
        assert abs(Decimal(angle) - true_degrees(one, other)) <= 5 * Decimal(math.ulp(angle))


@pytest.mark.parametrize("degrees", range(-180, 181, 15))
def test_directions_of_a_circle(degrees: int) -> None:
    """The angle of a direction that was made from it; the half turn has two names."""
    cosine, sine = of_degrees(degrees)
    found = directions(np.array([[sine]]), np.array([[cosine]]))[0, 0]
    assert abs(found) == pytest.approx(abs(degrees), abs=1e-13)
    assert degrees in (-180, 0) or math.copysign(1, found) == math.copysign(1, degrees)


def test_directions_without_one() -> None:
    """The zero vector has the angle 0, a NaN none."""
    found = directions(np.array([0.0, np.nan, 1.0, -0.0]), np.array([0.0, 1.0, np.nan, -0.0]))
    assert found[0] == found[3] == 0.0
    assert np.isnan(found[1:3]).all()
