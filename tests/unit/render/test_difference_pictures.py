from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
from compared_scans import axes, change, difference, scan_of_crystals
from numpy.typing import NDArray

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Seen
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.render import palette
from emdvc.render.difference.drawn import DifferencePicture
from emdvc.render.difference.extent import Extent, known_mean, over, part, same_place
from emdvc.render.difference.panel import CHANGED, DOTS, GROUND, grown
from emdvc.render.difference.pictures import pictures, write
from emdvc.render.difference.plot import Line, residual
from emdvc.render.difference.radial import beam, radial
from emdvc.render.difference.views import ImagePair, views
from emdvc.render.palette import ColourMap, Palette

Decode = Callable[[bytes], Any]
#: A picture without a heading begins with an outline of one pixel.
EDGE = 1


def named(dataset: DatasetDifference, name: str) -> DifferencePicture:
    return next(picture for picture in pictures(dataset) if picture.name == name)


def image(before: NDArray[Any], after: NDArray[Any], **how: Any) -> DatasetDifference:
    """Return the difference of two images of the detector."""
    return difference(("ky", "kx"), before, after, "results/mean.zarr", name="mean", **how)


def test_zero_has_the_middle_colour_and_the_scale_is_symmetric(decode: Decode) -> None:
    before = np.zeros((2, 2))
    after = np.array([[4.0, -2.0], [0.0, 1.0]])
    png = named(image(before, after), "mean-mean").difference
    assert png is not None
    # 2 samples on at most 400 pixels: each is 200 pixels wide
    found = decode(png).samples[EDGE + 100 : EDGE + 400 : 200, EDGE + 100 : EDGE + 400 : 200, 0].astype(int)
    # one map of 207 colours after 32 levels of ink and 16 of the line: 48 to 254, and 151 is the middle; 4 is the limit
    assert Palette({ColourMap.DIVERGING}).levels == 207
    assert found.tolist() == [[254, 48 + 52], [151, 48 + 129]]  # -2: 206 / 4 = 51.5; +1: 206 * 5 / 8 = 128.75
    rgb = decode(png).rgb[EDGE + 300, EDGE + 100]
    assert rgb.min() > 240, "no difference is nearly white"


def test_where_nothing_differs_all_is_the_middle_colour(decode: Decode) -> None:
    values = np.arange(16.0).reshape(4, 4)
    same = replace(image(values, values), values=(change(("ky", "kx"), values, values, "mean"),))
    png = named(same, "mean-mean").difference
    assert png is not None
    assert set(np.unique(decode(png).samples[EDGE : EDGE + 400, EDGE : EDGE + 400])) == {151}


def test_before_and_after_share_one_scale(decode: Decode) -> None:
    before = np.array([[0.0, 10.0], [20.0, 20.0]])
    after = np.array([[20.0, 10.0], [0.0, 40.0]])
    picture = named(image(before, after), "mean-mean")
    assert picture.before is not None and picture.after is not None
    a, b = (
        decode(png).samples[EDGE + 100 : EDGE + 400 : 200, EDGE + 100 : EDGE + 400 : 200, 0]
        for png in (picture.before, picture.after)
    )
    assert a[0, 1] == b[0, 1] and a[0, 0] == b[1, 0] and a[1, 0] == b[0, 0]
    assert b[1, 1] > a[1, 0] > a[0, 1] > a[0, 0]
    heads = [decode(png).samples[EDGE + 400 + 1 :, :, 0] for png in (picture.before, picture.after)]
    assert np.array_equal(*heads), "scale bar and colour bar are the same in both"


def test_what_was_not_read_is_dotted_grey_and_the_picture_says_so(decode: Decode) -> None:
    before = np.ones((16, 16))
    after = before.copy()
    after[2, 3] = 5.0
    after[13, 12] = 7.0
    scan = difference(("y", "x"), before, after, name="map")
    drawn = named(scan, "map-map")
    assert drawn.difference is not None
    samples = decode(drawn.difference).samples[..., 0]
    side = 400 // 16
    block = samples[EDGE : EDGE + side, EDGE : EDGE + side]
    assert set(np.unique(block)) == {GROUND, DOTS}
    changed = samples[EDGE + 2 * side : EDGE + 3 * side, EDGE + 3 * side : EDGE + 4 * side]
    assert len(np.unique(changed)) == 1 and changed[0, 0] > palette.INK
    legend = samples[-22:, :30]
    assert {GROUND, DOTS} <= set(np.unique(legend)), "the line below shows the same dots"


