"""What differs in the numbers of two arrays: expectations by plain NumPy, or planted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from emdvc.compare.numbers.arrays import Reading, Side, compare_numbers, paired
from emdvc.compare.numbers.noise import THRESHOLD, NoiseTest, chi_squared, two_sided
from emdvc.compare.numbers.regions import differing_regions
from emdvc.compare.numbers.values import Tolerance, ValueChange
from emdvc.compare.verdict import Verdict
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.zarr_keys import ChunkKeys
from emdvc.model.axis import Axis, Role
from emdvc.model.sidecar import Sidecar, VariableInfo

Array = NDArray[Any]
ROLES = {
    "y": Role.SCAN, "x": Role.SCAN, "ky": Role.DETECTOR, "kx": Role.DETECTOR, "energy": Role.SPECTRUM,
    "tilt": Role.STACK, "row": Role.IMAGE, "column": Role.IMAGE,
}  # fmt: skip


class Chunked(MemoryArray):
    """An array in memory that says in which chunk files it lies, and counts what is read of it."""

    def __init__(self, values: Array, keys: ChunkKeys | None = None) -> None:
        super().__init__(values)
        self.keys = keys
        if keys is not None:
            self.chunks = keys.stored
        self.read_bytes = 0

    def read(self, region: Any) -> Array:
        values = super().read(region)
        self.read_bytes += values.nbytes
        return values


def side(
    values: Array,
    dims: tuple[str, ...] = ("y", "x", "ky", "kx"),
    *,
    name: str = "counts",
    unit: str = "counts",
    keys: ChunkKeys | None = None,
    files: dict[str, str] | None = None,
    provenance: dict[str, Any] | None = None,
) -> Side:
    axes = {dim: Axis(dim, size, ROLES[dim]) for dim, size in zip(dims, values.shape, strict=True)}
    info = VariableInfo(dims, values.shape, values.dtype.name, "", unit)
    sidecar = Sidecar(axes=axes, variables={name: info}, main=name, provenance=provenance or {})
    array = Chunked(values, keys)
    return Side(sidecar, Opened((Variable(name, dims, array, unit),), axes), files or {})


def compared(before: Array, after: Array, *arguments: Any, how: Reading | None = None, **more: Any) -> ValueChange:
    a, b = side(before, *arguments, **more), side(after, *arguments, **more)
    change = compare_numbers(a, b, ("counts", "counts"), how or Reading())
    assert change is not None
    return change


@pytest.fixture
def rates() -> Array:
    """Rates of a pattern that is bright in the middle, 64 x 64."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    return 6.0 * np.exp(-4 * (x * x + y * y))


