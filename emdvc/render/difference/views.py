"""What of a difference can be drawn: pairs of images, pairs of lines, and maps of probe positions, with their axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emdvc.compare.dataset import DatasetDifference
from emdvc.compare.numbers.values import Seen, ValueChange
from emdvc.model import record as rec
from emdvc.model.axis import Axis, Role
from emdvc.model.sidecar import Sidecar
from emdvc.render.difference.extent import part
from emdvc.render.difference.radial import beam, radial

Values = NDArray[np.float64]
Axes = tuple[Axis, ...]
#: A map is drawn around the probe positions that differ where that is at most this part of the scan...
_SMALL_PART = 0.25
#: ... with this many probe positions around them, or as many as this part of their own extent.
_MARGIN, _MARGIN_PART = 2, 0.1
_UNREAD, _UNKNOWN = "not read: nothing differs there", "no value"


@dataclass(frozen=True, slots=True)
class ImagePair:
    """An image before and after, each with its axes; NaN where it is not known.

    Parameters
    ----------
    name, title
        As :class:`DifferencePicture` has them.
    before, after
        Shape (rows, columns), equal or not.
    axes
        Vertical and horizontal axis before, and after.
    unit
        Unit of the values.
    unread
        What NaN means.
    notes
        What a reader must know, as that only a part of the scan is shown.
    """

    name: str
    title: str
    before: Values
    after: Values
    axes: tuple[tuple[Axis, Axis], tuple[Axis, Axis]]
    unit: str
    unread: str = "no value"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinePair:
    """A spectrum or a profile before and after, each with its axis."""

    name: str
    title: str
    before: Values
    after: Values
    axes: tuple[Axis, Axis]
    unit: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedMap:
    """Which probe positions differ: bool, shape (rows, columns), with its axes."""

    name: str
    title: str
    changed: NDArray[np.bool_]
    axes: tuple[Axis, Axis]
    notes: tuple[str, ...] = ()


View = ImagePair | LinePair | ChangedMap


def views(dataset: DatasetDifference) -> Iterator[View]:
    """Yield what can be drawn of a difference, for each array: where it differs, then how."""
    for change in dataset.values:
        if change.seen is None:
            continue
        told = f"{change.variable}: " if len(dataset.values) > 1 else ""
        sides = (dataset.before_sidecar or dataset.after_sidecar, dataset.after_sidecar or dataset.before_sidecar)
        if change.seen.changed is not None and change.seen.changed.size:
            yield from _of_scan(change, change.seen, sides, told)
        if change.seen.before_mean is not None and change.seen.after_mean is not None:
            yield from _of_mean(change, change.seen.before_mean, change.seen.after_mean, sides, told)


_Sides = tuple[Sidecar | None, Sidecar | None]


def _of_scan(change: ValueChange, seen: Seen, sides: _Sides, told: str) -> Iterator[View]:
    """Yield the map of the probe positions that differ, and the maps of their values."""
    assert seen.changed is not None
    dims = tuple(dim for dim, _ in change.scan)
    index = _busiest(seen.changed)
    changed = seen.changed[index]
    notes = (_numbered(index, seen.changed.shape),) if index else ()
    axes = [_axes(side, change.variable, dims, seen.changed.shape, Role.SCAN)[-changed.ndim :] for side in sides]
    if changed.ndim == 2 and changed.any() and not changed.all():
        title = f"{told}which probe positions differ"
        yield ChangedMap(f"{change.variable}-changed", title, changed, _pair(axes[1]), notes)
    if seen.before_map is None or seen.after_map is None or not changed.any():
        return
    name = f"{change.variable}-map"
    single = _holds_single_numbers(change, sides)
    kind = "map" if told else f"map of {change.variable}"
    title = told + (kind if single else "virtual image (sum of each probe position)")
    before, after = seen.before_map[index], seen.after_map[index]
    if changed.ndim == 1:
        yield LinePair(name, title, before, after, (axes[0][0], axes[1][0]), change.unit, notes)
        return
    partial = bool((np.isnan(before) & np.isnan(after))[~changed].any())
    pairs = (_pair(axes[0]), _pair(axes[1]))
    image = ImagePair(name, title, before, after, pairs, change.unit, _UNREAD if partial else _UNKNOWN, notes)
    yield _around(image, changed) if before.shape == after.shape == changed.shape else image


def _around(image: ImagePair, changed: NDArray[np.bool_]) -> ImagePair:
    """Return the part of a map around the probe positions that differ, where that is a small part of the scan."""
    windows = []
    for across, size in zip((1, 0), changed.shape, strict=True):
        places = np.flatnonzero(changed.any(axis=across))
        first, last = int(places[0]), int(places[-1])
        margin = max(_MARGIN, int((last - first + 1) * _MARGIN_PART))
        windows.append((max(0, first - margin), min(size - 1, last + margin)))
    (top, bottom), (left, right) = windows
    if (bottom - top + 1) * (right - left + 1) > _SMALL_PART * changed.size:
        return image
    before, after = (values[top : bottom + 1, left : right + 1] for values in (image.before, image.after))
    pairs = [(part(pair[0], top, bottom), part(pair[1], left, right)) for pair in image.axes]
    note = f"part of the scan: {pairs[1][0].dim} {top}–{bottom}, {pairs[1][1].dim} {left}–{right}"
    return replace(image, before=before, after=after, axes=(pairs[0], pairs[1]), notes=(*image.notes, note))


def _of_mean(change: ValueChange, before: Values, after: Values, sides: _Sides, told: str) -> Iterator[View]:
    """Yield the mean pattern, spectrum or profile of the probe positions that differ; without a scan, the array."""
    scanned = {dim for dim, _ in change.scan}
    axes = []
    for side, values in zip(sides, (before, after), strict=True):
        info = side.variables.get(change.variable) if side is not None else None
        dims = tuple(dim for dim in info.dims if dim not in scanned) if info is not None else ()
        axes.append(_axes(side, change.variable, dims, values.shape, Role.STACK))
    if before.ndim == 0 or after.ndim != before.ndim or 0 in before.shape or 0 in after.shape:
        return
    image = _is_image(axes[1])
    before, after, notes = _slice(before, after, 2 if image else 1)
    many = f"{change.positions} differing probe position{'' if change.positions == 1 else 's'}"
    where = f" of {many}" if scanned else ""
    if not image:
        kind = "spectrum" if axes[1][-1].role == Role.SPECTRUM else "profile"
        title = f"{told}mean {kind}{where}" if scanned else f"{change.variable}: {kind}"
        pair = (axes[0][-1], axes[1][-1])
        yield LinePair(f"{change.variable}-mean", title, before, after, pair, change.unit, notes)
        return
    pattern = axes[1][-1].role == Role.DETECTOR == axes[1][-2].role
    word = "diffraction pattern" if pattern else "image"
    title = f"{told}mean {word}{where}" if scanned else f"{change.variable}: {word}"
    found = ImagePair(
        f"{change.variable}-mean", title, before, after, (_pair(axes[0]), _pair(axes[1])), change.unit, notes=notes
    )
    yield found
    if pattern and min(*before.shape, *after.shape) > 1:
        yield _radial(change, found, sides, told, where)


def _radial(change: ValueChange, pair: ImagePair, sides: _Sides, told: str, where: str) -> LinePair:
    middles = [
        beam((image.shape[0], image.shape[1]), rec.quantity(side.record, "diffraction.center") if side else None)
        for image, side in zip((pair.before, pair.after), sides, strict=True)
    ]
    if None in middles:
        middles = [None, None]  # one about the beam and one about the middle would differ by that alone
    (before, before_axis), (after, after_axis) = (
        radial(image, axes, middle)
        for image, axes, middle in zip((pair.before, pair.after), pair.axes, middles, strict=True)
    )
    title = f"{told}radial profile{where}"
    about = "about the middle of the detector: no center is recorded" if None in middles else "about the central beam"
    notes = (*pair.notes, about)
    return LinePair(
        f"{change.variable}-radial",
        title,
        before,
        after,
        (before_axis, after_axis),
        change.unit,
        notes,
    )


def _axes(side: Sidecar | None, variable: str, dims: tuple[str, ...], shape: tuple[int, ...], role: Role) -> Axes:
    """Return the calibrated axes of an array; what a sidecar does not know counts samples."""
    if len(dims) != len(shape):
        dims = tuple(f"axis {place}" for place in range(len(shape)))
    found = []
    for dim, size in zip(dims, shape, strict=True):
        axis = side.axes.get(dim) if side is not None else None
        if axis is None or (axis.size != size and axis.values is not None):
            axis = Axis(dim, size, role)
        found.append(axis if axis.size == size else replace(axis, size=size))
    return tuple(found)


def _pair(axes: Axes) -> tuple[Axis, Axis]:
    return axes[-2], axes[-1]


def _is_image(axes: Axes) -> bool:
    """Say whether the last two dimensions are an image, as in :mod:`emdvc.render.picture`."""
    if len(axes) < 2 or 1 in (axes[-2].size, axes[-1].size):
        return False
    return axes[-2].role == axes[-1].role or len(axes) == 2


def _holds_single_numbers(change: ValueChange, sides: _Sides) -> bool:
    """Say whether a probe position holds one number only: the array is a map."""
    info = sides[1].variables.get(change.variable) if sides[1] is not None else None
    return info is not None and len(info.dims) == len(change.scan)


def _busiest(changed: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return where along the dimensions before the last two most differs; nothing where there are none."""
    counts = changed.reshape(-1, *changed.shape[-2:]).sum(axis=(1, 2)) if changed.ndim > 2 else np.zeros(1)
    return tuple(int(i) for i in np.unravel_index(int(counts.argmax()), changed.shape[:-2]))


def _numbered(index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    return "frame " + ", ".join(f"{i + 1} of {n}" for i, n in zip(index, shape, strict=False))


def _slice(before: Values, after: Values, core: int) -> tuple[Values, Values, tuple[str, ...]]:
    """Return the images (core 2) or lines (1) of a stack that differ most, and a note that says which they are."""
    if before.ndim == core:
        return before, after, ()
    if before.shape[:-core] != after.shape[:-core]:
        index = (0,) * (before.ndim - core)
    else:
        wide = before.shape == after.shape
        apart = np.abs(after - before) if wide else np.zeros(before.shape)
        total = np.nan_to_num(apart).reshape(*before.shape[:-core], -1).sum(axis=-1)
        index = tuple(int(i) for i in np.unravel_index(int(total.argmax()), total.shape))
    return before[index], after[index], (_numbered(index, before.shape),)
