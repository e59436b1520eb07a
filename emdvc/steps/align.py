"""Patterns moved so that the beam stands at one place in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.kernels.shifts import shift_bilinear, shift_by_pixels
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan, Wanted
from emdvc.steps.values import DataPath, Position

_CENTERS = "centers"
_SIGNALS = {"fit": ("center_y", "center_x"), "center_of_mass": ("com_y", "com_x")}


class _Shifts(Plan):
    """Every frame moved by the shift of its probe position."""

    def __init__(self, source: Input, shifts: NDArray[Any], whole: bool, target: tuple[float, float]) -> None:
        self._shifts, self._whole = shifts, whole
        self._detector = (source.size("ky"), source.size("kx"))
        moved = Output("counts", ("ky", "kx"), source.unit, title="aligned patterns")
        lost = Output("lost", (), source.unit, title="moved off the detector")
        overall = (
            Output("shift_y", (), "px", signed=True, title="shift, y"),
            Output("shift_x", (), "px", signed=True, title="shift, x"),
        )
        valid = Output("valid", ("ky", "kx"), "", per_probe=False, title="1 where all patterns have data")
        self.outputs = (moved, *((lost,) if whole else ()), *overall, valid)
        self.record = {"diffraction": {"center": Quantity(target, "px", Origin.DERIVED).to_dict()}}

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return a block's frames, moved."""
        shifts = np.ascontiguousarray(self._shifts[place.region].reshape(-1, 2))
        found = {"shift_y": shifts[:, 0], "shift_x": shifts[:, 1]}
        if self._whole:
            found["counts"], found["lost"] = shift_by_pixels(frames, shifts)
        else:
            found["counts"] = shift_bilinear(frames, shifts)
        return Partial(found)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Return the pixels that lie on the detector in every pattern."""
        flat = self._shifts.reshape(-1, 2)
        held = [_held(n, flat[:, axis]) for axis, n in enumerate(self._detector)]
        return {"valid": (held[0][:, None] & held[1][None, :]).astype(np.uint8)}


def _held(size: int, shifts: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels along one dimension take their data from the detector at every shift."""
    pixels = np.arange(size)
    held: NDArray[np.bool_] = (pixels >= shifts.max()) & (pixels <= size - 1 + shifts.min())
    return held


class Align(FrameStep):
    """Moves each pattern so that the undiffracted beam stands at one place in all of them.

    The centres come from `descan_fit` (a smooth surface: the deflection by the specimen stays), or from
    `center_of_mass` (each pattern for itself: that deflection is removed too). With ``method=pixel`` a pattern moves by
    whole pixels, the nearest to target less centre: counts stay whole numbers, and the beam stands within half a pixel
    of the target. With ``method=bilinear`` it moves by the exact distance: each pixel is the bilinear mean of four, in
    64 bits and rounded to 32, which blurs by up to half a pixel. What comes from off the detector is 0; ``valid`` says
    which pixels have data in every pattern, ``lost`` how many counts each pattern lost at the edges (by whole pixels:
    kept and lost are all).

    The default target is the whole pixel nearest to the middle between the smallest and the largest centre. A pattern
    whose centre is unknown (NaN: it has no counts) stays where it is. The record of the result has the target
    as its `diffraction.center`. The same bits on every machine, in any number of threads.

    Source: bilinear interpolation, e.g. Press et al., Numerical Recipes, 3rd ed., 3.6.
    """

    name = "align"
    version = 1
    summary = "each pattern moved so that the beam stands at one place in all"
    core = ("ky", "kx")
    example: ClassVar[Mapping[str, Any]] = {"centers": "results/descan.zarr"}
    gives = (
        Output("counts", ("ky", "kx"), "counts", title="aligned patterns"),
        Output("lost", (), "counts", title="moved off the detector"),
        Output("shift_y", (), "px", signed=True, title="shift, y"),
        Output("shift_x", (), "px", signed=True, title="shift, x"),
        Output("valid", ("ky", "kx"), "", per_probe=False, title="1 where all patterns have data"),
    )

    class Parameters(contract.Parameters):
        """Where the beam stands, and where it shall stand."""

        centers: DataPath
        """Result of `descan_fit` or `center_of_mass` on the same scan."""
        kind: Literal["fit", "center_of_mass"] = "fit"
        """Which of the two it is."""
        target: Position | None = None
        """Where the beam shall stand (y, x); default: the whole pixel by which least is cut off."""
        method: Literal["pixel", "bilinear"] = "pixel"
        """By whole pixels, or by the exact distance with interpolation."""

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return nothing: the centres are in px."""
        return ()

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the dataset of the centres."""
        return {_CENTERS: Wanted(parameters.centers, _SIGNALS[parameters.kind])}

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the shift of every pattern.

        Raises
        ------
        StepError
            The centres do not fit the scan, or a pattern would be moved off the detector.
        """
        dims, shape = source.scan(self.core)
        reference = source.references[_CENTERS]
        maps = [np.asarray(reference.array(dims, shape, name), "f8") for name in _SIGNALS[parameters.kind]]
        centers = np.stack(maps, axis=-1)
        known = np.isfinite(centers).all(axis=-1, keepdims=True)
        if not known.any():
            raise StepError(f"{reference.name} holds no centre", code=Code.STEP_COUNTS, evidence="all are NaN")
        target = _target(parameters.target, centers[known[..., 0]])
        shifts = np.where(known, target - centers, 0.0)
        whole = parameters.method == "pixel"
        if whole:
            shifts = np.rint(shifts).astype(np.int64)
        _refuse_too_far(shifts, (source.size("ky"), source.size("kx")), reference.name)
        return _Shifts(source, shifts, whole, (float(target[0]), float(target[1])))


def _target(given: Quantity | None, centers: NDArray[np.float64]) -> NDArray[np.float64]:
    if given is not None:
        return np.array(given.values, np.float64)
    middle: NDArray[np.float64] = np.rint((centers.min(axis=0) + centers.max(axis=0)) / 2.0)
    return middle


def _refuse_too_far(shifts: NDArray[Any], detector: tuple[int, int], name: str) -> None:
    down, right = np.abs(shifts).reshape(-1, 2).max(axis=0)
    if down >= detector[0] or right >= detector[1]:
        raise StepError(
            "a pattern would be moved off the detector",
            evidence=f"by up to ({down:g}, {right:g}) px, the detector has {detector[0]} x {detector[1]} px",
            hint=f"check target, and that {name} belongs to this scan",
        )
