"""Elemental maps: the counts of an ionisation edge above the power law that is fitted before it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from emdvc.kernels.labels import label_sums
from emdvc.steps import spectral
from emdvc.steps.contract import FrameStep, Input, Output, Partial, Place, Plan
from emdvc.steps.label_plan import LabelPlan, joint_labels
from emdvc.steps.power_law import FitParameters, Fitted, PowerLaw, fit_window
from emdvc.steps.values import Energy


class Edge(BaseModel):
    """An ionisation edge: where the background is fitted, and where its counts are summed."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    fit_start: Energy
    """Lowest energy of the window before the edge, where the power law is fitted."""
    fit_stop: Energy
    """Its highest energy: below the edge's onset."""
    start: Energy
    """Lowest energy of the window whose counts are the element's."""
    stop: Energy
    """Its highest energy."""

    @model_validator(mode="after")
    def _ascending(self) -> Edge:
        for first, last in ((self.fit_start, self.fit_stop), (self.fit_stop, self.start), (self.start, self.stop)):
            if spectral.ev(first) > spectral.ev(last):
                raise ValueError(f"fit_start, fit_stop, start and stop must ascend: {first} is above {last}")
        return self


class _Sums:
    """The sums over the windows of all edges, and what follows from them."""

    def __init__(self, source: Input, edges: dict[str, Edge], parameters: FitParameters) -> None:
        energies = spectral.energies(source)
        self.names = tuple(edges)
        self.laws, self.tables, masks = [], [], []
        for name, edge in edges.items():
            law = PowerLaw(
                energies, fit_window(source, energies, edge.fit_start, edge.fit_stop, f"{name}, fit"), parameters
            )
            signal = spectral.window(source, energies, edge.start, edge.stop, name)
            self.laws.append(law)
            self.tables.append(law.sums_over(energies, signal))
            masks += [_mask(energies.size, part) for part in (*law.halves, signal)]
        self.labels, self.members = joint_labels(np.stack(masks))

    def windows(self, sums: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the sums over the windows from those over the labels: two halves and the signal of each edge."""
        found = []
        for members in self.members.T:
            total = np.zeros(sums.shape[0], sums.dtype)
            for label in np.flatnonzero(members):
                total += sums[:, label]
            found.append(total)
        return found

    def partial(self, fits: list[Fitted], signals: list[NDArray[Any]]) -> Partial:
        """Return the maps of all edges."""
        maps = {}
        for name, law, table, fit, signal in zip(self.names, self.laws, self.tables, fits, signals, strict=True):
            maps[name] = signal - law.extrapolated(fit, table)
            maps[f"{name}_A"], maps[f"{name}_r"] = fit.a, fit.r
        return Partial(maps)


def _mask(size: int, part: slice) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[part] = True
    return mask


def _outputs(source: Input, edges: dict[str, Edge]) -> tuple[Output, ...]:
    maps = [
        Output(name, (), source.unit, signed=True, title=f"{name}: {edge.start} to {edge.stop}, background subtracted")
        for name, edge in edges.items()
    ]
    for name in edges:
        maps.append(Output(f"{name}_A", (), source.unit, title=f"{name}: background per channel at 1 eV, A"))
        maps.append(Output(f"{name}_r", (), "", title=f"{name}: exponent of the background, r"))
    return tuple(maps)


class _TwoAreas(LabelPlan):
    """Maps that follow from sums over windows alone."""

    def __init__(self, source: Input, edges: dict[str, Edge], parameters: FitParameters) -> None:
        self._sums = _Sums(source, edges, parameters)
        self.labels, self.count = self._sums.labels, self._sums.members.shape[0]
        self.outputs = _outputs(source, edges)

    def from_sums(self, sums: NDArray[Any], squares: NDArray[Any] | None, place: Place) -> Partial:
        """Return the maps of a block."""
        windows = self._sums.windows(sums)
        fits = [law.from_halves(windows[3 * i], windows[3 * i + 1]) for i, law in enumerate(self._sums.laws)]
        return self._sums.partial(fits, windows[2::3])


class _Fits(Plan):
    """Maps whose power laws need more of each spectrum than sums over windows."""

    def __init__(self, source: Input, edges: dict[str, Edge], parameters: FitParameters) -> None:
        self._sums = _Sums(source, edges, parameters)
        self.outputs = _outputs(source, edges)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return the maps of a block."""
        windows = self._sums.windows(label_sums(frames, self._sums.labels, self._sums.members.shape[0]))
        fits = [law.from_frames(frames, windows[3 * i] + windows[3 * i + 1]) for i, law in enumerate(self._sums.laws)]
        return self._sums.partial(fits, windows[2::3])


class ElementalMap(FrameStep):
    """Counts of ionisation edges above their backgrounds: one map per edge, with A and r of the background.

    Before the edge, N(E) = A E^-r counts per channel are fitted to each spectrum; the map is the sum of the counts
    from `start` to `stop` less the sum of A E^-r over the same channels. Three methods:

    ``likelihood`` (default): A and r that make the counts likeliest under Poisson statistics. They are found from two
    sums, of N and of N ln E: the law that has the same two. No other unbiased fit has less noise; of n counts r is off
    by sigma = 1 / (sqrt(n) s), with s the standard deviation of ln E over the window's counts, and its bias is of the
    order sigma^2.

    ``two_area``: the law that has the same sums over the two halves of the window, solved exactly for the sums over
    channels (Egerton's closed form takes integrals of thin windows instead). Sums alone are needed, so it costs the
    least; its r has about 1.15 times the noise of the likelihood's.

    ``log_fit``: the line through ln N against ln E by least squares, every channel alike; channels without counts are
    left out. With few counts it is biased: the mean of ln N lies 1 / (2 N) below the logarithm of the mean of N, so
    that r comes out too large by about 2 % at 50 counts a channel, and A, its extrapolation to 1 eV, by much more. It
    is what older work used.

    A spectrum without counts in the fit's window has no power law: A is 0, r is NaN, and nothing is subtracted. The
    mean of an extrapolated background lies above the true one by half its relative variance, in all methods. Sums of
    integers are exact; logarithms and powers are emdvc's own, so all maps are the same bits on every machine.

    Source: Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed. (2011), section 4.4; Cash,
    Astrophysical Journal 228, 939 (1979) for the likelihood.
    """

    name = "elemental_map"
    version = 1
    summary = "counts of ionisation edges above a power-law background"
    core = ("energy",)

    class Parameters(FitParameters):
        """The edges."""

        edges: dict[str, Edge]
        """Edges by name, each with `fit_start`, `fit_stop`, `start` and `stop`."""

        @model_validator(mode="after")
        def _at_least_one(self) -> ElementalMap.Parameters:
            if not self.edges:
                raise ValueError("give at least one edge: edges.NAME.fit_start, fit_stop, start and stop")
            maps = [f"{name}{kind}" for name in self.edges for kind in ("", "_A", "_r")]
            if len(set(maps)) < len(maps):
                raise ValueError("two maps would have one name: an edge is named as another's A or r")
            return self

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the calibration of the energy axis."""
        return ("axes.energy",)

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the windows and the tables of sums.

        Raises
        ------
        MetadataError
            The energy axis is not calibrated.
        StepError
            A window holds too few channels, or energies that are not positive.
        """
        plan = _TwoAreas if parameters.method == "two_area" else _Fits
        return plan(source, parameters.edges, parameters)
