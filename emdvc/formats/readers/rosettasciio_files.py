"""How the files of instruments are recognised, and which files make one set. Standard library only, but for HDF5."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

_HEAD = 4096


def head(path: Path, size: int = _HEAD) -> bytes:
    """Return the first bytes of a file; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def starts(offset: int, magic: bytes) -> Callable[[Path], bool]:
    """Return the test for a file that holds some bytes at some place."""

    def claims(path: Path) -> bool:
        return head(path, offset + len(magic))[offset:] == magic

    return claims


def is_digitalmicrograph(path: Path) -> bool:
    """Say whether a file starts as DigitalMicrograph's do: version 3 or 4, then 0 or 1 for the byte order of tags."""
    first = head(path, 16)
    if len(first) < 16:
        return False
    version = struct.unpack(">I", first[:4])[0]
    order = first[8:12] if version == 3 else first[12:16]
    return version in (3, 4) and order in (b"\0\0\0\0", b"\0\0\0\1")


def is_velox(path: Path) -> bool:
    """Say whether an HDF5 file is Velox's: its ``Version`` is a JSON text that names Velox or its developers' kit."""
    if head(path, 8) != b"\x89HDF\r\n\x1a\n":
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            version = file.get("Version")
            text = bytes(version[0]).decode("utf-8", "replace") if isinstance(version, h5py.Dataset) else ""
    except Exception:  # a claim never raises; what is wrong with the file is said when it is opened
        return False
    return '"Velox"' in text or '"DevelopersKit"' in text


def is_tia(path: Path) -> bool:
    """Say whether a file is TIA's: a .ser starts with II and 0x0197; an .emi has ``<ObjectInfo>`` and its .ser."""
    if path.suffix.lower() == ".emi":
        try:
            return b"<ObjectInfo>" in path.read_bytes() and any(_sers(path))
        except OSError:
            return False
    return head(path, 4) == b"II\x97\x01"


def is_empad(path: Path) -> bool:
    """Say whether an XML file is EMPAD's: it names a raw file and the frames or probe positions in it."""
    text = head(path, 1 << 16)
    return b"<raw_file" in text and (b"pix_x" in text or b"series_count" in text or b"scan_" in text)


def is_tvips(path: Path) -> bool:
    """Say whether a file is the first of a TVIPS set: a header of 256 bytes, version 1 or 2, 8 or 16 bits a pixel."""
    first = head(path, 20)
    if len(first) < 20:
        return False
    size, version, width, height, bits = struct.unpack("<5I", first)
    return 52 <= size <= 4096 and version in (1, 2) and bits in (8, 16, 32) and 0 < width < 65536 and 0 < height < 65536


def is_bruker(path: Path) -> bool:
    """Say whether a file is Bruker's: an SFS container (.bcf), or the XML of a spectrum (.spx)."""
    first = head(path)
    return first.startswith(b"AAMVHFSS") or (path.suffix.lower() == ".spx" and b"TRTSpectrum" in first)


def is_jeol(path: Path) -> bool:
    """Say whether a file is of JEOL's Analysis Station, by the text after its first number."""
    first = head(path, 64)
    match path.suffix.lower():
        case ".asw":
            return first.startswith(b"\0\0\0\0") and b"FileType" in first
        case ".pts":
            return first[:4] == b"\x30\x01\0\0" and first[4:12] == b"PTTDFILE"
        case ".img" | ".map":
            return first[:4] == b"\x34\0\0\0" and first[4:8] == b"JED-"
        case ".eds":
            return first[:8] == b"\x02\0\0\0\x02\0\0\0"
    return False


def is_edax(path: Path) -> bool:
    """Say whether a file is EDAX's: .spd and .lsd say so; of .spc, a table of numbers, only the size can be told."""
    if path.suffix.lower() == ".spc":
        return path.is_file() and path.stat().st_size > 3840 + 4 * 1024
    return head(path, 15) == b"MAPSPECTRA_DATA"


def is_ripple(path: Path) -> bool:
    """Say whether a file is a ripple header: lines of a keyword, a tab and a value, and the .raw beside it."""
    text = head(path).decode("latin-1", "replace").lower()
    return all(re.search(rf"^{key}\t", text, re.MULTILINE) for key in ("width", "height", "depth", "data-type"))


def alone(path: Path) -> tuple[Path, ...]:
    """Return the set of a format of single files."""
    return (path,)


def beside(*suffixes: str) -> Callable[[Path], tuple[Path, ...]]:
    """Return the finder for sets of files with one stem and different extensions."""

    def unit(path: Path) -> tuple[Path, ...]:
        same = (p for p in _siblings(path) if p.stem == path.stem and p.suffix.lower() in suffixes)
        return _first(path, same)

    return unit


def tia_set(path: Path) -> tuple[Path, ...]:
    """Return the .emi and every ``stem_N.ser`` of it; of a .ser without .emi only itself."""
    if path.suffix.lower() == ".emi":
        return _first(path, _sers(path))
    stem = re.sub(r"_\d+$", "", path.stem)
    emi = next((p for p in _siblings(path) if p.suffix.lower() == ".emi" and p.stem == stem), None)
    return (path,) if emi is None else _first(path, [emi, *_sers(emi)])


def _sers(emi: Path) -> list[Path]:
    named = re.compile(rf"{re.escape(emi.stem)}_\d+")
    return [p for p in _siblings(emi) if p.suffix.lower() == ".ser" and named.fullmatch(p.stem)]


def empad_set(path: Path) -> tuple[Path, ...]:
    """Return the .xml and the .raw that it names."""
    found = re.search(rb'<raw_file[^>]*filename="([^"]+)"', head(path, 1 << 16))
    if found is None:
        return (path,)
    # older versions name the whole path on the detector's computer
    name = re.split(r"[\\/]", found.group(1).decode("utf-8", "replace"))[-1]
    return _first(path, [path.with_name(name)])


def tvips_set(path: Path) -> tuple[Path, ...]:
    """Return ``stem_000.tvips`` and the files that continue it."""
    numbered = re.fullmatch(r"(.*_)(\d{3})", path.stem)
    if numbered is None:
        return (path,)
    parts = re.compile(rf"{re.escape(numbered.group(1))}\d{{3}}")
    same = [p for p in _siblings(path) if parts.fullmatch(p.stem) and p.suffix.lower() == ".tvips"]
    return _first(path, same)


def jeol_set(path: Path) -> tuple[Path, ...]:
    """Return an .asw with every file that it names below its folder; another file of the family is one by itself."""
    if path.suffix.lower() != ".asw":
        return (path,)
    named = re.findall(rb"[\w .\-]+(?:\\[\w .\-]+)+\.\w{3}", _all(path))
    files = (path.parent.joinpath(*name.decode("latin-1").split("\\")) for name in dict.fromkeys(named))
    return _first(path, files)


def _all(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _siblings(path: Path) -> list[Path]:
    try:
        return sorted(p for p in path.parent.iterdir() if p.is_file())
    except OSError:
        return []


def _first(path: Path, others: Iterable[Path]) -> tuple[Path, ...]:
    files = [p for p in others if p != path and p.is_file()]
    return (path, *dict.fromkeys(files))
