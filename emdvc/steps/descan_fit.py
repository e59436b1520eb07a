"""Where the undiffracted beam stands at each probe position: a smooth surface fitted to measured centres."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveFloat

from emdvc.errors import Code, StepError
from emdvc.steps import contract
from emdvc.steps.contract import Input, Outcome, Output, Wanted, WholeStep
from emdvc.steps.deflection import CENTRES, maps_of
from emdvc.steps.surface_fit import Surface, fit, fit_without_outliers
from emdvc.steps.values import DataPath
from emdvc.steps.vector_field import Map, total

_MASK = "mask"


class DescanFit(WholeStep):
    """Beam centre over the scan: a constant, a plane or a quadratic surface fitted to the centres of mass.

    Imperfect descan moves the pattern as the beam is scanned, nearly linearly; the specimen adds its own deflection on
    top. The surface ``c0 + cy y + cx x (+ cyy y^2 + cyx y x + cxx x^2)``, with y and x counted in probe positions from
    0, is fitted to each component by least squares. Probe positions without a centre (no counts) do not count, nor
    those where `mask` is 0. With `rejection` the fit is repeated without the probe positions whose distance from it is
    beyond so many standard deviations (estimated by the median distance, 1.1774 standard deviations of each component),
    until these no longer change.

    The result serves `align` as centres and `dpc` as descan. A plane that the values hold exactly is found exactly: the
    normal equations are solved in fractions, and only the sums and each coefficient are rounded. The additions have a
    fixed order: the same bits on every machine.

    Source: least squares, e.g. Press et al., Numerical Recipes, 3rd ed., 15.4; rejection around the median as in
    Rousseeuw and Croux, J. Am. Stat. Assoc. 88, 1273 (1993).
    """

    name = "descan_fit"
    version = 1
    summary = "beam centre over the scan: a constant, plane or quadratic fit to the centres of mass"
    core = ("y", "x")
    of = ("center_of_mass",)
    example: ClassVar[Mapping[str, Any]] = {"order": "plane"}
    gives = (
        Output("center_y", ("y", "x"), "px", title="beam centre, y"),
        Output("center_x", ("y", "x"), "px", title="beam centre, x"),
        Output("residual_y", ("y", "x"), "px", signed=True, title="measured less fitted centre, y"),
        Output("residual_x", ("y", "x"), "px", signed=True, title="measured less fitted centre, x"),
        Output("used", ("y", "x"), "", title="1 where a probe position counts"),
        Output("offset", ("component",), "px", title="centre at the first probe position (y, x)"),
        Output("slope", ("component", "direction"), "px/px", title="change per probe position along y and x"),
        Output("curvature", ("component", "pair"), "px/px/px", title="coefficients of y y, y x and x x"),
        Output("residual_rms", ("component",), "px", title="root mean square of what the fit leaves (y, x)"),
    )

    class Parameters(contract.Parameters):
        """The surface and the probe positions that it is fitted to."""

        order: Literal["constant", "plane", "quadratic"] = "plane"
        """The surface."""
        rejection: PositiveFloat | None = None
        """Distance beyond which a probe position is left out, in standard deviations; none by default."""
        mask: DataPath | None = None
        """Map over the scan: a probe position where it is 0 does not count."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return nothing: centres in px depend on no calibration."""
        return ()

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the mask, where there is one."""
        return {_MASK: Wanted(parameters.mask)} if parameters.mask is not None else {}

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the centres of mass."""
        return CENTRES

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the fitted centres.

        Raises
        ------
        StepError
            The probe positions that count do not determine the surface.
        """
        maps = maps_of(source, arrays, CENTRES)
        used = np.isfinite(maps[0]) & np.isfinite(maps[1])
        if parameters.mask is not None:
            used &= source.references[_MASK].array(("y", "x"), maps[0].shape) != 0
        if not used.any():
            raise StepError(
                f"no probe position of {source.name} counts",
                code=Code.STEP_COUNTS,
                hint="check the mask, and that the patterns hold counts",
            )
        surfaces = fit(maps, used, parameters.order)
        if parameters.rejection is not None:
            surfaces, used = fit_without_outliers(maps, used, parameters.order, parameters.rejection)
        return Outcome(self._outputs(parameters.order), _arrays(maps, used, surfaces))

    def _outputs(self, order: str) -> tuple[Output, ...]:
        absent = {"constant": ("slope", "curvature"), "plane": ("curvature",), "quadratic": ()}[order]
        return tuple(output for output in self.gives if output.name not in absent)


def _arrays(maps: tuple[Map, Map], used: NDArray[np.bool_], surfaces: tuple[Surface, ...]) -> dict[str, NDArray[Any]]:
    shape = (used.shape[0], used.shape[1])
    fitted = [surface.values(shape) for surface in surfaces]
    off = [values - surface for values, surface in zip(maps, fitted, strict=True)]
    coefficients = np.array([surface.coefficients for surface in surfaces])
    count = int(used.sum())
    rms = [math.sqrt(total(one[used] * one[used]) / count) for one in off]
    return {
        "center_y": fitted[0],
        "center_x": fitted[1],
        "residual_y": off[0],
        "residual_x": off[1],
        "used": used.astype(np.uint8),
        "offset": coefficients[:, 0],
        "slope": coefficients[:, 1:3],
        "curvature": coefficients[:, 3:6],
        "residual_rms": np.array(rms),
    }
