"""Intensities of X-ray lines: counts in a window around each line, less the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from emdvc.errors import Code, EmdvcError, MetadataError, StepError
from emdvc.steps import contract, spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place
from emdvc.steps.label_plan import LabelPlan, joint_labels
from emdvc.steps.values import Energy
from emdvc.steps.xray_lines import line_energy

#: Mn Ka, where a detector's resolution is stated, in eV, and the growth of FWHM^2 with the energy, in eV.
_MN_KA, _GROWTH = 5898.7, 2.5


def _names(value: Any) -> Any:
    # Si_Ka,O_Ka from a command line; "Si Ka" as people write it
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"lines are given by name, as Si_Ka, O_Ka; not {value!r}")
    names = tuple(part.strip().replace(" ", "_") for part in parts)
    for name in names:
        try:
            line_energy(name)
        except EmdvcError as error:
            told = "; ".join(text for text in (error.cause, error.evidence, error.hint) if text)
            raise ValueError(told) from error
    if not names or len(set(names)) < len(names):
        raise ValueError("give at least one line, and each once")
    return names


#: Names of X-ray lines.
Lines = Annotated[tuple[str, ...], BeforeValidator(_names), WithJsonSchema({"type": "string"})]


class Background(BaseModel):
    """The windows on either side of one line that its background is read from."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    left_start: Energy
    """Lowest energy of the window below the line."""
    left_stop: Energy
    """Its highest energy."""
    right_start: Energy
    """Lowest energy of the window above the line."""
    right_stop: Energy
    """Its highest energy."""

    @model_validator(mode="after")
    def _ascending(self) -> Background:
        edges = (self.left_start, self.left_stop, self.right_start, self.right_stop)
        if any(spectral.ev(a) > spectral.ev(b) for a, b in pairwise(edges)):
            raise ValueError("left_start, left_stop, right_start and right_stop must ascend")
        return self


@dataclass(frozen=True)
class _Line:
    """The channels of one line, and of its background on either side with the weights of their sums."""

    name: str
    window: slice
    sides: tuple[slice, ...] = ()
    weights: tuple[float, ...] = ()


class _Intensities(LabelPlan):
    """Sums over the windows, and differences of them."""

    def __init__(self, source: Input, lines: list[_Line]) -> None:
        self._lines = lines
        windows = [part for line in lines for part in (line.window, *line.sides)]
        masks = np.zeros((len(windows), source.size("energy")), np.bool_)
        for mask, part in zip(masks, windows, strict=True):
            mask[part] = True
        self.labels, self._members = joint_labels(masks)
        self.count = self._members.shape[0]
        outputs = [Output(line.name, (), source.unit, title=_title(line), signed=bool(line.sides)) for line in lines]
        for line in lines:
            if line.sides:
                outputs.append(Output(f"{line.name}_sigma", (), source.unit, title=f"{line.name}: standard deviation"))
        self.outputs = tuple(outputs)

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the maps of a block."""
        totals = iter(self._members.T)
        maps: dict[str, NDArray[Any]] = {}
        for line in self._lines:
            gross = _total(sums, next(totals))
            if not line.sides:
                maps[line.name] = gross
                continue
            background, variance = np.zeros(gross.size), gross.astype("f8")
            for weight in line.weights:
                side = _total(sums, next(totals))
                background += weight * side
                variance += weight * weight * side
            maps[line.name] = gross - background
            maps[f"{line.name}_sigma"] = np.sqrt(np.maximum(variance, 0.0))
        return Partial(maps)


def _total(sums: NDArray[Any], members: NDArray[np.int64]) -> NDArray[Any]:
    total = np.zeros(sums.shape[0], sums.dtype)
    for label in np.flatnonzero(members):
        total += sums[:, label]
    return total


def _title(line: _Line) -> str:
    return f"{line.name.replace('_', ' ')}" + (", background subtracted" if line.sides else "")


class LineIntensity(FrameStep):
    """Counts of X-ray lines by name: one map per line, with the background subtracted if asked for.

    A line's window reaches `width` / 2 times the detector's FWHM to either side of its energy, both edges rounded to
    the nearest channel, the upper one left out, as exspy's ``get_lines_intensity(integration_windows=width)`` does: a
    channel belongs to the window or not, and the sums are exact integers. With Gaussian lines `width` = 2 holds
    98.1 % of a line's counts. FWHM^2 = FWHM(Mn Ka)^2 + 2.5 eV (E - E(Mn Ka)), E(Mn Ka) = 5898.7 eV.

    With `background` the mean counts per channel in a window on either side of the line are joined by a straight line,
    whose counts under the line are subtracted; ``_sigma`` is the standard deviation of the difference under Poisson
    statistics. By default each of these windows begins `background_distance` FWHM from the line and is
    `background_width` FWHM wide, the edges rounded likewise; where another line lies there, `background_windows` says
    others. The difference is computed in 64-bit floats in a fixed order: the same bits on every machine.

    Energies of the lines: Bearden, Rev. Mod. Phys. 39, 78 (1967), as tabulated by Schoonjans et al., Spectrochim.
    Acta B 66, 776 (2011), and Elam, Ravel and Sieber, Radiat. Phys. Chem. 63, 121 (2002); Ka stands for Ka1, and so on.
    Resolution: Fiori and Newbury, Scanning Electron Microscopy 1, 401 (1978).
    """

    name = "line_intensity"
    version = 1
    summary = "counts of X-ray lines by name, with or without the background"
    core = ("energy",)
    example: ClassVar[Mapping[str, Any]] = {"lines": "Si_Ka,O_Ka", "resolution": "130eV", "background": True}
    gives = (
        Output("Si_Ka", (), "counts", signed=True, title="Si Ka, background subtracted"),
        Output("O_Ka", (), "counts", signed=True, title="O Ka, background subtracted"),
        Output("Si_Ka_sigma", (), "counts", title="Si_Ka: standard deviation"),
        Output("O_Ka_sigma", (), "counts", title="O_Ka: standard deviation"),
    )

    class Parameters(contract.Parameters):
        """The lines and their windows."""

        lines: Lines
        """Names of the lines, as Si_Ka, O_Ka, Au_Ma; several with commas between."""
        width: float = Field(default=2.0, gt=0.0, le=10.0)
        """Width of a line's window, in FWHM of the detector at the line."""
        resolution: Energy | None = None
        """FWHM of the detector at Mn Ka; default: the recorded one."""
        background: bool = False
        """Whether the background is subtracted."""
        background_distance: float = Field(default=2.0, ge=0.0, le=50.0)
        """Where the windows of the background begin, in FWHM from the line."""
        background_width: float = Field(default=1.0, gt=0.0, le=50.0)
        """How wide they are, in FWHM."""
        background_windows: dict[str, Background] = Field(default_factory=dict)
        """Other windows for the background, by line: `left_start`, `left_stop`, `right_start` and `right_stop`."""

        @model_validator(mode="after")
        def _consistent(self) -> LineIntensity.Parameters:
            for name in self.background_windows:
                if name not in self.lines:
                    raise ValueError(f"background_windows names {name}, which is not among the lines")
            if self.background_windows and not self.background:
                raise ValueError("background_windows are given, but no background is asked for: set background=true")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis, and the resolution where it is the recorded one."""
        if parameters.resolution is not None:
            return ("axes.energy",)
        return ("axes.energy", "eds.energy_resolution")

    def prepare(self, parameters: Any, source: Input) -> LabelPlan:
        """Return the channels of each line.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated, or the detector's resolution is not known.
        StepError
            A window does not lie on the energy axis.
        """
        axis = _Channels(source)
        resolution = _resolution(parameters, source)
        return _Intensities(source, [_line(name, parameters, axis, resolution) for name in parameters.lines])


class _Channels:
    """An energy axis, and windows on it."""

    def __init__(self, source: Input) -> None:
        self.energies = spectral.energies(source)
        self._scale, self._name = spectral.dispersion(source), source.name

    def window(self, start: float, stop: float, what: str, hint: str | None = None) -> slice:
        """Return the channels from `start` to `stop` in eV, both rounded to the nearest channel."""
        first, last = (round((edge - float(self.energies[0])) / self._scale) for edge in (start, stop))
        size = self.energies.size
        if first < 0 or last > size or first == last:
            raise StepError(
                f"{what} holds no channel" if first == last else f"{what} does not lie on the energy axis",
                evidence=f"{start:.6g} to {stop:.6g} eV; the axis of {self._name} runs from {self.energies[0]:.6g} to "
                f"{self.energies[-1]:.6g} eV in channels of {self._scale:.4g} eV",
                hint=hint,
            )
        return slice(first, last)

    def middle(self, part: slice) -> float:
        """Return the mean energy of a window's channels."""
        return 0.5 * (float(self.energies[part.start]) + float(self.energies[part.stop - 1]))


