"""The numbers of a dataset before and after: only what may differ is read, in bounded memory, in threads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emdvc.compare.numbers.regions import Extent, differing_regions, parts, windows
from emdvc.compare.numbers.values import Noise, Tolerance, ValueChange
from emdvc.compare.verdict import Verdict
from emdvc.formats.contract import LazyArray, Opened, Region
from emdvc.model.axis import Role
from emdvc.model.sidecar import Sidecar

if TYPE_CHECKING:
    from emdvc.compare.numbers.tally import Layout, Tally

#: Called with the bytes compared since the last call.
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Side:
    """A dataset as it was, open.

    Parameters
    ----------
    sidecar
        What is known of it.
    opened
        Its arrays.
    files
        Relative path -> md5 of a store's files; empty where they are not known.
    """

    sidecar: Sidecar
    opened: Opened
    files: Mapping[str, str] = field(default_factory=dict)

    def array(self, name: str) -> LazyArray:
        """Return one of its arrays."""
        return self.opened.variable(name).array

    def dims(self, name: str) -> tuple[str, ...]:
        """Return the names of an array's dimensions: as recorded, or as the file has them."""
        variable = self.opened.variable(name)
        info = self.sidecar.variables.get(name)
        return info.dims if info is not None and len(info.dims) == len(variable.dims) else variable.dims

    def role(self, dim: str) -> Role:
        """Return what a dimension runs over."""
        axis = self.sidecar.axes.get(dim) or self.opened.axes.get(dim)
        return axis.role if axis is not None else Role.STACK


@dataclass(frozen=True, slots=True)
class Reading:
    """How much is read, and what is kept of it.

    Parameters
    ----------
    tolerance
        What counts as the same.
    max_report
        Differing probe positions (numbers, where there are none) after which the comparison stops; None: never.
    limit
        Bytes of each side that are read at most.
    whole_below
        Arrays up to this many bytes are compared whole, so that they can be drawn whole.
    draw
        Whether maps and means are kept, to be drawn.
    advance
        Told of progress.
    """

    tolerance: Tolerance = Tolerance()  # noqa: RUF009 - a frozen value
    max_report: int | None = None
    limit: int = 16 << 30
    whole_below: int = 0
    draw: bool = False
    advance: Advance | None = None


def paired(before: Side, after: Side) -> Iterator[tuple[str, str]]:
    """Yield the names of arrays that both sides have; of two files, their main arrays whatever they are called."""
    first = [variable.name for variable in before.opened.variables]
    second = [variable.name for variable in after.opened.variables]
    both = [name for name in first if name in second]
    yield from ((name, name) for name in both)
    mains = before.sidecar.main or first[0], after.sidecar.main or second[0]
    if not both and mains[0] in first and mains[1] in second:
        yield mains


def compare_numbers(before: Side, after: Side, names: tuple[str, str], reading: Reading) -> ValueChange | None:
    """Return what differs in the numbers of one array; None where no stored byte of it does, or nothing can be said.

    Parameters
    ----------
    before, after
        The dataset.
    names
        The array's name on each side.
    reading
        How much is read.

    Raises
    ------
    DataMissingError, FormatError
        Bytes are not to be had, or damaged.
    """
    a, b = before.array(names[0]), after.array(names[1])
    dims = before.dims(names[0]), after.dims(names[1])
    positions = position_axes([before.role(dim) for dim in dims[0]])
    unit = after.opened.variable(names[1]).unit
    if a.shape != b.shape or dims[0] != dims[1]:
        found = _arranged(a, b, dims, positions, reading)
        return _rearranged(names[1], found, math.prod(b.shape), unit) if found else None
    whole = math.prod(a.shape) * max(a.dtype.itemsize, b.dtype.itemsize) <= reading.whole_below
    extent = differing_regions(a, b, before.files, after.files, positions, whole=whole)
    if extent.chunks == 0 and extent.chunks_of and not whole:
        return None
    tally, complete = _tallied(a, b, positions, extent, reading, counts=_counts(after, names[1], a, b))
    if not tally.differing and extent.chunks == 0 and extent.chunks_of:
        return None
    if tally.differing and _many(tally):
        found = _arranged(a, b, dims, positions, reading)
        if found:
            return _rearranged(names[1], found, math.prod(b.shape), unit)
    return _change(names[1], tally, dims[1], extent, complete, unit)


