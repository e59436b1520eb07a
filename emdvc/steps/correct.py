"""Dark subtraction, gain or flat field, and repair of bad pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from emdvc.errors import Code, StepError
from emdvc.kernels.correction import Neighbours, neighbours, repair, subtract, subtract_and_scale
from emdvc.steps import contract
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan, Reference, Wanted
from emdvc.steps.values import DataPath

_IMAGES = ("dark", "gain", "flat", "bad")
_OUTPUT = Output("counts", ("ky", "kx"), "counts", title="corrected patterns")


class _Corrected(Plan):
    """Frames less the dark image, times the gain, their bad pixels estimated from good ones.

    Parameters
    ----------
    dark
        Shape (pixels,): of the result's type where that is an integer, else float64; None where nothing but bad pixels
        changes.
    gain
        Shape (pixels,); None where the result is an integer.
    dtype
        Of the result.
    around
        The bad pixels and their neighbours; None where there are none.
    """

    def __init__(
        self,
        source: Input,
        dark: NDArray[Any] | None,
        gain: NDArray[np.float64] | None,
        dtype: np.dtype[Any],
        around: Neighbours | None,
        median: bool,
    ) -> None:
        self._dark, self._gain, self._dtype, self._around, self._median = dark, gain, dtype, around, median
        self.outputs = (Output(_OUTPUT.name, _OUTPUT.dims, source.unit, title=_OUTPUT.title),)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the frames of a block, corrected."""
        flat = frames.reshape(frames.shape[0], -1)
        if self._dark is None:
            corrected = flat.copy()
        elif self._gain is None:
            corrected = subtract(flat, self._dark)
        else:
            corrected = subtract_and_scale(flat, self._dark, self._gain, self._dtype)
        if self._around is not None:
            repair(corrected, self._around, self._median)
        return Partial({_OUTPUT.name: corrected.reshape(frames.shape)})


