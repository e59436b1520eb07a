"""Areas of pixels under circles and lines: against analytic areas and against counting points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.kernels.coverage import covered

NONE = np.zeros((0, 3))


def wedge(angle: float) -> NDArray[np.float64]:
    """Return the two lines between which the azimuth runs from 0 to an angle up to pi."""
    return np.array([[1.0, 0.0, 0.0], [-math.cos(angle), math.sin(angle), 0.0]])


@settings(deadline=None)
@given(st.floats(0.05, 12), st.floats(-1, 1), st.floats(-1, 1))
def test_a_disk_has_its_area(radius: float, y: float, x: float) -> None:
    """Summed over all pixels the covered parts are pi R^2, wherever the centre lies in a pixel."""
    rows, columns = np.arange(-15.0, 16.0) - y, np.arange(-16.0, 17.0) - x
    parts = covered(rows, columns, (1.0, 1.0), radius, NONE)
    assert parts.sum() == pytest.approx(math.pi * radius**2, rel=1e-9, abs=1e-9)
    assert parts.min() >= 0 and parts.max() <= 1


@settings(deadline=None)
@given(st.floats(0.5, 12), st.floats(0.01, math.pi), st.floats(0.2, 3.0), st.floats(0.2, 3.0))
def test_a_sector_has_its_area(radius: float, angle: float, height: float, width: float) -> None:
    """A sector of a disk covers R^2 angle / 2, with pixels that are not square too."""
    rows = np.arange(-math.ceil(12 / height) - 1, math.ceil(12 / height) + 2) * height + 0.1
    columns = np.arange(-math.ceil(12 / width) - 1, math.ceil(12 / width) + 2) * width - 0.07
    parts = covered(rows, columns, (height, width), radius, wedge(angle))
    assert parts.sum() * height * width == pytest.approx(radius**2 * angle / 2, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("radius", [0.3, 2.5, 5.0, 7.3, math.inf])
def test_each_pixel_against_points_within_it(radius: float) -> None:
    """The covered part of every pixel is the part of 400 x 400 points in it that lie in the shape."""
    rows, columns = np.arange(-8.0, 9.0) + 0.3, np.arange(-7.0, 8.0) - 0.2
    parts = covered(rows, columns, (1.0, 1.0), radius, wedge(0.7))
    fine = (np.arange(400) + 0.5) / 400 - 0.5
    y, x = (rows[:, None] + fine).reshape(-1, 1), (columns[:, None] + fine).reshape(1, -1)
    inside = (y * y + x * x < radius**2) & (y >= 0) & (x * math.sin(0.7) - y * math.cos(0.7) >= 0)
    counted = inside.reshape(17, 400, 15, 400).mean(axis=(1, 3))
    assert np.abs(parts - counted).max() < 2 / 400  # half a point along each edge
    assert ((parts == 0) | (parts == 1)).sum() > 100  # most pixels are not cut


def test_a_rectangle_has_its_area() -> None:
    """Four lines cut a turned rectangle out: 7.3 x 4.1 pixels."""
    c, s = math.cos(0.4), math.sin(0.4)
    sides = np.array([[c, -s, 3.65], [-c, s, 3.65], [s, c, 2.05], [-s, -c, 2.05]])
    rows = np.arange(-8.0, 9.0)
    assert covered(rows, rows + 0.37, (1.0, 1.0), math.inf, sides).sum() == pytest.approx(7.3 * 4.1, rel=1e-12)
