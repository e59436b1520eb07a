"""Views on an array that is still in its file: reshaped, flipped, transposed, squeezed, joined."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emdvc.errors import Code, EmdvcError, FormatError
from emdvc.formats.contract import LazyArray, Region
from emdvc.formats.region import extent
from emdvc.formats.strides import Placement, viewed

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Reshaped:
    """An array whose one or two leading axes become a scan (ny, nx).

    Parameters
    ----------
    source
        Frames one after the other, or a scan of another shape.
    scan_shape
        Probe positions (ny, nx).
    lead
        How many leading axes of `source` are the probe positions: 1 or 2.

    Raises
    ------
    FormatError
        The number of frames is not ny * nx.
    """

    def __init__(self, source: LazyArray, scan_shape: tuple[int, int], lead: int = 1) -> None:
        frames, (ny, nx) = math.prod(source.shape[:lead]), scan_shape
        if frames != ny * nx:
            raise FormatError(
                f"a scan of {ny} x {nx} probe positions does not fit this file",
                code=Code.SCAN_SHAPE,
                evidence=f"{ny} x {nx} = {ny * nx}, the file holds {frames} frames",
                hint=_scan_hint(frames),
            )
        self._source, self._lead = source, lead
        self.shape: tuple[int, ...] = (ny, nx, *source.shape[lead:])
        self.dtype: np.dtype[Any] = source.dtype
        run = source.chunks[0] if lead == 1 else source.chunks[0] * source.chunks[1]
        self.chunks: tuple[int, ...] = (
            min(ny, max(1, run // max(nx, 1))), max(1, min(run, nx)), *source.chunks[lead:],
        )  # fmt: skip

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known."""
        return viewed(self._source, {"scan": list(self.shape[:2]), "lead": self._lead})

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        (rows, columns), rest = region[:2], region[2:]
        nx = self.shape[1]
        if columns.stop - columns.start == nx:
            return self._run(rows.start * nx, rows.stop * nx, rest).reshape(extent(region))
        if self._lead == 1:
            # the lines of a part of the scan are read one by one: what is not here comes side by side
            begin(self._source, self._lines(rows, columns, rest))
        values = np.empty(extent(region), self.dtype)
        for row in range(rows.start, rows.stop):
            values[row - rows.start] = self._run(row * nx + columns.start, row * nx + columns.stop, rest)
        return values

    def _lines(self, rows: slice, columns: slice, rest: Region) -> list[Region]:
        starts = [row * self.shape[1] for row in range(rows.start, rows.stop)]
        return [(slice(start + columns.start, start + columns.stop), *rest) for start in starts]

    def _run(self, start: int, stop: int, rest: Region) -> NDArray[Any]:
        """Return the frames from number `start` up to `stop`, in the order of the file."""
        if self._lead == 1:
            return self._source.read((slice(start, stop), *rest))
        width = self._source.shape[1]
        values = np.empty((stop - start, *extent(rest)), self.dtype)
        place = start
        while place < stop:
            row, column = divmod(place, width)
            if column == 0 and stop - place >= width:
                rows = (stop - place) // width
                part = self._source.read((slice(row, row + rows), slice(0, width), *rest))
            else:
                part = self._source.read((slice(row, row + 1), slice(column, min(width, column + stop - place)), *rest))
            count = part.shape[0] * part.shape[1]
            values[place - start : place - start + count] = part.reshape(count, *part.shape[2:])
            place += count
        return values