def test_other_calibration_is_drawn_over_the_same_field_of_view(decode: Decode) -> None:
    before, after = np.ones((8, 8)), np.ones((8, 8))
    before[4, 4] = after[2, 2] = 9.0
    # after: every step twice as long, so that sample 2 after lies where sample 4 before lies
    picture = named(image(before, after, factors=(1.0, 2.0)), "mean-mean")
    assert picture.before is not None and picture.after is not None
    a, b = (decode(png).samples[EDGE : EDGE + 400, EDGE : EDGE + 400, 0] for png in (picture.before, picture.after))
    # both cover -0.02 (outer edge of the coarser first sample) to 0.30: 0.32 on 400 pixels
    paper = np.flatnonzero((a == 0).all(axis=0))
    assert set(range(213, 400)) <= set(paper.tolist()), "the finer image ends at 0.15: pixel (0.15 + 0.02) / 0.32 * 400"
    assert not (b == 0).any(), "the coarser one fills the field"
    bright = [np.argwhere(values == values.max()).mean(axis=0) for values in (a, b)]
    # centres: sample 4 before at 0.08, sample 2 after at 0.08: pixel 0.10 / 0.32 * 400 = 125
    assert np.allclose(bright[0], 125, atol=1.5) and np.allclose(bright[1], 125, atol=1.5)
    assert any("same 0.32 × 0.32 Å⁻¹" in note and "sample by sample" in note for note in picture.notes)


def test_units_that_have_nothing_in_common_are_drawn_sample_by_sample() -> None:
    found = image(np.zeros((4, 4)), np.eye(4))
    plain = {dim: Axis(dim, 4, Role.DETECTOR) for dim in ("ky", "kx")}
    assert found.before_sidecar is not None
    picture = named(replace(found, before_sidecar=replace(found.before_sidecar, axes=plain)), "mean-mean")
    assert any("sample by sample" in note for note in picture.notes)
    assert picture.before is not None and picture.difference is not None


def test_other_shape_is_compared_at_the_same_place(decode: Decode) -> None:
    before = np.arange(64.0).reshape(8, 8)
    after = before[:, :6]
    seen = Seen(before_mean=before, after_mean=after)
    found = difference(("ky", "kx"), before, after, name="mean")
    value = replace(change(("ky", "kx"), before, before, "mean"), seen=seen)
    picture = named(replace(found, values=(value,)), "mean-mean")
    assert picture.difference is not None
    samples = decode(picture.difference).samples[EDGE : EDGE + 400, EDGE : EDGE + 400, 0]
    assert set(np.unique(samples[:, :300])) == {151}, "cut off: what is left is the same"
    assert set(np.unique(samples[:, 301:])) == {0}, "and there is nothing beyond"
    assert "8 by 8 samples before, 8 by 6 after" in picture.alt


