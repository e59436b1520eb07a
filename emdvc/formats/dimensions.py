"""From the axes that a file describes to emdvc's dimensions: names, roles, and where each calibration is kept.

A file names its axes as its maker liked (``qx``, ``scanX``, ``z``, nothing at all). What an axis is follows, in this
order, from what the file says is navigated (HyperSpy's word for probe positions), from units, from names, and last from
the number of axes: four are ``y, x, ky, kx``; three ``frame, ky, kx`` (``y, x, energy`` where the last is an energy);
two an image ``y, x``; one a spectrum. ``ReadOptions.dims`` overrules all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emdvc.model import record as rec
from emdvc.model import units
from emdvc.model.axis import CALIBRATED_BY, Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

LENGTHS = frozenset({"m", "mm", "um", "nm", "pm", "angstrom", "cm"})
RECIPROCALS = frozenset({"1/angstrom", "1/nm", "1/pm", "1/um", "1/m"})
ANGLES = frozenset({"mrad", "rad", "urad"})
ENERGIES = frozenset({"eV", "keV", "meV", "MeV"})
TIMES = frozenset({"s", "ms", "us", "ns"})

#: Files' names for axes, in lower case -> emdvc's dimension.
_NAMES = {
    "y": "y", "x": "x", "ky": "ky", "kx": "kx", "energy": "energy", "k": "k", "tilt": "tilt", "time": "time",
    "frame": "frame", "ry": "y", "rx": "x", "r_y": "y", "r_x": "x", "scany": "y", "scanx": "x", "scan_y": "y",
    "scan_x": "x", "height": "y", "width": "x", "qy": "ky", "qx": "kx", "q_y": "ky", "q_x": "kx", "k_y": "ky",
    "k_x": "kx", "dety": "ky", "detx": "kx", "det_y": "ky", "det_x": "kx", "dy": "ky", "dx": "kx", "sig_y": "ky",
    "sig_x": "kx", "nav_y": "y", "nav_x": "x", "energy loss": "energy", "energy-loss": "energy", "e": "energy",
    "photon energy": "energy", "x-ray energy": "energy", "scattering vector": "k", "q": "k", "angle": "tilt",
    "tilt angle": "tilt", "tilts": "tilt", "alpha": "tilt", "t": "time", "frames": "frame", "index": "frame",
    "z (stack)": "frame",
}  # fmt: skip
_ROLES = {
    "ky": Role.DETECTOR, "kx": Role.DETECTOR, "energy": Role.SPECTRUM, "k": Role.SPECTRUM, "tilt": Role.STACK,
    "time": Role.STACK, "frame": Role.STACK,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileAxis:
    """An axis as a file describes it.

    Parameters
    ----------
    size
        Number of samples.
    name, unit
        As the file spells them; empty where it says nothing.
    scale
        Step between samples; None where the file says nothing.
    offset
        Coordinate of sample 0, in `unit`.
    navigate
        Whether it runs over probe positions or exposures; None where the file does not say.
    values
        All coordinates, where they are not evenly spaced.
    """

    size: int
    name: str = ""
    scale: float | None = None
    offset: float = 0.0
    unit: str = ""
    navigate: bool | None = None
    values: tuple[float, ...] | None = None

    @property
    def spelt(self) -> str:
        """The unit in emdvc's spelling."""
        return units.normalise(self.unit)

    @property
    def meant(self) -> str | None:
        """The dimension that the name stands for, or None."""
        return _NAMES.get(self.name.strip().lower())


def even(values: Sequence[float], unit: str, **known: object) -> FileAxis:
    """Return an axis by its coordinates: evenly spaced when they are, to 1e-6 of a step (files keep rounded floats)."""
    numbers = [float(v) for v in values]
    count = len(numbers)
    axis = FileAxis(count, unit=unit, **known)  # type: ignore[arg-type]
    if count < 2 or not all(map(math.isfinite, numbers)):
        return replace(axis, offset=numbers[0] if count == 1 and math.isfinite(numbers[0]) else 0.0)
    step = (numbers[-1] - numbers[0]) / (count - 1)
    near = 1e-6 * abs(step) + 4e-7 * max(abs(numbers[0]), abs(numbers[-1]))
    if step != 0 and all(abs(v - (numbers[0] + i * step)) <= near for i, v in enumerate(numbers)):
        return replace(axis, scale=_plain(step), offset=numbers[0])
    return replace(axis, values=tuple(numbers))


