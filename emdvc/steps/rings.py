"""Rings around the undiffracted beam, as every step uses them that reads patterns along the radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from emdvc.errors import StepError
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import ellipse, geometry
from emdvc.steps.contract import FrameStep, Input, Wanted
from emdvc.steps.detector_image import counted_pixels
from emdvc.steps.ellipse import PatternParameters
from emdvc.steps.values import Position, Radius


class RingParameters(PatternParameters):
    """The rings."""

    bins: PositiveInt | None = None
    """Number of rings; default: one per pixel of radius."""
    unit: Literal["px", "1/angstrom", "mrad"] = "px"
    """Unit of k."""
    outer: Radius | None = None
    """Radius where the last ring ends; default: the largest full ring on the detector."""
    center: Position | None = None
    """Undiffracted beam (y, x); default: the recorded centre, else the middle of the detector."""


class RingStep(FrameStep):
    """A step whose parameters are rings."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the unit of k and that of the outer radius need."""
        center = ellipse.declared_center(parameters, parameters.center)
        groups = [geometry.metadata_for(parameters.unit, center)]
        if parameters.outer is not None:
            groups.append(geometry.metadata_for(geometry.radius_unit(parameters.outer), center))
        return geometry.union(*groups)

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the fit of the ellipse and the mask, where they are given."""
        found: Mapping[str, Wanted] = parameters.wanted()
        return found


@dataclass(frozen=True, slots=True)
class Rings:
    """Rings of equal width from the centre on.

    Parameters
    ----------
    center
        Undiffracted beam (y, x), in px.
    scale
        Size of a pixel in the unit of k.
    matrix
        What makes the rings round; None where they are.
    outer
        Radius where the last ring ends, in the unit of k.
    bins
        Number of rings.
    counted
        Which pixels count, shape (ky, kx); None for all.
    """

    center: tuple[float, float]
    scale: geometry.Scale
    matrix: ellipse.Rounding | None
    outer: float
    bins: int
    counted: NDArray[np.bool_] | None = None

    @property
    def width(self) -> float:
        """Width of a ring, in the unit of k."""
        return self.outer / self.bins

    def axis(self) -> Axis:
        """Return the axis k: the middle radii of the rings."""
        step, first = (Quantity(value, self.scale.unit, Origin.DERIVED) for value in (self.width, self.width / 2))
        return Axis("k", self.bins, Role.DETECTOR, scale=step, offset=first)

    def labels(self, source: Input) -> NDArray[np.int32]:
        """Return the ring of every pixel, shape (pixels,); -1 beyond the last.

        Raises
        ------
        StepError
            No pixel lies on any ring.
        """
        radii = np.sqrt(ellipse.squared_radii(source, self.center, self.scale, self.matrix))
        labels = np.floor(radii / self.width * (1.0 + geometry.EDGE)).astype(np.int64)
        labels[labels >= self.bins] = -1
        if self.counted is not None:
            labels[~self.counted] = -1
        if not (labels >= 0).any():
            raise StepError(
                "no pixel lies on any ring",
                evidence=f"outer radius {self.outer:.4g} {self.scale.unit}, "
                f"a pixel is {self.scale.y:.4g} {self.scale.unit}",
                hint="check outer, the centre and diffraction.pixel_size",
            )
        return labels.reshape(-1).astype(np.int32)


def rings(parameters: RingParameters, source: Input) -> Rings:
    """Return the rings for an input.

    Raises
    ------
    StepError
        No full ring fits the detector, and the parameters say no outer radius.
    MetadataError
        A calibration that they need is missing.
    """
    center = geometry.center_of(source, ellipse.fitted_center(parameters, parameters.center, source))
    scale = geometry.scale_in(source, parameters.unit)
    matrix = ellipse.rounding_for(parameters, source)
    outer = _outer(parameters.outer, source, center, scale, matrix)
    bins = parameters.bins or max(1, round(outer / min(scale.y, scale.x)))
    return Rings(center, scale, matrix, outer, bins, counted_pixels(source, "mask"))


def in_unit(radius: Quantity, source: Input, scale: geometry.Scale) -> float:
    """Return a radius in the unit of k: in pixels or in another unit by the sizes of one pixel in both."""
    kind = geometry.radius_unit(radius)
    if kind == scale.unit:
        return float(radius.to(scale.unit).values[0])
    other = geometry.scale_in(source, kind)
    return float(radius.to(kind).values[0]) / other.y * scale.y


def _outer(
    outer: Quantity | None,
    source: Input,
    center: tuple[float, float],
    scale: geometry.Scale,
    matrix: ellipse.Rounding | None,
) -> float:
    if outer is not None:
        return in_unit(outer, source, scale)
    y, x = center
    height, width = source.size("ky"), source.size("kx")
    reach_y, reach_x = min(y, height - 1 - y), min(x, width - 1 - x)
    if matrix is None:
        full = min((np.floor(reach_y) + 1) * scale.y, (np.floor(reach_x) + 1) * scale.x)
    else:
        # how far the ellipse of radius 1 px reaches along y and x; the middle of the last ring lies on border pixels
        most_y, most_x = (np.sqrt(row[0] * row[0] + row[1] * row[1]) for row in ellipse.inverse(matrix))
        middle = min((reach_y + 0.5) / most_y, (reach_x + 0.5) / most_x)
        full = np.floor(middle + 0.5) * min(scale.y, scale.x)
    if full <= 0:
        raise StepError(
            "no full ring fits the detector", evidence=f"centre ({y:g}, {x:g}) px", hint="--set outer=RADIUS"
        )
    return float(full)