class Flipped:
    """An array mirrored along some axes."""

    def __init__(self, source: LazyArray, axes: Sequence[int]) -> None:
        self._source = source
        self._axes = frozenset(axis % len(source.shape) for axis in axes)
        self.shape: tuple[int, ...] = source.shape
        self.dtype: np.dtype[Any] = source.dtype
        self.chunks: tuple[int, ...] = source.chunks

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known."""
        return viewed(self._source, {"flip": sorted(self._axes)})

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        return np.ascontiguousarray(np.flip(self._source.read(self._mirrored(region)), tuple(self._axes)))

    def begin(self, regions: Iterable[Region]) -> None:
        """Begin to fetch some regions."""
        begin(self._source, [self._mirrored(region) for region in regions])

    def _mirrored(self, region: Region) -> Region:
        return tuple(
            slice(n - part.stop, n - part.start) if axis in self._axes else part
            for axis, (part, n) in enumerate(zip(region, self.shape, strict=True))
        )


class Transposed:
    """An array with its axes in another order: axis ``i`` is the source's axis ``order[i]``."""

    def __init__(self, source: LazyArray, order: Sequence[int]) -> None:
        self._source, self._order = source, tuple(order)
        self.shape: tuple[int, ...] = tuple(source.shape[axis] for axis in order)
        self.dtype: np.dtype[Any] = source.dtype
        self.chunks: tuple[int, ...] = tuple(source.chunks[axis] for axis in order)

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known."""
        return viewed(self._source, {"transpose": list(self._order)})

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        return np.ascontiguousarray(self._source.read(self._inner(region)).transpose(self._order))

    def begin(self, regions: Iterable[Region]) -> None:
        """Begin to fetch some regions."""
        begin(self._source, [self._inner(region) for region in regions])

    def _inner(self, region: Region) -> Region:
        inner = [slice(0, 0)] * len(region)
        for axis, part in zip(self._order, region, strict=True):
            inner[axis] = part
        return tuple(inner)


class Squeezed:
    """An array without some of its axes of length 1."""

    def __init__(self, source: LazyArray, axes: Sequence[int]) -> None:
        if any(source.shape[axis] != 1 for axis in axes):
            raise ValueError(f"only axes of length 1 can be left out, not {tuple(axes)} of {source.shape}")
        self._source = source
        self._kept = tuple(axis for axis in range(len(source.shape)) if axis not in axes)
        self.shape: tuple[int, ...] = tuple(source.shape[axis] for axis in self._kept)
        self.dtype: np.dtype[Any] = source.dtype
        self.chunks: tuple[int, ...] = tuple(source.chunks[axis] for axis in self._kept)

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known."""
        left_out = [axis for axis in range(len(self._source.shape)) if axis not in self._kept]
        return viewed(self._source, {"squeeze": left_out})

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        return self._source.read(self._inner(region)).reshape(extent(region))

    def begin(self, regions: Iterable[Region]) -> None:
        """Begin to fetch some regions."""
        begin(self._source, [self._inner(region) for region in regions])

    def _inner(self, region: Region) -> Region:
        inner = [slice(0, 1)] * len(self._source.shape)
        for axis, part in zip(self._kept, region, strict=True):
            inner[axis] = part
        return tuple(inner)


class Joined:
    """Arrays one after the other along the first axis: the data files of a set."""

    def __init__(self, sources: Sequence[LazyArray]) -> None:
        first = sources[0]
        for source in sources:
            if source.shape[1:] != first.shape[1:] or source.dtype != first.dtype:
                raise FormatError(
                    "the parts of this set do not fit together",
                    evidence=f"{source.shape[1:]} {source.dtype} after {first.shape[1:]} {first.dtype}",
                )
        self._sources = tuple(sources)
        self._starts = [sum(s.shape[0] for s in sources[:i]) for i in range(len(sources))]
        self.shape: tuple[int, ...] = (sum(s.shape[0] for s in sources), *first.shape[1:])
        self.dtype: np.dtype[Any] = first.dtype
        self.chunks: tuple[int, ...] = first.chunks

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known of a part."""
        parts = [source.placement() if hasattr(source, "placement") else None for source in self._sources]
        return None if any(part is None for part in parts) else [{"join": parts}]

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region."""
        values = np.empty(extent(region), self.dtype)
        wanted, rest = region[0], region[1:]
        for start, source in zip(self._starts, self._sources, strict=True):
            low, high = max(wanted.start, start), min(wanted.stop, start + source.shape[0])
            if low < high:
                part = source.read((slice(low - start, high - start), *rest))
                values[low - wanted.start : high - wanted.start] = part
        return values


class Guarded:
    """An array whose reader's errors become one error that names the file."""

    def __init__(self, source: LazyArray, name: str) -> None:
        self._source, self._name = source, name
        self.shape: tuple[int, ...] = source.shape
        self.dtype: np.dtype[Any] = source.dtype
        self.chunks: tuple[int, ...] = source.chunks

    @property
    def guarded(self) -> LazyArray:
        """The array itself."""
        return self._source

    def placement(self) -> Placement | None:
        """Return where the numbers lie; None where that is not known."""
        return self._source.placement() if hasattr(self._source, "placement") else None

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region.

        Raises
        ------
        FormatError
            The file is truncated or damaged there.
        """
        try:
            return self._source.read(region)
        except (EmdvcError, MemoryError):
            raise
        except Exception as error:  # a foreign reader may raise anything, and the cause is always the file
            place = ", ".join(f"{part.start}:{part.stop}" for part in region)
            raise FormatError(
                f"{self._name} cannot be read at [{place}]",
                evidence=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}",
                hint="the file is truncated or damaged: fetch it again and compare its size with the original",
            ) from error


def begin(array: LazyArray, regions: Iterable[Region]) -> None:
    """Begin to fetch some regions of an array whose bytes come from far away; nothing of any other."""
    method: Any = getattr(array, "begin", None)
    if method is not None:
        method(regions)


def _scan_hint(frames: int) -> str:
    side = math.isqrt(frames)
    while side > 1 and frames % side:
        side -= 1
    return f"--scan-shape {side}x{frames // side}, or what the scan really was"
