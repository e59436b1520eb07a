"""Virtual detectors: the sum of each pattern over disks and annuli."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emdvc.errors import StepError
from emdvc.steps import contract, geometry
from emdvc.steps.contract import FrameStep, Input, Plan
from emdvc.steps.label_plan import MaskSums
from emdvc.steps.values import Position, Radius


class Detector(BaseModel):
    """A disk (only `outer`), an annulus (both), or all beyond a radius (only `inner`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    inner: Radius | None = None
    """Inner radius; a pixel belongs to the detector from it on."""
    outer: Radius | None = None
    """Outer radius; a pixel belongs to the detector below it."""

    @model_validator(mode="after")
    def _has_a_radius(self) -> Detector:
        if self.inner is None and self.outer is None:
            raise ValueError("a detector needs an inner radius, an outer radius, or both")
        return self


class VirtualDetector(FrameStep):
    """Sum of each diffraction pattern over an annulus or disk around the undiffracted beam.

    One value per probe position. A pixel belongs to the detector when the distance r of its middle from the centre is
    ``inner <= r < outer``, so that adjoining annuli neither overlap nor leave a gap. Several detectors cost no more
    than one: they are read off the same pass. The sums are exact (64-bit integers where the data are integers).

    Radii in px depend on no calibration; in 1/angstrom on ``diffraction``; in mrad on ``diffraction`` and
    ``beam.energy``, by theta = lambda k.
    """

    name = "virtual_detector"
    version = 1
    summary = "sum of each diffraction pattern over annuli and disks"
    core = ("ky", "kx")

    class Parameters(contract.Parameters):
        """One detector by its radii, or several by name."""

        inner: Radius | None = None
        """Inner radius of a single detector."""
        outer: Radius | None = None
        """Outer radius of a single detector."""
        detectors: dict[str, Detector] = Field(default_factory=dict)
        """Several detectors by name, each with `inner` and `outer`."""
        center: Position | None = None
        """Undiffracted beam (y, x); default: the recorded centre, else the middle of the detector."""

        @model_validator(mode="after")
        def _one_or_several(self) -> VirtualDetector.Parameters:
            single = self.inner is not None or self.outer is not None
            if single and self.detectors:
                raise ValueError("give either inner/outer for one detector or `detectors` for several, not both")
            if not single and not self.detectors:
                raise ValueError("give at least one radius: outer (a disk), or inner and outer (an annulus)")
            return self

        def by_name(self) -> dict[str, Detector]:
            """Return the detectors by name; a single one is called ``image``."""
            return dict(self.detectors) or {"image": Detector(inner=self.inner, outer=self.outer)}

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the radii's units need."""
        return geometry.union(
            *(
                geometry.metadata_for(geometry.radius_unit(detector.inner, detector.outer), parameters.center)
                for detector in parameters.by_name().values()
            )
        )

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the masks for an input.

        Raises
        ------
        StepError
            A detector holds no pixel.
        """
        center = geometry.center_of(source, parameters.center)
        masks, titles = {}, {}
        for name, detector in parameters.by_name().items():
            unit = geometry.radius_unit(detector.inner, detector.outer)
            scale = geometry.scale_in(source, unit)
            mask = geometry.annulus(geometry.squared_radii(source, center, scale), detector.inner, detector.outer, unit)
            if not mask.any():
                raise StepError(
                    f"the detector '{name}' holds no pixel",
                    evidence=f"{_span(detector)} around ({center[0]:g}, {center[1]:g}) px; "
                    f"a pixel is {scale.y:.4g} {unit}, the detector {source.size('ky')} x {source.size('kx')} px",
                    hint="check the radii, the centre and diffraction.pixel_size",
                )
            masks[name] = mask
            titles[name] = f"{name}: {_span(detector)}" if name != "image" else _span(detector)
        return MaskSums(source, masks, titles)


def _span(detector: Detector) -> str:
    if detector.inner is None:
        return f"r < {detector.outer}"
    if detector.outer is None:
        return f"r >= {detector.inner}"
    return f"{detector.inner} to {detector.outer}"
