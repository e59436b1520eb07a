"""What a step is: parameters, the metadata keys that it reads, and how blocks of frames become its outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from emdvc.errors import Code, InternalError, StepError
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

    def value(self, key: str) -> Any:
        """Return whatever stands at a declared key: a truth value, a text; None where the record does not know it."""
        self._must_declare(key)
        return rec.get(self.record, key)

    def axis(self, dim: str) -> Axis:
        """Return an axis with its calibration; ``axes.DIM`` must be declared."""
        self._must_declare(f"axes.{dim}")
        return self.axes[dim]

    def _must_declare(self, key: str) -> None:
        if not any(key == name or key.startswith(f"{name}.") for name in self.declared):
            raise InternalError(f"a step read the metadata key '{key}' without declaring it", code=Code.INTERNAL)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Another dataset that a step reads whole: a dark image, a mask, a map of shifts.

    Parameters
    ----------
    path
        As the parameters say it: relative to the project; ``path::array`` names one of its arrays.
    signals
        Names of the arrays that are read; empty for the main one.
    """

    path: str
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A dataset that was read whole for a step.

    Parameters
    ----------
    arrays
        The arrays by name, the main one first.
    dims
        The dimensions of each.
    axes
        Every dimension, calibrated.
    name
        What messages call it.
    """

    arrays: Mapping[str, NDArray[Any]]
    dims: Mapping[str, tuple[str, ...]]
    axes: Mapping[str, Axis]
    name: str = "the reference"

    def array(self, dims: tuple[str, ...], shape: tuple[int, ...], signal: str | None = None) -> NDArray[Any]:
        """Return one array, which must have these dimensions and this shape.

        Raises
        ------
        StepError
            It has others.
        """
        name = signal if signal is not None else next(iter(self.arrays))
        values = self.arrays[name]
        if self.dims[name] != dims or values.shape != shape:
            raise StepError(
                f"{self.name} does not fit: {name} must be {' x '.join(dims)} = {' x '.join(map(str, shape))}",
                code=Code.STEP_DIMENSIONS,
                evidence=f"it is {' x '.join(self.dims[name])} = {' x '.join(map(str, values.shape))}",
            )
        return values


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
    references
        The datasets that the step wants besides, by the names that :meth:`Step.references` gave them.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    metadata: Metadata
    unit: str = "counts"
    name: str = "the input"
    references: Mapping[str, Reference] = field(default_factory=dict)

    def size(self, dim: str) -> int:
        """Return the number of samples along a dimension."""
        return self.shape[self.dims.index(dim)]

    def scan(self, core: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return names and sizes of the dimensions that are not a frame's: the probe positions."""
        pairs = [(dim, n) for dim, n in zip(self.dims, self.shape, strict=True) if dim not in core]
        return tuple(dim for dim, _ in pairs), tuple(n for _, n in pairs)


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
    ragged
        Whether each probe position has any number of rows (a peak list): the rows of all probe positions follow each
        other in C order of the scan, along the dimension that `dims` names; the output ``count`` says how many each
        has.
    """

    name: str
    dims: tuple[str, ...] = ()
    unit: str = ""
    per_probe: bool = True
    signed: bool = False
    title: str = ""
    ragged: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the frames of a block lie in the scan.

    Parameters
    ----------
    region
        A slice along each dimension of the scan, in probe positions of the input.
    """

    region: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Probe positions of the block along each dimension: its frames are these, in C order."""
        return tuple(part.stop - part.start for part in self.region)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a scan dimension that a plan reads, and how many probe positions become one.

    Blocks lie within ``[start, stop)`` and hold whole groups of `factor` probe positions; ``stop - start`` is a
    multiple of it.
    """

    start: int
    stop: int
    factor: int = 1


@dataclass(slots=True)
class Partial:
    """What one block of frames gives.

    Parameters
    ----------
    maps
        Arrays by name whose first dimension runs over the block's probe positions (those that come out, where a
        :class:`Span` joins several). One that is named as an output is final; any other goes to :meth:`Plan.finish`.
    reduction
        The block's part of what is summed over all blocks: arrays, which :meth:`Plan.merge` joins; None for nothing.
    ragged
        Rows of the ragged outputs, frame by frame; the map ``count`` says how many each frame has.
    """

    maps: dict[str, NDArray[Any]] = field(default_factory=dict)
    reduction: tuple[NDArray[Any], ...] | None = None
    ragged: dict[str, NDArray[Any]] = field(default_factory=dict)


