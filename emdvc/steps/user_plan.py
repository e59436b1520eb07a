"""A user's own step as the engine knows steps: on blocks of frames, or on whole arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emdvc.errors import StepError
from emdvc.steps import user_script
from emdvc.steps.contract import FrameStep, Input, Outcome, Output, Partial, Place, Plan, Step, Wanted, WholeStep
from emdvc.steps.user_definition import Address, Definition, made_up, parameters_of, read_only, restored
from emdvc.steps.user_outputs import Layout
from emdvc.steps.user_parameters import UserParameters

_Sums = tuple[NDArray[Any], ...]
#: Frames of the made-up block that a function per block is tried on.
_TRIED = 3


class UserPlan(Plan):
    """A user's function made ready for one input. Another process loads its script again; the plan brings the rest."""

    def __init__(self, definition: Definition, parameters: Any, source: Input, layouts: tuple[Layout, ...]) -> None:
        self._definition, self._parameters, self._source, self._layouts = definition, parameters, source, layouts
        self._arguments = definition.arguments(parameters, source)
        self._scan, _ = source.scan(definition.core)
        self.outputs = tuple(layout.output for layout in layouts)

    def __reduce__(self) -> Any:
        values = self._parameters.model_dump(mode="json")
        return _plan_again, (self._definition.address, values, self._source, self._layouts)

    def block(self, frames: NDArray[Any], place: Place) -> Partial:
        """Return what the function gives for each frame, or for the block.

        Raises
        ------
        StepError
            It failed, or returned what does not fit; the error names its line and the probe position.
        """
        frames = read_only(frames)
        if self._definition.per == "block":
            value = self._definition.call((frames,), self._arguments, lambda: f"at {self._region(place)}")
            arrays = self._fit(value, len(frames), lambda: f"at {self._region(place)}")
        else:
            arrays = self._each(frames, place)
        pairs = list(zip(self._layouts, arrays, strict=True))
        maps = {layout.output.name: array for layout, array in pairs if not layout.summed}
        return Partial(maps, tuple(array for layout, array in pairs if layout.summed) or None)

    def merge(self, first: _Sums, second: _Sums) -> _Sums:
        """Return the sums of two blocks."""
        return tuple(one + other for one, other in zip(first, second, strict=True))

    def finish(self, maps: dict[str, NDArray[Any]], reduction: _Sums | None, frames: int) -> dict[str, NDArray[Any]]:
        """Return what was summed over all frames."""
        names = [layout.output.name for layout in self._layouts if layout.summed]
        return dict(zip(names, reduction or (), strict=True))

    def _each(self, frames: NDArray[Any], place: Place) -> list[NDArray[Any]]:
        count = len(frames)
        found = [
            np.zeros(layout.shape if layout.summed else (count, *layout.shape), layout.dtype)
            for layout in self._layouts
        ]
        for index in range(count):

            def where(index: int = index) -> str:
                return f"at {self._probe(place, index)}"

            value = self._definition.call((frames[index],), self._arguments, where)
            for layout, array, one in zip(self._layouts, found, self._fit(value, None, where), strict=True):
                if layout.summed:
                    array[...] += one
                else:
                    array[index] = one
        return found

    def _fit(self, value: Any, frames: int | None, where: Any) -> list[NDArray[Any]]:
        try:
            return self._definition.returns.fit(value, self._layouts, frames)
        except StepError as error:
            error.evidence = f"{error.evidence}; {where()}"
            raise

    def _probe(self, place: Place, index: int) -> str:
        inside = np.unravel_index(index, place.shape) if place.region else ()
        return (
            ", ".join(
                f"{dim}={part.start + int(at)}" for dim, part, at in zip(self._scan, place.region, inside, strict=True)
            )
            or self._source.name
        )

    def _region(self, place: Place) -> str:
        text = ", ".join(f"{dim}={part.start}:{part.stop}" for dim, part in zip(self._scan, place.region, strict=True))
        return text or self._source.name


