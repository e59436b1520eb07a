"""Where a channel of a spectrum lies: its energy in eV, and the channels of a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import Code, MetadataError, StepError
from emdvc.model import units
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.steps.contract import Input


def energy_axis(source: Input) -> Axis:
    """Return the energy axis, calibrated.

    Raises
    ------
    MetadataError
        It is not.
    """
    axis = source.metadata.axis("energy")
    if not units.compatible(axis.unit, "eV"):
        raise MetadataError(
            f"windows of energy need a calibrated energy axis, which {source.name} does not have",
            code=Code.METADATA_MISSING,
            evidence=f"its unit is {axis.unit}",
            hint=f"emdvc add {source.name} --set axes.energy.scale=10eV",
        )
    return axis


def energies(source: Input) -> NDArray[np.float64]:
    """Return the energy of every channel, in eV.

    Raises
    ------
    MetadataError
        The energy axis is not calibrated.
    StepError
        The energies do not ascend.
    """
    axis = energy_axis(source)
    found: NDArray[np.float64] = np.array(axis.coordinates(), np.float64) * units.factor(axis.unit, "eV")
    if found.size > 1 and not (np.diff(found) > 0).all():
        raise StepError(
            f"the energies of {source.name} do not ascend",
            code=Code.STEP_DIMENSIONS,
            evidence=f"from {found[0]:.6g} to {found[-1]:.6g} eV",
        )
    return found


def dispersion(source: Input) -> float:
    """Return the width of a channel in eV, of an axis whose channels are all alike.

    Raises
    ------
    StepError
        There is one channel only, or the channels are not evenly spaced.
    """
    axis = source.metadata.axis("energy")
    if axis.values is not None or axis.scale is None or axis.size < 2:
        raise StepError(
            f"the channels of {source.name} are not evenly spaced",
            code=Code.STEP_DIMENSIONS,
            evidence=f"{axis.size} channels in {axis.unit}",
        )
    return float(axis.scale.values[0]) * units.factor(axis.unit, "eV")


def ev(energy: Quantity) -> float:
    """Return an energy in eV."""
    return float(energy.to("eV").values[0])


def window(
    source: Input,
    channels: NDArray[np.float64],
    start: Quantity | None,
    stop: Quantity | None,
    name: str,
    least: int = 1,
) -> slice:
    """Return the channels with ``start <= E < stop``.

    Parameters
    ----------
    source
        For messages.
    channels
        Energies in eV, ascending.
    start, stop
        The window; None for the end of the axis.
    name
        What messages call the window.
    least
        Number of channels that it must hold.

    Raises
    ------
    StepError
        It holds fewer.
    """
    first = 0 if start is None else int(np.searchsorted(channels, ev(start), side="left"))
    last = channels.size if stop is None else int(np.searchsorted(channels, ev(stop), side="left"))
    if last - first < least:
        few = "no channel" if last <= first else f"{last - first} channel{'s' if last - first > 1 else ''}"
        raise StepError(
            f"the window '{name}' holds {few}" + (f", and needs {least}" if least > 1 else ""),
            evidence=f"{start if start is not None else 'start'} to {stop if stop is not None else 'end'}; the axis of "
            f"{source.name} runs from {channels[0]:.6g} to {channels[-1]:.6g} eV",
        )
    return slice(first, last)


def part_axis(source: Input, channels: NDArray[np.float64], part: slice) -> Axis:
    """Return the axis of a part of the channels, in eV.

    Parameters
    ----------
    source
        Has the whole axis.
    channels
        Energies of the whole axis in eV.
    part
        The channels that are kept.
    """
    axis, size = source.metadata.axis("energy"), part.stop - part.start
    if axis.values is not None or axis.scale is None:
        values = Quantity(tuple(channels[part].tolist()), "eV", Origin.DERIVED)
        return Axis("energy", size, Role.SPECTRUM, values=values)
    scale = float(axis.scale.values[0]) * units.factor(axis.unit, "eV")
    return Axis(
        "energy",
        size,
        Role.SPECTRUM,
        scale=Quantity(scale, "eV", Origin.DERIVED),
        offset=Quantity(float(channels[part.start]), "eV", Origin.DERIVED),
    )
