"""The radial profile of each diffraction pattern."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from emdvc.errors import StepError
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import contract, geometry
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.label_plan import LabelPlan
from emdvc.steps.values import Position, Radius


class _Profile(LabelPlan):
    """Mean over rings, per frame and over all frames."""

    def __init__(self, source: Input, labels: NDArray[np.int32], axis: Axis, scanned: bool) -> None:
        self.labels, self.count, self._scanned = labels, axis.size, scanned
        pixels = np.bincount(labels[labels >= 0], minlength=axis.size)
        self._counted = pixels.astype("i8")
        # a ring without a pixel has no mean: NaN
        self._pixels = np.where(pixels == 0, np.nan, pixels.astype("f8"))
        self.axes = {"k": axis}
        unit = f"{source.unit}/px" if source.unit else ""
        overall = Output("mean_profile", ("k",), unit, per_probe=False, title="mean radial profile")
        single = Output("profile", ("k",), unit, per_probe=True, title="radial profile")
        number = Output("pixels", ("k",), "px", per_probe=False, title="pixels per ring")
        self.outputs = (overall, single, number) if scanned else (single, number)

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the ring means of each frame, and the ring sums over the block."""
        return Partial({"profile": sums / self._pixels}, (sums.sum(axis=0, dtype=sums.dtype),))

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return the ring sums of two blocks."""
        return (first[0] + second[0],)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Divide by the number of pixels and of frames."""
        found: dict[str, NDArray[Any]] = {"pixels": self._counted}
        if self._scanned and reduction is not None:
            found["mean_profile"] = reduction[0] / (self._pixels * frames)
        return found


class RadialProfile(FrameStep):
    """Mean counts per pixel on rings around the undiffracted beam, for each pattern and for all of them.

    Ring i holds the pixels whose middle lies at ``i w <= r < (i + 1) w``, with w = outer / bins; its coordinate k is
    the ring's middle radius. Ring sums are exact; the division by the number of pixels is the only rounding. ``pixels``
    gives that number, so that the Poisson error of a ring is sqrt(profile / pixels).
    """

    name = "radial_profile"
    version = 1
    summary = "mean counts on rings around the undiffracted beam"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """The rings."""

        bins: PositiveInt | None = None
        """Number of rings; default: one per pixel of radius."""
        unit: Literal["px", "1/angstrom", "mrad"] = "px"
        """Unit of k."""
        outer: Radius | None = None
        """Radius where the last ring ends; default: the largest full ring on the detector."""
        center: Position | None = None
        """Undiffracted beam (y, x); default: the recorded centre, else the middle of the detector."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the unit of k and that of the outer radius need."""
        groups = [geometry.metadata_for(parameters.unit, parameters.center)]
        if parameters.outer is not None:
            groups.append(geometry.metadata_for(geometry.radius_unit(parameters.outer), parameters.center))
        return geometry.union(*groups)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the rings for an input.

        Raises
        ------
        StepError
            No ring fits the detector.
        """
        center = geometry.center_of(source, parameters.center)
        scale = geometry.scale_in(source, parameters.unit)
        outer = _outer(parameters.outer, source, center, scale)
        bins = parameters.bins or max(1, round(outer / min(scale.y, scale.x)))
        width = outer / bins
        radii = np.sqrt(geometry.squared_radii(source, center, scale))
        labels = np.floor(radii / width * (1.0 + geometry.EDGE)).astype(np.int64)
        labels[labels >= bins] = -1
        if not (labels >= 0).any():
            raise StepError(
                "no pixel lies on any ring",
                evidence=f"outer radius {outer:.4g} {scale.unit}, a pixel is {scale.y:.4g} {scale.unit}",
                hint="check outer, the centre and diffraction.pixel_size",
            )
        axis = Axis(
            "k",
            bins,
            Role.DETECTOR,
            scale=Quantity(width, scale.unit, Origin.DERIVED),
            offset=Quantity(width / 2, scale.unit, Origin.DERIVED),
        )
        scanned = len(source.dims) > len(self.core)
        return _Profile(source, labels.reshape(-1).astype(np.int32), axis, scanned)


def _outer(outer: Quantity | None, source: Input, center: tuple[float, float], scale: geometry.Scale) -> float:
    if outer is not None:
        kind = geometry.radius_unit(outer)
        if kind == scale.unit:
            return float(outer.to(scale.unit).values[0])
        # in pixels or in another unit than k's: by the sizes of one pixel in both
        other = geometry.scale_in(source, kind)
        return float(outer.to(kind).values[0]) / other.y * scale.y
    y, x = center
    height, width = source.size("ky"), source.size("kx")
    reach_y, reach_x = min(y, height - 1 - y), min(x, width - 1 - x)
    full = min((np.floor(reach_y) + 1) * scale.y, (np.floor(reach_x) + 1) * scale.x)
    if full <= 0:
        raise StepError(
            "no full ring fits the detector", evidence=f"centre ({y:g}, {x:g}) px", hint="--set outer=RADIUS"
        )
    return float(full)
