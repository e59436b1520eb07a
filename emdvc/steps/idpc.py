"""Integrated differential phase contrast: the phase whose gradient deflected the beam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from emdvc.errors import Code, MetadataError, StepError
from emdvc.model import units
from emdvc.model.quantity import Quantity
from emdvc.model.sidecar import component
from emdvc.steps import contract, geometry
from emdvc.steps.contract import Input, Outcome, Output, WholeStep
from emdvc.steps.deflection import maps_of, scan_steps
from emdvc.steps.integration import integrate
from emdvc.steps.values import ScanLength
from emdvc.steps.vector_field import Field, Map

_DEFLECTION = ("deflection_y", "deflection_x")


class IntegratedDpc(WholeStep):
    """Integrated differential phase contrast (iDPC) from the result of `dpc`: the phase of a thin specimen.

    The deflection k of the beam, as a spatial frequency, is ``grad(phase) / 2 pi``, averaged over the probe. The phase
    is the function whose gradient lies nearest to ``2 pi k`` in the sense of least squares, known up to a constant: its
    mean is 0. With ``edges=free`` nothing is assumed beyond the edges of the scan: neighbours differ by the integral of
    the deflection between them, taken of a polynomial of the fifth degree. With ``edges=periodic`` the phase repeats:
    with wave vector q and the coefficients K of the deflection it is ``2 pi q . K / q^2``. ``high_pass`` damps waves
    longer than a length by Butterworth's filter of second order: slow waves carry most of the noise and of the descan.
    ``unexplained`` is the part of the squared deflection that is no gradient: 0 for an ideal one, 0.5 to 0.6 for noise
    alone.

    Sines and cosines are correctly rounded and the additions have a fixed order (sums over waves, no FFT library): the
    same bits on every machine. The time grows with the third power of the scan's side.

    Source: Lazic, Bosch and Lazar, Ultramicroscopy 160, 265 (2016); free edges: Southwell, J. Opt. Soc. Am. 70, 998
    (1980), and Li et al., J. Opt. Soc. Am. A 30, 1448 (2013); periodic: Frankot and Chellappa, IEEE Trans. Pattern
    Anal. Mach. Intell. 10, 439 (1988).
    """

    name = "idpc"
    version = 1
    summary = "integrated differential phase contrast: the phase of a thin specimen"
    core = ("y", "x")
    of = ("dpc",)
    example: ClassVar[Mapping[str, Any]] = {"unit": "rad"}
    gives = (
        Output("phase", ("y", "x"), "rad", signed=True, title="phase"),
        Output("unexplained", (), "", title="part of the squared deflection that is no gradient"),
    )

    class Parameters(contract.Parameters):
        """How the deflection is integrated."""

        unit: Literal["rad", "px"] = "rad"
        """Unit of the phase: rad, or px for a deflection in px integrated over probe positions."""
        edges: Literal["free", "periodic"] = "free"
        """How the phase goes on beyond the edges of the scan."""
        high_pass: ScanLength | None = None
        """Waves longer than this are damped; none by default."""

        @field_validator("high_pass")
        @classmethod
        def _above_zero(cls, value: Quantity | None) -> Quantity | None:
            if value is not None and not value.values[0] > 0:
                raise ValueError(f"a length is above 0, not {value}")
            return value

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibrations behind the phase."""
        if parameters.unit == "rad":
            return ("beam.energy", "diffraction.pixel_size", "scan.step")
        longest = parameters.high_pass
        return ("scan.step",) if longest is not None and units.compatible(longest.unit, "nm") else ()

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the deflection's components."""
        return _DEFLECTION

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the phase.

        Raises
        ------
        StepError
            The deflection holds what is no number, or has not the unit that the parameters ask for.
        MetadataError
            A calibration is missing.
        """
        y, x = maps_of(source, arrays, _DEFLECTION)
        if not (np.isfinite(y).all() and np.isfinite(x).all()):
            raise StepError(
                f"the deflection of {source.name} holds what is no number",
                code=Code.STEP_COUNTS,
                hint="compute it anew: emdvc run dpc ... --set missing=zero",
            )
        if parameters.unit == "px":
            field, unit = _in_pixels(source, y, x), "px*px"
        else:
            field, unit = _in_radians(source, y, x), "rad"
        found = integrate(field, parameters.edges, _longest(parameters.high_pass, parameters.unit, source))
        outputs = (Output("phase", ("y", "x"), unit, signed=True, title="phase"), self.gives[1])
        return Outcome(outputs, {"phase": found.potential, "unexplained": np.array(found.unexplained)})


def _in_pixels(source: Input, y: Map, x: Map) -> Field:
    if source.unit != "px":
        raise StepError(
            f"the deflection of {source.name} is not in px",
            evidence=f"its unit is {source.unit}",
            hint="--set unit=rad, or run dpc with unit=px",
        )
    return Field(y, x)


def _in_radians(source: Input, y: Map, x: Map) -> Field:
    """Return the gradient of the phase, in radians per angstrom."""
    turns = 2.0 * math.pi * _frequency(source)
    return Field(y * turns, x * turns, _steps(source))


def _frequency(source: Input) -> float:
    """Return what one unit of the deflection is as a spatial frequency in 1/angstrom."""
    if source.unit == "px":
        size = source.metadata.quantity("diffraction.pixel_size")
        if size is None or size.unit in ("", "px"):
            raise _missing(source, "diffraction.pixel_size", "0.02/angstrom")
        if component(size, 0) != component(size, 1):
            raise StepError(
                f"the deflection of {source.name} is in px, which are not square",
                evidence=f"diffraction.pixel_size is {size}",
                hint="run dpc with unit=1/angstrom or unit=mrad",
            )
        unit, number = size.unit, component(size, 0)
    else:
        unit, number = source.unit, 1.0
    if units.compatible(unit, "1/angstrom"):
        return number * units.factor(unit, "1/angstrom")
    if not units.compatible(unit, "mrad"):
        raise StepError(
            f"{source.name} holds no deflection",
            code=Code.STEP_DIMENSIONS,
            evidence=f"the unit of {_DEFLECTION[0]} is '{unit}'",
            hint="integrate the result of dpc",
        )
    energy = source.metadata.quantity("beam.energy")
    if energy is None:
        raise _missing(source, "beam.energy", "200keV")
    return number * units.factor(unit, "mrad") / 1000.0 / geometry.wavelength(energy)


def _steps(source: Input) -> tuple[float, float]:
    """Return the distance of probe positions along y and x, in angstrom."""
    steps, unit = scan_steps(source)
    if unit == "px":
        raise _missing(source, "scan.step", "0.1nm")
    factor = units.factor(unit, "angstrom")
    return steps[0] * factor, steps[1] * factor


def _longest(high_pass: Quantity | None, unit: str, source: Input) -> float | None:
    """Return the longest wave in the unit of the field's steps: angstrom, or probe positions."""
    if high_pass is None:
        return None
    in_positions = not units.compatible(high_pass.unit, "nm")
    length = float(high_pass.values[0] if in_positions else high_pass.to("angstrom").values[0])
    if in_positions == (unit == "px"):
        return length
    # where the steps along y and x differ, a length counts in the side of the square of equal area
    step = math.sqrt(math.prod(_steps(source)))
    return length * step if in_positions else length / step


def _missing(source: Input, key: str, example: str) -> MetadataError:
    return MetadataError(
        f"the phase in rad needs {key}, which the record of {source.name} does not hold",
        code=Code.METADATA_MISSING,
        hint=f"emdvc add {source.name} --set {key}={example}, or --set unit=px",
    )