def name_dimensions(axes: Sequence[FileAxis], signal_type: str = "") -> tuple[str, ...]:
    """Return the dimension of each axis, slowest first; all differ.

    Parameters
    ----------
    axes
        As the file describes them, slowest first.
    signal_type
        What the file calls its signal, such as HyperSpy's ``electron_diffraction``.
    """
    meant = [axis.meant for axis in axes]
    if all(meant) and len(set(meant)) == len(meant) and not _mistaken(axes):
        return tuple(name for name in meant if name)
    signal = _signal_axes(axes)
    navigation = [i for i in range(len(axes)) if i not in signal]
    names: dict[int, str] = {}
    core = _core([axes[i] for i in signal], len(navigation), signal_type)
    names.update(zip(signal, core, strict=True))
    names.update(zip(navigation, _navigation([axes[i] for i in navigation], core), strict=True))
    ordered: list[str] = []
    for i in range(len(axes)):
        name = names[i]
        ordered.append(name if name not in ordered else f"{name}_{i}")
    return tuple(ordered)


def role_of(dim: str, dims: Sequence[str]) -> Role:
    """Return what a dimension runs over, next to the others of its array: ``y, x`` alone are an image, else a scan."""
    if dim in _ROLES:
        return _ROLES[dim]
    if dim in ("y", "x"):
        return Role.SCAN if any(core in dims for core in ("ky", "kx", "energy", "k")) else Role.IMAGE
    return Role.STACK


def settle(
    dims: Sequence[str], axes: Sequence[FileAxis], record: Record, among: Sequence[str] | None = None
) -> dict[str, Axis]:
    """Return emdvc's axes; a calibration that the record holds (scan step, diffraction pixel) is put there.

    A detector offset becomes ``diffraction.center``; a scan's offset is an arbitrary origin and stays in the vendor's
    metadata.

    Parameters
    ----------
    dims, axes
        Of one array, slowest first.
    record
        Changed in place, only where it is silent.
    among
        All dimensions of the dataset, where it holds more arrays: an image beside a scan lies on the scan's positions.
    """
    found: dict[str, Axis] = {}
    for dim, axis in zip(dims, axes, strict=True):
        role = role_of(dim, among or dims)
        key = CALIBRATED_BY.get((role, dim))
        if key is not None:
            found[dim] = Axis(dim, axis.size, role, calibration=key)
        else:
            found[dim] = _own(dim, role, axis)
    by_dim = dict(zip(dims, axes, strict=True))
    for key, pair, allowed in (
        ("scan.step", ("y", "x"), LENGTHS),
        ("diffraction.pixel_size", ("ky", "kx"), RECIPROCALS | ANGLES),
    ):
        here = [by_dim[dim] for dim in pair if dim in by_dim and found[dim].calibration == key]
        _calibrate(record, key, here, allowed)
    return found


def _own(dim: str, role: Role, axis: FileAxis) -> Axis:
    unit = axis.spelt
    if axis.values is not None:
        return Axis(dim, axis.size, role, values=Quantity(axis.values, unit or "px"))
    plain = axis.scale in (None, 1.0) and unit in ("", "px")
    if plain or axis.scale is None or axis.scale == 0 or not math.isfinite(axis.scale):
        return Axis(dim, axis.size, role)
    offset = axis.offset if math.isfinite(axis.offset) else 0.0
    return Axis(dim, axis.size, role, scale=Quantity(axis.scale, unit), offset=Quantity(offset + 0.0, unit))


