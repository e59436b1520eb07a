"""HyperSpy's metadata tree -> the acquisition record. The units that its leaves imply are in one table."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import BY_KEY, Record


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where HyperSpy keeps a field.

    Parameters
    ----------
    key
        Field of the record.
    paths
        Dotted paths, the likeliest first; ``T`` stands for the instrument's branch (TEM or SEM).
    factor
        What turns HyperSpy's implied unit into the field's, as exact decimal.
    joined
        Whether the paths are the numbers of one field, and not alternatives.
    """

    key: str
    paths: tuple[str, ...]
    factor: str = "1"
    joined: bool = False


#: HyperSpy implies keV, nA, mrad, mm, degrees and seconds; the stage's position in mm, the sample's thickness in m.
LEAVES: tuple[Leaf, ...] = (
    Leaf("title", ("General.title",)),
    Leaf("operator", ("General.authors",)),
    Leaf("doi", ("General.doi",)),
    Leaf("notes", ("General.notes",)),
    Leaf("mode", ("T.acquisition_mode",)),
    Leaf("sample.id", ("Sample.name",)),
    Leaf("sample.description", ("Sample.description",)),
    Leaf("sample.elements", ("Sample.elements",)),
    Leaf("sample.thickness", ("Sample.thickness",), "1e9"),
    Leaf("instrument.model", ("T.microscope",)),
    Leaf("beam.energy", ("T.beam_energy",)),
    Leaf("beam.current", ("T.beam_current",)),
    Leaf("beam.semi_convergence", ("T.convergence_angle",)),
    Leaf("beam.precession_angle", ("T.rocking_angle",)),
    Leaf("beam.precession_frequency", ("T.rocking_frequency",)),
    Leaf("optics.camera_length", ("T.camera_length",)),
    Leaf("optics.magnification", ("T.magnification",)),
    Leaf("scan.rotation", ("T.scan_rotation", "T.rotation")),
    Leaf("scan.dwell", ("T.dwell_time", "T.Detector.EELS.dwell_time")),
    Leaf("detector.name", ("T.Detector.Camera.name", "T.Detector.Camera.Name", "T.Detector.EELS.spectrometer")),
    Leaf("detector.type", ("T.Detector.EDS.detector_type", "T.Detector.Camera.type")),
    Leaf(
        "detector.exposure",
        ("T.Detector.Camera.exposure", "T.Camera.exposure", "T.Detector.EELS.exposure"),
    ),
    Leaf("detector.counts_per_electron", ("Signal.Noise_properties.Variance_linear_model.gain_factor",)),
    Leaf("stage.tilt_alpha", ("T.Stage.tilt_alpha",)),
    Leaf("stage.tilt_beta", ("T.Stage.tilt_beta",)),
    Leaf("stage.position", ("T.Stage.x", "T.Stage.y", "T.Stage.z"), "1e3", joined=True),
    Leaf("eels.collection_angle", ("T.Detector.EELS.collection_angle",)),
    Leaf("eels.aperture", ("T.Detector.EELS.aperture_size",)),
    Leaf("eds.live_time", ("T.Detector.EDS.live_time",)),
    Leaf("eds.real_time", ("T.Detector.EDS.real_time",)),
    Leaf("eds.elevation", ("T.Detector.EDS.elevation_angle",)),
    Leaf("eds.azimuth", ("T.Detector.EDS.azimuth_angle",)),
    Leaf("eds.energy_resolution", ("T.Detector.EDS.energy_resolution_MnKa",)),
)

#: What HyperSpy's tree has no place for, but vendors' trees say under a name that means nothing else.
ORIGINAL_LEAVES: tuple[Leaf, ...] = (Leaf("instrument.serial", ("Instrument.InstrumentId",)),)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?")
_ZONE = re.compile(r"(?:UTC|GMT)?\s*([+-])(\d{1,2}):?(\d{2})?")


