"""SerialEM's .mdoc: what the microscope was set to, as a whole and per section (IMOD's autodoc format).

Units are SerialEM's: PixelSpacing in angstrom, Voltage in kV, angles in degrees, Defocus and stage in micrometres,
ExposureTime in s, ExposureDose in electrons per square angstrom.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

_SECTION = re.compile(r"^\[\s*(\w+)\s*=\s*(.*?)\s*\]$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_STAMP = re.compile(r"^(\d{1,2})-(\w{3})-(\d{2}|\d{4})\s+(\d{1,2}):(\d{2}):(\d{2})$")


@dataclass(frozen=True, slots=True)
class Mdoc:
    """An .mdoc: what stands before the sections, the titles, and one mapping per section, in the order of ZValue."""

    head: dict[str, Any] = field(default_factory=dict)
    titles: tuple[str, ...] = ()
    sections: tuple[dict[str, Any], ...] = ()

    @property
    def first(self) -> dict[str, Any]:
        """What holds for the first section."""
        return {**self.head, **(self.sections[0] if self.sections else {})}

    @property
    def pixel(self) -> float | None:
        """Pixel in angstrom, or None."""
        value = self.first.get("PixelSpacing")
        return float(value) if isinstance(value, int | float) and value > 0 else None

    @property
    def angles(self) -> tuple[float, ...]:
        """Tilt angle of every section in degrees; empty where one does not say."""
        found = [section.get("TiltAngle") for section in self.sections]
        return tuple(float(v) for v in found if isinstance(v, int | float)) if None not in found else ()


def path_of(path: Path) -> Path | None:
    """Return the .mdoc beside a file (``x.mrc.mdoc`` or ``x.mdoc``), or None."""
    for beside in (path.with_name(path.name + ".mdoc"), path.with_suffix(".mdoc")):
        if beside.is_file() and beside != path:
            return beside
    return None


def read(path: Path) -> Mdoc:
    """Return what the .mdoc beside a file says; empty where there is none."""
    beside = path_of(path)
    return parse(beside.read_text(encoding="utf-8", errors="replace")) if beside is not None else Mdoc()


def parse(text: str) -> Mdoc:
    """Return what the text of an .mdoc says."""
    head: dict[str, Any] = {}
    titles: list[str] = []
    sections: list[dict[str, Any]] = []
    here = head
    for line in map(str.strip, text.splitlines()):
        if match := _SECTION.match(line):
            kind, value = match.groups()
            if kind == "T":
                titles.append(value)
            else:
                here = {kind: _value(value)}
                sections.append(here)
        elif "=" in line:
            name, _, value = line.partition("=")
            here[name.strip()] = _value(value.strip())
    if sections and all(isinstance(section.get("ZValue"), int) for section in sections):
        sections.sort(key=lambda section: int(section["ZValue"]))
    return Mdoc(head, tuple(titles), tuple(sections))


def put(record: Record, notes: Mdoc) -> None:
    """Put what an .mdoc says into a record, in place."""
    first = notes.first
    if not first:
        return
    for name, key, unit, scale in (
        ("Voltage", "beam.energy", "keV", 1.0),
        ("Defocus", "beam.defocus", "nm", 1e3),
        ("ExposureTime", "detector.exposure", "s", 1.0),
        ("RotationAngle", "scan.rotation", "deg", 1.0),
        ("TiltAngle", "stage.tilt_alpha", "deg", 1.0),
        ("ExposureDose", "dose", "e/angstrom^2", 1.0),
        ("CameraLength", "optics.camera_length", "mm", 1.0),
    ):
        value = first.get(name)
        # SerialEM writes 0 for a dose that it does not know
        if isinstance(value, int | float) and not (name == "ExposureDose" and value == 0):
            rec.put(record, key, Quantity(float(f"{value * scale:.12g}"), unit))
    if isinstance(first.get("Magnification"), int | float):
        rec.put(record, "optics.magnification", float(first["Magnification"]))
    if isinstance(first.get("CountsPerElectron"), int | float):
        rec.put(record, "detector.counts_per_electron", float(first["CountsPerElectron"]))
    if first.get("ChannelName"):
        rec.put(record, "detector.name", str(first["ChannelName"]))
    stage, height = first.get("StagePosition"), first.get("StageZ")
    if isinstance(stage, list) and len(stage) == 2 and isinstance(height, int | float):
        rec.put(record, "stage.position", Quantity((float(stage[0]), float(stage[1]), float(height)), "um"))
    if when := _iso(str(first.get("DateTime", ""))):
        rec.put(record, "acquired_at", when)


def _value(text: str) -> Any:
    words = text.split()
    try:
        numbers = [int(word) if re.fullmatch(r"[-+]?\d+", word) else float(word) for word in words]
    except ValueError:
        return text
    if not numbers:
        return ""
    return numbers[0] if len(numbers) == 1 else numbers


def _iso(stamp: str) -> str | None:
    """Return SerialEM's ``31-Mar-23  16:24:15`` as ISO 8601; the zone is not in the file."""
    match = _STAMP.match(stamp.strip())
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
    month = _MONTHS.index(match[2].lower()) + 1
    return f"{year:04}-{month:02}-{int(match[1]):02}T{int(match[4]):02}:{match[5]}:{match[6]}"
