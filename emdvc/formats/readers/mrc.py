"""MRC: images, stacks and tilt series, with SerialEM's .mdoc, IMOD's .rawtlt and FEI's extended header.

Read by position; the header through mrcfile. The pixel size is the first of: .mdoc, FEI's extended header, the
header's cell. A cell of exactly 1 Å per voxel is the format's default and says nothing. Tilt angles are the first of:
.rawtlt, .mdoc, FEI's extended header.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emdvc.errors import FormatError
from emdvc.formats.arrays import BinaryArray, Squeezed
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers import mdoc
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.table import NativeReader, version_of
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

if TYPE_CHECKING:
    import numpy as np

_HEADER = 1024
_MODES = frozenset({0, 1, 2, 4, 6, 12})
#: Bytes and meaning of FEI's old extended header: 1024 records of 32 floats (Peters, FEI MRC2 file format).
_FEI_RECORD = 128
_FEI_FIELDS = (
    "a_tilt", "b_tilt", "x_stage", "y_stage", "z_stage", "x_shift", "y_shift", "defocus", "exp_time", "mean_int",
    "tilt_axis", "pixel_size", "magnification", "ht", "binning", "applied_defocus",
)  # fmt: skip
#: IMOD's stamp at byte 152, and its flag of signed bytes at byte 156.
_IMOD_STAMP = 1146047817


class MrcReader(NativeReader):
    """MRC2014 and its forebears."""

    def claims(self, path: Path) -> bool:
        """Say whether the header holds a plausible size and mode in either byte order, and an MRC extension or mark."""
        try:
            with path.open("rb") as file:
                head = file.read(_HEADER)
        except OSError:
            return False
        if len(head) < _HEADER or _order(head) is None:
            return False
        return head[208:211] == b"MAP" or path.suffix.lower() in self.extensions

    def unit(self, path: Path) -> tuple[Path, ...]:
        """Return the file with its .mdoc and .rawtlt, where they lie beside it."""
        return (path, *(p for p in (mdoc.path_of(path), tilts_path(path)) if p is not None))

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the file.

        Raises
        ------
        FormatError
            The file is truncated, or .rawtlt and .mdoc speak of another number of sections.
        """
        header, extended = _read_header(path)
        stored = _stored(header)
        nx, ny, nz = int(header.nx), int(header.ny), int(header.nz)
        offset = _HEADER + int(header.nsymbt)
        data = BinaryArray(path, (nz, ny, nx), stored, offset)
        try:
            fei = _fei(header, extended, nz)
            notes = mdoc.read(path)
            record: Record = {}
            _put_fei(record, fei)
            mdoc.put(record, notes)
            tilts = _tilts(path, notes, fei, nz)
            array: LazyArray = data if nz > 1 else Squeezed(data, [0])
            pixel = notes.pixel or _fei_pixel(fei) or _cell(header)
            axes = [FileAxis(n, name, pixel, unit="angstrom" if pixel else "") for n, name in ((ny, "y"), (nx, "x"))]
            dims: tuple[str, ...] = ("y", "x")
            if nz > 1:
                first, axis = _first(path, nz, tilts)
                axes, dims = [axis, *axes], (first, *dims)
            return assemble(
                [Found(path.stem, array, tuple(axes), dims=dims)],
                options=ReadOptions(),
                reader=f"mrc@mrcfile-{version_of('mrcfile')}",
                where=str(path),
                record=record,
                vendor=_vendor(header, extended, fei, notes),
                close=data.close,
            )
        except BaseException:
            data.close()
            raise


def tilts_path(path: Path) -> Path | None:
    """Return the .rawtlt of a file, or None."""
    beside = path.with_suffix(".rawtlt")
    return beside if beside.is_file() and beside != path else None


def _order(head: bytes) -> str | None:
    """Return the byte order in which a header makes sense: sizes and mode are small positive numbers."""
    import struct

    for order in "<>":
        nx, ny, nz, mode = struct.unpack(f"{order}4i", head[:16])
        if mode in _MODES and all(0 < n < 1 << 20 for n in (nx, ny, nz)):
            return order
    return None


def _read_header(path: Path) -> tuple[Any, bytes]:
    import mrcfile
    import numpy as np

    with path.open("rb") as file:
        head = file.read(_HEADER)
        order = _order(head) if len(head) == _HEADER else None
        if order is None:
            short = f"the file has {len(head)} bytes, the header alone {_HEADER}"
            raise FormatError(
                f"{path} is no MRC file, or is truncated",
                evidence=short if len(head) < _HEADER else "its header holds no plausible size and mode",
            )
        header = np.frombuffer(head, mrcfile.dtypes.HEADER_DTYPE.newbyteorder(order)).reshape(()).view(np.recarray)
        count = int(header.nsymbt)
        if count < 0 or count > path.stat().st_size:
            raise FormatError(f"{path} is truncated or no MRC file", evidence=f"its extended header has {count} bytes")
        return header, file.read(count)


