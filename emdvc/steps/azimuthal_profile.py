"""The azimuthal profile of each diffraction pattern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from emdvc.errors import StepError
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import contract, ellipse, geometry
from emdvc.steps.binned_means import BinnedMeans
from emdvc.steps.contract import FrameStep, Input, Plan, Wanted
from emdvc.steps.detector_image import counted_pixels
from emdvc.steps.ellipse import PatternParameters
from emdvc.steps.values import Position, Radius


class AzimuthalProfile(FrameStep):
    """Mean counts per pixel against azimuth, on an annulus around the undiffracted beam, for each pattern.

    Bin i of n holds the pixels of ``inner <= r < outer`` whose middle has an azimuth phi of ``i w <= phi < (i + 1) w``,
    with w = 360 / n degrees, from +kx towards +ky; its coordinate is the bin's middle. Sums are exact; the division by
    the number of pixels, which ``pixels`` gives, is the only rounding. With an ellipse, r and phi are those of the
    undistorted pattern.
    """

    name = "azimuthal_profile"
    version = 1
    summary = "mean counts against azimuth on an annulus"
    core = ("ky", "kx")

    class Parameters(PatternParameters, contract.Parameters):
        """The annulus and its sectors."""

        inner: Radius | None = None
        """Inner radius of the annulus; default: 0."""
        outer: Radius | None = None
        """Outer radius of the annulus; default: all of the detector."""
        bins: int = Field(default=72, ge=1, le=3600)
        """Number of sectors around the circle."""
        center: Position | None = None
        """Undiffracted beam (y, x); default: the recorded centre, else the middle of the detector."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the radii's unit needs."""
        unit = geometry.radius_unit(parameters.inner, parameters.outer)
        return geometry.union(geometry.metadata_for(unit, ellipse.declared_center(parameters, parameters.center)))

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the fit of the ellipse and the mask, where they are given."""
        found: Mapping[str, Wanted] = parameters.wanted()
        return found

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the sectors for an input.

        Raises
        ------
        StepError
            The annulus holds no pixel.
        """
        center = geometry.center_of(source, ellipse.fitted_center(parameters, parameters.center, source))
        scale = geometry.scale_in(source, geometry.radius_unit(parameters.inner, parameters.outer))
        y, x = ellipse.offsets(source, center, scale, ellipse.rounding_for(parameters, source))
        ring = geometry.annulus(y * y + x * x, parameters.inner, parameters.outer, scale.unit)
        counted = counted_pixels(source, "mask")
        if counted is not None:
            ring &= counted
        if not ring.any():
            raise StepError(
                "the annulus holds no pixel",
                evidence=f"{parameters.inner} to {parameters.outer} around ({center[0]:g}, {center[1]:g}) px",
                hint="check the radii, the centre and diffraction.pixel_size",
            )
        bins = parameters.bins
        labels = np.minimum(np.floor(geometry.azimuths(y, x) * (bins / 360.0)), bins - 1).astype(np.int32)
        axis = Axis(
            "phi",
            bins,
            Role.DETECTOR,
            scale=Quantity(360.0 / bins, "deg", Origin.DERIVED),
            offset=Quantity(180.0 / bins, "deg", Origin.DERIVED),
        )
        words = ("azimuthal profile", "sector")
        scanned = len(source.dims) > len(self.core)
        return BinnedMeans(source, np.where(ring, labels, -1).reshape(-1), axis, words, scanned)
