"""Virtual detectors: the sum of each pattern over disks, annuli, sectors, segments, rectangles and masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from emdvc.errors import StepError
from emdvc.steps import contract, geometry
from emdvc.steps.contract import FrameStep, Input, Plan, Wanted
from emdvc.steps.detector_masks import masks
from emdvc.steps.detector_shapes import Shape
from emdvc.steps.label_plan import Mask, MaskSums


class Detector(Shape):
    """One detector: by default a disk (only `outer`), an annulus (both), or all beyond a radius (only `inner`)."""

    @model_validator(mode="after")
    def _fits_its_shape(self) -> Detector:
        self.check()
        return self


class VirtualDetector(FrameStep):
    """Sum of each diffraction pattern over a detector of any shape: an annulus or disk around the beam by default.

    One value per probe position. A pixel belongs to an annulus when the distance r of its middle from the centre is
    ``inner <= r < outer``, so that adjoining annuli neither overlap nor leave a gap. Several detectors cost no more
    than one: they are read off the same pass. The sums are exact (64-bit integers where the data are integers).

    Shapes: ``annulus`` and ``disk``; ``sector``, the part of an annulus with azimuth ``start <= phi < stop``;
    ``segments``, an annulus in `segments` equal parts, which gives the maps ``NAME_0`` and on, as a segmented detector
    does; ``rectangle``, of a `size` (y, x) around its centre; ``point``, the pixel nearest to the centre; ``mask``, an
    image of the detector. Azimuths are measured from +kx towards +ky; the pixel exactly at the centre has azimuth 0.
    Each detector may have a centre of its own.

    With ``edge=antialiased`` a pixel at the edge counts by the part of its area that the detector covers, exactly
    computed and rounded to 1/256: each edge that crosses a pixel changes its weight by at most 1/512, so that a disk of
    radius R px is wrong by less than 1 / (100 R) of its area. What one annulus leaves of a pixel the adjoining one
    takes. A mask of truth values or whole numbers weighs as it says; one of fractions is rounded to 1/4096 of the power
    of two that its largest weight does not exceed. The weighted sums are exact integers, which one division makes
    floats; only where 64 bits cannot hold them (32-bit counts on millions of pixels) floats are added, in a fixed
    order.

    Radii in px depend on no calibration; in 1/angstrom on ``diffraction``; in mrad on ``diffraction`` and
    ``beam.energy``, by theta = lambda k.

    Source of segmented detection: Shibata et al., Journal of Electron Microscopy 59, 473 (2010).
    """

    name = "virtual_detector"
    version = 1
    summary = "sum of each diffraction pattern over disks, annuli, segments and other detectors"
    core = ("ky", "kx")

    class Parameters(Shape, contract.Parameters):
        """One detector, or several by name."""

        detectors: dict[str, Detector] = Field(default_factory=dict)
        """Several detectors by name, each with its shape; `center` then is that of those that say none."""

        @model_validator(mode="after")
        def _one_or_several(self) -> VirtualDetector.Parameters:
            if self.is_said() and self.detectors:
                raise ValueError("give either the parameters of one detector or `detectors` for several, not both")
            if not self.is_said() and not self.detectors:
                raise ValueError("give at least one radius: outer (a disk), or inner and outer (an annulus)")
            if not self.detectors:
                self.check()
            return self

        def by_name(self) -> dict[str, Shape]:
            """Return the detectors by name; a single one is called ``image``."""
            return dict(self.detectors) or {"image": self}

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the radii's units need."""
        return geometry.union(*(shape.metadata(parameters.center) for shape in parameters.by_name().values()))

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the images of the detectors that have one."""
        shapes = parameters.by_name().items()
        return {f"mask {name}": Wanted(shape.mask) for name, shape in shapes if shape.mask is not None}

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the masks for an input.

        Raises
        ------
        StepError
            A detector holds no pixel, or its mask does not fit.
        """
        chosen: dict[str, Mask] = {}
        titles = {}
        for name, shape in parameters.by_name().items():
            center = (0.0, 0.0)
            if shape.shape != "mask":
                center = geometry.center_of(source, shape.center if shape.center is not None else parameters.center)
            parts = masks(shape, source, center, source.references.get(f"mask {name}"))
            for index, mask in enumerate(parts):
                part = name if shape.segments is None else f"{name}_{index}"
                if part in chosen:
                    raise StepError(
                        f"two detectors would give a map called '{part}'", hint="name one of them otherwise"
                    )
                if not mask.weights.any():
                    raise _empty(part, shape, source, center)
                title = shape.title() if shape.segments is None else f"segment {index} of {shape.title()}"
                chosen[part] = mask
                titles[part] = f"{name}: {title}" if name != "image" else title
        return MaskSums(source, chosen, titles)


def _empty(name: str, shape: Shape, source: Input, center: tuple[float, float]) -> StepError:
    size = f"the detector {source.size('ky')} x {source.size('kx')} px"
    if shape.shape == "mask":
        return StepError(f"the detector '{name}' holds no pixel", evidence=f"{shape.mask} is zero everywhere")
    scale = geometry.scale_in(source, shape.unit())
    return StepError(
        f"the detector '{name}' holds no pixel",
        evidence=f"{shape.title()} around ({center[0]:g}, {center[1]:g}) px; "
        f"a pixel is {scale.y:.4g} {scale.unit}, {size}",
        hint="check the radii, the centre and diffraction.pixel_size",
    )
