from __future__ import annotations

import numpy as np
import pytest

from emdvc.render import raster


def test_block_mean_keeps_the_mean_of_each_block() -> None:
    image = np.arange(36.0).reshape(6, 6)
    assert raster.block_mean(image, 2, 3).tolist() == [[4.0, 7.0], [16.0, 19.0], [28.0, 31.0]]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_mean_of_first_is_the_mean(count: int) -> None:
    stack = np.random.default_rng(count).integers(0, 1000, (count, 5)).astype(float)
    assert raster.mean_of_first(stack).tolist() == (stack.sum(axis=0) / count).tolist()


def test_outliers_do_not_set_the_contrast() -> None:
    values = np.arange(10_000.0)
    values[-1] = 1e9
    shown = raster.contrast(values)
    assert (shown.low, shown.high) == (20.0, 9979.0)


def test_a_small_image_is_shown_from_its_minimum_to_its_maximum() -> None:
    shown = raster.contrast(np.array([[3.0, 1.0], [2.0, np.nan]]))
    assert (shown.low, shown.high) == (1.0, 3.0)


def test_signed_values_are_shown_symmetrically() -> None:
    shown = raster.contrast(np.array([-1.0, 3.0]), signed=True)
    assert (shown.low, shown.high) == (-3.0, 3.0)
    assert raster.levels(np.array([-3.0, 0.0, 3.0]), shown, 101).tolist() == [0, 50, 100]


def test_a_wide_range_is_compressed_and_said() -> None:
    pattern = np.ones(1000)
    pattern[:100] = 400.0
    shown = raster.contrast(pattern, wide=True)
    assert (shown.roots, shown.note) == (2, "⁴√ intensity")
    assert raster.levels(np.array([0.0, 400.0 / 16, 400.0]), shown, 101).tolist() == [0, 50, 100]


def test_what_has_no_value_has_no_level() -> None:
    found = raster.levels(np.array([np.nan, np.inf, -np.inf]), raster.Contrast(0.0, 1.0), 11)
    assert found.tolist() == [raster.NO_VALUE, 10, 0]


@pytest.mark.parametrize(
    "values", [np.zeros((3, 3)), np.full((2, 2), np.nan), np.full((2, 2), 7.0), np.full((2, 2), 1e20)]
)
def test_a_constant_image_has_limits(values: np.ndarray) -> None:
    for how in ({}, {"wide": True}, {"signed": True}):
        shown = raster.contrast(values, **how)
        assert shown.high > shown.low


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "shape"),
    [
        (64, 96, 1.0, (320, 480)),
        (256, 256, 1.0, (512, 512)),
        (1500, 1900, 1.0, (500, 633)),
        (100, 200, 2.0, (400, 400)),
        (100, 200, 0.5, (100, 400)),
        (40, 600, None, (480, 600)),
    ],
)
def test_images_are_brought_to_size_by_whole_factors(
    rows: int, columns: int, aspect: float | None, shape: tuple[int, int]
) -> None:
    assert raster.fit(rows, columns, 512, aspect=aspect).shape(rows, columns) == shape


def test_of_complex_values_the_modulus_is_shown() -> None:
    assert raster.as_real(np.array([3 + 4j])).tolist() == [5.0]
