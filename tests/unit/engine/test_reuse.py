"""After a change of a few probe positions only these are computed, and the result is that of a full run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import every_output as every
import numpy as np
import pytest
from numpy.typing import NDArray

from emdvc.engine.how import Earlier, How
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.chunk_files import in_memory
from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import Result


class Watched:
    """An array that remembers which probe positions were read."""

    def __init__(self, values: NDArray[np.generic], chunks: tuple[int, ...]) -> None:
        self._values = values
        self.shape, self.dtype, self.chunks = values.shape, values.dtype, chunks
        self.seen = np.zeros(values.shape[:2], int)

    def read(self, region: Region) -> NDArray[np.generic]:
        """Return one region."""
        self.seen[region[:2]] += 1
        return self._values[region].copy()


def whole(path: Path) -> NDArray[np.generic]:
    opened, _ = open_lazy(path)
    array = opened.variable().array
    values = array.read(tuple(slice(0, n) for n in array.shape))
    opened.close()
    return values


def box(changed: NDArray[np.bool_]) -> Callable[[Region], Region | None]:
    """Return what says which part of a region changed."""

    def touched(region: Region) -> Region | None:
        found = np.argwhere(changed[region])
        if not len(found):
            return None
        low, high = found.min(axis=0).tolist(), found.max(axis=0).tolist()
        return tuple(slice(r.start + a, r.start + b + 1) for r, a, b in zip(region, low, high, strict=True))

    return touched


def as_earlier(result: Result, changed: NDArray[np.bool_]) -> Earlier:
    arrays: dict[str, LazyArray] = {one.name: MemoryArray(in_memory(one.values)) for one in result.variables}
    # the store of a result holds its axes too
    arrays["k"] = MemoryArray(np.arange(12.0))
    return Earlier(arrays, box(changed))


#: Steps that give every output probe position by probe position: of these alone a part can be computed.
POSITION_BY_POSITION = ("virtual_image", "virtual_detector", "dark_field", "center_of_mass", "crop", "rebin")
#: Steps with something that depends on all positions, and one with a table.
FROM_ALL = ("sum_pattern", "radial_profile", "find_peaks", "frame_statistics")


@pytest.mark.parametrize("name", [*POSITION_BY_POSITION, *FROM_ALL])
@pytest.mark.parametrize("kind", ["counts", "floats"])
@pytest.mark.usefixtures("many_blocks")
def test_a_change_of_few_positions(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    """Each position that changed is read once and, where that is possible, no other but for the rest of its group."""
    path: Path = request.getfixturevalue(kind)
    recipe = {name: every.PATTERNS[name]}
    if name == "crop":
        recipe = {name: {"y": [2, 8], "x": [1, 12], "ky": [4, 28]}}
    values = whole(path)
    before = every.run(path, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    changed = np.zeros(values.shape[:2], np.bool_)
    changed[5, 3] = changed[5, 6] = changed[6, 6] = True
    values[changed] += 3
    full = every.run(path, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    watched = Watched(values, (4, 4, 32, 32))
    earlier = {name: as_earlier(before[name], changed)}
    again = every.run(path, recipe, How(threads=2), array=watched, earlier=earlier)
    assert every.digests(again) == every.digests(full) != every.digests(before)
    assert (watched.seen[changed] == 1).all()
    if name in POSITION_BY_POSITION:
        # the two changes on the right lie in one block with another above and beside them; groups of rebin are 2 x 2
        assert watched.seen.sum() <= (3 if name != "rebin" else 4 + 8)
    else:
        assert watched.seen.all()


@pytest.mark.usefixtures("many_blocks")
def test_several_steps_share_what_is_left(counts: Path) -> None:
    recipe = {name: every.PATTERNS[name] for name in ("virtual_image", "virtual_detector", "center_of_mass")}
    values = whole(counts)
    before = every.run(counts, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    changed = np.zeros(values.shape[:2], np.bool_)
    changed[0, 0] = changed[15, 17] = True
    values[changed] += 1
    earlier = {name: as_earlier(before[name], changed) for name in recipe}
    watched = Watched(values, (4, 4, 32, 32))
    again = every.run(counts, recipe, How(threads=1), array=watched, earlier=earlier)
    full = every.run(counts, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    assert every.digests(again) == every.digests(full)
    assert watched.seen.sum() == 2
    # one step without an earlier result needs everything: it is read for all
    watched = Watched(values, (4, 4, 32, 32))
    del earlier["virtual_image"]
    again = every.run(counts, recipe, How(threads=1), array=watched, earlier=earlier)
    assert every.digests(again) == every.digests(full)
    assert (watched.seen == 1).all()


@pytest.mark.usefixtures("many_blocks")
def test_nothing_changed(counts: Path, tmp_path: Path) -> None:
    """What changed lies elsewhere in the file: no frame is read. A run that was stopped there goes on too."""
    recipe = {"center_of_mass": {}}
    values = whole(counts)
    before = every.run(counts, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    changed = np.zeros(values.shape[:2], np.bool_)
    earlier = {"center_of_mass": as_earlier(before["center_of_mass"], changed)}
    for _ in range(2):
        watched = Watched(values, (4, 4, 32, 32))
        how = How(threads=1, folder=tmp_path / "kept")
        again = every.run(counts, recipe, how, array=watched, earlier=earlier)
        assert every.digests(again) == every.digests(before)
        assert not watched.seen.any()


@pytest.mark.usefixtures("many_blocks")
def test_an_earlier_result_of_another_size_is_of_no_use(counts: Path) -> None:
    recipe = {"center_of_mass": {}}
    values = whole(counts)
    full = every.run(counts, recipe, How(threads=1), array=Watched(values, (4, 4, 32, 32)))
    nothing = np.zeros(values.shape[:2], np.bool_)
    wrong = {name: MemoryArray(np.zeros((16, 17))) for name in ("com_y", "com_x", "tilt_y", "tilt_x")}
    for arrays in (wrong, {}):
        watched = Watched(values, (4, 4, 32, 32))
        again = every.run(
            counts, recipe, How(threads=1), array=watched, earlier={"center_of_mass": Earlier(arrays, box(nothing))}
        )
        assert every.digests(again) == every.digests(full)
        assert watched.seen.all()
