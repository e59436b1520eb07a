"""The pixels of a virtual detector, whole or by the part of them that it covers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.kernels.coverage import covered
from emdvc.model.quantity import Quantity
from emdvc.steps import geometry, trigonometry
from emdvc.steps.contract import Input, Reference
from emdvc.steps.detector_image import detector_image
from emdvc.steps.detector_shapes import Shape, degrees
from emdvc.steps.label_plan import Mask

#: Weight of a whole pixel of a detector with antialiased edges: sums of 32-bit counts over 4096 x 4096 px fit 64 bits.
WHOLE = 256
#: Bits of the largest weight of a mask of fractions.
MASK_BITS = 12

Weights = NDArray[np.int64]


def masks(shape: Shape, source: Input, center: tuple[float, float], image: Reference | None) -> list[Mask]:
    """Return the pixels of a detector; of a segmented one those of every segment.

    Parameters
    ----------
    shape
        Its parameters.
    source
        The input.
    center
        Middle of the detector (y, x), in px.
    image
        What the shape ``mask`` refers to.

    Raises
    ------
    StepError
        The image has another shape than the detector, or weights that are no numbers.
    """
    if shape.shape == "mask":
        assert image is not None
        return [_from_image(image, (source.size("ky"), source.size("kx")))]
    if shape.shape == "point":
        return [Mask(_nearest(source, center))]
    unit = shape.unit()
    scale = geometry.scale_in(source, unit)
    if shape.edge == "hard":
        return [Mask(mask) for mask in _hard(shape, source, center, scale)]
    soft = _Soft(source, center, scale)
    if shape.shape == "rectangle":
        return [Mask(soft.rectangle(shape), 1 / WHOLE)]
    return [Mask(weights, 1 / WHOLE) for weights in soft.sectors(shape)]


def _nearest(source: Input, center: tuple[float, float]) -> NDArray[np.bool_]:
    mask = np.zeros((source.size("ky"), source.size("kx")), np.bool_)
    mask[math.floor(center[0] + 0.5), math.floor(center[1] + 0.5)] = True
    return mask


def _hard(shape: Shape, source: Input, center: tuple[float, float], scale: geometry.Scale) -> list[NDArray[np.bool_]]:
    if shape.shape == "rectangle":
        return [_hard_rectangle(shape, source, center, scale)]
    squared = geometry.squared_radii(source, center, scale)
    ring = geometry.annulus(squared, shape.inner, shape.outer, scale.unit)
    y, x = geometry.offsets(source, center, scale)
    if shape.shape == "sector":
        start, width = shape.azimuths()
        return [ring & (geometry.azimuths(y[:, None], x, start) < width)]
    if shape.segments is not None:
        turned = geometry.azimuths(y[:, None], x, degrees(shape.rotation))
        number = np.minimum(np.floor(turned * (shape.segments / 360.0)), shape.segments - 1)
        return [ring & (number == segment) for segment in range(shape.segments)]
    return [ring]


def _hard_rectangle(
    shape: Shape, source: Input, center: tuple[float, float], scale: geometry.Scale
) -> NDArray[np.bool_]:
    mask = np.ones((source.size("ky"), source.size("kx")), np.bool_)
    y, x = geometry.offsets(source, center, scale)
    cosine, sine = trigonometry.of_degrees(degrees(shape.rotation))
    height, width = _size(shape, scale.unit)
    # closed below and open above, so that adjoining rectangles neither overlap nor leave a gap
    for along, length in (((y * cosine)[:, None] - x * sine, height), ((y * sine)[:, None] + x * cosine, width)):
        near = geometry.EDGE * length
        mask &= (along + near >= -length / 2) & (along + near < length / 2)
    return mask


def _size(shape: Shape, unit: str) -> tuple[float, float]:
    assert shape.size is not None
    height, width = (float(value) for value in shape.size.to(unit).values)
    return height, width


class _Soft:
    """Pixels by the part that a shape covers, in :data:`WHOLE` parts."""

    def __init__(self, source: Input, center: tuple[float, float], scale: geometry.Scale) -> None:
        self._y, self._x = geometry.offsets(source, center, scale)
        self._pixel, self._unit = (scale.y, scale.x), scale.unit
        self._known: dict[tuple[float, float], Weights] = {}  # adjoining segments share their edges

    def sectors(self, shape: Shape) -> list[Weights]:
        """Return the weights of the parts of an annulus between azimuths.

        All are differences of rounded areas that start at azimuth 0 and at radius 0: what one detector leaves of a
        pixel the adjoining one takes.
        """
        if shape.shape == "sector":
            start, width = shape.azimuths()
            return [self._between(shape, start, start + width)]
        if shape.segments is not None:
            first, step = degrees(shape.rotation) % 360.0, 360.0 / shape.segments
            return [self._between(shape, first + i * step, first + (i + 1) * step) for i in range(shape.segments)]
        return [self._between(shape, 0.0, 360.0)]

    def rectangle(self, shape: Shape) -> Weights:
        """Return the weights of a rectangle."""
        height, width = _size(shape, self._unit)
        cosine, sine = trigonometry.of_degrees(degrees(shape.rotation))
        sides = [
            (sign * normal_y, sign * normal_x, length / 2)
            for normal_y, normal_x, length in ((cosine, -sine, height), (sine, cosine, width))
            for sign in (1.0, -1.0)
        ]
        return self._rounded(math.inf, sides)

    def _between(self, shape: Shape, start: float, stop: float) -> Weights:
        """Return the weights from one azimuth below 720 degrees to a later one."""
        turns = [math.floor(azimuth / 360.0) for azimuth in (start, stop)]
        below = [self._annulus_below(shape, a - 360.0 * n) for a, n in zip((start, stop), turns, strict=True)]
        whole = self._annulus_below(shape, 360.0) * (turns[1] - turns[0]) if turns[1] != turns[0] else 0
        # four roundings meet where an edge of a sector crosses an edge of the annulus
        found: Weights = np.maximum(below[1] - below[0] + whole, 0)
        return found

    def _annulus_below(self, shape: Shape, azimuth: float) -> Weights:
        outer = self._below(_length(shape.outer, self._unit, math.inf), azimuth)
        return outer if shape.inner is None else outer - self._below(_length(shape.inner, self._unit, 0.0), azimuth)

    def _below(self, radius: float, azimuth: float) -> Weights:
        """Return the weights of a disk from azimuth 0 to another."""
        if (radius, azimuth) not in self._known:
            self._known[radius, azimuth] = self._sector(radius, azimuth)
        return self._known[radius, azimuth]

    def _sector(self, radius: float, azimuth: float) -> Weights:
        if azimuth <= 0.0:
            return np.zeros((self._y.size, self._x.size), np.int64)
        if azimuth >= 360.0:
            return self._rounded(radius, [])
        cosine, sine = trigonometry.of_degrees(azimuth)
        if azimuth <= 180.0:
            return self._rounded(radius, [(1.0, 0.0, 0.0), (-cosine, sine, 0.0)])
        return self._below(radius, 360.0) - self._rounded(radius, [(-1.0, 0.0, 0.0), (cosine, -sine, 0.0)])

    def _rounded(self, radius: float, sides: list[tuple[float, float, float]]) -> Weights:
        planes = np.array(sides, np.float64).reshape(-1, 3)
        return np.rint(WHOLE * covered(self._y, self._x, self._pixel, radius, planes)).astype(np.int64)


def _length(radius: Quantity | None, unit: str, otherwise: float) -> float:
    return otherwise if radius is None else float(radius.to(unit).values[0])


def _from_image(image: Reference, shape: tuple[int, int]) -> Mask:
    values = detector_image(image, shape)
    if values.dtype.kind == "b":
        return Mask(values)
    if values.dtype.kind not in "uif":
        raise StepError(f"the mask {image.name} holds no weights", evidence=f"its numbers are of type {values.dtype}")
    bad = ~np.isfinite(values) if values.dtype.kind == "f" else (values < -(2**31)) | (values >= 2**31)
    if bad.any():
        y, x = (int(index) for index in np.argwhere(bad)[0])
        raise StepError(
            f"the mask {image.name} holds what is no weight", evidence=f"first at ky={y}, kx={x}: {values[y, x]}"
        )
    if values.dtype.kind in "ui":
        return Mask(values.astype(np.int64))
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return Mask(np.zeros(shape, np.bool_))
    mantissa, exponent = math.frexp(largest)
    step = math.ldexp(1.0, exponent - (mantissa == 0.5) - MASK_BITS)
    return Mask(np.rint(values.astype(np.float64) / step).astype(np.int64), step)