SHAPES = {
    "spectrum": (("energy",), (40,)),
    "pattern": (("ky", "kx"), (32, 32)),
    "4D-STEM": (("y", "x", "ky", "kx"), (5, 6, 12, 16)),
    "map": (("y", "x"), (9, 7)),
    "spectrum image": (("y", "x", "energy"), (4, 5, 33)),
    "line scan": (("x", "energy"), (7, 20)),
    "line of numbers": (("x",), (11,)),
    "profiles": (("y", "x", "k"), (4, 4, 15)),
    "stack": (("frame", "ky", "kx"), (3, 6, 6)),
    "one row": (("y", "x"), (1, 9)),
    "one probe position": (("y", "x", "ky", "kx"), (1, 1, 8, 8)),
    "one number": (("y", "x"), (1, 1)),
    "one pixel": (("ky", "kx"), (1, 1)),
}


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("kind", ["some", "all", "NaN", "infinite"])
def test_every_shape_is_drawn(decode: Decode, case: str, kind: str) -> None:
    dims, shape = SHAPES[case]
    before = np.random.default_rng(3).poisson(9.0, shape).astype(float)
    after = before.copy()
    after.flat[before.size // 2] += 3.0
    if kind == "all":
        after = before + 1.0
    elif kind == "NaN":
        after = np.full(shape, np.nan)
    elif kind == "infinite":
        after.flat[0], after.flat[-1] = np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        found = difference(dims, before, after)
    drawn = pictures(found)
    assert drawn
    for picture in drawn:
        assert decode(picture.combined).samples.shape[1] <= 950
        parts = [png for png in (picture.before, picture.after, picture.difference) if png]
        assert len({decode(png).samples.shape for png in parts}) <= 1, "pictures of one size, for the slider"
        assert picture.alt.startswith(("Map of", "Three images", "Two lines")) and picture.title
    assert len({picture.name for picture in drawn}) == len(drawn)
    assert pictures(found) == drawn, "the same bytes again"


def test_without_sidecars_samples_are_counted() -> None:
    found = difference(("y", "x"), np.zeros((6, 6)), np.eye(6))
    drawn = pictures(replace(found, before_sidecar=None, after_sidecar=None))
    assert [picture.name for picture in drawn] == ["data-changed", "data-map"]


def test_one_probe_position_of_a_large_scan_is_seen(decode: Decode) -> None:
    before = np.zeros((2048, 2048), np.float32)
    after = before.copy()
    after[2047, 1000] = 1.0
    found = difference(("y", "x"), before, after, name="map")
    first, second = pictures(found)
    samples = decode(first.bare or b"").samples[..., 0]
    # seven samples to a pixel of at most 320: 293 pixels; the last block is not full, and is there
    marks = np.argwhere(samples[: EDGE + 293] == CHANGED)
    assert len(marks) == 3 * 5, "a mark of five by five pixels, two rows of it beyond the edge"
    assert marks[:, 0].max() == EDGE + 292 and marks[:, 1].mean() == EDGE + 1000 // 7
    assert "1 of 4 194 304 probe positions differs" in first.alt
    assert second.notes[0] == "part of the scan: y 2045–2047, x 998–1002"


def test_a_part_of_the_scan_keeps_its_place() -> None:
    before = np.zeros((64, 64))
    after = before.copy()
    after[30:33, 40] = 2.0
    pair = next(view for view in views(difference(("y", "x"), before, after)) if isinstance(view, ImagePair))
    assert pair.before.shape == (7, 5)
    # two probe positions around, 0.8 nm apart: from 28 and from 38
    assert [axis.extent() for axis in pair.axes[1]] == [
        pytest.approx((28 * 0.8, 34 * 0.8)),
        pytest.approx((38 * 0.8, 42 * 0.8)),
    ]
    assert pair.after[2:5, 2].tolist() == [2.0, 2.0, 2.0]


def test_rings_are_one_pixel_wide_about_the_beam() -> None:
    y, x = np.mgrid[:21, :31]
    ring = np.floor(np.hypot(y - 8, x - 20) + 0.5)
    pair = (Axis("ky", 21, Role.DETECTOR, Quantity(0.1, "mrad")), Axis("kx", 31, Role.DETECTOR, Quantity(0.1, "mrad")))
    profile, axis = radial(ring, pair, (8.0, 20.0))
    assert profile.tolist() == list(range(axis.size)), "the mean of a ring's pixels is the ring's own number"
    assert axis.coordinates()[3] == pytest.approx(0.3) and axis.unit == "mrad"
    ring[0, 0] = np.nan
    assert np.isnan(radial(ring, pair, (8.0, 20.0))[0][-1]) == (np.hypot(8, 20) > np.hypot(12, 20))
    assert beam((21, 31), Quantity((8.0, 20.0), "px")) == (8.0, 20.0)
    assert beam((21, 31), Quantity((80.0, 20.0), "px")) is None, "not on the detector"


def test_rows_that_are_longer_than_columns_make_rings_flat() -> None:
    pair = (Axis("ky", 5, Role.DETECTOR, Quantity(0.2, "mrad")), Axis("kx", 9, Role.DETECTOR, Quantity(0.1, "mrad")))
    image = np.zeros((5, 9))
    image[0, 4] = image[4, 4] = image[2, 0] = image[2, 8] = 1.0  # all 0.4 mrad away
    profile, _ = radial(image, pair, None)
    assert np.flatnonzero(profile).tolist() == [4]


def test_the_residual_is_taken_at_the_same_coordinates() -> None:
    a, b = np.arange(10.0), np.arange(0.25, 9.0, 0.5)
    # a straight line, read between its samples, is itself
    rest = residual(Line(3 * a + 1, a), Line(3 * b + 1, b))
    assert np.allclose(rest.values, 0) and rest.coordinates is b
    beyond = residual(Line(a, a), Line(np.ones(2), np.array([-1.0, 4.0])))
    assert np.isnan(beyond.values[0]) and beyond.values[1] == -3.0


def test_two_lines_have_two_colours(decode: Decode) -> None:
    before = np.linspace(1, 9, 50)
    picture = named(difference(("energy",), before, before[::-1].copy()), "data-mean")
    colours = {tuple(colour) for colour in decode(picture.combined).rgb.reshape(-1, 3).tolist()}
    assert {(0, 84, 160), (213, 94, 0)} <= colours
    assert picture.before is None and picture.difference is None


def test_the_words_tell_where_the_largest_difference_is() -> None:
    before = np.zeros((8, 8))
    after = before.copy()
    after[6, 5], after[1, 1] = -31.0, 7.0
    # steps of 0.02: ky 6 is 0.12, kx 5 is 0.1
    assert named(image(before, after), "mean-mean").alt.endswith(
        "The largest difference is −31 counts, at ky 0.12 Å⁻¹, kx 0.1 Å⁻¹."
    )


def test_a_unit_that_a_colour_bar_has_no_room_for_stands_below() -> None:
    before = np.full((8, 8), 1_234_567.0)
    assert "values in counts" in named(image(before, before + np.arange(64).reshape(8, 8) * 1e4), "mean-mean").notes
    assert "values in counts" not in named(image(before % 7, before % 5), "mean-mean").notes


def test_a_scan_has_its_pictures_in_order() -> None:
    before = scan_of_crystals((12, 12), 16)
    after = before.copy()
    after[2:4, 3:9, 4:7] += 2
    found = pictures(difference(("y", "x", "ky", "kx"), before, after))
    assert [picture.name for picture in found] == ["data-changed", "data-map", "data-mean", "data-radial"]
    assert "12 differing probe positions" in found[2].title
    assert found[3].notes == ("about the middle of the detector: no center is recorded",)


def test_pictures_are_written_whole_under_names_that_every_system_takes(tmp_path: Path) -> None:
    found = difference(("y", "x"), np.zeros((6, 6)), np.eye(6), 'raw/a:b "c"<d>.zarr', name="map")
    paths = write(tmp_path / "new" / "folder", found)
    assert [path.name for path in paths] == ["raw-a-b-c-d-.zarr-map-changed.png", "raw-a-b-c-d-.zarr-map-map.png"]
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir()), "no partial file is left"
    assert [path.read_bytes() for path in paths] == [picture.combined for picture in pictures(found)]
    assert write(tmp_path / "none", DatasetDifference(PurePosixPath("raw/x"))) == []
    assert not (tmp_path / "none").exists()


