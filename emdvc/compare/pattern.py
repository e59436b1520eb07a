"""One diffraction pattern, spectrum or image of a dataset, wherever its bytes are: what it holds, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emdvc.errors import Code, UsageError
from emdvc.model.axis import Axis, Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from emdvc.formats.contract import Opened, ReadOptions, Variable
    from emdvc.model.sidecar import Sidecar


@dataclass(frozen=True, slots=True)
class Place:
    """A place along one axis.

    Parameters
    ----------
    axis
        The axis, calibrated.
    index
        In samples, from 0.
    """

    axis: Axis
    index: float

    @property
    def value(self) -> float | None:
        """In the axis's unit; None where it is not calibrated."""
        if self.axis.values is not None:
            number = int(self.index)
            return float(self.axis.values.values[number]) if number == self.index else None
        if self.axis.scale is None:
            return None
        start, _ = self.axis.extent()
        return start + self.index * float(self.axis.scale.values[0])


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern, spectrum or image.

    Parameters
    ----------
    variable
        Name of the array that it is of.
    position
        Where in the scan or in the stack; empty for a dataset that is one image.
    axes
        Its own axes, slowest first.
    values
        Its numbers.
    unit
        Of the numbers.
    """

    variable: str
    position: tuple[Place, ...]
    axes: tuple[Axis, ...]
    values: NDArray[Any]
    unit: str

    def statistics(self) -> Statistics:
        """Return what it holds."""
        import numpy as np

        real = np.abs(self.values) if self.values.dtype.kind == "c" else self.values
        finite = np.isfinite(real)
        lacking = int(real.size - np.count_nonzero(finite))
        if lacking == real.size:
            return Statistics(0.0, None, None, None, None, None, lacking)
        known = np.where(finite, real, 0) if lacking else real
        # counts are summed as whole numbers: exact, whatever the order
        exact = np.int64 if real.dtype.kind in "iub" and real.dtype.itemsize < 8 else np.float64
        total = known.sum(dtype=exact).item()
        highest = np.unravel_index(int(np.argmax(np.where(finite, real, -np.inf) if lacking else real)), real.shape)
        return Statistics(
            total,
            total / (real.size - lacking),
            real[finite].min().item() if lacking else real.min().item(),
            real[highest].item(),
            tuple(Place(axis, int(i)) for axis, i in zip(self.axes, highest, strict=True)),
            self._center(known, total),
            lacking,
        )

    def _center(self, values: NDArray[Any], total: float) -> tuple[Place, ...] | None:
        """Return the centre of mass; None where it has none: no or negative intensity."""
        import numpy as np

        if total <= 0 or values.min() < 0:
            return None
        weights = values.astype(np.float64)
        found = []
        for number, axis in enumerate(self.axes):
            others = tuple(other for other in range(weights.ndim) if other != number)
            found.append(Place(axis, float(weights.sum(others) @ np.arange(axis.size) / weights.sum())))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a pattern holds.

    Parameters
    ----------
    total, mean, minimum, maximum
        Of the numbers, without those that are not finite; of complex ones, of their magnitudes.
    highest
        Where the maximum is, the first of several.
    center
        Centre of mass; None where there is no intensity, or a negative one.
    not_finite
        How many numbers are not finite.
    """

    total: float
    mean: float | None
    minimum: float | None
    maximum: float | None
    highest: tuple[Place, ...] | None
    center: tuple[Place, ...] | None
    not_finite: int


@contextmanager
def opened(
    text: str, options: ReadOptions | None = None, signal: str | None = None
) -> Iterator[tuple[Opened, Sidecar]]:
    """Yield a dataset, open: as it lies here, else from the cache or a remote; of the latter only what is read comes.

    Parameters
    ----------
    text
        ``PATH`` or ``PATH@REV``.
    options
        How to read a file that has no sidecar.
    signal
        Name of the array that is meant; by default all.

    Raises
    ------
    EmdvcError
        There is no such dataset, or it cannot be read.
    """
    from emdvc.formats import dataset
    from emdvc.history.lazy.finding import recorded_source

    source = recorded_source(text, options=options, signal=signal)
    if source is not None:
        try:
            yield source.opened()
        finally:
            source.close()
        return
    found, sidecar = dataset.open_lazy(text, options, signal=signal)
    try:
        yield found, sidecar
    finally:
        found.close()


def main_variable(found: Opened, sidecar: Sidecar, signal: str | None) -> Variable:
    """Return the array that is looked at: the one that is named, else the main one."""
    names = [variable.name for variable in found.variables]
    return found.variable(signal or (sidecar.main if sidecar.main in names else None))


def read(found: Opened, variable: Variable, position: tuple[int, ...]) -> Pattern:
    """Return one pattern, spectrum or image of an array.

    Parameters
    ----------
    found
        The dataset.
    variable
        The array.
    position
        Probe position, or number of the frame, from 0; empty where the array is a single image.

    Raises
    ------
    UsageError
        There is no such position.
    """
    axes = [found.axes[dim] for dim in variable.dims]
    core = core_of([axis.role for axis in axes])
    leading = axes[: len(axes) - core]
    _check(position, leading, variable)
    region = (
        *(slice(i, i + 1) for i in position),
        *(slice(0, axis.size) for axis in axes[len(leading) :]),
    )
    own = tuple(axes[len(leading) :])
    values = variable.array.read(region).reshape(tuple(axis.size for axis in own))
    places = tuple(Place(axis, i) for axis, i in zip(leading, position, strict=True))
    return Pattern(variable.name, places, own, values, variable.unit)


def core_of(roles: list[Role]) -> int:
    """Return how many of an array's last dimensions make one pattern (2) or spectrum (1)."""
    return 2 if len(roles) > 1 and roles[-2] == roles[-1] else min(1, len(roles))


def _check(position: tuple[int, ...], leading: list[Axis], variable: Variable) -> None:
    if len(position) != len(leading):
        dims = ", ".join(axis.dim for axis in leading)
        if not leading:
            hint = "leave --pattern out: --picture FILE.png draws it, its numbers are read with emdvc.open_dataset"
        else:
            hint = f"write --pattern {','.join(str(axis.size // 2) for axis in leading)}"
        what = "frame" if len(leading) == 1 else "position"
        raise UsageError(
            f"'{','.join(map(str, position))}' names no {what} of {variable.name}",
            evidence=f"it has {len(leading)} dimensions to choose from: {dims}" if leading else "it is a single one",
            hint=hint,
        )
    for axis, index in zip(leading, position, strict=True):
        if index >= axis.size:
            sizes = " × ".join(str(one.size) for one in leading)
            what = "probe positions" if leading[-1].role == Role.SCAN else "frames"
            raise UsageError(
                f"there is no {axis.dim} = {index}",
                code=Code.NOT_FOUND,
                evidence=f"{variable.name} has {sizes} {what}, counted from 0",
                hint=f"--pattern {','.join(str(one.size - 1) for one in leading)} is the last one",
            )
