"""A part of the scan and of the detector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from emdvc.errors import Code, MetadataError, StepError
from emdvc.model import units
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record
from emdvc.model.sidecar import component
from emdvc.steps import contract, geometry
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan, Span
from emdvc.steps.sampling import DETECTOR, SCAN, calibrated_axes, detector_record, scan_record, span_of
from emdvc.steps.values import CountedRange, DetectorRange, ScanRange

_STACKS = ("tilt", "time", "frame")
#: A sample this near to the edge of a range, in px, lies on it: above the rounding of a unit conversion.
_EDGE = 1e-6


class _Part(Plan):
    """Frames of a part of the scan, cut to a part of the detector."""

    def __init__(self, source: Input, spans: dict[str, Span], axes: dict[str, Axis], record: Record) -> None:
        ky, kx = (span_of(source, spans, dim) for dim in DETECTOR)
        self._pixels = (slice(ky.start, ky.stop), slice(kx.start, kx.stop))
        self.spans = {dim: span for dim, span in spans.items() if dim not in DETECTOR}
        self.axes, self.record = axes, record
        self.outputs = (Output("counts", DETECTOR, source.unit, title="part of the patterns"),)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the frames, cut."""
        return Partial({"counts": np.ascontiguousarray(frames[:, *self._pixels])})


class Crop(FrameStep):
    """A part of the scan and of the detector: the same counts, fewer of them.

    A range ``start, stop`` holds the samples with ``start <= position < stop``. In px it counts samples from 0 on, as a
    slice does; in nm it is measured along the scan's axis, in 1/angstrom or mrad from the undiffracted beam (the
    recorded centre, else the middle of the detector), and a sample belongs to it when its middle does. A range that
    reaches beyond the data is refused.

    The part keeps its place: coordinates of scan and detector are those that the samples had (``scan.offset`` and
    ``diffraction.center`` of the result's record say so). Nothing is computed: all values are the input's, bit for bit.
    A range in px reads where the origin lies (``scan.offset``, ``diffraction.center``), one in another unit also the
    calibration; of a series of tilts, times or frames its axis.

    Where the record holds no centre, every step takes the middle of the detector for it. If the part has another
    middle, the old one is written down as its centre, so that a radius means the same pixels as before.
    """

    name = "crop"
    version = 1
    summary = "a part of the scan and of the detector"
    core = ("ky", "kx")
    example: ClassVar[Mapping[str, Any]] = {"y": "1, 3 px", "ky": "-0.8, 0.8 1/angstrom"}

    class Parameters(contract.Parameters):
        """The ranges; a dimension without one is kept whole."""

        y: ScanRange | None = None
        """Probe positions along y."""
        x: ScanRange | None = None
        """Probe positions along x."""
        ky: DetectorRange | None = None
        """Detector rows."""
        kx: DetectorRange | None = None
        """Detector columns."""
        tilt: CountedRange | None = None
        """Tilts of a series, counted from 0."""
        time: CountedRange | None = None
        """Times of a series, counted from 0."""
        frame: CountedRange | None = None
        """Frames of a stack, counted from 0."""

        @model_validator(mode="after")
        def _at_least_one(self) -> Crop.Parameters:
            if not self.ranges():
                raise ValueError("give at least one range, such as ky: 64, 192 px")
            return self

        def ranges(self) -> dict[str, Quantity]:
            """Return the ranges that are given, by dimension."""
            given = {dim: getattr(self, dim) for dim in (*SCAN, *DETECTOR, *_STACKS)}
            return {dim: value for dim, value in given.items() if value is not None}

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return where the part lies in the scan and on the detector, and the calibrations of ranges in units."""
        keys: list[tuple[str, ...]] = []
        for dim, value in parameters.ranges().items():
            if dim in SCAN:
                keys.append(("scan.offset",) if _in_pixels(value) else ("scan.offset", "scan.step"))
            elif dim in DETECTOR:
                keys.append(("diffraction.center", *geometry.metadata_for(geometry.radius_unit(value), None)))
            else:
                keys.append((f"axes.{dim}",))
        return geometry.union(*keys)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the part for an input.

        Raises
        ------
        StepError
            The input lacks a dimension, or a range is empty or reaches beyond the data.
        MetadataError
            A range is given in a unit for which the record holds no calibration.
        """
        spans = {dim: _span(dim, value, source) for dim, value in parameters.ranges().items()}
        record: Record = {}
        if any(dim in SCAN for dim in spans):
            scan_record(source, {dim: span for dim, span in spans.items() if dim in SCAN}, record)
        if any(dim in DETECTOR for dim in spans):
            detector_record(source, spans, record)
        axes = calibrated_axes({dim: span for dim, span in spans.items() if dim not in _STACKS})
        for dim in (dim for dim in spans if dim in _STACKS):
            axes[dim] = _part_of(source.metadata.axis(dim), spans[dim])
        return _Part(source, spans, axes, record)


