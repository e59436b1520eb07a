"""A list of signal dictionaries, as RosettaSciIO's plugins return it -> variables, axes, record and vendor tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from emdvc.errors import FormatError
from emdvc.formats import hyperspy_tree
from emdvc.formats.contract import LazyArray, Opened, Variable
from emdvc.formats.dimensions import ANGLES, ENERGIES, LENGTHS, RECIPROCALS, TIMES, FileAxis, name_dimensions, settle
from emdvc.formats.readers.rosettasciio_mapping import mapped
from emdvc.formats.views import Squeezed, Transposed
from emdvc.model import units
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record
from emdvc.model.sidecar import calibrate, merge

#: Sections of the record that hold for the whole session, whichever signal of the file says them.
_SHARED = ("acquired_at", "beam", "instrument", "mode", "operator", "optics", "sample", "scan", "stage")
_KINDS = {"electron_diffraction": "diffraction", "diffraction": "diffraction", "EELS": "eels", "CL": "cl"}

ToArray = Callable[[Any, tuple[int, ...], int], LazyArray]


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal, its axes in the order of its array."""

    array: LazyArray
    axes: tuple[FileAxis, ...]
    metadata: Mapping[str, Any]
    original: Mapping[str, Any]
    signal_type: str

    @property
    def weight(self) -> int:
        """Bytes of the whole array: the heaviest signal is the main one."""
        size = self.array.dtype.itemsize
        for n in self.array.shape:
            size *= n
        return size


def to_opened(
    dictionaries: Sequence[Mapping[str, Any]], to_array: ToArray, notes: list[str], where: str = "the file"
) -> Opened:
    """Return what a plugin read, in emdvc's words; the largest signal comes first.

    Parameters
    ----------
    dictionaries
        The plugin's signals.
    to_array
        Makes a lazy array of a signal's data; called with the data, the shape and the number of navigation axes.
    notes
        What could not be understood is added here.
    where
        What an error calls the file.

    Raises
    ------
    FormatError
        There is no signal, or a signal's axes do not describe its array.
    """
    signals = sorted((_signal(d, to_array, notes, where) for d in dictionaries), key=lambda s: -s.weight)
    if not signals:
        raise FormatError(f"{where} holds no data", evidence="no signal, image or spectrum was found in it")
    record: Record = {}
    for number, signal in enumerate(signals):
        found = hyperspy_tree.to_record(signal.metadata, signal.original)
        record = merge({k: v for k, v in found.items() if number == 0 or k in _SHARED}, record)
    axes: dict[str, Axis] = {}
    variables: list[Variable] = []
    for signal in signals:
        dims = name_dimensions(signal.axes, signal.signal_type)
        name = _name(signal, dims, [v.name for v in variables], alone=len(signals) == 1)
        own: Record = {} if variables else record
        found_axes = settle(dims, signal.axes, own)
        if variables:
            dims, found_axes = _apart(name, dims, {d: calibrate(a, own) for d, a in found_axes.items()}, axes, record)
        axes.update(found_axes)
        unit = "counts" if "count" in str(_get(signal.metadata, "Signal", "quantity")).lower() else ""
        variables.append(Variable(name, dims, signal.array, unit))
    return Opened(tuple(variables), axes, record, _vendor(signals, variables))


def _signal(dictionary: Mapping[str, Any], to_array: ToArray, notes: list[str], where: str) -> Signal:
    metadata, original = mapped(dictionary, notes)
    described = list(dictionary["axes"])
    if all("index_in_array" in axis for axis in described):
        described.sort(key=lambda axis: int(axis["index_in_array"]))
    data = dictionary["data"]
    shape = tuple(int(n) for n in data.shape)
    if 0 in shape:
        raise FormatError(f"{where} holds no data", evidence=f"its shape is {shape}")
    if len(described) != len(shape):
        raise FormatError(
            f"the axes in {where} do not describe its array",
            evidence=f"{len(described)} axes for an array of shape {shape}",
        )
    signal_type = str(_get(metadata, "Signal", "signal_type") or "")
    if not signal_type and _diffracting(metadata, original):
        signal_type = "diffraction"
    axes = [_axis(axis, n, signal_type, notes) for axis, n in zip(described, shape, strict=True)]
    order = _order(axes, spectra=len(dictionary.get("post_process") or ()) > 1)
    array = to_array(data, shape, sum(axis.navigate is True for axis in axes))
    if order != tuple(range(len(shape))):
        array = Transposed(array, order)
        core = 1 if len(dictionary.get("post_process") or ()) > 1 else 2
        axes = [replace(axes[i], navigate=place < len(order) - core) for place, i in enumerate(order)]
    single = [i for i, axis in enumerate(axes) if axis.size == 1]
    if single and len(single) < len(axes):
        array = Squeezed(array, single)
        axes = [axis for axis in axes if axis.size != 1]
    return Signal(array, tuple(axes), metadata, original, signal_type)