def test_means_of_blocks_leave_out_what_is_not_known() -> None:
    image = np.array([[1.0, np.nan, 5.0], [3.0, np.nan, np.nan], [np.nan, np.nan, 7.0]])
    found = known_mean(image, 2, 2)
    assert np.array_equal(found, [[2.0, 5.0], [np.nan, 7.0]], equal_nan=True)


def test_marks_grow_only_where_they_are_too_small() -> None:
    one = np.zeros((9, 9), np.bool_)
    one[4, 4] = True
    assert grown(one, 5).sum() == 25
    wide = np.zeros((9, 9), np.bool_)
    wide[:, 2:8] = True
    assert grown(wide, 5) is wide


def test_axes_at_the_same_place_in_other_units() -> None:
    a = Axis("x", 5, Role.SCAN, Quantity(0.8, "nm"), Quantity(0.0, "nm"))
    b = Axis("x", 5, Role.SCAN, Quantity(8.0, "angstrom"))
    assert same_place(a, b)
    assert not same_place(a, replace(b, size=6))
    assert not same_place(a, replace(b, offset=Quantity(8.0, "angstrom")))
    assert part(a, 2, 4).extent() == pytest.approx((1.6, 3.2))


def test_a_falling_axis_is_drawn_the_way_it_runs() -> None:
    falling = Axis("y", 3, Role.SCAN, Quantity(-1.0, "nm"))
    level = Axis("x", 1, Role.SCAN, Quantity(1.0, "nm"))
    ground = (Extent(-2.5, 0.5, "nm"), Extent(-0.5, 0.5, "nm"))
    drawn, outside = over(np.array([[1.0], [2.0], [3.0]]), (falling, level), ground, (6, 1))
    assert drawn[:, 0].tolist() == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0] and not outside.any()
    assert axes(("y",), (3,))["y"].unit == "nm"
