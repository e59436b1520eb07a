"""Dectris ARINA, QUADRO, EIGER: a NeXus master, its data files beside it, and the STEM software's own small file.

Read by h5py with the compressors of hdf5plugin. Frames follow one another; the scan shape is the STEM file's
(``NumPixelsY, NumPixelsX``), else (triggers, images per trigger) where both are more than one, else unknown: the frames
are then a stack, and ``--scan-shape`` makes them a scan.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from emdvc.errors import FormatError
from emdvc.formats.arrays import Hdf5Array, Joined, Reshaped
from emdvc.formats.contract import LazyArray, Opened, ReadOptions
from emdvc.formats.dimensions import FileAxis
from emdvc.formats.readers.assemble import Found, assemble
from emdvc.formats.readers.hdf5_tree import open_hdf5, text, tree
from emdvc.formats.readers.table import NativeReader, version_of
from emdvc.model import record as rec
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

_DATA = re.compile(r"^data_(\d+)$")
_PART = re.compile(r"^(?P<stem>.+)_data_\d+\.h5$")
_DETECTOR = "entry/instrument/detector"
#: Below it a "photon energy" is that of an X-ray detector's default settings, not of the microscope's electrons.
_ELECTRONS_EV = 20e3


class DectrisReader(NativeReader):
    """Dectris masters."""

    def claims(self, path: Path) -> bool:
        """Say whether the file is a Dectris master, or a data file with its master beside it."""
        if path.suffix.lower() != ".h5" or not path.is_file():
            return False
        try:
            import h5py

            master = _master(path)
            if not master.is_file() or not h5py.is_hdf5(master):
                return False
            with h5py.File(master, "r") as file:
                held = file.get(_DETECTOR)
                return held is not None and "entry/data" in file and "detectorSpecific" in held
        except (ImportError, OSError, RuntimeError, KeyError):
            return False

    def unit(self, path: Path) -> tuple[Path, ...]:
        """Return master, data files that it links to, and the STEM file, those of them that are there."""
        master = _master(path)
        files = [master]
        with open_hdf5(master) as file:
            files += [target for target, _ in _targets(file, master) if target is not None and target != master]
        stem = _stem_file(master)
        if stem.is_file():
            files.append(stem)
        here = list(dict.fromkeys(p for p in files if p.is_file()))
        return (path, *(p for p in here if p != path))

    def open(self, path: Path, options: ReadOptions) -> Opened:
        """Open the set that a master names.

        Raises
        ------
        FormatError
            A data file that the master names is missing or truncated.
        """
        master = _master(path)
        opened = [open_hdf5(master)]

        def close() -> None:
            for file in opened:
                file.close()

        try:
            array = _frames(opened, master)
            record, vendor = _record(opened[0]), tree(opened[0])
            stem = _stem(master)
            if stem:
                vendor["STEM Metadata"] = stem
                _microscope(record, stem)
            shape = None if options.scan_shape else _scan_shape(opened[0], stem, array.shape[0])
            array = Reshaped(array, shape) if shape else array
            dims = ("y", "x", "ky", "kx") if shape else ("frame", "ky", "kx")
            found = Found("data", array, tuple(FileAxis(n) for n in array.shape), "counts", dims=dims)
            return assemble(
                [found],
                options=ReadOptions(),
                reader=f"dectris@h5py-{version_of('h5py')}",
                where=str(path),
                record=record,
                vendor=vendor,
                close=close,
            )
        except BaseException:
            close()
            raise


def _master(path: Path) -> Path:
    match = _PART.match(path.name)
    return path.with_name(f"{match['stem']}_master.h5") if match else path


def _stem_file(master: Path) -> Path:
    return master.with_name(master.name.removesuffix("_master.h5") + ".h5")


def _targets(file: Any, master: Path) -> list[tuple[Path | None, str]]:
    """Return (data file, path in it) of each part in order; the file is None for what the master holds itself.

    A link names its file as it was called when written, beside the master; it never leads out of the master's folder.
    """
    import h5py

    group = file["entry/data"]
    parts: list[tuple[Path | None, str]] = []
    for name in sorted((n for n in group if _DATA.match(n)), key=lambda n: int(n.removeprefix("data_"))):
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            parts.append((_beside(master, Path(link.filename).name), link.path))
        else:
            parts.append((None, f"/entry/data/{name}"))
    if not parts and "data" in group:
        parts.append((None, "/entry/data/data"))
    return parts


def _beside(master: Path, name: str) -> Path:
    written = master.with_name(name)
    match = _PART.match(name)
    if written.is_file() or match is None:
        return written
    # the whole set was renamed
    renamed = master.with_name(master.name.removesuffix("_master.h5") + name.removeprefix(match["stem"]))
    return renamed if renamed.is_file() else written


def _frames(opened: list[Any], master: Path) -> LazyArray:
    parts: list[LazyArray] = []
    for target, inner in _targets(opened[0], master):
        if target is None:
            parts.append(Hdf5Array(opened[0][inner]))
            continue
        if not target.is_file():
            raise FormatError(
                f"{master} names a data file that is not there",
                evidence=f"{target.name} is missing",
                hint="the files of a set belong together: copy all of them",
            )
        file = open_hdf5(target)
        opened.append(file)
        if file.get(inner) is None:
            raise FormatError(f"{target} lacks the frames that {master.name} names", evidence=f"there is no {inner}")
        parts.append(Hdf5Array(file[inner]))
    if not parts or len(parts[0].shape) != 3:
        shape = parts[0].shape if parts else "no data"
        raise FormatError(f"{master} names no stack of frames", evidence=f"under entry/data: {shape}")
    return Joined(parts) if len(parts) > 1 else parts[0]


def _value(file: Any, name: str) -> Any:
    node = file.get(f"{_DETECTOR}/{name}")
    if node is None or node.shape not in ((), (1,)):
        return None
    value = node[()]
    value = value.item() if hasattr(value, "item") else value
    return text(value) if isinstance(value, bytes | str) else value


def _record(file: Any) -> Record:
    record: Record = {}

    def put(key: str, value: Any, unit: str = "", scale: float = 1.0) -> None:
        if value not in (None, ""):
            rec.put(record, key, Quantity(float(f"{value * scale:.12g}"), unit) if unit else value)

    put("detector.name", _value(file, "description"))
    put("detector.type", _value(file, "sensor_material"))
    put("detector.exposure", _value(file, "count_time"), "s")
    put("detector.bit_depth", _value(file, "bit_depth_readout"))
    put("detector.saturation", _value(file, "saturation_value"))
    put("detector.threshold", _threshold(file), "keV", 1e-3)
    put("detector.pixel_pitch", _value(file, "x_pixel_size"), "um", 1e6)
    put("scan.dwell", _value(file, "frame_time"), "s")
    put("acquired_at", _value(file, "detectorSpecific/data_collection_date"))
    energy = _value(file, "detectorSpecific/photon_energy") or _value(file, "detectorSpecific/incident_energy")
    if energy and energy >= _ELECTRONS_EV:
        put("beam.energy", energy, "keV", 1e-3)
    for key, array, applied in (
        ("detector.gain", "flatfield", "flatfield_correction_applied"),
        ("detector.mask", "pixel_mask", "pixel_mask_applied"),
    ):
        node = file.get(f"{_DETECTOR}/detectorSpecific/{array}")
        if node is not None and node.shape:
            rec.put(record, key, _reference(node, _value(file, applied)))
    center = _value(file, "beam_center_y"), _value(file, "beam_center_x")
    if any(center) and None not in center:
        rec.put(record, "diffraction.center", Quantity((float(center[0]), float(center[1])), "px"))
    return record


def _reference(node: Any, applied: Any) -> dict[str, Any]:
    from emdvc.formats.digest import array_digest

    known = {"file": node.name.lstrip("/"), "sha256": array_digest(node[()]).rpartition(":")[2]}
    return known if applied is None else {**known, "applied": bool(applied)}


def _threshold(file: Any) -> Any:
    value = _value(file, "threshold_energy")
    return value if value is not None else _value(file, "detectorSpecific/threshold/1/energy")


def _stem(master: Path) -> dict[str, Any]:
    """Return the attributes of the STEM software's file: scan shape, high tension, camera length."""
    import h5py

    path = _stem_file(master)
    if path == master or not path.is_file() or not h5py.is_hdf5(path):
        return {}
    with open_hdf5(path) as file:
        group = file.get("STEM Metadata")
        if group is None:
            return {}
        held = {str(name): group.attrs[name] for name in group.attrs}
    return {name: value.item() if getattr(value, "size", 0) == 1 else value for name, value in held.items()}


