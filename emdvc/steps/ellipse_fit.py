"""The ellipse that a distorted diffraction ring is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from emdvc.errors import Code, StepError
from emdvc.steps import contract, geometry, rings
from emdvc.steps.contract import Input, Outcome, Output, WholeStep
from emdvc.steps.polar_grid import azimuth_axis
from emdvc.steps.ring_fit import SECTORS, RingNotFound, fit_ring
from emdvc.steps.values import Position, Radius


class EllipseFit(WholeStep):
    """Centre, axis ratio and orientation of a diffraction ring, as lenses or a tilted camera distort it.

    The ring is looked for between `inner` and `outer` in 72 directions: on the mean of five lines, 1 degree apart, its
    middle is the centroid of what lies above a straight background through the ends of the line. The first harmonic of
    the middles over the azimuth moves the centre, the second corrects the ellipse, and all is repeated in the corrected
    coordinates, where the window follows the ring, until nothing changes. The harmonics are fitted by least squares,
    each direction weighted by its counts, but no more than is usual, and by Tukey's biweight of its residual, so that
    Bragg spots and the shadow of a beam stop do not pull. Directions in which the ring has less than a tenth of its
    usual strength do not count.

    ``ratio`` is major over minor semi-axis, ``angle`` the azimuth of the major axis from +kx towards +ky (from 0 to 180
    degrees; it means little where the ratio is near 1). ``radial_profile`` and the other steps on rings take the result
    as `ellipse`. ``ridge`` is the ring's radius in the corrected pattern in each direction, ``residual`` the spread of
    its middles around the ellipse (1.48 times their median distance, the standard deviation of normal errors). Sums are
    made one by one and sines are correctly rounded: the same bits everywhere.

    Source: Capitani et al., Ultramicroscopy 106, 66 (2006), for the distortion; Mitchell and Van den Berg,
    Ultramicroscopy 160, 140 (2016), for its fit to ring positions; Beaton and Tukey, Technometrics 16, 147 (1974), for
    the weights.
    """

    name = "ellipse_fit"
    version = 1
    summary = "centre, axis ratio and orientation of a distorted diffraction ring"
    core = ("ky", "kx")
    gives = (
        Output("ratio", title="major over minor semi-axis", per_probe=False),
        Output("angle", unit="deg", title="azimuth of the major axis", per_probe=False),
        Output("center_y", unit="px", title="centre of the ring, y", per_probe=False),
        Output("center_x", unit="px", title="centre of the ring, x", per_probe=False),
        Output("major", unit="px", title="major semi-axis", per_probe=False),
        Output("minor", unit="px", title="minor semi-axis", per_probe=False),
        Output("residual", unit="px", title="spread of the ring's radius around the ellipse", per_probe=False),
        Output("ridge", ("phi",), "px", title="radius of the ring in the corrected pattern", per_probe=False),
    )

    class Parameters(contract.Parameters):
        """Where the ring is."""

        inner: Radius
        """The whole ring lies beyond this radius."""
        outer: Radius
        """The whole ring lies within this radius."""
        center: Position | None = None
        """Where the centre is about (y, x); default: the recorded centre, else the middle of the detector."""

        @model_validator(mode="after")
        def _ascending(self) -> EllipseFit.Parameters:
            if self.inner.unit == self.outer.unit and self.inner.values[0] >= self.outer.values[0]:
                raise ValueError(f"inner must be smaller than outer: {self.inner} is not below {self.outer}")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the radii's units need."""
        kinds = (geometry.radius_unit(parameters.inner), geometry.radius_unit(parameters.outer))
        return geometry.union(*(geometry.metadata_for(kind, parameters.center) for kind in kinds))

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the ellipse.

        Raises
        ------
        StepError
            The input is no single pattern, or the ring does not show.
        """
        if source.dims != self.core:
            raise StepError(
                f"ellipse_fit works on one pattern, {source.name} has {' x '.join(source.dims)}",
                code=Code.STEP_DIMENSIONS,
                hint="take the result of sum_pattern",
            )
        pattern = next(iter(arrays.values())).astype(np.float64)
        pixel = geometry.Scale(1.0, 1.0, "px")
        center = geometry.center_of(source, parameters.center)
        inner, outer = (rings.in_unit(radius, source, pixel) for radius in (parameters.inner, parameters.outer))
        if min(pattern.shape) < 2 or not 0 < inner < outer - 2:
            raise StepError(
                "the window of an ellipse fit must be wider than 2 px",
                evidence=f"it runs from {inner:g} to {outer:g} px",
            )
        if not np.isfinite(pattern).all():
            raise StepError("the pattern holds what is no number", code=Code.STEP_COUNTS)
        try:
            ring = fit_ring(pattern, center, inner, outer)
        except RingNotFound as error:
            raise StepError(
                "the ring does not show in half of all directions",
                evidence=f"looked for from {inner:g} to {outer:g} px around ({center[0]:g}, {center[1]:g}) px",
                hint="choose inner and outer closely around one ring that lies on the detector, and check the centre",
            ) from error
        ratio, angle = ring.shape()
        axes = (ring.radius * math.sqrt(ratio), ring.radius / math.sqrt(ratio))
        values = (ratio, angle, *ring.center, *axes, ring.residual)
        found: dict[str, NDArray[Any]] = {
            output.name: np.array(value, np.float64) for output, value in zip(self.gives[:-1], values, strict=True)
        }
        found["ridge"] = ring.ridge
        return Outcome(self.gives, found, {"phi": azimuth_axis("phi", SECTORS, SECTORS)})
