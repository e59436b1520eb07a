"""Thickness of the specimen in inelastic mean free paths, from low-loss spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from emdvc.errors import Code, MetadataError, StepError
from emdvc.kernels.exact_math import logs
from emdvc.model.quantity import Quantity
from emdvc.steps import contract, spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place
from emdvc.steps.label_plan import LabelPlan
from emdvc.steps.mean_free_path import iakoubovskii, malis
from emdvc.steps.values import Density, Energy, Length


class _Thickness(LabelPlan):
    """Logarithm of the ratio of two sums."""

    def __init__(self, source: Input, zero_loss: slice, whole: slice, path: float | None) -> None:
        self.labels = np.full(source.size("energy"), -1, np.int32)
        self.labels[whole] = 1
        self.labels[zero_loss] = 0
        self.count = 2
        self._path = path
        relative = Output("t_over_lambda", (), "", title="thickness in mean free paths, t/lambda")
        absolute = Output("thickness", (), "nm", title="thickness, lambda = " + (f"{path:.4g} nm" if path else ""))
        sums = (
            Output("zero_loss", (), source.unit, title="counts of the zero-loss peak"),
            Output("total", (), source.unit, title="counts of the spectrum"),
        )
        self.outputs = (relative, *((absolute,) if path is not None else ()), *sums)

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the maps of a block; without counts in the zero-loss peak there is no thickness: NaN."""
        zero, total = sums[:, 0], sums[:, 0] + sums[:, 1]
        known = (zero > 0) & (total > 0)
        relative = logs(np.where(known, total, 1) / np.where(known, zero, 1))
        relative = np.where(known, relative, np.nan)
        maps = {"t_over_lambda": relative, "zero_loss": zero.copy(), "total": total}
        if self._path is not None:
            maps["thickness"] = relative * self._path
        return Partial(maps)


class Thickness(FrameStep):
    """Thickness in inelastic mean free paths: t/lambda = ln(I_total / I_0), from low-loss spectra.

    I_0 are the counts of the zero-loss peak, from `start` to below `threshold`, where it meets the first loss; I_total
    those from `start` to `stop`. Spectra whose peak does not lie at 0 eV are aligned first (``align_zero_loss``). With
    Poisson counts sigma(t/lambda) = sqrt(1 / I_0 - 1 / I_total).

    The thickness in nm follows where the mean free path is known: given as `mean_free_path`; by the formula of Malis,
    Cheng and Egerton from `atomic_number` (the effective one), the recorded beam energy and collection semi-angle,
    lambda = 106 F E0 / (Em ln(2 beta E0 / Em)) with Em = 7.6 Z^0.36 eV; or by that of Iakoubovskii and others from
    `density`, the beam energy, and both semi-angles, which holds for large angles too. Both are within 10 to 20 %.

    Sums are exact where the data are integers; the logarithm is emdvc's own: the same bits on every machine.

    Source: Malis, Cheng and Egerton, J. Electron Microsc. Tech. 8, 193 (1988); Iakoubovskii et al., Microsc. Res. Tech.
    71, 626 (2008); Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011), section 5.1.
    """

    name = "thickness"
    version = 1
    summary = "thickness in inelastic mean free paths, and in nm, from low-loss spectra"
    core = ("energy",)

    class Parameters(contract.Parameters):
        """Where the zero-loss peak ends, and what is known of the mean free path."""

        threshold: Energy
        """Where the zero-loss peak ends: the minimum between it and the first loss, often 2 to 5 eV."""
        start: Energy | None = None
        """Lowest energy that counts; default: the start of the axis."""
        stop: Energy | None = None
        """Highest energy that counts; default: the end of the axis."""
        mean_free_path: Length | None = None
        """Inelastic mean free path, for the thickness in nm."""
        atomic_number: float | None = Field(default=None, gt=0, le=120)
        """Effective atomic number, for the mean free path by Malis and others."""
        density: Density | None = None
        """Density of the specimen, for the mean free path by Iakoubovskii and others."""

        @model_validator(mode="after")
        def _consistent(self) -> Thickness.Parameters:
            paths = (self.mean_free_path, self.atomic_number, self.density)
            if sum(value is not None for value in paths) > 1:
                raise ValueError("give one of mean_free_path, atomic_number and density, not several")
            for name, value in (("mean_free_path", self.mean_free_path), ("density", self.density)):
                if value is not None and value.values[0] <= 0:
                    raise ValueError(f"{name} must be above 0, not {value}")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis, and what the mean free path is computed from."""
        if parameters.density is not None:
            return ("axes.energy", "beam.energy", "beam.semi_convergence", "eels.collection_angle")
        if parameters.atomic_number is not None:
            return ("axes.energy", "beam.energy", "eels.collection_angle")
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> LabelPlan:
        """Return the windows and the mean free path.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated, or the record lacks what the mean free path needs.
        StepError
            A window holds no channel, or the formula does not hold.
        """
        energies = spectral.energies(source)
        zero_loss = spectral.window(source, energies, parameters.start, parameters.threshold, "zero loss")
        whole = spectral.window(source, energies, parameters.start, parameters.stop, "total")
        if whole.stop <= zero_loss.stop:
            raise StepError(
                "no channel lies above the zero-loss peak",
                evidence=f"the spectrum ends at {energies[whole.stop - 1]:.6g} eV, the peak at {parameters.threshold}",
            )
        return _Thickness(source, zero_loss, whole, _path(parameters, source))


def _path(parameters: Any, source: Input) -> float | None:
    if parameters.mean_free_path is not None:
        return float(parameters.mean_free_path.to("nm").values[0])
    if parameters.density is not None:
        return iakoubovskii(
            _recorded(source, "beam.energy", "keV", "200keV"),
            _recorded(source, "beam.semi_convergence", "mrad", "20mrad"),
            _recorded(source, "eels.collection_angle", "mrad", "30mrad"),
            float(parameters.density.to("g/cm^3").values[0]),
        )
    if parameters.atomic_number is None:
        return None
    energy = _recorded(source, "beam.energy", "keV", "200keV")
    angle = _recorded(source, "eels.collection_angle", "mrad", "10mrad")
    try:
        return malis(energy, angle, parameters.atomic_number)
    except ValueError as error:
        raise StepError(
            "the collection angle is too small for the mean free path by Malis and others",
            evidence=str(error),
            hint="--set mean_free_path=LENGTH gives it directly",
        ) from error


def _recorded(source: Input, key: str, unit: str, example: str) -> float:
    found: Quantity | None = source.metadata.quantity(key)
    if found is None or found.values[0] <= 0:
        raise MetadataError(
            f"the mean free path needs {key}, which the record of {source.name} does not hold",
            code=Code.METADATA_MISSING,
            evidence=f"it is {found}" if found is not None else None,
            hint=f"emdvc add {source.name} --set {key}={example}",
        )
    return float(found.to(unit).values[0])