def _line(name: str, parameters: Any, axis: _Channels, resolution: float) -> _Line:
    energy = line_energy(name)
    square = resolution * resolution + _GROWTH * (energy - _MN_KA)
    if square <= 0:
        raise StepError(
            f"a resolution of {resolution:g} eV at Mn Ka leaves no width for {name} at {energy:g} eV",
            evidence="FWHM^2 = FWHM(Mn Ka)^2 + 2.5 eV (E - 5898.7 eV) would not be positive",
            hint="--set resolution=ENERGY",
        )
    fwhm = float(np.sqrt(square))
    half = 0.5 * parameters.width * fwhm
    window = axis.window(energy - half, energy + half, f"the window of {name}")
    if not parameters.background:
        return _Line(name, window)
    explicit = parameters.background_windows.get(name)
    if explicit is not None:
        edges = [
            spectral.ev(edge)
            for edge in (explicit.left_start, explicit.left_stop, explicit.right_start, explicit.right_stop)
        ]
    else:
        near = parameters.background_distance * fwhm
        far = near + parameters.background_width * fwhm
        edges = [energy - far, energy - near, energy + near, energy + far]
    hint = f"--set background_windows.{name}.left_start=ENERGY and so on"
    left = axis.window(edges[0], edges[1], f"the window of the background below {name}", hint)
    right = axis.window(edges[2], edges[3], f"the window of the background above {name}", hint)
    return _Line(name, window, (left, right), _weights(axis, window, left, right))


def _weights(axis: _Channels, window: slice, left: slice, right: slice) -> tuple[float, float]:
    # the straight line through both means, summed over the window's channels, is a weighted sum of the sides' counts
    low, high = axis.middle(left), axis.middle(right)
    if low >= high:
        raise StepError("the windows of a background lie on one another", evidence=f"both around {low:.6g} eV")
    part = (axis.middle(window) - low) / (high - low)
    count = window.stop - window.start
    return count * (1.0 - part) / (left.stop - left.start), count * part / (right.stop - right.start)


def _resolution(parameters: Any, source: Input) -> float:
    found = parameters.resolution or source.metadata.quantity("eds.energy_resolution")
    if found is None:
        raise MetadataError(
            f"the windows of X-ray lines need eds.energy_resolution, which the record of {source.name} does not hold",
            code=Code.METADATA_MISSING,
            hint=f"emdvc add {source.name} --set eds.energy_resolution=130eV",
        )
    return spectral.ev(found)