def to_record(metadata: Mapping[str, Any], original: Mapping[str, Any] | None = None) -> Record:
    """Return the record that HyperSpy's metadata tree holds; what is malformed or says nothing is left out.

    Parameters
    ----------
    metadata
        The tree: ``General``, ``Sample``, ``Acquisition_instrument``, ``Signal``.
    original
        The vendor's tree, for :data:`ORIGINAL_LEAVES`.
    """
    record: Record = {}
    branch = _branch(metadata)
    for tree, leaves in ((metadata, LEAVES), (original or {}, ORIGINAL_LEAVES)):
        for leaf in leaves:
            found = [value for path in leaf.paths if (value := _at(tree, branch, path)) is not None]
            if not found or (leaf.joined and len(found) < len(leaf.paths)):
                continue
            value = _value(leaf, found)
            if value is not None:
                rec.put(record, leaf.key, value)
    if (start := _start(metadata)) is not None:
        rec.put(record, "acquired_at", start)
    if "mode" not in record and branch == "SEM":  # HyperSpy names the branch TEM for STEM too: that says no mode
        rec.put(record, "mode", branch)
    return record


def iso_time(date: str, time: str | None = None, zone: str | None = None) -> str | None:
    """Return a date, a time and a zone as HyperSpy keeps them as one ISO 8601 text; None where the date is none.

    A zone that is only a local abbreviation, and so says no offset for sure, is left out.
    """
    date = str(date).strip()
    if not _DATE.fullmatch(date):
        return None
    clock = str(time or "").strip()
    if not _TIME.fullmatch(clock):
        return date
    return f"{date}T{clock}{_offset(date, clock, str(zone or '').strip())}"


def _start(metadata: Mapping[str, Any]) -> str | None:
    general = metadata.get("General") or {}
    date = general.get("date")
    return iso_time(date, general.get("time"), general.get("time_zone")) if date else None


def _offset(date: str, clock: str, zone: str) -> str:
    if zone in ("UTC", "GMT", "Z", "Coordinated Universal Time"):
        return "+00:00"
    if match := _ZONE.fullmatch(zone):
        return f"{match[1]}{int(match[2]):02d}:{match[3] or '00'}"
    if "/" not in zone:
        return ""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    try:
        moment = datetime.fromisoformat(f"{date}T{clock[:8]}").replace(tzinfo=ZoneInfo(zone))
    except (ValueError, OSError, KeyError):  # no such zone, or no table of zones on this machine
        return ""
    text = moment.isoformat()[-6:]
    return text if text[0] in "+-" else ""


def _branch(metadata: Mapping[str, Any]) -> str:
    instrument = metadata.get("Acquisition_instrument") or {}
    return next((name for name in ("TEM", "SEM") if name in instrument), "TEM")


def _at(metadata: Mapping[str, Any], branch: str, path: str) -> Any:
    parts = path.split(".")
    node: Any = metadata
    for part in ["Acquisition_instrument", branch, *parts[1:]] if parts[0] == "T" else parts:
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return None if node is None or (isinstance(node, str) and not node.strip()) else node


def _value(leaf: Leaf, found: list[Any]) -> Any:
    kind = BY_KEY[leaf.key].kind
    if kind in ("quantity", "pair"):
        numbers = [exact(value, leaf.factor) for value in (found if leaf.joined else found[:1])]
        whole = tuple(n for n in numbers if n is not None)
        if len(whole) < len(numbers):
            return None
        return Quantity(whole if leaf.joined else whole[0], BY_KEY[leaf.key].unit)
    if kind == "number":
        return exact(found[0])
    if kind == "list":
        return [str(entry) for entry in found[0]] if len(found[0]) else None
    return str(found[0]).strip() if not isinstance(found[0], Mapping | list | tuple) else None


def exact(value: Any, factor: str = "1") -> float | int | None:
    """Return a number times a decimal factor without the rounding of binary fractions; None where it is no number.

    The number may be a text, as in Velox's metadata.
    """
    if isinstance(value, bool) or value is None:
        return None
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = float(str(value)) if getattr(value, "dtype", None) == "float32" else value.item()
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, int):
        return value if factor == "1" else _number(Decimal(value) * Decimal(factor))
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        return None
    return _number(number * Decimal(factor)) if number.is_finite() else None


def _number(number: Decimal) -> float:
    found = float(number)
    return found + 0.0 if math.isfinite(found) else 0.0
