from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emdvc.render import png

SAMPLES = st.sampled_from([0, 1, 143, 144, 255])
IMAGES = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=SAMPLES)


@given(IMAGES)
def test_any_grey_image_comes_back(image: np.ndarray) -> None:
    body = png.encode(image)
    start = body.index(b"IDAT") + 4
    length = int.from_bytes(body[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(body[start : start + length]), np.uint8).reshape(image.shape[0], -1)
    assert np.array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8), image)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 11, 12, 257, 258, 259, 260, 261, 262, 516, 517, 600])
@pytest.mark.parametrize("value", [0, 200])
def test_runs_of_every_length_come_back(count: int, value: int) -> None:
    run = np.full(count, value, np.uint8)
    assert zlib.decompress(png.deflate(run), -15) == run.tobytes()


def test_rgb_and_palette(decode: Callable[[bytes], Any]) -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert np.array_equal(decode(png.encode(rgb)).rgb, rgb)
    palette = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    assert decode(png.encode(np.array([[0, 1]], np.uint8), palette)).rgb.tolist() == [[[255, 0, 0], [0, 255, 0]]]


def test_the_compressed_bytes_are_those_of_the_standard() -> None:
    # by hand from RFC 1951: final block with the fixed code; literals 2 and 0; three copies at distance 1; end
    bits = "1" + "10" + "00110010" + "00110000" + "0000001" + "00000" + "0000000"
    by_hand = int(bits[::-1], 2).to_bytes(5, "little")
    assert png.deflate(np.array([2, 0, 0, 0, 0], np.uint8)) == by_hand == bytes.fromhex("6362000200")
    assert by_hand in png.encode(np.zeros((1, 4), np.uint8))


def test_repeats_shrink() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8).repeat(32, 0).repeat(32, 1)
    assert len(png.encode(image)) < image.size / 20


@pytest.mark.parametrize("wrong", [np.zeros((2, 2)), np.zeros((2, 2, 4), np.uint8), np.zeros((0, 2), np.uint8)])
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        png.encode(wrong)