def _axis(axis: Mapping[str, Any], size: int, signal_type: str, notes: list[str]) -> FileAxis:
    name = str(axis.get("name") or "")
    unit = str(axis.get("units") or "").strip()
    if written := re.search(r"\(([^()]+)\)$", unit):  # EnergyLoss(eV)
        unit = written[1]
    unit = "" if unit in ("<undefined>", "None", "1", "[]", "pix") else units.normalise(unit)
    if unit and not _known(unit):
        notes.append(f"the unit '{unit}' of the axis '{name}' is unknown: the axis is left uncalibrated")
        return FileAxis(size, name, navigate=bool(axis.get("navigate", False)))
    diffraction = "diffraction" in signal_type.lower()
    lengths = unit in LENGTHS and unit != "cm"
    if name.lower() in ("stack", "z"):
        name = "frame"
    elif not axis.get("navigate", False) and ((diffraction and name in ("y", "x")) or (lengths and name[:1] == "d")):
        name = ""  # named after the array, not after what it is: units and signal type know better
    return FileAxis(
        size,
        name,
        float(axis.get("scale", 1.0) or 1.0),
        float(axis.get("offset", 0.0) or 0.0),
        unit,
        bool(axis.get("navigate", False)),
    )


def _known(unit: str) -> bool:
    return unit in (LENGTHS | RECIPROCALS | ANGLES | ENERGIES | TIMES | {"px", "deg", "K"}) or units.known(unit)


def _order(axes: Sequence[FileAxis], spectra: bool) -> tuple[int, ...]:
    """Return the order of axes that puts the scan first.

    DigitalMicrograph keeps the energy of a spectrum image slowest (the plugin then asks HyperSpy for ``to_signal1D``,
    the first of two post-processing steps), and an older 4D-STEM scan with the detector slowest, which only units tell.
    """
    plain = tuple(range(len(axes)))
    if spectra:
        return (*plain[1:], 0)
    if len(axes) == 4:
        first, last = ({axis.spelt for axis in pair} for pair in (axes[:2], axes[2:]))
        if first <= RECIPROCALS | ANGLES and last <= LENGTHS:
            return (2, 3, 0, 1)
    return plain


def _diffracting(metadata: Mapping[str, Any], original: Mapping[str, Any]) -> bool:
    """Say whether a Gatan camera took a diffraction pattern. In STEM the projector always shows diffraction."""
    tags = _get(original, "ImageList", "TagGroup0", "ImageTags", "Microscope Info") or {}
    return (
        isinstance(tags, Mapping)
        and tags.get("Imaging Mode") == "DIFFRACTION"
        and "STEM" not in str(tags.get("Illumination Mode"))
        and not _get(metadata, "Signal", "signal_type")
    )


def _name(signal: Signal, dims: tuple[str, ...], taken: Sequence[str], alone: bool) -> str:
    """Return what a signal is called: its kind (eds, eels, diffraction), else its title where there are several."""
    kind = _KINDS.get(signal.signal_type, "eds" if signal.signal_type.startswith("EDS") else "")
    kind = "diffraction" if not kind and dims[-2:] == ("ky", "kx") else kind
    title = re.sub(r"[^0-9a-z]+", "_", str(_get(signal.metadata, "General", "title") or "").lower()).strip("_")
    plain = {1: "spectrum", 2: "image"}.get(sum(axis.navigate is False for axis in signal.axes), "data")
    name = kind or plain if alone or not title else kind or title[:40].strip("_")
    name = name if name[:1].isalpha() else f"{plain}_{name}"
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _apart(
    name: str, dims: tuple[str, ...], found: dict[str, Axis], known: Mapping[str, Axis], record: Record
) -> tuple[tuple[str, ...], dict[str, Axis]]:
    """Return a further signal's dimensions; one that differs from the dimension of that name gets a suffix."""
    renamed: dict[str, str] = {}
    axes: dict[str, Axis] = {}
    for dim in dims:
        axis, other = replace(found[dim], calibration=None), known.get(dim)
        if other is not None and _alike(axis, calibrate(other, record)):
            renamed[dim], axes[dim] = dim, other
            continue
        renamed[dim] = dim if other is None else f"{dim}_{name}"
        axes[renamed[dim]] = replace(axis, dim=renamed[dim])
    return tuple(renamed[dim] for dim in dims), axes


def _alike(one: Axis, other: Axis) -> bool:
    """Say whether two axes are one: size and step agree. A scan's origin is arbitrary and is not compared."""
    if one.size != other.size or one.values != other.values:
        return False
    if one.scale is None or other.scale is None:
        return one.scale is other.scale
    if not one.scale.same(other.scale, rtol=1e-6):
        return False
    if one.role != other.role:
        return True
    return _start(one).same(_start(other), rtol=1e-6)


def _start(axis: Axis) -> Quantity:
    return axis.offset if axis.offset is not None else Quantity(0.0, axis.unit)


def _vendor(signals: Sequence[Signal], variables: Sequence[Variable]) -> dict[str, Any]:
    """Return the main signal's tree, and under ``signals`` what the others' say differently."""
    from emdvc.formats.describe import plain

    trees = [plain(signal.original) for signal in signals]
    vendor = dict(trees[0]) if isinstance(trees[0], dict) else {"original": trees[0]}
    others = {v.name: d for v, t in zip(variables[1:], trees[1:], strict=True) if (d := _different(t, trees[0]))}
    if others:
        vendor["signals"] = others
    return vendor


def _different(tree: Any, other: Any) -> Any:
    if not isinstance(tree, dict) or not isinstance(other, dict):
        return None if tree == other else tree
    found = {key: _different(node, other[key]) if key in other else node for key, node in tree.items()}
    return {key: node for key, node in found.items() if node is not None and node != {}}


def _get(tree: Any, *path: str) -> Any:
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            return None
        tree = tree[part]
    return tree