@pytest.fixture
def scan(rates: Array) -> Array:
    return np.random.default_rng(7).poisson(rates, (6, 8, 64, 64)).astype("u2")


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["u1", "u2", "i4", "f4", "f8", "c8", "?"]),
)
def test_figures_are_those_of_numpy(shape: tuple[int, ...], seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    before = rng.integers(0, 3, shape).astype(kind)
    after = np.where(rng.random(shape) < 0.3, rng.integers(0, 3, shape), before).astype(kind)
    if kind in ("f4", "f8") and before.size > 2:
        after.flat[0] = np.nan
        before.flat[1] = after.flat[1] = np.nan
    a, b = side(before, ("y", "x", "energy")), side(after, ("y", "x", "energy"))
    found = compare_numbers(a, b, ("counts", "counts"), Reading(draw=True))
    assert found is not None
    differs = (before != after) & ~(np.isnan(before) & np.isnan(after))
    if found.arrangement:
        return
    assert found.differing == differs.sum()
    assert found.positions == differs.any(axis=2).sum()
    wide = [x[differs].astype("c16") for x in (before, after)]
    delta = wide[1] - wide[0]
    delta = delta[~np.isnan(delta)]
    assert found.largest == pytest.approx(np.abs(delta).max(initial=0.0))
    assert found.mean == pytest.approx(delta.real.mean() if delta.size else 0.0)
    assert found.rms == pytest.approx(math.sqrt((np.abs(delta) ** 2).mean()) if delta.size else 0.0)
    assert found.seen is not None and found.seen.changed is not None
    assert np.array_equal(found.seen.changed, differs.any(axis=2))
    if differs.any():
        places = np.nonzero(differs.any(axis=2))
        assert [(first, last) for _, first, last in found.box] == [(int(p.min()), int(p.max())) for p in places]


def test_the_maps_and_means_that_are_drawn(scan: Array) -> None:
    after = scan.copy()
    after[1, 2, 10, 11] += 5
    after[4, 4] *= 2
    change = compared(scan, after, how=Reading(draw=True))
    seen = change.seen
    assert seen is not None and seen.after_map is not None and seen.before_map is not None
    assert np.array_equal(seen.after_map, after.sum(axis=(2, 3)))
    assert np.array_equal(seen.before_map, scan.sum(axis=(2, 3)))
    assert seen.before_mean is not None
    assert np.allclose(seen.before_mean, (scan[1, 2] + scan[4, 4].astype(float)) / 2)
    sums = [x[1, 2].sum() + x[4, 4].sum() for x in (scan, after)]
    assert change.sum_ratio == pytest.approx(sums[1] / sums[0])
    assert (change.scan, change.box) == ((("y", 6), ("x", 8)), (("y", 1, 4), ("x", 2, 4)))


@pytest.mark.parametrize(
    "tolerance, expected",
    [
        (Tolerance(rtol=1e-6), Verdict.WITHIN_TOLERANCE),
        (Tolerance(rtol=1e-9), Verdict.VALUES),
        (Tolerance(atol=2e-7), Verdict.WITHIN_TOLERANCE),
        (Tolerance(ulp=1), Verdict.WITHIN_TOLERANCE),
        (Tolerance(), Verdict.VALUES),
    ],
)
def test_tolerances(tolerance: Tolerance, expected: Verdict) -> None:
    before = np.linspace(-1, 1, 101, dtype="f4")
    after = np.nextafter(before, np.float32(2))  # one step of single precision: at most 6e-8 below 1
    change = compared(before, after, ("energy",), how=Reading(tolerance))
    # next to zero a step is no longer small against the number itself
    if tolerance.rtol == 1e-6:
        assert change.outside == 1 and change.verdict is Verdict.VALUES
        before, after = np.delete(before, 50), np.delete(after, 50)
        change = compared(before, after, ("energy",), how=Reading(tolerance))
    assert change.verdict is expected


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_steps_between_floats_are_counted_across_zero(kind: str) -> None:
    tiny = np.finfo(kind).smallest_subnormal
    before, after = np.array([-tiny, 1.0], kind), np.array([tiny, 1.0], kind)
    assert compared(before, after, ("energy",), how=Reading(Tolerance(ulp=2))).verdict is Verdict.WITHIN_TOLERANCE
    assert compared(before, after, ("energy",), how=Reading(Tolerance(ulp=1))).verdict is Verdict.VALUES
    nan = np.array([np.nan, 1.0], kind)
    assert compared(before, nan, ("energy",), how=Reading(Tolerance(ulp=10**9, rtol=1e9))).verdict is Verdict.VALUES


def test_only_chunks_with_another_checksum_are_read(scan: Array) -> None:
    keys = ChunkKeys("counts", scan.shape, (2, 4, 64, 64))
    files = {key: key for key in keys.keys(tuple(slice(0, n) for n in scan.shape))}
    after = scan.copy()
    after[3, 5, 1, 1] += 1
    a, b = side(scan, keys=keys, files=files), side(after, keys=keys, files={**files, "counts/1.1.0.0": "other"})
    change = compare_numbers(a, b, ("counts", "counts"), Reading())
    assert change is not None and (change.chunks, change.chunks_of, change.positions) == (1, 6, 1)
    assert change.compared == 2 * 4 * 64 * 64
    array = a.opened.variables[0].array
    assert isinstance(array, Chunked) and array.read_bytes == 2 * 4 * 64 * 64 * 2
    same = side(scan, keys=keys, files=files)
    assert compare_numbers(a, same, ("counts", "counts"), Reading()) is None


def test_a_pattern_in_several_chunks_is_compared_whole(scan: Array) -> None:
    keys = ChunkKeys("counts", scan.shape, (6, 8, 32, 32))
    found = differing_regions(
        Chunked(scan, keys), Chunked(scan, keys), {"counts/0.0.0.0": "a"}, {"counts/0.0.0.0": "b"}, (0, 1), whole=False
    )
    assert [[(part.start, part.stop) for part in region] for region in found.regions] == [
        [(0, 6), (0, 8), (0, 64), (0, 64)]
    ]


def test_a_chunk_that_is_nowhere_reads_as_the_fill_value_which_may_be_another(scan: Array) -> None:
    keys = ChunkKeys("counts", scan.shape, scan.shape)
    a, b = Chunked(scan, keys), Chunked(scan, keys)
    found = differing_regions(a, b, {"counts/zarr.json": "fill 0"}, {"counts/zarr.json": "fill 1"}, (0, 1), whole=False)
    assert len(found.regions) == 1 and found.regions[0][0] == slice(0, 6)


def test_it_stops_where_it_is_told_to(scan: Array) -> None:
    after = scan + 1
    after[0, 0] += scan[1, 1]
    keys = ChunkKeys("counts", scan.shape, (1, 8, 64, 64))
    files = ({f"counts/{y}.0.0.0": f"{y}{letter}" for y in range(6)} for letter in "ab")
    a, b = (side(values, keys=keys, files=names) for values, names in zip((scan, after), files, strict=True))
    change = compare_numbers(a, b, ("counts", "counts"), Reading(max_report=5))
    assert change is not None and not change.complete and 5 <= change.positions < 48
    small = compare_numbers(a, b, ("counts", "counts"), Reading(limit=1))
    assert small is not None and not small.complete and small.compared < scan.size


ARRANGED = {
    "ky reversed": lambda x: x[:, :, ::-1],
    "kx reversed": lambda x: x[..., ::-1],
    "y reversed": lambda x: x[::-1],
    "y reversed; kx reversed": lambda x: x[::-1, :, :, ::-1],
    "ky and kx exchanged": lambda x: np.swapaxes(x, 2, 3),
    "ky and kx exchanged; ky reversed": lambda x: np.swapaxes(x, 2, 3)[:, :, ::-1],
    "cut to y 1:6": lambda x: x[1:],
    "cut to y 0:5": lambda x: x[:-1],
    "cut to x 2:8, kx 3:63": lambda x: x[:, 2:, :, 3:-1],
    "added around y 1:7": lambda x: np.pad(x, ((1, 0), (0, 0), (0, 0), (0, 0))),
}


@pytest.mark.parametrize("expected", ARRANGED)
def test_the_same_numbers_in_another_order(scan: Array, expected: str) -> None:
    change = compared(scan, np.ascontiguousarray(ARRANGED[expected](scan)))
    assert (change.arrangement, change.verdict) == (expected, Verdict.STRUCTURE)


def test_axes_whose_names_moved_along(scan: Array) -> None:
    a, b = side(scan), side(np.ascontiguousarray(scan.transpose(2, 3, 0, 1)), ("ky", "kx", "y", "x"))
    change = compare_numbers(a, b, ("counts", "counts"), Reading())
    assert change is not None and change.arrangement == "stored in the order ky, kx, y, x"


def test_a_flip_with_one_number_changed_is_a_change_of_values(scan: Array) -> None:
    after = scan[:, :, ::-1].copy()
    after[5, 7, 0, 0] += 1
    change = compared(scan, after)
    assert change.arrangement == "" and change.verdict is Verdict.VALUES


def test_three_redrawn_patterns_are_noise(scan: Array, rates: Array) -> None:
    rng = np.random.default_rng(3)
    after = scan.copy()
    for y, x in ((0, 1), (3, 3), (5, 7)):
        after[y, x] = rng.poisson(rates)
    change = compared(scan, after)
    assert change.verdict is Verdict.NOISE_EQUIVALENT and change.positions == 3
    result = compared(scan, after, provenance={"step": "correct"})
    assert result.verdict is Verdict.VALUES and result.noise is None, "only raw counts are known to be Poisson draws"


@pytest.mark.parametrize(
    "edit",
    [
        lambda x, rates: x.__setitem__((..., 20), 0),
        lambda x, rates: x.__setitem__((2, 2, 5, 5), x[2, 2, 5, 5] + 1),
        lambda x, rates: x.__setitem__((1, 1), np.random.default_rng(1).poisson(rates * 1.2)),
        lambda x, rates: x.__setitem__((1, 1), np.random.default_rng(1).poisson(np.roll(rates, 3, axis=0))),
        lambda x, rates: x.__setitem__((slice(None), slice(None), 30, 30), 40),
        lambda x, rates: x.__setitem__((1, 1), x[1, 2]) if x[1, 1].sum() != x[1, 2].sum() else None,
    ],
    ids=["a dead column", "one count more", "a brighter pattern", "a shifted pattern", "a hot pixel", "a neighbour"],
)
def test_edits_are_no_noise(scan: Array, rates: Array, edit: Any, request: pytest.FixtureRequest) -> None:
    after = scan.copy()
    edit(after, rates)
    expected = Verdict.NOISE_EQUIVALENT if "neighbour" in request.node.name else Verdict.VALUES
    # a neighbouring pattern of the same rates is a Poisson draw like any other: the test must not be too strict either
    assert compared(scan, after).verdict is expected


def test_the_p_value_is_honest(rates: Array) -> None:
    """Of pairs of true Poisson draws, about as many fall below a level as the level says, never many more."""
    rng = np.random.default_rng(11)
    values = []
    for _ in range(400):
        noise = NoiseTest(rates.size)
        noise.add(*(rng.poisson(rates, (3, *rates.shape)).reshape(3, -1) for _ in range(2)))
        found = noise.result()
        assert found is not None
        values.append(found.p_value)
    # binomial(400, 0.05) exceeds 34 with a chance below 1e-3; Bonferroni only makes it rarer
    assert sum(value < 0.05 for value in values) <= 34
    assert sum(value < THRESHOLD for value in values) <= 4


def test_sparse_counts_and_single_electrons() -> None:
    rng = np.random.default_rng(5)
    noise = NoiseTest(4096)
    noise.add(*(rng.poisson(0.01, (20, 4096)) for _ in range(2)))
    found = noise.result()
    assert found is not None and found.p_value > THRESHOLD


def test_stuck_pixels_are_left_out() -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.poisson(30.0, (5, 4096)) for _ in range(2))
    a[:, :40] = b[:, :40] = 65535
    a[:, 40:60] = b[:, 40:60] = 0
    noise = NoiseTest(4096)
    noise.add(a, b)
    found = noise.result()
    assert found is not None and found.p_value > THRESHOLD and found.masked == 60