def _plan_again(address: Address, values: Mapping[str, Any], source: Input, layouts: tuple[Layout, ...]) -> UserPlan:
    definition = restored(*address)
    return UserPlan(definition, definition.signature.model.model_validate(values), source, layouts)


class UserStep(Step):
    """What steps on frames and on whole arrays share."""

    definition: ClassVar[Definition]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The script and the modules beside it that it imports: a stage depends on them."""
        return user_script.sources(self.definition.path)

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return the keys that the decorator names, and those that the units of the parameters need."""
        return self.definition.keys(parameters)

    def versions(self, parameters: Any) -> dict[str, int]:
        """Return no version: a stage depends on the script itself."""
        return {}

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return the other datasets whose paths are parameters."""
        named = {name: getattr(parameters, name) for name in self.definition.signature.references}
        return {name: Wanted(path) for name, path in named.items() if path is not None}

    def __reduce__(self) -> Any:
        return _step_again, (self.definition.address, self.name)


class UserFrameStep(UserStep, FrameStep):
    """A function of one frame, or of a block of frames."""

    def prepare(self, parameters: Any, source: Input) -> Plan:
        """Return the function made ready: called once with made-up counts, it shows what it gives.

        Raises
        ------
        StepError
            It failed, or gives what cannot be stored.
        """
        definition = self.definition
        core = {dim: source.size(dim) for dim in definition.core}
        frames = _TRIED if definition.per == "block" else None
        shape = (*((frames,) if frames is not None else ()), *core.values())
        value = definition.call(
            (made_up(shape, _seen(source.dtype)),),
            definition.arguments(parameters, source),
            lambda: "on made-up counts (it is called with them first, to learn what it gives)",
        )
        scan, _ = source.scan(definition.core)
        return UserPlan(definition, parameters, source, definition.returns.layouts(value, core, scan, frames=frames))


class UserWholeStep(UserStep, WholeStep):
    """A function of whole arrays."""

    def signals(self, parameters: Any) -> tuple[str, ...]:
        """Return the names of the arrays that the decorator names."""
        return self.definition.arrays

    def compute(self, parameters: Any, source: Input, arrays: Mapping[str, NDArray[Any]]) -> Outcome:
        """Return what the function gives.

        Raises
        ------
        StepError
            It failed, or gives what cannot be stored.
        """
        definition = self.definition
        data = tuple(read_only(array) for array in arrays.values())
        value = definition.call(data, definition.arguments(parameters, source), lambda: f"on {source.name}")
        sizes = dict(zip(source.dims, source.shape, strict=True))
        outputs: list[Output] = []
        found: dict[str, NDArray[Any]] = {}
        for layout, array in definition.returns.whole(value, sizes):
            outputs.append(layout.output)
            found[layout.output.name] = array
        return Outcome(tuple(outputs), found)


def _seen(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type in which the engine gives frames of a type."""
    if dtype.kind == "b":
        return np.dtype("u1")
    return np.dtype("f4") if dtype == np.float16 else dtype


def step_of(definition: Definition, name: str | None = None) -> UserStep:
    """Return a function as a step.

    Parameters
    ----------
    name
        What the step is called by: ``scripts/halo.py::halo``; default: the name of the function.
    """
    text = (definition.function.__doc__ or "").strip()
    base = UserWholeStep if definition.per == "whole" else UserFrameStep
    kind = type(
        definition.name,
        (base,),
        {
            "__doc__": text,
            "__module__": __name__,
            "name": name or definition.name,
            "version": definition.version,
            "summary": text.partition("\n")[0].strip().rstrip(".") or definition.name.replace("_", " "),
            "core": definition.core,
            "Parameters": _parameters(definition),
            "definition": definition,
        },
    )
    found: UserStep = kind()
    return found


def _parameters(definition: Definition) -> type[UserParameters]:
    model = definition.signature.model
    if definition.path.is_file():  # else it was typed at a prompt: no other process can find it
        model.origin = (parameters_of, definition.address)
    return model


def _step_again(address: Address, name: str) -> UserStep:
    return step_of(restored(*address), name)
