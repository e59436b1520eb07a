"""The deflection of the beam at each probe position, from the centres of mass of its patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, MetadataError, StepError
from emdvc.model.sidecar import component
from emdvc.steps import contract, geometry
from emdvc.steps.contract import Input, Wanted
from emdvc.steps.surface_fit import fit
from emdvc.steps.values import DataPath
from emdvc.steps.vector_field import Field, Map

#: Names of the arrays that are read of a centre-of-mass result.
CENTRES = ("com_y", "com_x")
#: Name of the reference that the descan comes from, and the arrays that are read of it.
DESCAN, FITTED = "descan", ("center_y", "center_x")


class DeflectionParameters(contract.Parameters):
    """What is subtracted from the beam's position, and the unit of the difference."""

    unit: Literal["px", "1/angstrom", "mrad"] = "px"
    """Unit of the deflection."""
    background: Literal["mean", "plane", "quadratic", "center"] = "mean"
    """What is subtracted: the mean position of the beam, a fitted surface (descan), or the recorded center."""
    descan: DataPath | None = None
    """Result of `descan_fit` that is subtracted instead: fitted to an empty region, or to another scan."""
    missing: Literal["refuse", "zero"] = "refuse"
    """What to do with patterns without counts: refuse them, or take the beam as not deflected."""


def metadata(parameters: Any) -> tuple[str, ...]:
    """Return the metadata keys behind the deflection and its derivatives."""
    keys = ["scan.step"]
    if parameters.unit != "px":
        keys.append("diffraction.pixel_size")
    if parameters.unit == "mrad":
        keys.append("beam.energy")
    if parameters.background == "center" and parameters.descan is None:
        keys.append("diffraction.center")
    return tuple(sorted(keys))


def references(parameters: Any) -> Mapping[str, Wanted]:
    """Return the result that the descan comes from, where the parameters name one."""
    return {DESCAN: Wanted(parameters.descan, FITTED)} if parameters.descan is not None else {}


def deflection(parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Field:
    """Return the deflection along the detector's axes, in the unit that the parameters name.

    Raises
    ------
    StepError
        The maps do not fit, or hold probe positions without a centre.
    MetadataError
        A calibration is missing.
    """
    y, x = maps_of(source, arrays, CENTRES)
    steps, _ = scan_steps(source)
    known = np.isfinite(y) & np.isfinite(x)
    if not known.all() and (parameters.missing == "refuse" or not known.any()):
        first = np.unravel_index(int(np.argmin(known)), known.shape)
        raise StepError(
            f"{int((~known).sum())} of {known.size} probe positions of {source.name} have no centre of mass",
            code=Code.STEP_COUNTS,
            evidence=f"first at y={int(first[0])}, x={int(first[1])}: the pattern has no counts",
            hint="take them as not deflected: --set missing=zero",
        )
    reference_y, reference_x = _reference(parameters, source, (y, x), known)
    scale = geometry.scale_in(source, parameters.unit)
    return Field(
        np.where(known, (y - reference_y) * scale.y, 0.0), np.where(known, (x - reference_x) * scale.x, 0.0), steps
    )


def maps_of(source: Input, arrays: Mapping[str, NDArray[Any]], names: tuple[str, str]) -> tuple[Map, Map]:
    """Return two maps over one two-dimensional scan, in 64 bits.

    Raises
    ------
    StepError
        They are no maps over y, x, or smaller than two probe positions each way.
    """
    y, x = (np.asarray(arrays[name], np.float64) for name in names)
    if source.dims != ("y", "x") or y.shape != x.shape or min(y.shape) < 2:
        raise StepError(
            f"{names[0]} and {names[1]} must be maps over y and x, of at least 2 x 2 probe positions",
            code=Code.STEP_DIMENSIONS,
            evidence=f"{source.name} has {' x '.join(source.dims)} = {' x '.join(map(str, y.shape))}",
        )
    return y, x


def scan_steps(source: Input) -> tuple[tuple[float, float], str]:
    """Return the distance of probe positions along y and x, and its unit; 1 px where it is not recorded.

    Raises
    ------
    MetadataError
        The recorded distance is not above 0.
    """
    step = source.metadata.quantity("scan.step")
    if step is None or step.unit in ("", "px"):
        return (1.0, 1.0), "px"
    steps = component(step, 0), component(step, 1)
    if not min(steps) > 0:
        raise MetadataError(f"scan.step of {source.name} must be above 0", evidence=f"it is {step}")
    return steps, step.unit


def _reference(
    parameters: Any, source: Input, centres: tuple[Map, Map], known: NDArray[np.bool_]
) -> tuple[Map | float, Map | float]:
    shape = (known.shape[0], known.shape[1])
    if parameters.descan is not None:
        fitted = source.references[DESCAN]
        first, second = (np.asarray(fitted.array(("y", "x"), shape, name), np.float64) for name in FITTED)
        return first, second
    if parameters.background == "center":
        center = source.metadata.quantity("diffraction.center")
        if center is None:
            raise MetadataError(
                f"background 'center' needs diffraction.center, which the record of {source.name} does not hold",
                code=Code.METADATA_MISSING,
                hint=f"emdvc add {source.name} --set diffraction.center=Y,Xpx",
            )
        return component(center, 0), component(center, 1)
    order = "constant" if parameters.background == "mean" else parameters.background
    first, second = (surface.values(shape) for surface in fit(centres, known, order))
    return first, second
