"""Parts of arrays merged element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emdvc.history.merging.datasets import elements


def test_each_element_is_that_of_the_side_that_changed_it() -> None:
    base, ours, theirs = np.zeros((3, 4), "u1"), np.zeros((3, 4), "u1"), np.zeros((3, 4), "u1")
    ours[0, 0], theirs[2, 3] = 5, 7
    ours[1, 1] = theirs[1, 1] = 9
    merged = elements.merge_elements(base, ours, theirs)
    assert merged.values.tolist() == [[5, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 7]]
    assert not merged.disputed.any()


def test_what_both_changed_to_different_values_is_disputed() -> None:
    base = np.zeros(4, "i4")
    merged = elements.merge_elements(base, np.array([1, 1, 0, 0], "i4"), np.array([0, 2, 2, 0], "i4"))
    assert merged.disputed.tolist() == [False, True, False, False]
    assert merged.values.tolist() == [1, 0, 2, 0]


def test_nan_is_the_same_as_nan() -> None:
    base = np.array([np.nan, 1.0, np.nan], "f4")
    ours = np.array([np.nan, np.nan, 2.0], "f4")
    theirs = np.array([np.nan, np.nan, np.nan], "f4")
    merged = elements.merge_elements(base, ours, theirs)
    assert not merged.disputed.any()
    np.testing.assert_array_equal(merged.values, np.array([np.nan, np.nan, 2.0], "f4"))


def test_equal_numbers_with_other_bits_come_out_the_same_in_either_order() -> None:
    base, ours, theirs = np.ones(2), np.array([0.0, 1.0]), np.array([-0.0, 1.0])
    one, other = elements.merge_elements(base, ours, theirs), elements.merge_elements(base, theirs, ours)
    assert not one.disputed.any()
    assert one.values.tobytes() == other.values.tobytes()


def test_a_row_of_a_table_is_never_blended() -> None:
    base = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ours, theirs = base.copy(), base.copy()
    ours[0, 0], theirs[0, 1], theirs[2, 1] = 9, 9, 7
    merged = elements.merge_elements(base, ours, theirs, rows=True)
    assert merged.disputed.tolist() == [[True, True], [False, False], [False, False]]
    assert merged.values.tolist() == [[1, 2], [3, 4], [5, 7]]


def test_records_are_elements() -> None:
    kind = np.dtype([("y", "f4"), ("x", "f4")])
    base = np.array([(1, 2), (3, 4)], kind)
    ours, theirs = base.copy(), base.copy()
    ours["y"][0], theirs["x"][0], theirs["x"][1] = 9, 9, 7
    merged = elements.merge_elements(base, ours, theirs)
    assert merged.disputed.tolist() == [True, False]
    assert merged.values[1].tolist() == (3, 7)


_SHAPES = hnp.array_shapes(max_dims=3, max_side=4)


@st.composite
def _sides(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    shape = draw(_SHAPES)
    kind = draw(st.sampled_from(["u1", "i8", "f4", "?", "c8"]))
    one = hnp.arrays(kind, shape, elements=st.sampled_from([0, 1] if kind == "?" else [0, 1, 2]))
    return draw(one), draw(one), draw(one)


@given(_sides())
def test_either_order_gives_the_same_bytes_and_disputes(sides: tuple[Any, Any, Any]) -> None:
    base, ours, theirs = sides
    one, other = elements.merge_elements(base, ours, theirs), elements.merge_elements(base, theirs, ours)
    assert one.values.tobytes() == other.values.tobytes()
    np.testing.assert_array_equal(one.disputed, (ours != base) & (theirs != base) & (ours != theirs))
    changed = ours != base
    np.testing.assert_array_equal(one.values[changed & ~one.disputed], ours[changed & ~one.disputed])


@given(_sides())
def test_neither_is_none_of_the_sides(sides: tuple[Any, Any, Any]) -> None:
    _, ours, theirs = sides
    made = elements.neither(ours, theirs)
    assert made.dtype == ours.dtype
    assert made.tobytes() == elements.neither(theirs, ours).tobytes()
    if ours.dtype.kind != "b":
        assert not ((made == ours) | (made == theirs)).any()


def test_a_box_lies_around_what_is_marked_in_the_whole_array() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = mask[2, 4] = True
    assert elements.box_of(mask, [16, 32]) == ((17, 19), (34, 37))


def test_boxes_that_touch_become_one() -> None:
    found = elements.united([((0, 4), (0, 4)), ((4, 6), (2, 3)), ((10, 12), (10, 12))])
    assert found == [((0, 6), (0, 4)), ((10, 12), (10, 12))]


@pytest.mark.parametrize("count", [65, 700])
def test_many_boxes_become_few_that_hold_all_of_them(count: int) -> None:
    boxes = [((3 * n, 3 * n + 1), (0, 1)) for n in range(count)]
    found = elements.united(boxes)
    assert 1 < len(found) <= elements.MOST
    assert all(any(elements.within(box, one) is not None for one in found) for box in boxes)
    assert found == elements.united(reversed(boxes))


def test_values_are_said_in_words() -> None:
    assert elements.in_words(np.array([3, 3], "u1")) == "3"
    assert elements.in_words(np.array([3, 5], "u1")) == "3 and 5"
    assert elements.in_words(np.arange(1, 41, dtype="u1")) == "40 different values, 1 to 40"
    assert elements.in_words(np.array([0.25], "f4")) == "0.25"
