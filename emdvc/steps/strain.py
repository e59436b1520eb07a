"""Strain of a crystal from the lattice of each diffraction pattern's peaks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from emdvc.errors import Code, StepError
from emdvc.kernels.angles import directions
from emdvc.kernels.lattice_fit import A_X, A_Y, B_X, B_Y, ERROR, INDEXED, ORIGIN_X, ORIGIN_Y, Guess, fit_lattices
from emdvc.model.quantity import Quantity
from emdvc.steps import contract, lattice, trigonometry
from emdvc.steps.contract import Input, Outcome, Output, WholeStep
from emdvc.steps.peak_plan import TABLE
from emdvc.steps.values import Angle, Position

Array = NDArray[np.float64]


def _region(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


#: A part of the scan: its first row and the first one behind it, the same of its columns.
Region = Annotated[
    tuple[int, int, int, int],
    BeforeValidator(_region),
    WithJsonSchema({"type": "string", "unit": "px (Y0, Y1, X0, X1)"}),
]

_MAPS = (
    Output("e_xx", ("y", "x"), "", signed=True, title="strain along x"),
    Output("e_yy", ("y", "x"), "", signed=True, title="strain along y"),
    Output("e_xy", ("y", "x"), "", signed=True, title="shear strain"),
    Output("rotation", ("y", "x"), "deg", signed=True, title="rotation, from x towards y"),
    Output("error", ("y", "x"), "px", title="residual of the lattice fit"),
    Output("indexed", ("y", "x"), "", title="number of indexed peaks"),
    Output("a_ky", ("y", "x"), "px", title="lattice vector a, ky"),
    Output("a_kx", ("y", "x"), "px", title="lattice vector a, kx"),
    Output("b_ky", ("y", "x"), "px", title="lattice vector b, ky"),
    Output("b_kx", ("y", "x"), "px", title="lattice vector b, kx"),
    Output("origin_ky", ("y", "x"), "px", title="undiffracted beam, ky"),
    Output("origin_kx", ("y", "x"), "px", title="undiffracted beam, kx"),
)
_REFERENCE = Output("reference", ("vector", "component"), "px", title="reference vectors a, b; components ky, kx")


class Strain(WholeStep):
    """Strain and rotation of the lattice at each probe position, from the peaks of bragg_disks or find_peaks.

    **Lattice.** Two vectors that index most differences between peaks are found by themselves, or given (`a`, `b`). At
    each probe position, peaks within `tolerance` of a lattice point are indexed (h, k), those near the origin first,
    and ``sum w |p - o - h a - k b|^2`` is minimised over the origin o and the vectors a, b, with the peaks' intensities
    as weights w (their places' variances go as 1 / counts). Where fewer than `min_peaks` are indexed, or those lie on
    one line, everything is NaN.

    **Strain.** With G = (a b) of a probe position and G0 of the reference, reciprocal vectors in columns, the
    deformation gradient of the crystal is ``F = (G0 G^-1)^T``. It is split into a rotation and a stretch, F = R U, and
    e = U - 1 (`polar`), or into e = (F + F^T) / 2 - 1 and the antisymmetric part (`infinitesimal`). Positive e_xx means
    that the crystal is longer along x than the reference.

    **Axes.** x points along columns, y down the rows; a positive rotation turns x towards y. The components are those
    along the scan's x and y where `rotation` says how these lie on the detector; else along kx and ky. `flip` is for a
    detector whose image is mirrored. The reference is the median (or mean) of the fitted a and b over `region`, or the
    given ones.

    All is added in a fixed order by + - * / and square roots: the maps are the same bytes on every machine. Places in
    pixels are used as they are: detector pixels are taken as squares.

    Sources: Ozdol et al., Applied Physics Letters 106, 253107 (2015); Pekin et al., Ultramicroscopy 176, 170 (2017);
    Savitzky et al., Microscopy and Microanalysis 27, 712 (2021), who give -1 times the reciprocal lattice's strain,
    equal to the first order; polar decomposition: Malvern, Introduction to the Mechanics of a Continuous Medium (1969).
    """

    name = "strain"
    version = 1
    summary = "strain, rotation and lattice vectors from the peaks of each pattern"
    core = ("y", "x")
    of = ("bragg_disks", "find_peaks")
    gives = (*_MAPS, _REFERENCE)

    class Parameters(contract.Parameters):
        """Lattice, reference and axes."""

        a: Position | None = None
        """Lattice vector a (ky, kx), about right; default: found from the peaks."""
        b: Position | None = None
        """Lattice vector b (ky, kx); together with a."""
        center: Position | None = None
        """Undiffracted beam (ky, kx), about right; default: the median of the strongest peaks."""
        reference: Literal["median", "mean", "given"] = "median"
        """What strain is counted from: median or mean of the vectors over the region, or the given a and b."""
        region: Region | None = None
        """Part of the scan where the lattice is sought and the reference taken: Y0,Y1,X0,X1, ends excluded."""
        method: Literal["polar", "infinitesimal"] = "polar"
        """How the deformation is split into strain and rotation."""
        rotation: Angle | None = None
        """Direction of the scan's x on the detector, from kx towards ky; default: along kx."""
        flip: bool = False
        """Whether the detector's image is mirrored: ky is reversed before the rotation."""
        tolerance: float = Field(0.2, gt=0, le=0.5)
        """How near to a lattice point a peak is indexed, relative to the shorter lattice vector."""
        min_peaks: int = Field(4, ge=3)
        """Least number of indexed peaks at a probe position."""
        weights: Literal["intensity", "equal"] = "intensity"
        """Weights of the peaks in the fit."""

        @model_validator(mode="after")
        def _both_vectors(self) -> Strain.Parameters:
            if (self.a is None) != (self.b is None):
                raise ValueError("give both lattice vectors, a and b, or neither")
            if self.reference == "given" and self.a is None:
                raise ValueError("reference=given needs the lattice vectors a and b")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: places are in px, and strain has no unit."""
        return ()

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the columns of the table of peaks."""
        return ("count", *TABLE)

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the maps.

        Raises
        ------
        StepError
            The peaks form no lattice, the region lies outside the scan, or no pattern of it could be indexed.
        """
        count = arrays["count"]
        y, x, intensity = (arrays[name].astype(np.float64) for name in TABLE)
        peaks = np.stack([y, x], axis=-1)
        inside = _inside(parameters.region, count.shape)
        guess = _guess(parameters, count, peaks, intensity, inside)
        weights = np.ones_like(intensity) if parameters.weights == "equal" else np.maximum(intensity, 0.0)
        near = parameters.tolerance * min(math.hypot(*guess.a), math.hypot(*guess.b))
        fitted = fit_lattices(count, peaks, weights, guess, near, parameters.min_peaks)
        reference = _reference(parameters, guess, fitted[inside.reshape(-1)])
        maps = _strains(fitted, reference, parameters)
        for name, column in (
            *(("a_ky", A_Y), ("a_kx", A_X), ("b_ky", B_Y), ("b_kx", B_X)),
            *(("origin_ky", ORIGIN_Y), ("origin_kx", ORIGIN_X), ("error", ERROR)),
        ):
            maps[name] = fitted[:, column]
        found: dict[str, NDArray[Any]] = {name: values.reshape(count.shape) for name, values in maps.items()}
        found["indexed"] = fitted[:, INDEXED].astype(np.int32).reshape(count.shape)
        found["reference"] = reference
        outputs = tuple(
            Output(one.name, source.dims, one.unit, signed=one.signed, title=one.title) if one in _MAPS else one
            for one in self.gives
        )
        return Outcome(outputs, found)


def _inside(region: tuple[int, int, int, int] | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    inside = np.ones(shape, np.bool_)
    if region is None:
        return inside
    y0, y1, x0, x1 = region
    if not (0 <= y0 < y1 <= shape[-2] and 0 <= x0 < x1 <= shape[-1]):
        raise StepError(
            "the region does not lie within the scan",
            evidence=f"rows {y0} to {y1}, columns {x0} to {x1}; the scan has {shape[-2]} x {shape[-1]} probe positions",
            hint="--set region=Y0,Y1,X0,X1, with Y0 < Y1 and X0 < X1",
        )
    inside[:] = False
    inside[..., y0:y1, x0:x1] = True
    return inside


def _guess(parameters: Any, count: NDArray[Any], peaks: Array, intensity: Array, inside: NDArray[np.bool_]) -> Guess:
    used = np.repeat(inside.reshape(-1), count.reshape(-1))
    some, places, bright = count[inside], peaks[used], intensity[used]
    if len(places) == 0:
        raise StepError(
            "there are no peaks to find a lattice in",
            code=Code.STEP_PARAMETER,
            hint="lower bragg_disks' min_relative or min_significance, or choose another region",
        )
    if parameters.center is not None:
        center = _pair(parameters.center)
    else:
        top = places[lattice.strongest(some, bright)]
        center = (lattice.middle(top[:, 0]), lattice.middle(top[:, 1]))
    if parameters.a is not None:
        a, b = _pair(parameters.a), _pair(parameters.b)
        if abs(a[0] * b[1] - a[1] * b[0]) <= 1e-3 * math.hypot(*a) * math.hypot(*b):
            raise StepError("the lattice vectors a and b are parallel", evidence=f"a = {a} px, b = {b} px")
    else:
        a, b = lattice.find_basis(some, places, bright, parameters.tolerance)
    return Guess(center, a, b)


def _pair(position: Quantity) -> tuple[float, float]:
    y, x = (float(value) for value in position.values)
    return y, x


def _reference(parameters: Any, guess: Guess, fitted: Array) -> Array:
    """Return the reference vectors, shape (2, 2): a and b, components (ky, kx)."""
    if parameters.reference == "given":
        return np.array([guess.a, guess.b])
    good = fitted[~np.isnan(fitted[:, ERROR])]
    if len(good) == 0:
        raise StepError(
            "no pattern of the reference region could be indexed",
            evidence=f"lattice vectors a = ({guess.a[0]:.4g}, {guess.a[1]:.4g}) px, "
            f"b = ({guess.b[0]:.4g}, {guess.b[1]:.4g}) px, {len(fitted)} patterns",
            hint="give a and b, lower min_peaks, or choose a region within one crystal",
        )
    if parameters.reference == "median":
        values = [lattice.middle(good[:, column]) for column in (A_Y, A_X, B_Y, B_X)]
    else:
        values = [math.fsum(good[:, column].tolist()) / len(good) for column in (A_Y, A_X, B_Y, B_X)]
    return np.array(values).reshape(2, 2)


def _strains(fitted: Array, reference: Array, parameters: Any) -> dict[str, Array]:
    """Return strain and rotation against the reference, in the axes of the scan."""
    (ay0, ax0), (by0, bx0) = reference.tolist()
    sign = -1.0 if parameters.flip else 1.0
    ay, by, ay0, by0 = sign * fitted[:, A_Y], sign * fitted[:, B_Y], sign * ay0, sign * by0
    ax, bx = fitted[:, A_X], fitted[:, B_X]
    # F = (G0 G^-1)^T with G = ((ax, bx), (ay, by))
    determinant = ax * by - bx * ay
    f_xx, f_yx = (ax0 * by - bx0 * ay) / determinant, (bx0 * ax - ax0 * bx) / determinant
    f_xy, f_yy = (ay0 * by - by0 * ay) / determinant, (by0 * ax - ay0 * bx) / determinant
    cosine, sine = f_xx + f_yy, f_yx - f_xy
    if parameters.method == "polar":
        # in two dimensions the rotation is that of the sum of F and its cofactors
        length = np.sqrt(cosine * cosine + sine * sine)
        c, s = cosine / length, sine / length
        e_xx, e_yy = c * f_xx + s * f_yx - 1.0, c * f_yy - s * f_xy - 1.0
        e_xy = (c * f_xy + s * f_yy + c * f_yx - s * f_xx) / 2.0
        turned = directions(sine, cosine)
    else:
        e_xx, e_yy, e_xy = f_xx - 1.0, f_yy - 1.0, (f_xy + f_yx) / 2.0
        turned = sine / 2.0 * (180.0 / math.pi)
    angle = 0.0 if parameters.rotation is None else float(parameters.rotation.to("deg").values[0])
    c, s = trigonometry.of_degrees(angle)
    cc, cs, ss = c * c, c * s, s * s
    return {
        "e_xx": cc * e_xx + 2.0 * cs * e_xy + ss * e_yy,
        "e_yy": ss * e_xx - 2.0 * cs * e_xy + cc * e_yy,
        "e_xy": cs * (e_yy - e_xx) + (cc - ss) * e_xy,
        "rotation": turned,
    }
