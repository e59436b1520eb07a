"""TIFF: single images and stacks, with the calibration that ImageJ, OME, DigitalMicrograph's tags or FEI's put there.

A stack without compression is read by position; a compressed one page by page. A resolution in dots per inch or per cm
counts as a calibration only where a pixel is smaller than 10 micrometres: else it is a printer's.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import FormatError
from emdvc.formats.arrays import BinaryArray
from emdvc.formats.contract import LazyArray, Opened, ReadOptions, Region
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.table import NativeReader, version_of
from emdvc.formats.readers.tiff_chain import check_chain
from emdvc.formats.strides import Placement
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: Largest pixel (in metres) that a resolution in dots per inch can mean on a microscope's image.
_LARGEST_PIXEL = 10e-6
#: DigitalMicrograph's tags: unit, origin and scale of x; those of y are one higher.
_DM_UNIT, _DM_SCALE = 65003, 65009
#: tifffile's letters of axes that emdvc has a word for.
_AXES = {"Y": "y", "X": "x", "T": "time", "Z": "frame", "I": "frame", "Q": "frame", "P": "frame"}


class TiffReader(NativeReader):
    """TIFF through tifffile."""

    def claims(self, path: Path) -> bool:
        """Say whether the file starts as TIFF does."""
        try:
            with path.open("rb") as file:
                return file.read(4) in _MAGIC
        except OSError:
            return False

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open every series of a file: images of one shape are one series.

        Raises
        ------
        FormatError
            The file is truncated: the page that is missing is named.
        """
        import tifffile

        check_chain(path)
        file = tifffile.TiffFile(path)
        closes = [file.close]

        def close() -> None:
            for one in closes:
                one()

        try:
            found = []
            for number, series in enumerate(file.series):
                name = path.stem if number == 0 else f"{path.stem}_{number}"
                array = _array(path, series)
                if isinstance(array, BinaryArray):
                    closes.append(array.close)
                found.append(Found(name, array, _axes(file, series)))
            record, vendor = _metadata(file)
            return assemble(
                found,
                options=options,
                reader=f"tiff@tifffile-{version_of('tifffile')}",
                where=str(path),
                record=record,
                vendor=vendor,
                close=close,
            )
        except BaseException:
            close()
            raise


class PagedArray:
    """A series of compressed pages, decoded one at a time.

    Parameters
    ----------
    series
        A tifffile series; its pages hold its last axes.
    """

    def __init__(self, series: Any) -> None:
        self.shape: tuple[int, ...] = tuple(int(n) for n in series.shape)
        self.dtype: np.dtype[Any] = series.dtype.newbyteorder("=")
        self._series = series
        self._parent = series.parent
        self._pages = series.pages
        page = tuple(int(n) for n in series.keyframe.shape)
        self._lead = len(self.shape) - len(page)
        if self._lead < 0 or self.shape[self._lead :] != page:
            raise FormatError("this TIFF cuts its images into pieces", evidence=f"pages {page}, image {self.shape}")
        self.chunks: tuple[int, ...] = (*[1] * self._lead, *page)
        self._lock = threading.Lock()

    def placement(self) -> Placement:
        """Return where the numbers lie: in pages of a series that tifffile finds."""
        return [{"file": str(self._parent.filehandle.path), "series": self._parent.series.index(self._series)}]

    def read(self, region: Region) -> NDArray[Any]:
        """Return one region; each page it touches is decoded whole."""
        import itertools

        import numpy as np

        lead, rest = region[: self._lead], region[self._lead :]
        values = np.empty(tuple(part.stop - part.start for part in region), self.dtype)
        for index in itertools.product(*(range(part.start, part.stop) for part in lead)):
            number = 0
            for i, n in zip(index, self.shape, strict=False):
                number = number * n + i
            with self._lock:  # all pages share one file position
                page = self._pages[number]
                if page is None:
                    raise FormatError("this TIFF lacks a page", evidence=f"page {number} is missing")
                frame = page.asarray()
            place = tuple(i - part.start for i, part in zip(index, lead, strict=True))
            values[place] = np.asarray(frame)[rest]
        return values


def _array(path: Path, series: Any) -> LazyArray:
    if series.dataoffset is not None and math.prod(series.shape):
        return BinaryArray(path, series.shape, series.dtype.newbyteorder(series.parent.byteorder), series.dataoffset)
    size = path.stat().st_size
    for page in series.pages:
        if page is None:
            raise FormatError(
                f"{path} lacks a page of its series", evidence=f"the series has {len(series.pages)} pages"
            )
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and max(ends) > size:
            raise FormatError(
                f"{path} is truncated", evidence=f"a page ends at byte {max(ends)}, the file has {size} bytes"
            )
    return PagedArray(series)


def _axes(file: Any, series: Any) -> tuple[FileAxis, ...]:
    steps = _steps(file, series)
    letters = series.axes
    axes = []
    for letter, size in zip(letters, series.shape, strict=True):
        scale, offset, unit = steps.get(letter, (None, 0.0, ""))
        navigate = letter not in "YXS" if "Y" in letters and "X" in letters else None
        label = {"S": "channel", "C": "channel"}.get(letter, _AXES.get(letter, ""))
        axes.append(FileAxis(int(size), label, scale, offset, unit, navigate if letter != "S" else True))
    return tuple(axes)