def test_chi_squared_against_tables() -> None:
    # 95 % and 5 % points of chi-squared with 30 degrees of freedom: 43.773 and 18.493 (Abramowitz and Stegun, 26.8)
    assert chi_squared(43.773, 30.0, 60.0) == pytest.approx(1.6449, abs=5e-3)
    assert chi_squared(18.493, 30.0, 60.0) == pytest.approx(-1.6449, abs=5e-3)
    assert two_sided(1.959964) == pytest.approx(0.05, abs=1e-6)


def test_arrays_are_paired_by_name_or_as_the_main_ones() -> None:
    values = np.zeros((2, 2))
    assert list(paired(side(values, ("y", "x"), name="a"), side(values, ("y", "x"), name="a"))) == [("a", "a")]
    assert list(paired(side(values, ("y", "x"), name="a"), side(values, ("y", "x"), name="b"))) == [("a", "b")]


def test_of_parts_of_a_pattern_nothing_is_said_about_noise() -> None:
    """An array without probe positions of which only some chunks changed is read in parts."""
    test = NoiseTest(16)
    test.add(np.zeros((1, 4), "i4"), np.ones((1, 4), "i4"))
    test.add(np.zeros((1, 16), "i4"), np.ones((1, 16), "i4"))
    assert test.result() is None
