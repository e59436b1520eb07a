"""Bragg disks of each diffraction pattern, found with a template of the probe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from emdvc.errors import StepError
from emdvc.steps import peak_plan
from emdvc.steps.contract import FrameStep, Input, Plan, Wanted
from emdvc.steps.disk_template import Template, disk_template, probe_template
from emdvc.steps.values import DataPath, Radius


class BraggDisks(FrameStep):
    """Place and intensity of every Bragg disk of each diffraction pattern, as a table.

    Each pattern f is correlated with a template T, ``C(y, x) = sum T(v, u) f(y + v, x + u)``: one inside the disk,
    falling to zero along two pixels, and negative on a ring around it, so that a uniform background gives nothing. The
    disk is `radius`, or the image `probe` of the undiffracted disk in vacuum. The local maxima of C are the disks,
    strongest first; the vertex of the quadratic function fitted to C at the 3 x 3 pixels around one is its place. Its
    intensity is the sum of the counts up to the middle of the ring, less the mean of its outer half. A disk of N counts
    and radius R is placed to about R / (3 sqrt(N)) px per axis where its edge is sharp; without noise the vertex is off
    by 0.02 px (rms) where the edge is one pixel wide, by less than 0.01 px where it is wider.

    With `scale` root the square roots of the counts are correlated (16 sqrt(f), rounded down where f is whole): bright
    structure within a disk weighs less, and all pixels have the same noise (Anscombe, Biometrika 35, 246 (1948)). Of a
    probe with a pattern of its own, `probe` and `radius` are given both.

    The table is ragged: the rows of all probe positions follow each other in C order of the scan along `peak`, and
    `count` says how many each has. Places are in pixels, counted from the middle of pixel 0.

    C is exact where the data are whole numbers, and all further operations have a fixed order: the table is the same
    bytes on every machine. Beyond the detector's edge its nearest pixel is taken for C, and none for intensities.

    Sources: Pekin et al., Ultramicroscopy 176, 170 (2017), on disks by correlation; Savitzky et al., Microscopy and
    Microanalysis 27, 712 (2021), with a template whose sum is zero; the quadratic function: Savitzky and Golay,
    Analytical Chemistry 36, 1627 (1964), in two dimensions.
    """

    name = "bragg_disks"
    version = 1
    summary = "place and intensity of the Bragg disks of each pattern, by a template of the probe"
    core = ("ky", "kx")

    class Parameters(peak_plan.PeakParameters):
        """The template, and which maxima are disks."""

        radius: Radius | None = None
        """Radius of the disks, where they have fallen to one half; of a probe image it is found if not given."""
        probe: DataPath | None = None
        """Image of the probe in vacuum, as large as a pattern: it takes the place of a uniform disk."""
        ring: float = Field(1.5, ge=0)
        """Outer radius of the ring that gives the background, in radii of the disk (2 px more at least); 0 for none."""
        scale: Literal["linear", "root"] = "linear"
        """What is correlated: the counts, or their square roots; intensities are in counts in both."""

        @model_validator(mode="after")
        def _one_template(self) -> BraggDisks.Parameters:
            if self.radius is None and self.probe is None:
                raise ValueError("give the disk's radius, or an image of the probe")
            if 0 < self.ring < 1.1:
                raise ValueError("the ring ends at least at 1.1 radii; 0 leaves it out")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what the radii's units need: nothing in px."""
        return peak_plan.metadata_of(parameters.radius, parameters.min_distance, parameters.border)

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the probe image."""
        return {} if parameters.probe is None else {"probe": Wanted(parameters.probe)}

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the template for an input.

        Raises
        ------
        StepError
            The disk does not fit the detector, or the probe image holds none.
        MetadataError
            A radius needs a calibration that the record does not hold.
        """
        template = _template(parameters, source)
        return peak_plan.PeakPlan(
            source,
            template.taps,
            template.aperture,
            peak_plan.choice(parameters, source, template.radius),
            offset=template.offset,
            root=parameters.scale == "root",
            bragg_map=parameters.bragg_map,
        )


def _template(parameters: Any, source: Input) -> Template:
    height, width = source.size("ky"), source.size("kx")
    radius = None if parameters.radius is None else peak_plan.in_pixels(parameters.radius, source)
    if radius is not None and not 1.0 <= radius <= min(height, width) / 2:
        raise StepError(
            "the disk does not fit the detector",
            evidence=f"radius {radius:.4g} px, the detector {height} x {width} px",
            hint="check radius and diffraction.pixel_size",
        )
    if parameters.probe is not None:
        image = source.references["probe"].array(("ky", "kx"), (height, width))
        return probe_template(image, parameters.ring, radius)
    assert radius is not None
    return disk_template(radius, parameters.ring)
