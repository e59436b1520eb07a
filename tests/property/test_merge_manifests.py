"""Random edits of a labels array by two people, merged by element: against a model on plain arrays, in both orders."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from edited_project import EditedProject, made, painted
from hypothesis import given, settings
from hypothesis import strategies as st

from emdvc.history.merging.contract import Choices, Side

_SIDE = 6
#: First and last row, first and last column, and the value.
_EDITS = st.lists(st.tuples(*(st.integers(0, _SIDE - 1) for _ in range(4)), st.integers(0, 3)), min_size=0, max_size=4)


def _painted(base: Any, edits: list[tuple[int, int, int, int, int]]) -> Any:
    values = base.copy()
    for top, bottom, left, right, value in edits:
        values[min(top, bottom) : max(top, bottom) + 1, min(left, right) : max(left, right) + 1] = value
    return values


@settings(max_examples=15, deadline=None)
@given(_EDITS, _EDITS, _EDITS, st.sampled_from(Side))
def test_edits_merge_as_in_a_model_in_either_order(
    first: list[Any], ours: list[Any], theirs: list[Any], choice: Side
) -> None:
    base = _painted(np.zeros((_SIDE, _SIDE), "u1"), first)
    here, there = _painted(base, ours), _painted(base, theirs)
    disputed = (here != base) & (there != base) & (here != there)
    expected = np.where(here != base, here, there)
    with tempfile.TemporaryDirectory(prefix="emdvc-") as folder:
        lab = EditedProject(Path(folder, "project"))
        array = made(shape=(_SIDE, _SIDE), chunks=(4, 4))
        sides = [lab.pointer(lab.state(array, painted(np.s_[:], values))) for values in (base, here, there)]
        merged = lab.both_ways(*sides)
        regions = [conflict.region for conflict in merged.conflicts]
        asked = np.zeros_like(disputed)
        for region in regions:
            assert region is not None
            place = tuple(slice(start, stop) for start, stop in region.slices)
            assert not asked[place].any()
            asked[place] = True
            assert region.count == np.count_nonzero(disputed[place])
        # exactly where both changed a sample to different values
        assert not (disputed & ~asked).any()
        assert bool(regions) == bool(disputed.any())
        chosen = {Side.BASE: base, Side.OURS: here, Side.THEIRS: there}[choice]
        settled = lab.merge(sides, Choices({str(region): choice for region in regions}))
        assert settled.conflicts == ()
        np.testing.assert_array_equal(lab.array(settled.content)[:], np.where(disputed, chosen, expected))
        turned = {Side.BASE: Side.BASE, Side.OURS: Side.THEIRS, Side.THEIRS: Side.OURS}[choice]
        other = lab.merge([sides[0], sides[2], sides[1]], Choices({str(region): turned for region in regions}))
        assert other.content == settled.content