def _steps(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    """Return (scale, offset, unit) by tifffile's letter of an axis, from whoever says it first."""
    for source in (_dm, _ome, _imagej, _fei, _resolution):
        steps = source(file, series)
        if steps:
            return steps
    return {}


def _dm(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    tags = series.keyframe.tags
    steps = {}
    for i, letter in enumerate("XY"):
        unit, scale = tags.get(_DM_UNIT + i), tags.get(_DM_SCALE + i)
        origin = tags.get(_DM_UNIT + 3 + i)
        if unit is not None and scale is not None and str(unit.value).strip("\0 "):
            # DigitalMicrograph counts the origin in samples
            start = -float(origin.value) * float(scale.value) if origin is not None else 0.0
            steps[letter] = (float(scale.value), start, str(unit.value).strip("\0 "))
    return steps


def _ome(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    if not file.is_ome or not file.ome_metadata:
        return {}
    import tifffile

    tree = tifffile.xml2dict(file.ome_metadata)
    image = tree.get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    steps = {}
    for letter in "XYZ":
        size = pixels.get(f"PhysicalSize{letter}")
        if size:
            steps[letter] = (float(size), 0.0, str(pixels.get(f"PhysicalSize{letter}Unit", "um")))
    return steps


def _imagej(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    held = file.imagej_metadata or {}
    unit = _escaped(str(held.get("unit") or ""))
    if not unit or unit.lower() in ("pixel", "pixels", "inch"):
        return {}
    steps = {}
    for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
        density = _ratio(series.keyframe.tags.get(name))
        if density:
            steps[letter] = (_plain(1 / density), 0.0, _escaped(str(held.get(f"{letter.lower()}unit") or unit)))
    if held.get("spacing"):
        steps["Z"] = (float(held["spacing"]), 0.0, _escaped(str(held.get("zunit") or unit)))
    if held.get("finterval"):
        steps["T"] = (float(held["finterval"]), 0.0, str(held.get("tunit") or "s"))
    return steps


def _fei(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    scan = (file.fei_metadata or {}).get("Scan") or {}
    width, height = scan.get("PixelWidth"), scan.get("PixelHeight")
    return {"X": (float(width), 0.0, "m"), "Y": (float(height), 0.0, "m")} if width and height else {}


def _resolution(file: Any, series: Any) -> dict[str, tuple[float, float, str]]:
    tags = series.keyframe.tags
    unit = tags.get("ResolutionUnit")
    metres = {2: 0.0254, 3: 0.01}.get(int(unit.value) if unit is not None else 2)
    steps = {}
    for letter, name in (("X", "XResolution"), ("Y", "YResolution")):
        density = _ratio(tags.get(name))
        if density and metres and metres / density < _LARGEST_PIXEL:
            steps[letter] = (_plain(metres / density * 1e9), 0.0, "nm")
    return steps if len(steps) == 2 else {}


def _metadata(file: Any) -> tuple[Record, dict[str, Any]]:
    record: Record = {}
    vendor: dict[str, Any] = {}
    for name in ("imagej_metadata", "fei_metadata", "ome_metadata", "sem_metadata", "sis_metadata", "tvips_metadata"):
        held = getattr(file, name, None)
        if held:
            vendor[name.removesuffix("_metadata")] = held
    if file.series:
        tags = file.series[0].keyframe.tags
        vendor["tags"] = {
            tag.name if not str(tag.name).isdigit() else f"tag_{tag.code}": tag.value
            for tag in tags
            if tag.name not in ("StripOffsets", "StripByteCounts", "TileOffsets", "TileByteCounts", "IJMetadata")
        }
        stamp = tags.get("DateTime")
        if stamp is not None and (when := _iso(str(stamp.value))):
            rec.put(record, "acquired_at", when)
    voltage = ((file.fei_metadata or {}).get("Beam") or {}).get("HV")
    if voltage:
        rec.put(record, "beam.energy", Quantity(_plain(float(voltage) / 1e3), "keV"))
    return record, vendor


def _iso(stamp: str) -> str | None:
    """Return TIFF's ``2019:03:29 17:02:55`` as ISO 8601."""
    day, _, clock = stamp.strip("\0 ").partition(" ")
    parts = day.replace("-", ":").split(":")
    return f"{'-'.join(parts)}T{clock}" if len(parts) == 3 and clock else None


def _ratio(tag: Any) -> float | None:
    if tag is None:
        return None
    value = tag.value
    top, bottom = value if isinstance(value, tuple) else (value, 1)
    return float(top) / float(bottom) if top and bottom else None


def _escaped(unit: str) -> str:
    """Return ImageJ's unit with its escaped letters written out."""
    return unit.replace("\\u00B5", "u").replace("\\u00b5", "u").replace("\\u00C5", "angstrom").strip("\0 ")


def _plain(number: float) -> float:
    return float(f"{number:.9g}")


READER = TiffReader("tiff")