class Correct(FrameStep):
    """Frames less the detector's dark image, times its gain; bad pixels estimated from their good neighbours.

    ``out = (frame - dark) * gain``; a flat field is a gain of mean(flat) / flat, the mean taken over the good pixels. A
    bad pixel becomes the mean (or the median) of the good pixels among the 3 x 3 around it, in the same frame; where
    fewer than three are good, of 5 x 5, and so on.

    Whole numbers stay whole as long as the mathematics allows it: where only bad pixels are repaired the type stays,
    and the estimate is rounded (halves to even); less a dark image of whole numbers they become signed integers (of
    16-bit counts: 32 bits), exactly. Else the result is float32 (float64 of 64-bit data): two operations in 64 bits and
    one rounding for each pixel, so that the bits are the same on every machine.

    A dark-subtracted frame has negative numbers where nothing hit the detector. They belong there, and a sum is biased
    without them: the steps that follow take them with ``negative: allow``.

    The dark image, the gain, the flat field and the mask of bad pixels (other than 0 where a pixel is bad, as the step
    ``bad_pixels`` gives it) are datasets of their own, each one image of the detector's shape. The dark image of a
    series of dark frames is their mean: ``results/dark.zarr::mean`` of the step ``sum_pattern``.
    """

    name = "correct"
    version = 1
    summary = "dark subtraction, gain or flat field, repair of bad pixels"
    core = ("ky", "kx")
    example: ClassVar[Mapping[str, Any]] = {"dark": "results/dark.zarr::mean", "bad": "results/bad.zarr"}
    gives = (_OUTPUT,)

    class Parameters(contract.Parameters):
        """The images of the detector."""

        dark: DataPath | None = None
        """Image without beam, subtracted."""
        gain: DataPath | None = None
        """Image that the frames are multiplied by."""
        flat: DataPath | None = None
        """Image under even illumination (dark-subtracted), that the frames are divided by, relative to its mean."""
        bad: DataPath | None = None
        """Mask of the bad pixels: other than 0 where a pixel is bad."""
        repair: Literal["mean", "median"] = "mean"
        """What of its good neighbours a bad pixel becomes."""

        @model_validator(mode="after")
        def _something_to_do(self) -> Correct.Parameters:
            if not self.images():
                raise ValueError("give at least one of dark, gain, flat and bad")
            if self.gain is not None and self.flat is not None:
                raise ValueError("give gain or flat, not both: each says how sensitive a pixel is")
            return self

        def images(self) -> dict[str, str]:
            """Return the images that are given, by their role."""
            given = {role: getattr(self, role) for role in _IMAGES}
            return {role: path for role, path in given.items() if path is not None}

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return no keys: pixels are corrected one by one."""
        return ()

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the images of the detector."""
        return {role: Wanted(path) for role, path in parameters.images().items()}

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the images made ready for the input's type.

        Raises
        ------
        StepError
            An image does not fit the detector, holds what cannot be applied, or no pixel is good.
        """
        images = {role: _image(source, source.references[role]) for role in parameters.images()}
        shape = (source.size("ky"), source.size("kx"))
        good = images["bad"] == 0 if "bad" in images else np.ones(math.prod(shape), np.bool_)
        if not good.any():
            raise StepError("no pixel is good", evidence=f"{parameters.bad} marks every pixel as bad")
        dark = _applicable("dark", images["dark"], good, parameters, source) if "dark" in images else None
        gain = _gain(images, good, parameters, source)
        dtype = _result_type(source.dtype, dark, gain)
        if dark is not None and dtype.kind == "i":
            dark = dark.astype(dtype)
        elif dark is not None or gain is not None:
            dark = dark.astype(np.float64) if dark is not None else np.zeros(good.size)
            gain = gain if gain is not None else np.ones(good.size)
        around = None if good.all() else neighbours(~good.reshape(shape))
        plan = _Corrected(source, dark, gain, dtype, around, parameters.repair == "median")
        names = {"flat": "gain", "bad": "mask"}
        said = {names.get(role, role): {"file": path, "applied": True} for role, path in parameters.images().items()}
        plan.record = {"detector": said}
        return plan


def _image(source: Input, reference: Reference) -> NDArray[Any]:
    """Return an image of the detector, flat. A file of one image does not say whether it is a picture or a pattern."""
    dims = next(iter(reference.dims.values()))
    wanted = dims if dims == ("y", "x") else ("ky", "kx")
    return reference.array(wanted, (source.size("ky"), source.size("kx"))).reshape(-1)


def _applicable(
    role: str, image: NDArray[Any], good: NDArray[np.bool_], parameters: Any, source: Input
) -> NDArray[Any]:
    """Return an image with 0 at bad pixels; at good ones it must hold numbers, and of a sensitivity positive ones."""
    wrong = good & (~np.isfinite(image) if role == "dark" else ~(np.isfinite(image) & (image > 0)))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        y, x = divmod(first, source.size("kx"))
        raise StepError(
            f"the {role} image holds what cannot be applied",
            code=Code.STEP_COUNTS,
            evidence=f"{parameters.images()[role]}: first at ky={y}, kx={x}: {image[first]}; {int(wrong.sum())} in all",
            hint="mark such pixels as bad: --set bad=MASK",
        )
    return np.where(good, image, np.zeros(1, image.dtype))


def _gain(
    images: Mapping[str, NDArray[Any]], good: NDArray[np.bool_], parameters: Any, source: Input
) -> NDArray[np.float64] | None:
    if "gain" in images:
        return _applicable("gain", images["gain"], good, parameters, source).astype(np.float64)
    if "flat" not in images:
        return None
    flat = _applicable("flat", images["flat"], good, parameters, source).astype(np.float64)
    # fsum rounds once, whatever the order of the pixels
    mean = math.fsum(flat[good].tolist()) / int(good.sum())
    return np.where(good, mean / np.where(good, flat, 1.0), 0.0)


def _result_type(dtype: np.dtype[Any], dark: NDArray[Any] | None, gain: NDArray[Any] | None) -> np.dtype[Any]:
    """Return the type of the corrected frames: integers as long as every possible difference is one."""
    if dark is None and gain is None:
        return dtype
    if gain is None and dark is not None and dtype.kind in "ui" and dtype.itemsize < 8 and dark.dtype.kind in "uib":
        limits = np.iinfo(dtype)
        lowest, highest = int(limits.min) - int(dark.max()), int(limits.max) - int(dark.min())
        for name in ("i2", "i4", "i8"):
            wide = np.iinfo(name)
            if lowest >= wide.min and max(highest, int(dark.max())) <= wide.max:
                return np.dtype(name)
    return np.dtype(np.float64 if dtype.itemsize == 8 else np.float32)
