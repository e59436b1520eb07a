"""Counting what differs between two arrays, block by block, in any order and from several threads."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.compare.numbers.noise import NoiseTest
from emdvc.compare.numbers.values import Seen, Tolerance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

#: Numbers that a map or a mean is kept of; of larger ones nothing can be drawn.
_DRAWN = 1 << 24
#: Differing numbers that are looked at in double precision at a time.
_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Layout:
    """How an array is seen while it is compared: probe positions first, what stands at one of them after that.

    Parameters
    ----------
    shape
        Of the array.
    positions
        Axes that run over probe positions (or frames of a stack), slowest first; may be none.
    """

    shape: tuple[int, ...]
    positions: tuple[int, ...]

    @property
    def core(self) -> tuple[int, ...]:
        """The other axes: pattern, spectrum; of a map none."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.positions)

    @property
    def scan_shape(self) -> tuple[int, ...]:
        """Lengths of the position axes."""
        return tuple(self.shape[axis] for axis in self.positions)

    @property
    def core_shape(self) -> tuple[int, ...]:
        """Lengths of the other axes."""
        return tuple(self.shape[axis] for axis in self.core)

    def split(self, region: tuple[slice, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the part of a region along the positions, and that along the other axes."""
        return tuple(region[axis] for axis in self.positions), tuple(region[axis] for axis in self.core)

    def rows(self, block: Array) -> Array:
        """Return a block as (positions, numbers at one of them)."""
        ordered = block.transpose([*self.positions, *self.core])
        count = math.prod(ordered.shape[: len(self.positions)])
        return ordered.reshape(count, -1)


@dataclass
class Tally:
    """What was found so far.

    Parameters
    ----------
    layout
        How the arrays are seen.
    tolerance
        What counts as the same.
    draw
        Whether maps and means are kept, to be drawn.
    noise
        Test for noise that gets the differing positions; None where there are no counts.
    """

    layout: Layout
    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - a frozen value
    draw: bool = True
    noise: NoiseTest | None = None
    differing: int = 0
    compared: int = 0
    outside: int = 0
    largest: float = 0.0
    nan_before: int = 0
    nan_after: int = 0
    sum_before: float = 0.0
    sum_after: float = 0.0
    _sum: float = 0.0
    _squares: float = 0.0
    _finite: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        scan, core = self.layout.scan_shape, self.layout.core_shape
        self.changed: NDArray[np.bool_] | None = np.zeros(scan, np.bool_) if scan else None
        small = self.draw and math.prod(scan) <= _DRAWN
        self._maps = [np.full(scan, np.nan) for _ in range(2)] if scan and small else None
        wanted = self.draw and bool(core) and math.prod(core) <= _DRAWN
        self._means = [np.zeros(core) for _ in range(2)] if wanted else None
        self._seen = np.zeros(core, np.int64) if wanted else None

    @property
    def positions(self) -> int:
        """Probe positions that differ."""
        return int(np.count_nonzero(self.changed)) if self.changed is not None else 0

    @property
    def found(self) -> int:
        """Probe positions that differ; of an array without them, numbers."""
        return self.differing if self.changed is None else self.positions

    @property
    def mean(self) -> float:
        """Mean of ``after - before`` over the differing numbers."""
        return self._sum / self._finite if self._finite else 0.0

    @property
    def rms(self) -> float:
        """Root mean square of ``after - before`` over the differing numbers."""
        return math.sqrt(self._squares / self._finite) if self._finite else 0.0

    @property
    def sum_ratio(self) -> float | None:
        """Sum after over sum before, where numbers differ."""
        return self.sum_after / self.sum_before if self.sum_before else None

    def box(self) -> list[tuple[int, int]]:
        """Return first and last index of the differing probe positions along each axis of the scan."""
        if self.changed is None or not self.positions:
            return []
        return [(int(found.min()), int(found.max())) for found in np.nonzero(self.changed)]

    def add(self, region: tuple[slice, ...], before: Array, after: Array) -> None:
        """Count a block.

        Parameters
        ----------
        region
            Where the block lies; the same block is never given twice.
        before, after
            Of the region's shape.
        """
        first, second = self.layout.rows(before), self.layout.rows(after)
        differs = _differs(first, second)
        where: NDArray[np.bool_] = np.asarray(differs.any(axis=1))
        drawn = self._drawn(region, first, second)
        with self._lock:
            self.compared += before.size
            self._mark(region, where, drawn)
        found = np.flatnonzero(where)
        step = max(1, _AT_ONCE // max(1, first.shape[1]))
        for start in range(0, len(found), step):
            rows = found[start : start + step]
            self._count(region, first[rows], second[rows], differs[rows])

    def _count(self, region: tuple[slice, ...], a: Array, b: Array, differs: NDArray[np.bool_]) -> None:
        """Count some differing positions of a block, each array (positions, numbers)."""
        figures = _figures(a[differs], b[differs], self.tolerance)
        # of a scan the whole pattern counts, of an array without probe positions the numbers that differ
        sums = [float(np.nansum(_real(x if self.changed is not None else x[differs]))) for x in (a, b)]
        if self.noise is not None:
            self.noise.add(a, b)
        with self._lock:
            self.differing += int(np.count_nonzero(differs))
            self.outside += figures.outside
            self.largest = max(self.largest, figures.largest)
            self.nan_before += figures.nan_before
            self.nan_after += figures.nan_after
            self._sum += figures.total
            self._squares += figures.squares
            self._finite += figures.finite
            self.sum_before += sums[0]
            self.sum_after += sums[1]
            self._average(region, a, b)

    def _drawn(self, region: tuple[slice, ...], first: Array, second: Array) -> tuple[Array, Array] | None:
        """Return the sums of every position of a block, for the maps."""
        if self._maps is None:
            return None
        lead, _ = self.layout.split(region)
        shape = tuple(part.stop - part.start for part in lead)
        before, after = (_real(rows).sum(axis=1, dtype=np.float64).reshape(shape) for rows in (first, second))
        return before, after

    def _mark(self, region: tuple[slice, ...], where: Array, drawn: tuple[Array, Array] | None) -> None:
        lead, _ = self.layout.split(region)
        if self.changed is not None:
            self.changed[lead] |= where.reshape(self.changed[lead].shape)
        if self._maps is not None and drawn is not None:
            for kept, sums in zip(self._maps, drawn, strict=True):
                place = kept[lead]
                place[...] = np.where(np.isnan(place), sums, place + sums)

    def _average(self, region: tuple[slice, ...], a: Array, b: Array) -> None:
        if self._means is None or self._seen is None:
            return
        _, core = self.layout.split(region)
        shape = tuple(part.stop - part.start for part in core)
        for mean, part in zip(self._means, (a, b), strict=True):
            mean[core] += _real(part).sum(axis=0, dtype=np.float64).reshape(shape)
        self._seen[core] += len(a)

    def seen(self) -> Seen:
        """Return what can be drawn."""
        maps = self._maps or (None, None)
        means: tuple[Array | None, Array | None] = (None, None)
        if self._means is not None and self._seen is not None:
            with np.errstate(invalid="ignore", divide="ignore"):
                means = (self._means[0] / self._seen, self._means[1] / self._seen)
        return Seen(self.changed, maps[0], maps[1], means[0], means[1])


@dataclass(frozen=True, slots=True)
class _Figures:
    """Sums over numbers that differ."""

    outside: int = 0
    largest: float = 0.0
    nan_before: int = 0
    nan_after: int = 0
    total: float = 0.0
    squares: float = 0.0
    finite: int = 0


def _differs(a: Array, b: Array) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = a != b
    if a.dtype.kind in "fc" and b.dtype.kind in "fc" and differs.any():
        differs &= ~(np.isnan(a) & np.isnan(b))  # NaN is what it was
    return differs


def _figures(a: Array, b: Array, tolerance: Tolerance) -> _Figures:
    if not a.size:
        return _Figures()
    # doubles hold counts up to 2^53 exactly; beyond, the difference is right to the same relative digit
    kind = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    first, second = a.astype(kind), b.astype(kind)
    with np.errstate(invalid="ignore", over="ignore"):
        delta = second - first
        size = np.abs(delta)
        known = ~np.isnan(size)
        finite = np.isfinite(size)
        return _Figures(
            outside=int(np.count_nonzero(~_tolerated(a, b, size, np.abs(first), tolerance))),
            largest=float(size[known].max(initial=0.0)),
            nan_before=int(np.count_nonzero(np.isnan(first))),
            nan_after=int(np.count_nonzero(np.isnan(second))),
            total=float(delta[finite].real.sum()),
            squares=float((size[finite] ** 2).sum()),
            finite=int(np.count_nonzero(finite)),
        )


def _tolerated(a: Array, b: Array, size: Array, reference: Array, tolerance: Tolerance) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = np.zeros(size.shape, np.bool_)
    if tolerance.rtol or tolerance.atol:
        near |= size <= tolerance.atol + tolerance.rtol * reference
    if tolerance.ulp and a.dtype == b.dtype and a.dtype.kind == "f" and a.dtype.itemsize in (4, 8):
        near |= ~np.isnan(size) & (_steps(a, b) <= np.uint64(tolerance.ulp))
    return near


def _steps(a: Array, b: Array) -> NDArray[np.uint64]:
    """Return how many neighbouring floating-point numbers lie between two numbers."""
    whole = np.dtype(f"i{a.dtype.itemsize}")
    first, second = (np.ascontiguousarray(x).view(whole).astype(np.int64) for x in (a, b))
    # the bits of negative numbers count downwards: turned over, so that the order is that of the numbers
    lowest = np.int64(np.iinfo(whole).min)
    first, second = (np.where(x < 0, lowest - x, x) for x in (first, second))
    high, low = np.maximum(first, second), np.minimum(first, second)
    return high.astype(np.uint64) - low.astype(np.uint64)


def _real(values: Array) -> Array:
    return values.real if values.dtype.kind == "c" else values
