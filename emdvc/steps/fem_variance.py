"""Fluctuation electron microscopy: how much diffraction varies from one probe position to the next."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, StepError
from emdvc.kernels.fluctuation import add_wide, as_integers, sums_and_squares, wide_squares
from emdvc.kernels.labels import label_sums
from emdvc.model.axis import Axis
from emdvc.steps import contract, rings
from emdvc.steps.contract import Input, Output, Partial, Place, Plan

Sums = tuple[NDArray[Any], ...]


class _Fluctuation(Plan):
    """Sums over the scan: of each pixel and its square, and of the squared ring sums."""

    def __init__(
        self, source: Input, labels: NDArray[np.int32], axis: Axis, core: tuple[str, ...], subtract: bool
    ) -> None:
        self._labels, self._count, self._subtract = labels, axis.size, subtract
        self._shape = tuple(source.size(dim) for dim in core)
        self._pixels = np.bincount(labels[labels >= 0], minlength=axis.size)
        self._exact = source.dtype.kind != "f"
        self.axes = {"k": axis}
        unit = f"{source.unit}/px" if source.unit else ""

        def over_rings(name: str, title: str) -> Output:
            return Output(name, ("k",), per_probe=False, signed=subtract, title=title)

        self.outputs = (
            over_rings("variance", "annular mean of the variance image"),
            over_rings("annular_variance", "normalised variance of the annular mean"),
            over_rings("ensemble_variance", "normalised variance of the ring ensemble"),
            Output("variance_image", core, per_probe=False, signed=subtract, title="normalised variance image"),
            Output("mean_profile", ("k",), unit, per_probe=False, title="mean radial profile"),
            Output("pixels", ("k",), "px", per_probe=False, title="pixels per ring"),
        )

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the sums over a block."""
        flat = frames.reshape(frames.shape[0], -1)
        totals = label_sums(flat, self._labels, self._count)
        if self._exact:
            return Partial(reduction=(*sums_and_squares(flat), wide_squares(totals)))
        squares = np.zeros(self._count)
        for frame in totals:
            squares += frame * frame
        return Partial(reduction=(*sums_and_squares(flat), squares))

    def merge(self, first: Sums, second: Sums) -> Sums:
        """Return the sums of two blocks."""
        rings_squared = add_wide(first[2], second[2]) if self._exact else first[2] + second[2]
        return first[0] + second[0], first[1] + second[1], rings_squared

    def finish(self, maps: dict[str, NDArray[Any]], reduction: Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return the variances."""
        assert reduction is not None
        sums, squares, rings_squared = reduction
        on_rings = self._labels >= 0
        total = self._over_rings(sums, on_rings)
        # a ring without a pixel, or without counts, has no variance: NaN
        pixels = [int(n) for n in self._pixels]
        ensemble = self._over_rings(squares, on_rings)
        ring_squares = as_integers(rings_squared) if self._exact else rings_squared.tolist()
        image = _normalised(squares, sums, frames)
        means = np.array([t / (n * frames) if n else np.nan for t, n in zip(total, pixels, strict=True)])
        found = {
            "annular_variance": np.array(
                [_ratio(frames * q - t * t, t * t) for q, t in zip(ring_squares, total, strict=True)]
            ),
            "ensemble_variance": np.array(
                [_ratio(frames * n * q - t * t, t * t) for q, t, n in zip(ensemble, total, pixels, strict=True)]
            ),
        }
        if self._subtract:
            safe = np.where(means == 0, np.nan, means)
            found["annular_variance"] -= 1.0 / (safe * np.where(self._pixels == 0, 1, self._pixels))
            found["ensemble_variance"] -= 1.0 / safe
            image -= frames / np.where(sums == 0, np.nan, sums.astype(np.float64))
        found["variance"] = self._annular_mean(image)
        return {
            **found,
            "variance_image": image.reshape(self._shape),
            "mean_profile": means,
            "pixels": self._pixels.astype(np.int64),
        }

    def _over_rings(self, values: NDArray[Any], on_rings: NDArray[np.bool_]) -> list[Any]:
        """Return sums over rings as Python's numbers: integers of any size, or floats added in C order."""
        found: list[Any] = [0] * self._count
        for label, value in zip(self._labels[on_rings].tolist(), values[on_rings].tolist(), strict=True):
            found[label] += value
        return found

    def _annular_mean(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        known = (self._labels >= 0) & ~np.isnan(image)
        number = np.bincount(self._labels[known], minlength=self._count)
        # bincount adds one by one, in C order
        total = np.bincount(self._labels[known], weights=image[known], minlength=self._count)
        found: NDArray[np.float64] = total / np.where(number == 0, np.nan, number)
        return found


def _normalised(squares: NDArray[Any], sums: NDArray[Any], frames: int) -> NDArray[np.float64]:
    total = sums.astype(np.float64)
    total[total == 0] = np.nan
    found: NDArray[np.float64] = squares.astype(np.float64) * frames / (total * total) - 1.0
    return found


def _ratio(above: Any, below: Any) -> float:
    return float(above / below) if below else float("nan")


class FemVariance(rings.RingStep):
    """Fluctuation electron microscopy: normalised variance of diffraction over all probe positions, against k.

    With < >_r the mean over probe positions and < >_k that over the pixels of a ring:

    - ``variance_image`` = <I^2>_r / <I>_r^2 - 1 for every pixel (Omega_Vi), and ``variance``, its mean over each ring
      (Omega_V(k));
    - ``annular_variance`` = <<I>_k^2>_r / <<I>_k>_r^2 - 1, of the rings' means (V_Omega(k));
    - ``ensemble_variance`` = <<I^2>_k>_r / <<I>_k>_r^2 - 1, of all pixels of a ring in all patterns (V_re(k)).

    The variance within each ring of each pattern, V_r(k), is the step ``ring_variance``. Rings are those of
    ``radial_profile``. Poisson noise of mean m alone gives 1 / m, and 1 / (m N) for means over N pixels;
    ``shot_noise=subtract`` takes that off with the mean that was measured. A pixel or ring without counts has no
    variance (NaN).

    Where the data are integers the sums, also those of squares, are exact, and ``annular_variance`` and
    ``ensemble_variance`` are rounded once, before a subtraction; ``variance_image`` is wrong by less than 1e-15 of
    1 + V, and its mean over a ring is added in C order. Of data that are floats the order of additions follows the
    blocks of the file. Sums of squares must fit 64 bits, which 16-bit counts always do.

    Source: Treacy and Gibson, Acta Crystallographica A52, 212 (1996); the definitions as in Daulton, Bondi and Kelton,
    Ultramicroscopy 110, 1279 (2010); shot noise as in Voyles and Muller, Ultramicroscopy 93, 147 (2002).
    """

    name = "fem_variance"
    version = 1
    summary = "normalised variance of diffraction over the scan (fluctuation electron microscopy)"
    core = ("ky", "kx")

    class Parameters(rings.RingParameters, contract.Parameters):
        """The rings."""

        shot_noise: Literal["keep", "subtract"] = "keep"
        """Whether to take off the variance that counting alone gives; the data must be electrons then."""

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the rings for an input.

        Raises
        ------
        StepError
            There is a single pattern: nothing can vary.
        """
        if len(source.dims) == len(self.core):
            raise StepError(
                f"the variance over a scan needs more than the one pattern of {source.name}",
                code=Code.STEP_DIMENSIONS,
                hint="ring_variance is the variance within the rings of one pattern",
            )
        chosen = rings.rings(parameters, source)
        subtract = parameters.shot_noise == "subtract"
        return _Fluctuation(source, chosen.labels(source), chosen.axis(), self.core, subtract)