def position_axes(roles: list[Role]) -> tuple[int, ...]:
    """Return the axes that run over probe positions; of a stack of images those of the stack."""
    for wanted in (Role.SCAN, Role.STACK):
        found = tuple(axis for axis, role in enumerate(roles) if role == wanted)
        if found and (wanted == Role.SCAN or len(found) < len(roles)):
            return found
    return ()


def _counts(after: Side, name: str, a: LazyArray, b: LazyArray) -> bool:
    """Say whether the numbers are raw counts: only of those noise is known."""
    variable = after.opened.variable(name)
    whole = a.dtype.kind in "ui" and b.dtype.kind in "ui"
    return whole and after.sidecar.kind == "raw" and variable.unit in ("", "counts")


def _tallied(
    a: LazyArray, b: LazyArray, positions: tuple[int, ...], extent: Extent, reading: Reading, *, counts: bool
) -> tuple[Tally, bool]:
    """Return what differs in the regions, and whether all of them were compared."""
    from emdvc.compare.numbers.noise import NoiseTest
    from emdvc.compare.numbers.tally import Layout, Tally
    from emdvc.formats.threads import in_order

    layout = Layout(b.shape, positions)
    pixels = math.prod(layout.core_shape)
    noise = NoiseTest(pixels) if counts and layout.core else None
    tally = Tally(layout, reading.tolerance, reading.draw, noise)
    itemsize = max(a.dtype.itemsize, b.dtype.itemsize)

    def compare(region: Region) -> int:
        tally.add(region, a.read(region), b.read(region))
        return int(math.prod(part.stop - part.start for part in region)) * itemsize

    done = 0
    chunks = tuple(max(one, other) for one, other in zip(a.chunks, b.chunks, strict=True))
    for window in windows(extent.regions):
        for array in (a, b):
            _prefetch(array, window)
        work = (part for region in window for part in parts(region, chunks, itemsize))
        for count in in_order(compare, work, min(4, os.cpu_count() or 1)):
            done += count
            if reading.advance is not None:
                reading.advance(count)
            if reading.max_report is not None and tally.found >= reading.max_report:
                return tally, False
            if done >= reading.limit:
                return tally, False
    return tally, True


def _prefetch(array: LazyArray, regions: Iterable[Region]) -> None:
    prefetch: Any = getattr(array, "prefetch", None)
    if prefetch is not None:
        prefetch(regions)


def _many(tally: Tally) -> bool:
    """Say whether so much differs that the array may have been turned as a whole."""
    if tally.changed is None:
        return True
    return tally.positions * 2 > tally.compared / max(1, math.prod(tally.layout.core_shape))


def _arranged(
    a: LazyArray, b: LazyArray, dims: tuple[tuple[str, ...], tuple[str, ...]], positions: tuple[int, ...], how: Reading
) -> str:
    from emdvc.compare.numbers import arrangement

    return arrangement.find(a, b, dims, positions, limit=how.limit)


def _rearranged(name: str, found: str, total: int, unit: str) -> ValueChange:
    return ValueChange(name, Verdict.STRUCTURE, compared=total, total=total, arrangement=found, unit=unit)


def _change(name: str, tally: Tally, dims: tuple[str, ...], extent: Extent, complete: bool, unit: str) -> ValueChange:
    layout: Layout = tally.layout
    noise = tally.noise.result() if tally.noise is not None and tally.differing else None
    scan = [dims[axis] for axis in layout.positions]
    return ValueChange(
        name,
        _verdict(tally, noise),
        differing=tally.differing,
        compared=tally.compared,
        total=math.prod(layout.shape),
        positions=tally.positions,
        scan=tuple(zip(scan, layout.scan_shape, strict=True)),
        box=tuple((dim, *ends) for dim, ends in zip(scan, tally.box(), strict=False)),
        largest=tally.largest,
        mean=tally.mean,
        rms=tally.rms,
        sum_ratio=tally.sum_ratio,
        nan_before=tally.nan_before,
        nan_after=tally.nan_after,
        tolerance=tally.tolerance,
        outside=tally.outside,
        noise=noise,
        chunks=extent.chunks,
        chunks_of=extent.chunks_of,
        complete=complete,
        unit=unit,
        seen=tally.seen() if tally.draw else None,
    )


def _verdict(tally: Tally, noise: Noise | None) -> Verdict:
    from emdvc.compare.numbers.noise import THRESHOLD

    if not tally.differing:
        return Verdict.ENCODING
    if tally.tolerance and not tally.outside:
        return Verdict.WITHIN_TOLERANCE
    if noise is not None and noise.p_value >= THRESHOLD:
        return Verdict.NOISE_EQUIVALENT
    return Verdict.VALUES