class Plan(ABC):
    """A step made ready for one input: everything that does not depend on the frames is computed.

    A plan goes to other threads and to other processes: it is pickled, and it holds arrays and numbers, no open file.
    """

    #: The arrays that the step gives.
    outputs: tuple[Output, ...]
    #: Axes that the step makes itself (the bins of a profile), by name; all other axes are the input's.
    axes: Mapping[str, Axis] = {}
    #: What the result's record says otherwise than the input's (the pixel size of binned patterns); nested.
    record: Mapping[str, Any] = {}
    #: What of the scan is read, by dimension; a dimension that is not named is read whole.
    spans: Mapping[str, Span] = {}

    @abstractmethod
    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return what a block of frames gives; called from several threads, keeps no state.

        Parameters
        ----------
        frames
            Shape ``(n, *core)``, C-contiguous, read-only: several plans see the same memory.
        place
            Which probe positions these are.
        """

    def merge(self, first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
        """Return two partial reductions as one; called in the order of the blocks."""
        raise InternalError(f"{type(self).__name__} has no reduction to merge")

    def following(self, reduction: tuple[NDArray[Any], ...] | None, frames: int) -> Plan | None:
        """Return the plan of another pass over the same frames, made from what this pass summed; None for no other.

        The outputs of the first pass are then those of the plan that follows, which alone is finished.
        """
        return None

    def finish(
        self, maps: dict[str, NDArray[Any]], reduction: tuple[NDArray[Any], ...] | None, frames: int
    ) -> dict[str, NDArray[Any]]:
        """Return the outputs that are not final yet: those that no block gave.

        Parameters
        ----------
        maps
            Per-probe arrays of all blocks that are no outputs themselves, in the shape of the scan.
        reduction
            All partial reductions merged; None when the step has none.
        frames
            Number of frames that were read.
        """
        return {}


class Step(ABC):
    """A named operation of the field.

    The docstring of a concrete step is its documentation: what it computes, the formula and its source.
    """

    name: ClassVar[str]
    #: Raised whenever the same input and parameters would give other numbers.
    version: ClassVar[int]
    summary: ClassVar[str]
    #: Dimensions that one frame has, in this order: ("ky", "kx") or ("energy",); of a whole step those of its arrays.
    core: ClassVar[tuple[str, ...]]
    Parameters: ClassVar[type[Parameters]]
    #: Parameters of an example, for the documentation, where they cannot be guessed from the schema.
    example: ClassVar[Mapping[str, Any]] = {}
    #: The arrays of an example, for the documentation, where no small input shows them; else they are asked of a plan.
    gives: ClassVar[tuple[Output, ...]] = ()

    @abstractmethod
    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the metadata keys that are read with these parameters: what a stage must declare."""

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the other datasets that are read with these parameters, by a name for each: a stage needs them."""
        return {}

    def versions(self, parameters: Any) -> dict[str, int]:
        """Return the versions of what computes the result: a stage depends on them."""
        return {self.name: self.version}

    def results(self, parameters: Any, output: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """Return the datasets that a run with an output writes: the output itself, or several in that folder."""
        return (output,)


class FrameStep(Step):
    """A step that looks at each frame (or at sums over frames): the engine feeds it block by block."""

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a whole step computed.

    Parameters
    ----------
    outputs
        The arrays that it gives; `dims` are all their dimensions (`per_probe` has no meaning here).
    arrays
        Their values by name.
    axes
        Axes that the step made itself.
    record
        What the result's record says otherwise than the input's.
    chunks
        Shape of the chunks in which an array is stored; of one that is not named, one chunk holds all.
    """

    outputs: tuple[Output, ...]
    arrays: Mapping[str, Any]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    chunks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class WholeStep(Step):
    """A step on arrays that fit in memory, results of other steps mostly: fits, integrations, lattices."""

    #: Names of the steps whose results it works on, for the message to who gives it another dataset.
    of: ClassVar[tuple[str, ...]] = ()

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the input's arrays that are read; empty for the main one alone."""
        return ()

    @abstractmethod
    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return the result.

        Parameters
        ----------
        source
            Dimensions, shape and type of the first of the arrays, and the references.
        arrays
            The arrays by name, in the order of :meth:`signals`.

        Raises
        ------
        StepError
            A parameter does not fit the input, or the input does not determine the result.
        MetadataError
            A calibration that the parameters need is missing.
        """