def _calibrate(record: Record, key: str, axes: list[FileAxis], allowed: frozenset[str]) -> None:
    if not axes or rec.get(record, key) is not None:
        return
    unit = axes[0].spelt
    if unit not in allowed or any(axis.spelt not in allowed or not axis.scale for axis in axes):
        return
    if len({axis.spelt for axis in axes}) > 1 and not all(units.compatible(axis.spelt, unit) for axis in axes):
        return
    steps = [_step(axis, unit) for axis in axes]
    if key == "scan.step":
        rec.put(record, key, Quantity((steps[0], steps[-1]), unit))
        return
    same = math.isclose(steps[0], steps[-1], rel_tol=1e-6)
    rec.put(record, key, Quantity(steps[0] if same else (steps[0], steps[-1]), unit))
    if len(axes) == 2 and any(axis.offset for axis in axes) and rec.get(record, "diffraction.center") is None:
        center = tuple(_plain(-axis.offset / (axis.scale or 1.0)) for axis in axes)
        rec.put(record, "diffraction.center", Quantity(center, "px"))


def _step(axis: FileAxis, unit: str) -> float:
    factor = units.factor(axis.spelt, unit)
    scale = abs(axis.scale or 0.0)
    return scale if factor == 1.0 else _plain(scale * factor)


def _signal_axes(axes: Sequence[FileAxis]) -> list[int]:
    if any(axis.navigate is not None for axis in axes):
        return [i for i, axis in enumerate(axes) if axis.navigate is False]
    count = len(axes)
    if count and (axes[-1].spelt in ENERGIES or axes[-1].meant in ("energy", "k")):
        return [count - 1]
    return [count - 1] if count == 1 else list(range(max(0, count - 2), count))


def _core(signal: Sequence[FileAxis], navigated: int, signal_type: str) -> list[str]:
    if len(signal) == 2:
        diffraction = (
            "diffraction" in signal_type.lower()
            or any(axis.spelt in RECIPROCALS | ANGLES for axis in signal)
            or {axis.meant for axis in signal} == {"ky", "kx"}
            or (navigated >= 2 and not any(axis.spelt in LENGTHS for axis in signal))
            or (navigated == 1 and all(axis.navigate is None for axis in signal) and not _real(signal))
        )
        names = ["ky", "kx"] if diffraction else ["y", "x"]
        flipped = signal[0].meant in ("kx", "x") and signal[1].meant in ("ky", "y")
        return names[::-1] if flipped else names
    if len(signal) == 1:
        (axis,) = signal
        if axis.spelt in ENERGIES or axis.meant == "energy":
            return ["energy"]
        if axis.spelt in RECIPROCALS | ANGLES or axis.meant == "k":
            return ["k"]
        if axis.spelt in TIMES:
            return ["time"]
        return [axis.meant if axis.meant in ("x", "y", "tilt", "frame") and not navigated else "energy"]
    return [axis.meant or f"axis{i}" for i, axis in enumerate(signal)]


def _real(signal: Sequence[FileAxis]) -> bool:
    return any(axis.spelt in LENGTHS for axis in signal) or {axis.meant for axis in signal} == {"y", "x"}


def _navigation(axes: Sequence[FileAxis], core: Sequence[str]) -> list[str]:
    count = len(axes)
    if count >= 2:
        plane = ["x", "y"] if axes[-2].meant == "x" and axes[-1].meant == "y" else ["y", "x"]
        if "y" in core or "x" in core:
            return [_stacked(axis) for axis in axes]
        return [*(_stacked(axis) for axis in axes[:-2]), *plane]
    if count == 1:
        axis = axes[0]
        if "x" not in core and (axis.spelt in LENGTHS or axis.meant in ("x", "y")):
            return [axis.meant if axis.meant in ("x", "y") else "x"]
        if core == ["energy"] and axis.meant is None and axis.spelt not in TIMES | {"deg"}:
            return ["x"]
        return [_stacked(axis)]
    return []


def _stacked(axis: FileAxis) -> str:
    if axis.meant in ("tilt", "time", "frame"):
        return axis.meant
    if axis.spelt == "deg":
        return "tilt"
    return "time" if axis.spelt in TIMES else "frame"


def _mistaken(axes: Sequence[FileAxis]) -> bool:
    """Say whether a unit contradicts a name: ``x`` in 1/nm is no position."""
    return any(axis.meant in ("y", "x") and axis.spelt in RECIPROCALS | ANGLES | ENERGIES for axis in axes)


def _plain(number: float) -> float:
    """Return a number without the last digits that a conversion of units or a division left (15 digits are kept)."""
    return float(f"{number:.15g}")
