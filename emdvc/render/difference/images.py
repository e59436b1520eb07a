"""The picture of an image before and after: both on one scale over one field of view, and the signed difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emdvc.compare.dataset import DatasetDifference
from emdvc.model.axis import Axis, Role
from emdvc.render import lettering as type_
from emdvc.render import png, raster, rounding
from emdvc.render.difference import extent as extents
from emdvc.render.difference.drawn import DifferencePicture, footed, signed
from emdvc.render.difference.panel import ComparedPanel
from emdvc.render.difference.views import ImagePair
from emdvc.render.palette import ColourMap, Palette
from emdvc.render.panel import NARROWEST, field_notes, pixel_aspect
from emdvc.render.picture import montage
from emdvc.render.raster import Contrast, Fit

Values = NDArray[np.float64]
Pair = tuple[Axis, Axis]
#: Longest side of an image beside others, in pixels.
_BESIDE = 264
#: Values have a sign where the smaller of both extremes is at least this part of the larger.
_BOTH_SIGNS = 0.1
_PLAIN = Fit(1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One image over the common field of view: its values by pixel or sample, what is outside, and its axes."""

    values: Values
    axes: Pair
    outside: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Before, after and difference on one ground (no difference where it cannot be told), and a note on it."""

    layers: tuple[_Layer, _Layer, _Layer | None]
    fit: Fit
    note: str = ""


def draw(view: ImagePair, dataset: DatasetDifference, *, side: int) -> DifferencePicture:
    """Return the picture of an image before and after; alone each is at most `side` pixels high and wide, 0: none."""
    aligned = _align(view, _BESIDE)
    beside = _panels(view, aligned)
    palette = Palette({panel.colours for panel in beside})
    shade = beside[0].contrast.note
    told = (f"before and after: {shade}" if shade else "", aligned.note)
    # where the labels of a colour bar leave no room for it
    unit = f"values in {rounding.unit_text(view.unit)}" if any(panel.unit != view.unit for panel in beside) else ""
    notes = (*view.notes, *(note for note in (*told, unit) if note))
    canvas = montage([panel.paint(palette) for panel in beside], f"{dataset.path}: {view.title}")
    whole = png.encode(footed(canvas, notes), palette.table())
    alone: list[bytes | None] = [None, None, None]
    if side:
        for place, panel in enumerate(_panels(view, _align(view, side))):
            own = Palette({panel.colours})
            alone[place] = png.encode(panel.body(own), own.table())
    return DifferencePicture(view.name, view.title, _told(view, dataset), alone[0], alone[1], alone[2], whole, notes)


def _spatial(axes: Pair) -> bool:
    """Say whether both axes measure the same, so that a scale bar holds for both."""
    return axes[0].unit == axes[1].unit and axes[0].role == axes[1].role and axes[0].values is axes[1].values is None


def _difference(view: ImagePair) -> Values | None:
    """Return after - before, sample by sample; None where they are not as many."""
    if view.before.shape != view.after.shape:
        return None
    with np.errstate(invalid="ignore"):  # infinity less infinity is not a number
        return np.asarray(view.after - view.before)


def _align(view: ImagePair, target: int) -> _Aligned:
    """Return an image before and after over one field of view, at most `target` pixels high and wide."""
    same = view.before.shape == view.after.shape
    if same and all(extents.same_place(a, b) for a, b in zip(*view.axes, strict=True)):
        return _by_samples(view, target, "")
    grounds = [extents.shared(a, b) for a, b in zip(*view.axes, strict=True)]
    if grounds[0] is None or grounds[1] is None:
        units = [" and ".join(dict.fromkeys(axis.unit for axis in pair)) for pair in view.axes]
        reason = f"calibrated in {units[0]} before, in {units[1]} after" if units[0] != units[1] else "no common axes"
        return _by_samples(view, target, f"{reason}: drawn sample by sample")
    return _by_place(view, target, (grounds[0], grounds[1]))


def _by_samples(view: ImagePair, target: int, note: str) -> _Aligned:
    rows, columns = (max(view.before.shape[i], view.after.shape[i]) for i in (0, 1))
    aspect = pixel_aspect(view.axes[1]) if _spatial(view.axes[1]) else None
    fit = raster.fit(rows, columns, target, most=target, aspect=aspect)
    difference = _difference(view)
    layers = [_Layer(*_reduced(image, (rows, columns), fit, axes)) for image, axes in _both(view)]
    last = None if difference is None else _Layer(*_reduced(difference, (rows, columns), fit, view.axes[1]))
    return _Aligned((layers[0], layers[1], last), fit, note)


def _both(view: ImagePair) -> list[tuple[Values, Pair]]:
    return [(view.before, view.axes[0]), (view.after, view.axes[1])]


def _reduced(
    image: Values, size: tuple[int, int], fit: Fit, axes: Pair
) -> tuple[Values, Pair, NDArray[np.bool_] | None]:
    """Return an image with its blocks averaged, with room at its right and below up to a size."""
    small = extents.known_mean(image, fit.reduce_y, fit.reduce_x)
    room = (-(-size[0] // fit.reduce_y) - small.shape[0], -(-size[1] // fit.reduce_x) - small.shape[1])
    if room == (0, 0):
        return small, axes, None
    margin = ((0, room[0]), (0, room[1]))
    outside = np.pad(np.zeros(small.shape, np.bool_), margin, constant_values=True)
    return np.pad(small, margin, constant_values=np.nan), axes, outside


def _by_place(view: ImagePair, target: int, grounds: tuple[extents.Extent, extents.Extent]) -> _Aligned:
    """Return the images over what both cover together; the difference by sample, or by place if those are not as many.

    The first is the difference that the figures tell of: a calibration moves no number.
    """
    spatial = _spatial(view.axes[0]) and _spatial(view.axes[1])
    lengths = [ground.length for ground in grounds]
    pixel = max(lengths) / target
    height, width = (max(1, int(length / pixel + 0.5)) if spatial else target for length in lengths)
    y, x = view.axes[1]
    ruler = (extents.drawn_axis(y, grounds[0], height), extents.drawn_axis(x, grounds[1], width))
    layers = []
    for image, axes in _both(view):
        values, outside = extents.over(image, axes, grounds, (height, width))
        layers.append(_Layer(values, ruler, outside))
    difference = _difference(view)
    if difference is not None:
        values, outside = extents.over(difference, view.axes[1], grounds, (height, width))
        last = _Layer(values, ruler, outside)
    else:
        hidden = layers[0].outside, layers[1].outside
        assert hidden[0] is not None and hidden[1] is not None
        last = _Layer(layers[1].values - layers[0].values, ruler, hidden[0] | hidden[1])
    sides = [rounding.number(length, 4) for length in lengths]
    unit = rounding.unit_text(grounds[1].unit)
    covered = f"{' × '.join(sides)} {unit}" if spatial else "extent"
    how = "sample by sample" if difference is not None else "at the same place"
    note = f"axes differ: both over the same {covered}, difference {how}"
    return _Aligned((layers[0], layers[1], last), _PLAIN, note)


def _panels(view: ImagePair, aligned: _Aligned) -> list[ComparedPanel]:
    """Return the panels: two on one scale of values, and the difference on one with zero in its middle."""
    diffraction = _spatial(view.axes[1]) and view.axes[1][0].role == Role.DETECTOR
    known = np.concatenate([values[np.isfinite(values)] for values in (view.before, view.after)])
    signs = known.size > 0 and float(known.min()) < 0 < float(known.max())
    signs = signs and min(-float(known.min()), float(known.max())) > _BOTH_SIGNS * float(np.abs(known).max())
    shown = raster.contrast(known, signed=signs, wide=diffraction)
    colours = ColourMap.DIVERGING if signs else ColourMap.HEAT if diffraction else ColourMap.GREY
    legend = any(_unread(layer) for layer in aligned.layers if layer is not None)
    panels = []
    names = ("before", "after", "after − before")
    for name, layer, own in zip(names, aligned.layers, (*view.axes, view.axes[1]), strict=True):
        if layer is None:
            continue
        last = name == names[2]
        limits = _limits(layer.values) if last else shown
        width = max(layer.values.shape[1] * aligned.fit.enlarge_x, NARROWEST)
        panels.append(
            ComparedPanel(
                title=name,
                notes=() if last else tuple(field_notes(own, _spatial(own))),
                values=layer.values,
                fit=aligned.fit,
                axes=layer.axes,
                unit=view.unit if _fits(limits, view.unit, width) else "",
                colours=ColourMap.DIVERGING if last else colours,
                contrast=limits,
                spatial=_spatial(layer.axes),
                outside=layer.outside,
                unread=view.unread,
                legend=legend,
            )
        )
    return panels


def _fits(shown: Contrast, unit: str, width: int) -> bool:
    """Say whether a colour bar beside a scale bar has room for its limits with their unit."""
    scale_bar = width // 3 + 16
    labels = type_.width_of(rounding.number(shown.low)) + type_.width_of(rounding.figure(shown.high, unit))
    return labels + 12 <= width - scale_bar


def _unread(layer: _Layer) -> bool:
    unknown = np.isnan(layer.values)
    return bool((unknown if layer.outside is None else unknown & ~layer.outside).any())


def _limits(difference: Values) -> Contrast:
    """Return symmetric limits; where nothing differs tells nothing of how much the rest does."""
    found = difference[np.isfinite(difference) & (difference != 0)]
    return raster.contrast(found, signed=True) if found.size else Contrast(-1.0, 1.0)


def _told(view: ImagePair, dataset: DatasetDifference) -> str:
    """Return the picture in words."""
    words = f"Three images, before, after, and after minus before: {view.title}, {dataset.path}."
    difference = _difference(view)
    if difference is None:
        rows = [" by ".join(str(n) for n in image.shape) for image in (view.before, view.after)]
        return f"{words} {rows[0]} samples before, {rows[1]} after."
    size = np.where(np.isfinite(difference), np.abs(difference), -1.0)
    place = np.unravel_index(int(size.argmax()), size.shape)
    if size[place] <= 0:
        return f"{words} {'No difference' if size[place] == 0 else 'No value'} where both are known."
    where = ", ".join(
        f"{axis.dim} {rounding.figure(axis.coordinates()[int(i)], axis.unit)}"
        for axis, i in zip(view.axes[1], place, strict=True)
    )
    return f"{words} The largest difference is {signed(float(difference[place]), view.unit)}, at {where}."
