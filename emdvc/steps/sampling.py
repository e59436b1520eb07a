"""A scan and a detector that are sampled otherwise than the input's: their axes, and what their record says then.

Sample i' of a dimension of which ``[start, stop)`` is kept, f samples joined to one, has its middle where sample
``start + f i' + (f - 1) / 2`` of the input would lie. Everything here follows from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.record import Record, put
from emdvc.model.sidecar import component
from emdvc.steps.contract import Input, Span

SCAN, DETECTOR = ("y", "x"), ("ky", "kx")


def size_of(span: Span) -> int:
    """Return how many samples come out."""
    return (span.stop - span.start) // span.factor


def span_of(source: Input, spans: Mapping[str, Span], dim: str) -> Span:
    """Return what is kept of a dimension: all of it where nothing else is said."""
    return spans.get(dim) or Span(0, source.size(dim))


def calibrated_axes(spans: Mapping[str, Span]) -> dict[str, Axis]:
    """Return the new axes of scan and detector; the record calibrates them, as it does the input's."""
    axes = {}
    for dim, span in spans.items():
        role = Role.SCAN if dim in SCAN else Role.DETECTOR
        axes[dim] = Axis(dim, size_of(span), role, calibration=CALIBRATED_BY[role, dim])
    return axes


def scan_record(source: Input, spans: Mapping[str, Span], record: Record) -> None:
    """Put into a record what differs of the scan: its offset, and where probe positions were joined step and times.

    Reads ``scan.offset``, and where probe positions are joined ``scan.step``, ``scan.dwell`` and ``detector.exposure``.
    """
    ranges = [spans.get(dim, Span(0, 1)) for dim in SCAN]  # along a dimension that the scan lacks nothing moves
    factors = [span.factor for span in ranges]
    before = source.metadata.quantity("scan.offset")
    first = [component(before, index) if before is not None else 0.0 for index in range(2)]
    moved = tuple(
        (old + span.start + (span.factor - 1) / 2) / span.factor for old, span in zip(first, ranges, strict=True)
    )
    if moved != tuple(first):
        put(record, "scan.offset", Quantity(moved, "px", Origin.DERIVED))
    if all(dim in source.dims for dim in SCAN):
        put(record, "scan.shape", [size_of(span_of(source, spans, dim)) for dim in SCAN])
    if factors == [1, 1]:
        return
    _enlarge(source, "scan.step", factors, record)
    for key in ("scan.dwell", "detector.exposure"):
        duration = source.metadata.quantity(key)
        if duration is not None:
            spent = duration.values[0] * factors[0] * factors[1]
            put(record, key, Quantity(spent, duration.unit, Origin.DERIVED))


def detector_record(source: Input, spans: Mapping[str, Span], record: Record) -> None:
    """Put into a record what differs of the detector: its centre, and where pixels were joined their size.

    Where the record holds no centre, every step takes the middle of the detector for it. A part of the detector has
    another middle: the old one is then written down, so that the same pixels are still the same radii.

    Reads ``diffraction.center``, and where pixels are joined ``diffraction.pixel_size`` and ``detector.pixel_pitch``.
    """
    ranges = [span_of(source, spans, dim) for dim in DETECTOR]
    factors = [span.factor for span in ranges]
    recorded = source.metadata.quantity("diffraction.center")
    middle = tuple((source.size(dim) - 1) / 2 for dim in DETECTOR)
    before = recorded.values if recorded is not None else middle
    center = tuple(
        (old - span.start - (span.factor - 1) / 2) / span.factor for old, span in zip(before, ranges, strict=True)
    )
    if recorded is not None or center != tuple((size_of(span) - 1) / 2 for span in ranges):
        put(record, "diffraction.center", Quantity(center, "px", Origin.DERIVED))
    put(record, "detector.shape", [size_of(span) for span in ranges])
    if factors != [1, 1]:
        _enlarge(source, "diffraction.pixel_size", factors, record)
        _enlarge(source, "detector.pixel_pitch", factors, record)


def _enlarge(source: Input, key: str, factors: list[int], record: dict[str, Any]) -> None:
    size = source.metadata.quantity(key)
    if size is None:
        return
    pair = tuple(component(size, index) * factor for index, factor in enumerate(factors))
    single = len(size.values) == 1 and pair[0] == pair[1]
    put(record, key, Quantity(pair[0] if single else pair, size.unit, Origin.DERIVED))
