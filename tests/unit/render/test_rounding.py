from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.render import rounding

POSITIVE = st.floats(1e-12, 1e12)


@pytest.mark.parametrize(
    ("step", "samples", "unit", "bar"),
    [
        (0.8, 96, "nm", (25.0, "20 nm")),
        (0.0123, 256, "1/angstrom", (1 / 0.0123, "1 Å⁻¹")),
        (10.0, 1900, "nm", (500.0, "5 µm")),
        (1.0, 17, "px", (5.0, "5 px")),
        (1.0, 2, "px", (1.0, "1 px")),
        (0.02, 256, "mrad", (50.0, "1 mrad")),
    ],
)
def test_scale_bars(step: float, samples: float, unit: str, bar: tuple[float, str]) -> None:
    length, label = rounding.scale_bar(step, samples, unit)
    assert (length, label) == (pytest.approx(bar[0]), bar[1])


@given(POSITIVE, st.integers(3, 4096))
def test_a_bar_is_a_seventh_to_a_third_of_the_image(step: float, samples: int) -> None:
    length, _ = rounding.scale_bar(step, samples, "nm")
    assert samples / 7.6 <= length <= samples / 3 * (1 + 1e-12)


@given(POSITIVE)
def test_exponents_are_exact(value: float) -> None:
    n = rounding.exponent_of(value)
    assert Fraction(10) ** n <= Fraction(value) < Fraction(10) ** (n + 1)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 12))
def test_ticks_are_few_round_and_inside(low: float, span: float, most: int) -> None:
    high = low + span
    if high == low:
        return
    ticks = rounding.ticks(low, high, most)
    assert len(ticks) <= most
    assert all(Fraction(low) <= tick <= Fraction(high) for tick in ticks)
    steps = {b - a for a, b in pairwise(ticks)}
    assert len(steps) <= 1
    for step in steps:
        mantissa = step / Fraction(10) ** rounding.exponent_of(step)
        assert mantissa in (1, 2, 5)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (8267, "8267"),
        (222348, "222 348"),
        (2.01812, "2.018"),
        (-0.51351, "−0.5135"),
        (34_812_345, "3.481·10⁷"),
        (0.00001234, "1.234·10⁻⁵"),
        (0.1, "0.1"),
        (99999.7, "100 000"),
        (float("nan"), "NaN"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert rounding.number(value) == text


def test_tick_labels_share_their_decimals() -> None:
    assert rounding.tick_labels(rounding.ticks(0, 1, 6)) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert rounding.tick_labels(rounding.ticks(-20000, 20000, 5)) == ["−20 000", "−10 000", "0", "10 000", "20 000"]


def test_square_root_ticks_begin_at_zero_and_stay_apart() -> None:
    ticks = rounding.steep_ticks(6314.0, 7)
    assert ticks == [0, 200, 1000, 2000, 5000]