def _stored(header: Any) -> np.dtype[Any]:
    import mrcfile
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stored = np.dtype(mrcfile.utils.dtype_from_mode(int(header.mode)))
    raw = header.tobytes()
    order = header.dtype["nx"].byteorder
    stamp = np.frombuffer(raw[152:160], np.dtype("i4").newbyteorder(order))
    # IMOD stores bytes as unsigned numbers unless it says otherwise, whatever MRC2014 says of mode 0
    if int(header.mode) == 0 and int(stamp[0]) == _IMOD_STAMP and not int(stamp[1]) & 1:
        stored = np.dtype("u1")
    ordered: np.dtype[Any] = stored.newbyteorder(order)
    return ordered


def _fei(header: Any, extended: bytes, nz: int) -> list[dict[str, float]]:
    """Return FEI's extended header, one mapping per section; empty where the file has none."""
    import numpy as np

    labels = b"".join(bytes(label) for label in header.label)
    if b"Fei Company" not in labels and b"FEI" not in labels:
        return []
    if len(extended) < _FEI_RECORD * nz or bytes(header.exttyp).strip(b"\0"):
        return []
    order = header.dtype["nx"].byteorder
    records = np.frombuffer(extended[: _FEI_RECORD * nz], np.dtype("f4").newbyteorder(order)).reshape(nz, 32)
    return [dict(zip(_FEI_FIELDS, (float(f"{v:.7g}") for v in row[:16]), strict=True)) for row in records]


def _fei_pixel(fei: list[dict[str, float]]) -> float | None:
    size = fei[0]["pixel_size"] if fei else 0.0
    return float(f"{size * 1e10:.7g}") if 0 < size < 1e-3 and math.isfinite(size) else None


def _put_fei(record: Record, fei: list[dict[str, float]]) -> None:
    if not fei:
        return
    first = fei[0]
    if first["ht"] > 1000:
        rec.put(record, "beam.energy", Quantity(float(f"{first['ht'] / 1e3:.7g}"), "keV"))
    if first["magnification"] > 0:
        rec.put(record, "optics.magnification", first["magnification"])
    if first["exp_time"] > 0:
        rec.put(record, "detector.exposure", Quantity(first["exp_time"], "s"))


def _cell(header: Any) -> float | None:
    """Return the header's pixel in angstrom; None where the cell is the default."""
    sizes = [
        float(header.cella[axis]) / int(header[f"m{axis}"]) if int(header[f"m{axis}"]) > 0 else 0.0 for axis in "xy"
    ]
    if any(not math.isfinite(size) or size <= 0 for size in sizes) or all(size == 1.0 for size in sizes):
        return None
    return float(f"{sizes[0]:.7g}")


def _tilts(path: Path, notes: mdoc.Mdoc, fei: list[dict[str, float]], nz: int) -> tuple[float, ...] | None:
    beside = tilts_path(path)
    if beside is not None:
        try:
            angles = tuple(float(word) for word in beside.read_text(encoding="utf-8", errors="replace").split())
        except ValueError as error:
            raise FormatError(f"{beside} is no list of tilt angles", evidence=str(error)) from error
        if len(angles) != nz:
            raise FormatError(
                f"{beside.name} does not belong to {path.name}",
                evidence=f"it lists {len(angles)} angles, the stack has {nz} sections",
                hint=f"correct or remove {beside.name}",
            )
        return angles
    angles = notes.angles or tuple(one["a_tilt"] for one in fei)
    if len(angles) != nz or max(angles) - min(angles) < 0.01:
        return None
    return angles


def _first(path: Path, nz: int, tilts: tuple[float, ...] | None) -> tuple[str, FileAxis]:
    if tilts is not None:
        return "tilt", FileAxis(nz, "tilt", unit="deg", values=tilts)
    if path.suffix.lower() in (".rec", ".map"):
        return "z", FileAxis(nz, "z")
    return "frame", FileAxis(nz, "frame")


def _columns(fei: list[dict[str, float]]) -> dict[str, Any]:
    """Return the sections' headers field by field; a field that is the same in all sections once."""
    columns = {name: [one[name] for one in fei] for name in _FEI_FIELDS}
    return {name: values[0] if len(set(values)) == 1 else values for name, values in columns.items()}


def _vendor(header: Any, extended: bytes, fei: list[dict[str, float]], notes: mdoc.Mdoc) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for name in header.dtype.names:
        if name in ("extra1", "extra2", "machst", "label", "cella", "cellb", "origin", "nstart"):
            continue
        value = header[name]
        held[name] = value.item() if hasattr(value, "item") and value.shape == () else value
    for name in ("cella", "cellb", "origin"):
        held[name] = [float(header[name][part]) for part in header[name].dtype.names]
    labels = (bytes(label).decode("latin-1").strip("\0 ") for label in header.label)
    held["label"] = [label for label in labels if label]
    vendor: dict[str, Any] = {"header": held}
    if extended:
        vendor["extended_header"] = _columns(fei) if fei else extended
    if notes.sections or notes.head:
        vendor["mdoc"] = {"head": notes.head, "titles": list(notes.titles), "sections": list(notes.sections)}
    return vendor


READER = MrcReader("mrc")
