"""Sums over blocks of probe positions and of detector pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, PositiveInt, WithJsonSchema, model_validator

from emdvc.errors import Code, StepError
from emdvc.kernels.rebin import sum_blocks
from emdvc.model.axis import Axis
from emdvc.model.record import Record
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan, Span
from emdvc.steps.sampling import DETECTOR, SCAN, calibrated_axes, detector_record, scan_record, size_of, span_of


def _pair(value: Any) -> Any:
    if isinstance(value, str):
        value = [part.strip() for part in value.replace("x", ",").split(",")]
    elif isinstance(value, int) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple) or len(value) not in (1, 2):
        raise ValueError("is one whole number, or two for (y, x)")
    return (value[0], value[-1])


#: How many samples become one, along y and x.
Factors = Annotated[
    tuple[PositiveInt, PositiveInt],
    BeforeValidator(_pair),
    WithJsonSchema({"type": "string", "unit": "samples (y, x)"}),
]


class _Sums(Plan):
    """Sums over blocks."""

    def __init__(self, source: Input, spans: dict[str, Span], axes: dict[str, Axis], record: Record) -> None:
        ky, kx = (span_of(source, spans, dim) for dim in DETECTOR)
        self._factors = (ky.factor, kx.factor)
        self._joined = tuple(spans[dim].factor if dim in spans else 1 for dim in source.scan(DETECTOR)[0])
        self.spans = {dim: span for dim, span in spans.items() if dim in SCAN}
        self.axes, self.record = axes, record
        self.outputs = (Output("counts", DETECTOR, source.unit, title="binned patterns"),)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the sums of a block of whole groups."""
        groups = frame_groups(place.shape, self._joined)
        if frames.dtype.itemsize == 8 and frames.dtype.kind in "iu":
            _check_sums(frames, groups.shape[1] * self._factors[0] * self._factors[1])
        return Partial({"counts": sum_blocks(frames, groups, *self._factors)})


def frame_groups(shape: tuple[int, ...], factors: tuple[int, ...]) -> NDArray[np.int64]:
    """Return which frames of a block become one: shape (groups, frames of a group), both in C order.

    Parameters
    ----------
    shape
        Probe positions of the block along each dimension; multiples of the factors.
    factors
        How many become one along each.
    """
    split = [n for size, factor in zip(shape, factors, strict=True) for n in (size // factor, factor)]
    numbers = np.arange(np.prod(shape, dtype=np.int64), dtype=np.int64).reshape(split)
    order = (*range(0, len(split), 2), *range(1, len(split), 2))
    return np.ascontiguousarray(numbers.transpose(order).reshape(-1, int(np.prod(factors, dtype=np.int64))))


def _check_sums(frames: NDArray[Any], samples: int) -> None:
    limits = np.iinfo(frames.dtype)
    if int(frames.max()) * samples > limits.max or int(frames.min()) * samples < limits.min:
        raise StepError(
            "a sum of these numbers may not fit 64 bits",
            code=Code.STEP_COUNTS,
            evidence=f"they reach {int(frames.max())}, and {samples} become one",
        )


class Rebin(FrameStep):
    """Sums over blocks of probe positions and of detector pixels: fewer samples with more counts each.

    Counts are conserved exactly: every output number is the sum of its block, in an integer type that surely holds it
    (of 16-bit counts, blocks of 2 x 2 x 2 x 2 take 32 bits). Floats are summed in 64 bits in a fixed order and rounded
    once to the input's type; the bits are the same for any number of threads and on every machine.

    The calibration follows: ``scan.step``, ``diffraction.pixel_size`` and ``detector.pixel_pitch`` grow by the factors,
    ``diffraction.center`` moves to ``(c - (f - 1) / 2) / f``, the first probe position (``scan.offset``) to the middle
    of its block, ``scan.dwell`` and ``detector.exposure`` add up. The keys of the scan are read where probe positions
    are joined, those of the detector where pixels are.
    """

    name = "rebin"
    version = 1
    summary = "sums over blocks of probe positions and of detector pixels"
    core = ("ky", "kx")
    example: ClassVar[Mapping[str, Any]] = {"scan": 2, "detector": 2}

    class Parameters(contract.Parameters):
        """The size of the blocks."""

        scan: Factors = (1, 1)
        """Probe positions that become one, along y and x."""
        detector: Factors = (1, 1)
        """Detector pixels that become one, along ky and kx."""
        remainder: Literal["refuse", "crop"] = "refuse"
        """What to do where the factors do not divide the size: refuse it, or leave the last samples out."""

        @model_validator(mode="after")
        def _at_least_one(self) -> Rebin.Parameters:
            if self.scan == (1, 1) and self.detector == (1, 1):
                raise ValueError("give a factor above 1: scan or detector")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of what is binned."""
        scan = ("detector.exposure", "scan.dwell", "scan.offset", "scan.step")
        detector = ("detector.pixel_pitch", "diffraction.center", "diffraction.pixel_size")
        keys = (scan if parameters.scan != (1, 1) else ()) + (detector if parameters.detector != (1, 1) else ())
        return tuple(sorted(keys))

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the blocks for an input.

        Raises
        ------
        StepError
            The input lacks a dimension, is smaller than a block, or is no multiple of it.
        """
        factors = dict(zip((*SCAN, *DETECTOR), (*parameters.scan, *parameters.detector), strict=True))
        spans = {
            dim: _span(source, dim, factor, parameters.remainder) for dim, factor in factors.items() if factor != 1
        }
        record: Record = {}
        if parameters.scan != (1, 1):
            scan_record(source, {dim: span for dim, span in spans.items() if dim in SCAN}, record)
        if parameters.detector != (1, 1):
            detector_record(source, spans, record)
        return _Sums(source, spans, calibrated_axes(spans), record)


def _span(source: Input, dim: str, factor: int, remainder: str) -> Span:
    if dim not in source.dims:
        raise StepError(
            f"{source.name} has no dimension {dim} that could be binned",
            code=Code.STEP_DIMENSIONS,
            evidence=f"its dimensions are {', '.join(source.dims)}",
        )
    size = source.size(dim)
    span = Span(0, size - size % factor, factor)
    if size_of(span) == 0:
        raise StepError(f"{dim} is smaller than one block", evidence=f"{size} samples, {factor} become one")
    if span.stop != size and remainder == "refuse":
        raise StepError(
            f"{factor} does not divide the {size} samples of {dim}",
            evidence=f"{size - span.stop} would be left over",
            hint="--set remainder=crop leaves the last ones out",
        )
    return span