def _in_pixels(value: Quantity) -> bool:
    return units.compatible(value.unit, "px")


def _span(dim: str, value: Quantity, source: Input) -> Span:
    if dim not in source.dims:
        raise StepError(
            f"{source.name} has no dimension {dim}",
            code=Code.STEP_DIMENSIONS,
            evidence=f"its dimensions are {', '.join(source.dims)}",
        )
    size = source.size(dim)
    if _in_pixels(value):
        if any(float(number) != int(number) for number in value.values):
            raise StepError(f"{dim}: a range in px counts whole samples", evidence=f"got {value}")
        start, stop = (int(number) for number in value.values)
        inside, reach = start >= 0 and stop <= size, f"0 to {size} px"
    else:
        scale, zero, unit = _scale(dim, value, source)
        low, high = (float(number) / scale + zero for number in value.to(unit).values)
        start, stop = (math.ceil(edge - _EDGE) for edge in (low, high))
        # the edges of the first and of the last sample lie half a sample outside their middles
        inside = low >= -0.5 - _EDGE and high <= size - 0.5 + _EDGE
        reach = f"{(-0.5 - zero) * scale:.6g} to {(size - 0.5 - zero) * scale:.6g} {unit}"
    if not inside:
        raise StepError(f"{dim}: the range reaches beyond the data", evidence=f"{value} of {reach}")
    if stop <= start:
        raise StepError(
            f"{dim}: the range holds no sample", evidence=f"{value} of {reach}", hint="a range is `start, stop`"
        )
    return Span(start, stop)


def _scale(dim: str, value: Quantity, source: Input) -> tuple[float, float, str]:
    """Return the size of a sample, the sample number of the coordinate 0, and the unit of both."""
    index = 0 if dim in ("y", "ky") else 1
    if dim in DETECTOR:
        size = geometry.scale_in(source, geometry.radius_unit(value))
        return (size.y, size.x)[index], geometry.center_of(source, None)[index], size.unit
    step = source.metadata.quantity("scan.step")
    if step is None or step.unit in ("", "px"):
        raise MetadataError(
            f"a range in {value.unit} needs scan.step, which the record of {source.name} does not hold",
            code=Code.METADATA_MISSING,
            hint=f"emdvc add {source.name} --set scan.step=1nm",
        )
    offset = source.metadata.quantity("scan.offset")
    step = step.to(value.unit)
    return component(step, index), -component(offset, index) if offset is not None else 0.0, step.unit


def _part_of(axis: Axis, span: Span) -> Axis:
    """Return a part of an axis that holds its own coordinates."""
    size = span.stop - span.start
    if axis.values is not None:
        numbers = cast("tuple[float, ...]", axis.values.values)[span.start : span.stop]
        return replace(axis, size=size, values=replace(axis.values, value=tuple(numbers)), calibration=None)
    first = axis.coordinates()[span.start]
    offset = Quantity(first, axis.scale.unit, axis.scale.origin) if axis.scale is not None else None
    return replace(axis, size=size, offset=offset, calibration=None)
