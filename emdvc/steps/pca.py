"""Principal components of a spectrum image, and the spectra without the noise of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt, model_validator

from emdvc.errors import Code, InternalError, StepError
from emdvc.kernels import products
from emdvc.kernels.eigen import leading_eigenpairs
from emdvc.kernels.labels import label_sums
from emdvc.model import units
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps import contract, spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.values import Energy

#: Most channels whose products of every two are summed: 128 MiB for each block of spectra that is being worked on.
_MOST_CHANNELS = 4096


@dataclass(frozen=True)
class _Choice:
    """What is computed: channels, scaling, and how many components."""

    part: slice
    size: int
    scaling: str
    center: bool
    components: int
    denoise: int | None


class _Passes(Plan):
    """What both passes share."""

    def __init__(self, choice: _Choice, outputs: tuple[Output, ...], axes: dict[str, Axis]) -> None:
        self.choice, self.outputs, self.axes = choice, outputs, axes
        self._labels = np.full(choice.size, -1, np.int32)
        self._labels[choice.part] = 0

    def scales(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """Return the factor of each spectrum: 1 / sqrt(its counts), 0 where there are none, or 1 without scaling."""
        if self.choice.scaling != "poisson":
            return np.ones(frames.shape[0])
        counts = label_sums(frames, self._labels, 1)[:, 0]
        known = counts > 0
        return np.where(known, 1.0 / np.sqrt(np.where(known, counts, 1)), 0.0)


class _Sums(_Passes):
    """The first pass: sums of all channels and of the products of every two."""

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the sums over a block."""
        channels = np.ascontiguousarray(frames[:, self.choice.part])
        if self.choice.scaling == "poisson" or channels.dtype.kind == "f":
            matrix: NDArray[Any] = products.scaled_products(channels, self.scales(frames))
        else:
            try:
                matrix = products.integer_products(channels)
            except OverflowError as error:
                raise _too_large(str(error)) from error
        return Partial({}, (_channel_sums(channels), matrix))

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return the sums over two blocks."""
        if first[1].dtype.kind == "i":
            # no product sum is larger than the larger of its two channels' squares, which are sums too
            largest = max(int(part[1].max()) for part in (first, second))
            if largest > products.LARGEST:
                raise _too_large(f"a sum of squares of {largest}")
        return (first[0] + second[0], first[1] + second[1])

    def following(self, reduction: tuple[NDArray[Any], ...] | None, frames: int) -> Plan | None:
        """Return the second pass, with the components."""
        if reduction is None:
            raise InternalError("principal components were asked of no spectrum", code=Code.INTERNAL)
        sums, matrix = reduction
        mean = sums / frames
        weights = np.ones(mean.size)
        if self.choice.scaling != "none":
            known = mean > 0
            weights = np.where(known, 1.0 / np.sqrt(np.where(known, mean, 1.0)), 0.0)
        scaled = products.square(matrix) * weights[:, None] * weights[None, :]
        middle = np.zeros(mean.size)
        if self.choice.center:
            middle = mean * weights
            scaled -= frames * (middle[:, None] * middle[None, :])
        values, loadings = leading_eigenpairs(scaled, self.choice.components)
        whole = math.fsum(np.diagonal(scaled).tolist())
        fractions = np.maximum(values, 0.0) / whole if whole > 0 else np.zeros(values.size)
        return _Scores(self, weights, middle, loadings, fractions)


def _channel_sums(channels: NDArray[Any]) -> NDArray[Any]:
    if channels.dtype.kind != "f":
        whole: NDArray[np.int64] = channels.sum(axis=0, dtype=np.int64)
        return whole
    total = np.zeros(channels.shape[1])
    for frame in channels:  # one after the other: a library's sum has an order of its own
        total += frame
    return total


def _too_large(evidence: str) -> StepError:
    return StepError(
        "the counts are too large for exact sums of their products",
        code=Code.STEP_COUNTS,
        evidence=evidence,
        hint="--set scaling=poisson sums in floats",
    )


class _Scores(_Passes):
    """The second pass: how much of each component every spectrum holds."""

    def __init__(
        self,
        sums: _Sums,
        weights: NDArray[np.float64],
        middle: NDArray[np.float64],
        loadings: NDArray[np.float64],
        fractions: NDArray[np.float64],
    ) -> None:
        super().__init__(sums.choice, sums.outputs, dict(sums.axes))
        self._weights, self._middle, self._fractions = weights, middle, fractions
        back = np.where(weights > 0, 1.0 / np.where(weights > 0, weights, 1.0), 0.0)
        physical = loadings * back[None, :]
        # the sign of an eigenvector is arbitrary: its largest channel, the first of equal ones, is positive
        largest = np.argmax(np.abs(physical), axis=1)
        signs = np.where(np.take_along_axis(physical, largest[:, None], axis=1) < 0, -1.0, 1.0)
        self._components = np.ascontiguousarray(physical * signs)
        self._loadings = np.ascontiguousarray((loadings * signs).T)
        self._mean = middle * back

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the scores of a block's spectra, and the spectra that they make."""
        scales = self.scales(frames)
        scores = np.empty((frames.shape[0], self.choice.components))
        first = self.choice.part.start
        products.project(frames, first, scales, self._weights, self._middle, self._loadings, scores)
        scores *= np.where(scales > 0, 1.0 / np.where(scales > 0, scales, 1.0), 0.0)[:, None]
        maps: dict[str, NDArray[Any]] = {"scores": scores}
        keep = self.choice.denoise
        if keep is not None:
            spectra = np.empty((frames.shape[0], self._mean.size), np.float32)
            products.compose(np.ascontiguousarray(scores[:, :keep]), self._components[:keep], self._mean, spectra)
            maps["spectra"] = spectra
        return Partial(maps)

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Return what all spectra share."""
        found = {"components": self._components, "explained_variance": self._fractions}
        return {**found, "mean": self._mean} if self.choice.center else found


class PrincipalComponents(FrameStep):
    """Principal components of a spectrum image: few spectra whose sums make all others, but for noise.

    Every spectrum N_i is written as sum_k s_ik c_k: ``scores`` times ``components``, both in the unscaled data's
    terms. The components are the eigenvectors with the largest eigenvalues of the matrix of product sums
    sum_i x_i x_i^T of the scaled spectra x; ``explained_variance`` are the eigenvalues as parts of their sum over all
    channels (the scree plot). With `denoise` = n, ``spectra`` are the spectra that the first n components make.

    Scaling makes the noise alike in all channels, which the components are least disturbed by: ``poisson`` divides by
    the square roots of the mean spectrum and of each spectrum's counts (Keenan and Kotula), ``channels`` by that of
    the mean spectrum alone, ``none`` leaves counts as they are. With `center` the mean spectrum is subtracted first.

    The sign of a component is free in mathematics; here its channel of the largest magnitude is positive.

    The data are read twice. With ``channels`` or ``none`` and integer data the product sums are exact integers, the
    same for any order; else they are made in 64-bit floats, spectrum by spectrum within a block of the scan and block
    by block. Eigenvectors are found by emdvc's own ordered Lanczos iteration, whose residual is below 1e-13 of the
    largest eigenvalue, not by LAPACK: all outputs are the same bits on every machine and for any number of threads.
    With floats they depend on the chunks of the file in the last digits. ``spectra`` are kept in 32 bits.

    Source: Keenan and Kotula, Surface and Interface Analysis 36, 203 (2004); Jolliffe, Principal Component Analysis,
    2nd ed. (2002).
    """

    name = "pca"
    version = 1
    summary = "principal components of a spectrum image, and spectra without noise"
    core = ("energy",)
    example: ClassVar[Mapping[str, Any]] = {"components": 3, "denoise": 3}

    class Parameters(contract.Parameters):
        """How many components, of which channels, scaled how."""

        components: PositiveInt = 10
        """How many components are computed."""
        denoise: PositiveInt | None = None
        """How many of them the denoised spectra are made of; default: no such spectra."""
        scaling: Literal["poisson", "channels", "none"] = "poisson"
        """How the noise is made alike before."""
        center: bool = False
        """Whether the mean spectrum is subtracted first."""
        start: Energy | None = None
        """Lowest energy that is taken; default: the start of the axis."""
        stop: Energy | None = None
        """Highest energy that is taken; default: the end of the axis."""

        @model_validator(mode="after")
        def _consistent(self) -> PrincipalComponents.Parameters:
            if self.denoise is not None and self.denoise > self.components:
                raise ValueError(f"denoise asks for {self.denoise} of {self.components} components")
            if self.center and self.scaling == "poisson":
                raise ValueError(
                    "center goes with scaling channels or none: with poisson each spectrum has a scale of its own, and "
                    "the first component is the mean"
                )
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis."""
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the first pass.

        Raises
        ------
        MetadataError
            Energies are given, and the axis is not calibrated.
        StepError
            There are too many channels, or fewer of them or of spectra than components.
        """
        axes: dict[str, Axis] = {}
        part = slice(0, source.size("energy"))
        if parameters.start is not None or parameters.stop is not None:
            energies = spectral.energies(source)
            part = spectral.window(source, energies, parameters.start, parameters.stop, "channels")
            axes["energy"] = spectral.part_axis(source, energies, part)
        channels = part.stop - part.start
        spectra = math.prod(source.scan(self.core)[1])
        _check_sizes(parameters.components, channels, spectra, source)
        one = Quantity(1.0, "", Origin.DERIVED)
        axes["component"] = Axis("component", parameters.components, Role.STACK, scale=one, offset=one)
        choice = _Choice(
            part,
            source.size("energy"),
            parameters.scaling,
            parameters.center,
            parameters.components,
            parameters.denoise,
        )
        return _Sums(choice, _outputs(parameters, source), axes)


def _check_sizes(components: int, channels: int, spectra: int, source: Input) -> None:
    if channels > _MOST_CHANNELS:
        calibrated = units.compatible(source.metadata.axis("energy").unit, "eV")
        raise StepError(
            f"{channels} channels are too many for principal components: at most {_MOST_CHANNELS}",
            code=Code.STEP_DIMENSIONS,
            hint="--set start=ENERGY --set stop=ENERGY takes a part of them" if calibrated else None,
        )
    if components > min(channels, spectra):
        raise StepError(
            f"{components} components are more than {source.name} can have",
            evidence=f"it has {spectra} spectra of {channels} channels",
            hint=f"--set components={min(channels, spectra)} or fewer",
        )


def _outputs(parameters: Any, source: Input) -> tuple[Output, ...]:
    found = [
        Output("scores", ("component",), "", signed=True, title="scores"),
        Output("components", ("component", "energy"), source.unit, per_probe=False, signed=True, title="components"),
        Output("explained_variance", ("component",), "", per_probe=False, title="part of the variance explained"),
    ]
    if parameters.center:
        found.append(Output("mean", ("energy",), source.unit, per_probe=False, title="mean spectrum"))
    if parameters.denoise is not None:
        title = f"spectra of {parameters.denoise} components"
        found.append(Output("spectra", ("energy",), source.unit, signed=True, title=title))
    return tuple(found)
