"""The centre of mass of each diffraction pattern."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.kernels.moments import first_moments
from emdvc.steps import contract, geometry
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.values import Position, Radius


class _Moments(Plan):
    """First moments of each frame, divided."""

    def __init__(self, mask: NDArray[np.uint8], center: tuple[float, float], angle: geometry.Scale | None) -> None:
        self._mask, self._center, self._angle = mask, center, angle
        pixels = (
            Output("com_y", (), "px", title="centre of mass, y", signed=False),
            Output("com_x", (), "px", title="centre of mass, x", signed=False),
        )
        angles = (
            Output("tilt_y", (), "mrad", signed=True, title="beam tilt, y"),
            Output("tilt_x", (), "mrad", signed=True, title="beam tilt, x"),
        )
        self.outputs = pixels + (angles if angle is not None else ())

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Divide the sums of each frame: the only floating-point step. A frame without counts has no centre: NaN."""
        counts, rows, columns = np.moveaxis(first_moments(frames, self._mask), -1, 0)
        nothing = counts == 0
        divisor = np.where(nothing, 1, counts)
        y = np.where(nothing, np.nan, rows / divisor)
        x = np.where(nothing, np.nan, columns / divisor)
        found = {"com_y": y, "com_x": x}
        if self._angle is not None:
            found["tilt_y"] = (y - self._center[0]) * self._angle.y
            found["tilt_x"] = (x - self._center[1]) * self._angle.x
        return Partial(found)


class CenterOfMass(FrameStep):
    """Centre of mass of each diffraction pattern: where the transmitted intensity went.

    ``com_y = sum(y I) / sum(I)`` and likewise x, in pixels counted from the middle of pixel 0; the sums are exact
    integers, the division is the only rounding. Where the record holds ``diffraction.pixel_size`` (and ``beam.energy``,
    unless the size is an angle) the tilt of the beam against the centre follows in mrad, by theta = lambda k. With N
    counts in a disk of radius R its noise is R / (2 sqrt(N)) per axis.

    Source: Waddell and Chapman, Optik 54, 83 (1979); Mueller et al., Nature Communications 5, 5653 (2014).
    """

    name = "center_of_mass"
    version = 1
    summary = "centre of mass of each diffraction pattern, in px and mrad"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """Which pixels count, and against which centre the tilt is measured."""

        inner: Radius | None = None
        """Pixels below this radius are left out."""
        outer: Radius | None = None
        """Pixels from this radius on are left out."""
        center: Position | None = None
        """Undiffracted beam (y, x); default: the recorded centre, else the middle of the detector."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the keys behind the tilt in mrad."""
        return ("beam.energy", "diffraction")

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the mask and the calibration for an input."""
        center = geometry.center_of(source, parameters.center)
        unit = geometry.radius_unit(parameters.inner, parameters.outer)
        mask = np.ones((source.size("ky"), source.size("kx")), np.bool_)
        if parameters.inner is not None or parameters.outer is not None:
            squared = geometry.squared_radii(source, center, geometry.scale_in(source, unit))
            mask = geometry.annulus(squared, parameters.inner, parameters.outer, unit)
        return _Moments(mask.astype(np.uint8), center, _angle(source))


def _angle(source: Input) -> geometry.Scale | None:
    size = source.metadata.quantity("diffraction.pixel_size")
    if size is None or size.unit in ("", "px"):
        return None
    from emdvc.model import units

    if not units.compatible(size.unit, "mrad") and source.metadata.quantity("beam.energy") is None:
        return None
    return geometry.scale_in(source, "mrad")
