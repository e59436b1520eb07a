"""Where a detector pixel lies: its distance from the undiffracted beam in pixels, 1/angstrom or mrad."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from emdvc.errors import Code, MetadataError, StepError
from emdvc.model import units
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import component
from emdvc.steps.contract import Input

if TYPE_CHECKING:
    from numpy.typing import NDArray

# CODATA 2018, exact by definition of the SI but for the electron's mass
_PLANCK = 6.62607015e-34  # J s
_CHARGE = 1.602176634e-19  # C
_LIGHT = 299792458.0  # m/s
_ELECTRON_MASS = 9.1093837015e-31  # kg


def wavelength(energy: Quantity) -> float:
    """Return the relativistic wavelength of electrons.

    Parameters
    ----------
    energy
        Kinetic energy (the accelerating voltage times the charge).

    Returns
    -------
    float
        Wavelength in angstrom.

    Notes
    -----
    lambda = h / sqrt(2 m E (1 + E / (2 m c^2))); Williams and Carter, Transmission Electron Microscopy, 2nd ed., eq.
    1.6.
    """
    joule = energy.to("eV").values[0] * _CHARGE
    momentum = math.sqrt(2.0 * _ELECTRON_MASS * joule * (1.0 + joule / (2.0 * _ELECTRON_MASS * _LIGHT**2)))
    return _PLANCK / momentum * 1e10


def radius_unit(*radii: Quantity | None) -> str:
    """Return the unit that radii are compared in: ``px``, ``1/angstrom`` or ``mrad``.

    Raises
    ------
    StepError
        The radii of one detector are given in different kinds of units.
    """
    found = {
        next(unit for unit in ("px", "1/angstrom", "mrad") if units.compatible(radius.unit, unit))
        for radius in radii
        if radius is not None
    }
    if len(found) > 1:
        raise StepError(
            "the radii of one detector must be in one kind of unit", evidence=f"found {', '.join(sorted(found))}"
        )
    return found.pop() if found else "px"


def metadata_for(unit: str, center: Quantity | None) -> tuple[str, ...]:
    """Return the metadata keys that a distance in a unit depends on.

    A distance in pixels depends on no calibration: only on where the centre is, unless the parameters say so.
    """
    if unit == "px":
        return () if center is not None else ("diffraction.center",)
    return ("diffraction",) if unit == "1/angstrom" else ("beam.energy", "diffraction")


def union(*keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return metadata keys without repetitions and without keys whose section is listed too, sorted."""
    every = {key for group in keys for key in group}
    return tuple(sorted(key for key in every if not any(key.startswith(f"{other}.") for other in every)))


def center_of(source: Input, center: Quantity | None) -> tuple[float, float]:
    """Return the centre (y, x) in pixels: the parameter, else the recorded one, else the middle of the detector.

    Raises
    ------
    StepError
        The centre lies outside the detector.
    """
    height, width = source.size("ky"), source.size("kx")
    if center is None:
        center = source.metadata.quantity("diffraction.center")
    if center is None:
        return (height - 1) / 2, (width - 1) / 2
    y, x = (float(value) for value in center.values)
    if not (-0.5 <= y <= height - 0.5 and -0.5 <= x <= width - 0.5):
        raise StepError(
            "the centre lies outside the detector",
            evidence=f"centre ({y:g}, {x:g}) px, detector {height} x {width} px",
            hint="the order is (y, x): --set center=Y,Xpx",
        )
    return y, x


@dataclass(frozen=True, slots=True)
class Scale:
    """Size of a detector pixel (y, x) in a unit."""

    y: float
    x: float
    unit: str


def scale_in(source: Input, unit: str) -> Scale:
    """Return the size of a detector pixel in ``px``, ``1/angstrom`` or ``mrad``.

    Raises
    ------
    MetadataError
        The record lacks the calibration, or the beam energy.

    Notes
    -----
    Angle and spatial frequency: theta = lambda k, the small-angle form in which detectors are calibrated.
    """
    if unit == "px":
        return Scale(1.0, 1.0, unit)
    size = source.metadata.quantity("diffraction.pixel_size")
    if size is None or size.unit in ("", "px"):
        raise _missing(source, "diffraction.pixel_size", f"a radius in {unit}", "0.02/angstrom")
    if units.compatible(size.unit, unit):
        size = size.to(unit)
        return Scale(component(size, 0), component(size, 1), unit)
    if unit == "1/angstrom":
        raise MetadataError(
            f"{source.name} is calibrated in {size.unit}, the radius is given in 1/angstrom",
            code=Code.METADATA_UNIT,
            hint="give the radius in mrad",
        )
    energy = source.metadata.quantity("beam.energy")
    if energy is None:
        raise _missing(source, "beam.energy", "a radius in mrad", "200keV")
    size = size.to("1/angstrom")
    factor = 1000.0 * wavelength(energy)
    return Scale(component(size, 0) * factor, component(size, 1) * factor, unit)


def _missing(source: Input, key: str, what: str, example: str) -> MetadataError:
    return MetadataError(
        f"{what} needs {key}, which the record of {source.name} does not hold",
        code=Code.METADATA_MISSING,
        hint=f"emdvc add {source.name} --set {key}={example}",
    )


def offsets(
    source: Input, center: tuple[float, float], scale: Scale
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances of the detector's rows and columns from the centre, in the scale's unit."""
    y = (np.arange(source.size("ky"), dtype="f8") - center[0]) * scale.y
    x = (np.arange(source.size("kx"), dtype="f8") - center[1]) * scale.x
    return y, x


def squared_radii(source: Input, center: tuple[float, float], scale: Scale) -> NDArray[np.float64]:
    """Return the squared distance of every detector pixel from the centre, shape (ky, kx), in the scale's unit squared.

    Only additions and multiplications: the bits are the same on every machine.
    """
    y, x = offsets(source, center, scale)
    squared: NDArray[np.float64] = (y * y)[:, None] + (x * x)[None, :]
    return squared


def azimuths(y: NDArray[np.float64], x: NDArray[np.float64], start: float = 0.0) -> NDArray[np.float64]:
    """Return the azimuth of positions relative to the centre, from +kx towards +ky, in degrees from 0 to 360.

    Counted from an azimuth `start`. A pixel that lies on `start`, or below it by less than the rounding of an arc
    tangent, has 0: so a sector holds the same pixels on every machine. The centre itself has azimuth 0.
    """
    turned: NDArray[np.float64] = np.degrees(np.arctan2(y, x)) - start + 360.0 * EDGE
    return turned % 360.0


def annulus(
    squared: NDArray[np.float64], inner: Quantity | None, outer: Quantity | None, unit: str
) -> NDArray[np.bool_]:
    """Return which pixels lie in ``inner <= r < outer``, so that adjoining annuli neither overlap nor leave a gap.

    The interval is closed below and open above; py4DSTEM's is open at both ends, LiberTEM's open below and closed
    above.
    """
    mask = np.ones(squared.shape, np.bool_)
    if inner is not None:
        mask &= squared >= _edge(inner, unit)
    if outer is not None:
        mask &= squared < _edge(outer, unit)
    return mask


#: Relative width of an edge: a pixel this near to it lies on it. Far below any calibration's accuracy, and above the
#: rounding of a unit conversion, so that 5 px and the same radius in mrad give the same pixels.
EDGE = 1e-9


def _edge(radius: Quantity, unit: str) -> float:
    return float(radius.to(unit).values[0]) ** 2 * (1.0 - 2.0 * EDGE)