def _microscope(record: Record, stem: dict[str, Any]) -> None:
    """Put what the STEM file knows; its zeros mean that nobody told it."""
    for name, key, unit, scale in (
        ("High Tension", "beam.energy", "keV", 1e-3),
        ("Camera Length", "optics.camera_length", "mm", 1e3),
    ):
        if stem.get(name):
            rec.put(record, key, Quantity(float(f"{stem[name] * scale:.12g}"), unit))
    if stem.get("Magnification"):
        rec.put(record, "optics.magnification", float(stem["Magnification"]))
    rec.put(record, "mode", "STEM")
    if "Rotation" in stem:
        rec.put(record, "scan.rotation", Quantity(float(stem["Rotation"]), "deg"))


def _scan_shape(file: Any, stem: dict[str, Any], frames: int) -> tuple[int, int] | None:
    ny, nx = int(stem.get("NumPixelsY") or 0), int(stem.get("NumPixelsX") or 0)
    if ny * nx == frames and frames:
        return ny, nx
    triggers = int(_value(file, "detectorSpecific/ntrigger") or 0)
    images = int(_value(file, "detectorSpecific/nimages") or 0)
    return (triggers, images) if triggers > 1 and images > 1 and triggers * images == frames else None


READER = DectrisReader("dectris")
