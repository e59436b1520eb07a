"""Sines, cosines and angles: exact values, and agreement with the standard library to its own accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.steps.trigonometry import cosine_table, degrees_of, of_degrees


@pytest.mark.parametrize(
    ("degrees", "cosine", "sine"),
    [
        (0, 1.0, 0.0),
        (90, 0.0, 1.0),
        (180, -1.0, 0.0),
        (-90, 0.0, -1.0),
        (60, 0.5, math.sqrt(3) / 2),
        (30, math.sqrt(3) / 2, 0.5),
        (45, math.sqrt(0.5), math.sqrt(0.5)),
        (405, math.sqrt(0.5), math.sqrt(0.5)),
    ],
)
def test_exact_values(degrees: float, cosine: float, sine: float) -> None:
    """Where sine and cosine are 0, 1/2 or 1 they are so exactly; roots are correctly rounded."""
    assert of_degrees(degrees) == (cosine, sine)


@given(st.floats(-1e4, 1e4))
def test_any_angle(degrees: float) -> None:
    """Within the rounding of the standard library's argument."""
    cosine, sine = of_degrees(degrees)
    tolerance = 1e-15 + abs(math.radians(degrees)) * 2.3e-16
    assert cosine == pytest.approx(math.cos(math.radians(degrees)), abs=tolerance)
    assert sine == pytest.approx(math.sin(math.radians(degrees)), abs=tolerance)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 12, 100, 1021])
def test_table(n: int) -> None:
    """A table of cosines, symmetric to the bit; of a multiple of 4 samples it holds the sines too."""
    table = cosine_table(n)
    angles = 2 * np.pi * np.arange(n) / n
    assert np.allclose(table, np.cos(angles), rtol=0, atol=1e-15)
    assert (table[1:] == table[1:][::-1]).all()
    if n % 4 == 0:
        assert np.allclose(table[np.arange(n) - n // 4], np.sin(angles), rtol=0, atol=1e-15)


@given(st.floats(-180, 180))
def test_angle_and_back(degrees: float) -> None:
    """The angle of a direction is the angle that made it."""
    cosine, sine = of_degrees(degrees)
    assert degrees_of(sine, cosine) == pytest.approx(degrees, abs=1e-13) or abs(degrees) == pytest.approx(180)


@pytest.mark.parametrize(
    ("y", "x", "degrees"), [(0, 0, 0), (0, 2, 0), (3, 0, 90), (0, -1, 180), (-5, 0, -90), (1, 1, 45), (-2, -2, -135)]
)
def test_angles_of_the_axes(y: float, x: float, degrees: float) -> None:
    """Eighths of a turn are exact."""
    assert degrees_of(y, x) == degrees
