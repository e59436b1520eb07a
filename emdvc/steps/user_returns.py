"""What a user's function may return: numbers or arrays by name, the same names, sizes and types for every frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.model import units
from emdvc.steps import contract
from emdvc.steps.user_errors import refused
from emdvc.steps.user_outputs import Layout, Output, Sum


@dataclass(frozen=True, slots=True)
class Returns:
    """Makes arrays of what a function returned, and says what is wrong with it.

    Parameters
    ----------
    name
        Name of the function: that of an output which it returns bare.
    code
        The function.
    declared
        What the step says of its outputs, by name; empty where it says nothing.
    """

    name: str
    code: CodeType
    declared: Mapping[str, Output] = field(default_factory=dict)

    def check(self) -> None:
        """Check what is declared.

        Raises
        ------
        StepError
            A unit or a type of numbers that nobody knows, a name that is none.
        """
        for name, output in self.declared.items():
            if not name.isidentifier():
                raise self._refused(f"'{name}' cannot name an output", hint="use letters, digits and _")
            if not units.known(units.normalise(output.unit)):
                raise self._refused(f"unknown unit '{output.unit}' of the output {name}")
            try:
                known = output.dtype is None or np.dtype(output.dtype).kind in "iuf"
            except TypeError:
                known = False
            if not known:
                raise self._refused(f"unknown type '{output.dtype}' of the output {name}", hint="such as float64")

    def by_name(self, value: Any) -> dict[str, tuple[NDArray[Any], bool]]:
        """Return the arrays that a function returned, and of each whether it is to be summed.

        Raises
        ------
        StepError
            It returned nothing, what is no number, or other names than it declares.
        """
        if not isinstance(value, Mapping):
            only = next(iter(self.declared)) if len(self.declared) == 1 else self.name
            value = {only: value}
        if self.declared and set(value) != set(self.declared):
            raise self._refused(
                f"{self.name} did not return what it declares",
                evidence=f"it returned {_names(value)}; it declares {_names(self.declared)}",
            )
        if not value:
            raise self._refused(f"{self.name} returned no output", hint='return {"name": number}, or a number')
        return {self._name(name): self._array(name, one) for name, one in value.items()}

    def _name(self, name: Any) -> str:
        if not isinstance(name, str) or not name.isidentifier():
            raise self._refused(f"{name!r} cannot name an output", hint="use letters, digits and _")
        return name

    def _array(self, name: str, value: Any) -> tuple[NDArray[Any], bool]:
        summed = isinstance(value, Sum)
        value = value.value if isinstance(value, Sum) else value
        if value is None:
            raise self._refused(f"{self.name} returned nothing for {name}", evidence="it returned None")
        try:
            array = np.asarray(value)
        except ValueError:  # rows of different lengths
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            raise self._refused(
                f"{self.name} returned what is no array of numbers for {name}",
                evidence=f"it is a {type(value).__name__}",
            )
        return array.astype(_plain(array, summed), copy=False), summed

    def layouts(
        self, value: Any, core: Mapping[str, int], scan: Sequence[str], *, frames: int | None
    ) -> tuple[Layout, ...]:
        """Return how the arrays look that a function returned for a made-up frame.

        Parameters
        ----------
        core
            Dimensions of a frame, with their sizes.
        scan
            Names of the dimensions of the scan.
        frames
            Number of made-up frames of a step per block; None for a step per frame.

        Raises
        ------
        StepError
            It returned what it must not, or its dimensions do not fit.
        """
        found = []
        sizes = dict(core)
        for name, (array, summed) in self.by_name(value).items():
            if name in core or name in scan:
                raise self._refused(f"'{name}' names a dimension, and cannot name an output")
            if frames is not None and not summed and array.shape[:1] != (frames,):
                raise self._refused(
                    f"{self.name} must return one {name} for each frame of the block",
                    evidence=f"for {frames} frames it returned the shape {array.shape}",
                )
            shape = array.shape if frames is None or summed else array.shape[1:]
            said = self.declared.get(name, Output())
            dims = self.dims(name, shape, core)
            for dim, size in zip(dims, shape, strict=True):
                if dim in scan or sizes.setdefault(dim, size) != size:
                    raise self._refused(
                        f"{name} does not fit along {dim}",
                        evidence=f"it has {size}, where {sizes.get(dim, 'each probe position')} is",
                    )
            dtype = np.dtype(said.dtype) if said.dtype is not None else array.dtype
            output = contract.Output(
                name, dims, units.normalise(said.unit), not summed, said.signed, said.title or name.replace("_", " ")
            )
            found.append(Layout(output, shape, dtype, summed))
        return tuple(found)

    def whole(self, value: Any, sizes: Mapping[str, int]) -> Iterator[tuple[Layout, NDArray[Any]]]:
        """Yield the arrays that a function of whole arrays returned, and how each looks.

        Parameters
        ----------
        sizes
            Dimensions of the input, with their sizes.

        Raises
        ------
        StepError
            It returned what it must not, or its dimensions do not fit.
        """
        layouts = self.layouts(value, sizes, (), frames=None)
        yield from zip(layouts, self.fit(value, layouts, None), strict=True)

    def dims(self, name: str, shape: tuple[int, ...], core: Mapping[str, int]) -> tuple[str, ...]:
        """Return the dimensions of an output: as declared, those of a frame, or new ones.

        Raises
        ------
        StepError
            As many are declared as it does not have.
        """
        said = self.declared.get(name, Output()).dims
        if said is None:
            return tuple(core) if shape == tuple(core.values()) else tuple(f"{name}_{i}" for i in range(len(shape)))
        if len(said) != len(shape):
            raise self._refused(
                f"{name} has not the dimensions that it declares",
                evidence=f"it declares ({', '.join(said)}), its shape is {shape}",
            )
        return tuple(said)

    def fit(self, value: Any, layouts: Sequence[Layout], frames: int | None) -> list[NDArray[Any]]:
        """Return what a function returned, in the order and with the types of the made-up frame's.

        Raises
        ------
        StepError
            Other names, another shape, or a type that does not fit in the first one's.
        """
        arrays = self.by_name(value)
        if set(arrays) != {layout.output.name for layout in layouts}:
            raise self._refused(
                f"{self.name} must return the same names for every frame",
                evidence=f"here {_names(arrays)}, first {_names([layout.output.name for layout in layouts])}",
            )
        return [self._fitted(*arrays[layout.output.name], layout, frames) for layout in layouts]

    def _fitted(self, array: NDArray[Any], summed: bool, layout: Layout, frames: int | None) -> NDArray[Any]:
        name = layout.output.name
        shape = layout.shape if frames is None or summed else (frames, *layout.shape)
        if summed != layout.summed:
            raise self._refused(f"{name} must be a Sum for every frame, or for none")
        if array.shape != shape:
            raise self._refused(
                f"{self.name} must return the same shape for every frame",
                evidence=f"{name} is {array.shape} here, and {shape} first",
            )
        if not _holds(layout.dtype, array):
            raise self._refused(
                f"{self.name} must return the same type of numbers for every frame",
                evidence=f"{name} is {array.dtype} here, and {layout.dtype} first",
                hint=f"return float(...) always, or declare outputs={{'{name}': emdvc.Output(dtype='float64')}}",
            )
        return array.astype(layout.dtype, copy=False)

    def _refused(self, cause: str, *, evidence: str | None = None, hint: str | None = None) -> StepError:
        return refused(cause, self.code, evidence=evidence, hint=hint)


def _plain(array: NDArray[Any], summed: bool) -> np.dtype[Any]:
    """Return the type in which an array is kept: as it is, but wide where it is a single number or a sum."""
    kind, wide = array.dtype.kind, array.ndim == 0 or summed
    if kind == "b":
        return np.dtype("u8" if summed else "u1")
    if kind in "iu":
        return np.dtype(f"{kind}8") if wide else array.dtype.newbyteorder("=")
    return np.dtype("f4" if array.dtype.itemsize <= 4 and not wide else "f8")


def _holds(dtype: np.dtype[Any], array: NDArray[Any]) -> bool:
    if array.dtype == dtype or np.can_cast(array.dtype, dtype, "safe"):
        return True
    if dtype.kind in "iu" and array.dtype.kind in "iu" and array.size:  # as Python's own whole numbers: by value
        limits = np.iinfo(dtype)
        return int(array.min()) >= limits.min and int(array.max()) <= limits.max
    return False


def _names(names: Any) -> str:
    return ", ".join(map(str, names)) or "nothing"
