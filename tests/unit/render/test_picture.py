from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.render import lettering, palette
from emdvc.render.picture import draw

#: Where an image begins: below the picture's margin, two lines of heading, and an outline of one pixel.
TOP, LEFT = 20 + 2 * lettering.line_height() + 4 + 1, 20 + 1

Decode = Callable[[bytes], Any]


def axis(dim: str, size: int, role: Role, step: float | None = None, unit: str = "") -> Axis:
    return Axis(dim, size, role, Quantity(step, unit) if step else None)


def scan(ny: int, nx: int, step: float | None = 0.8) -> dict[str, Axis]:
    return {"y": axis("y", ny, Role.SCAN, step, "nm"), "x": axis("x", nx, Role.SCAN, step, "nm")}


def detector(n: int) -> dict[str, Axis]:
    return {d: axis(d, n, Role.DETECTOR, 0.02, "1/angstrom") for d in ("ky", "kx")}


def image(values: np.ndarray, axes: dict[str, Axis], **how: Any) -> Result:
    return Result((ResultVariable("image", tuple(axes)[-2:], values, "counts", **how),), axes)


def black_runs(samples: np.ndarray) -> list[tuple[int, int, int]]:
    """Return (row, column, length) of runs of full ink at least 20 pixels long: only scale bars are such."""
    found = []
    for row, line in enumerate(samples == palette.INK):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
        found += [(row, int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= 20]
    return found


@pytest.mark.parametrize(
    ("shape", "step", "pixels"),
    [
        ((64, 96), 0.8, 125),  # 20 nm: 25 samples, each 5 pixels
        ((256, 256), 1.0, 100),  # 50 nm: 50 samples, each 2 pixels
        ((1280, 1280), 1.0, 100),  # 200 nm: 200 samples, 2 to a pixel
        ((64, 96), None, 100),  # 20 px, each 5 pixels
    ],
)
def test_the_scale_bar_has_the_length_that_it_says(
    decode: Decode, shape: tuple[int, int], step: float | None, pixels: int
) -> None:
    values = np.random.default_rng(0).integers(0, 1000, shape)
    samples = decode(draw(image(values, scan(*shape, step)))).samples[..., 0]
    runs = black_runs(samples)
    assert {length for _, _, length in runs} == {pixels}
    assert len(runs) == 6, "one bar, six pixels thick"


def test_every_pixel_of_an_image_shows_its_value(decode: Decode) -> None:
    values = np.array([[0, 10], [20, 30]])
    rgb = decode(draw(image(values, scan(2, 2)))).rgb
    assert np.array_equal(rgb[..., 0], rgb[..., 1]), "an image of the scan is grey"
    # each sample is a square of 256 pixels
    top, left = TOP, LEFT
    corners = [int(rgb[top + y, left + x, 0]) for y in (0, 511) for x in (0, 511)]
    assert corners[0] == 0 and corners[3] == 255
    assert corners == sorted(corners) and abs(corners[1] - 85) <= 2 and abs(corners[2] - 170) <= 2


def test_zero_is_nearly_white_where_values_have_a_sign(decode: Decode) -> None:
    values = np.array([[-2.0, 0.0], [0.0, 1.0]])
    rgb = decode(draw(image(values, scan(2, 2), signed=True))).rgb.astype(int)
    top, left = TOP, LEFT
    negative, zero, positive = rgb[top + 1, left + 1], rgb[top + 1, left + 500], rgb[top + 500, left + 500]
    assert zero.min() > 240
    assert negative[2] > negative[0] and positive[0] > positive[2]


def test_a_diffraction_pattern_is_in_colour_and_says_its_scale(decode: Decode) -> None:
    pattern = np.ones((64, 64), np.int64)
    pattern[28:36, 28:36] = 10_000
    rgb = decode(draw(image(pattern, detector(64)))).rgb
    assert (rgb[..., 0] != rgb[..., 1]).any()


def test_no_value_is_neither_low_nor_high(decode: Decode) -> None:
    values = np.array([[0.0, np.nan], [0.5, 1.0]])
    samples = decode(draw(image(values, scan(2, 2)))).samples[..., 0]
    assert samples[TOP + 5, LEFT + 400] == palette.FAINT


RESULTS = {
    "line": Result(
        (ResultVariable("sum", ("energy",), np.arange(2048) ** 2, "counts"),),
        {"energy": axis("energy", 2048, Role.SPECTRUM, 10.0, "eV")},
    ),
    "profiles": Result(
        (ResultVariable("profile", ("y", "x", "k"), np.ones((3, 4, 50)), "counts"),),
        {**scan(3, 4), "k": axis("k", 50, Role.DETECTOR, 0.01, "1/angstrom")},
    ),
    "value": Result((ResultVariable("total", (), np.array(12345), "counts"),), {}),
    "stack": Result(
        (ResultVariable("tilts", ("tilt", "y", "x"), np.zeros((9, 8, 8)), "counts"),),
        {**scan(8, 8), "tilt": axis("tilt", 9, Role.STACK, 2.0, "deg")},
    ),
    "line scan": Result(
        (ResultVariable("spectra", ("x", "energy"), np.ones((5, 40)), "counts"),),
        {"x": axis("x", 5, Role.SCAN, 1.0, "nm"), "energy": axis("energy", 40, Role.SPECTRUM, 1.0, "eV")},
    ),
    "one row": Result((ResultVariable("row", ("y", "x"), np.arange(9)[None], "counts"),), scan(1, 9)),
    "one sample": Result((ResultVariable("one", ("y", "x"), np.ones((1, 1)), "counts"),), scan(1, 1)),
    "nothing known": Result((ResultVariable("none", ("y", "x"), np.full((4, 4), np.nan), "px"),), scan(4, 4)),
    "empty": Result((ResultVariable("none", ("y", "x"), np.zeros((0, 4)), "px"),), scan(0, 4)),
    "complex": Result((ResultVariable("wave", ("y", "x"), np.full((4, 4), 1 + 1j), ""),), scan(4, 4)),
    "five dimensions": Result(
        (ResultVariable("big", ("time", "tilt", "frame", "ky", "kx"), np.zeros((2, 2, 2, 4, 4), "?"), ""),),
        {**detector(4), **{d: axis(d, 2, Role.STACK) for d in ("time", "tilt", "frame")}},
        title="a title that is far too long for a picture as narrow as this one and is therefore cut somewhere",
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_any_result_has_a_picture_the_same_each_time(name: str, decode: Decode) -> None:
    first = draw(RESULTS[name])
    assert draw(RESULTS[name]) == first
    samples = decode(first).samples
    assert samples.max() > 0 and (samples[:4] == 0).all(), "something is drawn, and there is a margin"


def test_the_bytes_are_the_same_on_every_machine() -> None:
    # the same with numpy 2.1 and 2.4, with and without AVX; a difference elsewhere is a fault of the drawing
    y, x = np.mgrid[:64, :96]
    values = (1000 + 7 * x + 3 * y + 500 * ((x // 8 + y // 8) % 2)).astype(np.int64)
    result = Result(
        (
            ResultVariable("adf", ("y", "x"), values, "counts", title="annular dark field"),
            ResultVariable("tilt", ("y", "x"), (values - 1500) / 7.0, "mrad", signed=True, title="beam tilt, x"),
            ResultVariable("profile", ("k",), 1e6 / (1.0 + np.arange(200.0) ** 2), "counts"),
        ),
        {**scan(64, 96), "k": axis("k", 200, Role.DETECTOR, 0.01, "1/angstrom")},
        title="test of raw/scan01.mib",
    )
    assert hashlib.md5(draw(result)).hexdigest() == "ae7b48e9ba25cb31e3a616012aa2633f"


def test_text_is_cut_where_there_is_no_room() -> None:
    assert lettering.fitted("virtual detector", 1000) == "virtual detector"
    cut = lettering.fitted("virtual detector", 60)
    assert cut.endswith("…") and lettering.width_of(cut) <= 60


def test_the_letters_of_the_field_are_there() -> None:
    question = lettering.width_of("?")
    canvas = {}
    for letter in "Åµ°⁻¹²·×θ√−…":
        drawn = np.zeros((30, 30), np.uint8)
        lettering.write(drawn, letter, 5, 5)
        canvas[letter] = drawn.tobytes()
        assert drawn.max() > 0
    assert len(set(canvas.values())) == len(canvas), "none is a stand-in"
    assert lettering.width_of("µ") == lettering.width_of("\u03bc") and question > 0
