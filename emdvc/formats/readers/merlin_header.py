"""The headers of Merlin .mib files and their .hdr: frames, counters, thresholds, exposure, and the shape of the scan.

Each frame has a header of text, comma separated: ``MQ1``, frame number, offset of the data, chips, width, height,
number type (``U08``, ``U16``, ``U32``; ``R64`` when packed), layout, chip selection, time, shutter time, counter,
colour mode, gain mode, eight thresholds, ..., and at its end ``MQ1A``, the time in UTC, the exposure in ns, and the
counter's depth in bits (as seen in files of single chips and quads of 2021 and 2024, against their .hdr).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from emdvc.errors import Code, FormatError
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

_BYTES = {"U08": 1, "U16": 2, "U32": 4}
_THRESHOLDS = slice(14, 22)
#: Frames whose times are looked at to find the length of a scan line.
_LOOK = 16384
#: Longer pause than the mean, in s, that is no chance of the clock (which ticks in microseconds).
_JITTER = 5e-6


@dataclass(frozen=True, slots=True)
class MerlinHeader:
    """What a .mib file and its .hdr say.

    Parameters
    ----------
    fields
        Of the first frame's header.
    hdr
        The .hdr file, line by line; empty without one.
    frames
        Whole frames in the file.
    frame_bytes
        Bytes of one frame with its header.
    """

    path: Path
    fields: tuple[str, ...]
    hdr: dict[str, str]
    frames: int
    frame_bytes: int

    @property
    def size(self) -> int:
        """Bytes of one frame's header."""
        return int(self.fields[2])

    @property
    def depth(self) -> int | None:
        """Counter depth in bits."""
        text = self._said("Counter Depth") or (self.fields[-2] if "MQ1A" in self.fields else "")
        return int(text) if text.strip().isdigit() else None

    @property
    def exposure(self) -> float | None:
        """Exposure of one frame in s."""
        nanoseconds = re.fullmatch(r"(\d+)ns", self.fields[-3].strip()) if len(self.fields) > 3 else None
        if nanoseconds:
            return int(nanoseconds[1]) / 1e9
        try:
            return float(self.fields[10])
        except ValueError:
            return None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds in keV of the counters in use."""
        text = self._said("Thresholds")
        numbers = [float(part) for part in (text.split(",") if text else self.fields[_THRESHOLDS]) if part.strip()]
        active = self._said("Active Counters")
        if "Counter 0" in active:
            return tuple(numbers[:1])
        if "Counter 1" in active:
            return tuple(numbers[1:2])
        return tuple(n for n in numbers[:2] if n) if active else tuple(numbers[:1])

    def times(self, count: int) -> list[datetime]:
        """Return the start of the first frames."""
        found = []
        with self.path.open("rb") as file:
            for index in range(min(count, self.frames)):
                file.seek(index * self.frame_bytes)
                stamp = re.search(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{1,6}", file.read(self.size))
                if stamp is None:
                    return []
                found.append(datetime.fromisoformat(stamp[0].decode()))
        return found

    def scan_shape(self) -> tuple[int, int] | None:
        """Return the probe positions (ny, nx), or None where nothing tells.

        The .hdr gives the frames per trigger when each line was triggered. Else the pause before each new line shows in
        the frames' times; it must come at a fixed number of frames, which divides the acquisition.
        """
        text = self._said("Frames per Trigger")
        line = int(text) if text.isdigit() else 0
        if line <= 1:
            line = self._line_by_times()
        return (self.frames // line, line) if 1 < line < self.frames else None

    def _line_by_times(self) -> int:
        times = self.times(_LOOK)
        steps = [(b - a).total_seconds() for a, b in pairwise(times)]
        if len(steps) < 2:
            return 0
        mean = sum(steps) / len(steps)
        breaks = [i + 1 for i, step in enumerate(steps) if step > mean + _JITTER]
        if not breaks or breaks[0] < 2:
            return 0
        line = breaks[0]
        planned = self._said("Frames in Acquisition")
        total = int(planned) if planned.isdigit() and int(planned) else self.frames
        regular = breaks == list(range(line, len(steps) + 1, line))
        return line if regular and total % line == 0 else 0

    def _said(self, start: str) -> str:
        return next((text.strip() for key, text in self.hdr.items() if key.startswith(start)), "")

    def put(self, record: Record, scanned: bool) -> None:
        """Set in a record, in place, what the headers say; in a scan the exposure is the dwell time too."""
        origin = {
            "acquired_at": self._acquired(),
            "detector.name": self._said("Readout System") or "Merlin",
            "detector.type": self._said("Chip Type") or None,
            "detector.bit_depth": self.depth,
            "detector.saturation": None if self.depth is None else 2**self.depth - 1,
        }
        for key, value in origin.items():
            if value is not None:
                rec.put(record, key, value)
        if self.thresholds:
            levels = self.thresholds if len(self.thresholds) > 1 else self.thresholds[0]
            rec.put(record, "detector.threshold", Quantity(levels, "keV"))
        if self.exposure is not None:
            rec.put(record, "detector.exposure", Quantity(self.exposure, "s"))
            if scanned:
                rec.put(record, "scan.dwell", Quantity(self.exposure, "s"))

    def _acquired(self) -> str | None:
        stamp = self.fields[-4].strip() if len(self.fields) > 4 else ""
        return stamp.replace("Z", "+00:00") if re.match(r"\d{4}-\d\d-\d\dT", stamp) else None


def read_header(path: Path) -> MerlinHeader:
    """Read the header of the first frame of a .mib file, and the .hdr beside it.

    Raises
    ------
    FormatError
        It is no .mib file, it is packed (RAW), or it holds not one whole frame.
    """
    with path.open("rb") as file:
        first = file.read(384)
        fields = first.decode("latin-1").split(",")
        if fields[0] != "MQ1" or len(fields) < 23 or not fields[2].isdigit():
            raise FormatError(f"{path} is not a Merlin file", evidence=f"it starts with {first[:16]!r}")
        file.seek(0)
        fields = file.read(int(fields[2])).decode("latin-1").rstrip(" \0").rstrip(",").split(",")
    kind = fields[6].strip()
    if kind == "R64":
        raise FormatError(
            f"{path} holds packed RAW frames, which RosettaSciIO does not read",
            code=Code.FORMAT_UNKNOWN,
            evidence=f"its number type is {kind}, with {fields[4]} x {fields[5]} pixels",
            hint="convert it with LiberTEM (dataset 'mib') to .npy, or save processed .mib from Merlin's software",
        )
    if kind not in _BYTES:
        raise FormatError(f"{path} has an unknown number type", evidence=f"'{kind}' is none of {', '.join(_BYTES)}")
    frame = int(fields[2]) + int(fields[4]) * int(fields[5]) * _BYTES[kind]
    size = path.stat().st_size
    if size < frame:
        raise FormatError(f"{path} is truncated", evidence=f"one frame needs {frame} bytes; the file has {size}")
    return MerlinHeader(path, (*fields, ""), _read_hdr(path), size // frame, frame)


def _read_hdr(path: Path) -> dict[str, str]:
    hdr = next((p for p in (path.with_suffix(".hdr"), path.with_suffix(".HDR")) if p.is_file()), None)
    if hdr is None:
        return {}
    lines = (line.split("\t", 1) for line in hdr.read_text("latin-1").splitlines() if "\t" in line)
    return {key.rstrip(":"): text.strip() for key, text in lines if not key.startswith(("HDR", "End"))}
