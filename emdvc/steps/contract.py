"""What a step is: parameters, the metadata keys that it reads, and how blocks of frames become its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from emdvc.errors import Code, InternalError
from emdvc.model import record as rec
from emdvc.model.axis import Axis
from emdvc.model.quantity import Quantity
from emdvc.model.record import Record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Parameters(BaseModel):
    """Base of every step's parameters: unknown names are errors, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)

    negative: Literal["refuse", "allow"] = "refuse"
    """What to do with negative counts: they are refused unless the data are known to hold them (dark-subtracted)."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The part of a record that a stage declared: reading any other key is a fault, so no dependency can be missed."""

    record: Record
    axes: Mapping[str, Axis]
    declared: tuple[str, ...]

    def quantity(self, key: str) -> Quantity | None:
        """Return the quantity at a declared key, or None where the record does not know it."""
        self._must_declare(key)
        return rec.quantity(self.record, key)

    def axis(self, dim: str) -> Axis:
        """Return an axis with its calibration; ``axes.DIM`` must be declared."""
        self._must_declare(f"axes.{dim}")
        return self.axes[dim]

    def _must_declare(self, key: str) -> None:
        if not any(key == name or key.startswith(f"{name}.") for name in self.declared):
            raise InternalError(f"a step read the metadata key '{key}' without declaring it", code=Code.INTERNAL)


@dataclass(frozen=True, slots=True)
class Input:
    """What a step sees of its input before it reads a number.

    Parameters
    ----------
    dims, shape, dtype
        Of the array; ``core`` dimensions last.
    metadata
        The declared part of the record.
    unit
        Unit of the values.
    name
        Name of the dataset, for messages.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    metadata: Metadata
    unit: str = "counts"
    name: str = "the input"

    def size(self, dim: str) -> int:
        """Return the number of samples along a dimension."""
        return self.shape[self.dims.index(dim)]


@dataclass(frozen=True, slots=True)
class Output:
    """One array that a step gives.

    Parameters
    ----------
    name
        Name of the variable.
    dims
        Its dimensions after the probe positions' (those are put in front where `per_probe`).
    unit
        Unit of its values.
    per_probe
        Whether there is one value (or one small array) per probe position.
    signed
        Whether zero is the middle of its scale, for pictures.
    title
        What a reader calls it.
    """

    name: str
    dims: tuple[str, ...] = ()
    unit: str = ""
    per_probe: bool = True
    signed: bool = False
    title: str = ""


@dataclass(slots=True)
class Partial:
    """What one block of frames gives: per-probe arrays (first dimension: its frames), and a partial reduction."""

    maps: dict[str, NDArray[Any]] = field(default_factory=dict)
    reduction: Any = None


class Plan(ABC):
    """A step made ready for one input: everything that does not depend on the frames is computed."""

    #: The arrays that :meth:`finish` returns.
    outputs: tuple[Output, ...]
    #: Axes that the step makes itself (the bins of a profile), by name; all other axes are the input's.
    axes: Mapping[str, Axis] = {}

    @abstractmethod
    def block(self, frames: NDArray[Any]) -> Partial:
        """Return what a block of frames, shape ``(n, *core)``, gives; called from several threads, keeps no state."""

    def merge(self, first: Any, second: Any) -> Any:
        """Return two partial reductions as one; called in the order of the blocks."""
        raise InternalError(f"{type(self).__name__} has no reduction to merge")

    @abstractmethod
    def finish(self, maps: dict[str, NDArray[Any]], reduction: Any, frames: int) -> dict[str, NDArray[Any]]:
        """Return the output arrays.

        Parameters
        ----------
        maps
            Per-probe arrays of all blocks, in the shape of the scan.
        reduction
            All partial reductions merged; None when the step has none.
        frames
            Number of frames that were read.
        """


class Step(ABC):
    """A named operation of the field.

    The docstring of a concrete step is its documentation: what it computes, the formula and its source.
    """

    name: ClassVar[str]
    #: Raised whenever the same input and parameters would give other numbers.
    version: ClassVar[int]
    summary: ClassVar[str]
    #: Dimensions that one frame has, in this order: ("ky", "kx") or ("energy",).
    core: ClassVar[tuple[str, ...]]
    Parameters: ClassVar[type[Parameters]]

    @abstractmethod
    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the metadata keys that are read with these parameters: what a stage must declare."""

    @abstractmethod
    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the step made ready for an input.

        Raises
        ------
        StepError
            A parameter does not fit the input.
        MetadataError
            A calibration that the parameters need is missing.
        """
