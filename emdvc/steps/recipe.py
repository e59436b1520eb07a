"""A recipe: several steps of one dataset under one name, computed in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr

from emdvc.errors import Code, StepError, UsageError, suggest
from emdvc.steps import contract
from emdvc.steps.contract import Step, Wanted, WholeStep
from emdvc.steps.geometry import union


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One step of a recipe.

    Parameters
    ----------
    name
        What the recipe calls it: its output is ``NAME.zarr``.
    step, parameters
        The step and its validated parameters.
    source
        Name of the ingredient whose result it works on; None for the dataset itself.
    """

    name: str
    step: Step
    parameters: Any
    source: str | None = None


class Recipe(Step):
    """Several steps of one dataset under one name, at the cost of one: every frame is read once and feeds them all.

    Each step has a name in the recipe, and its result is ``OUTPUT/NAME.zarr``. In params.yaml::

        first_look:
          bright_field: {step: virtual_detector, outer: 10mrad}
          com: {step: center_of_mass}
          field: {step: dpc, source: com}

    ``step`` may be left out where the name is the step's. ``source`` names another step of the recipe whose result is
    the input: for steps on maps. The results are, bit for bit, those of the steps run one by one.
    """

    name = "recipe"
    version = 1
    summary = "several steps of one dataset in one pass, each with its own output"
    core = ()
    example: ClassVar[Mapping[str, Any]] = {
        "bright_field": {"step": "virtual_detector", "outer": "10 mrad"},
        "com": {"step": "center_of_mass"},
    }

    class Parameters(contract.Parameters):
        """The steps by name, each with `step` and its parameters."""

        model_config = ConfigDict(
            extra="allow", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True
        )
        _ingredients: tuple[Ingredient, ...] = PrivateAttr(())

        def model_post_init(self, context: Any) -> None:
            """Find the steps and check the parameters of each."""
            object.__setattr__(self, "_ingredients", _read(self.model_extra or {}))

        @property
        def ingredients(self) -> tuple[Ingredient, ...]:
            """The steps, each after the one whose result it needs."""
            return self._ingredients

    def metadata(self, parameters: Any) -> tuple[str, ...]:
        """Return what any of the steps reads."""
        return union(*(one.step.metadata(one.parameters) for one in parameters.ingredients))

    def references(self, parameters: Any) -> Mapping[str, Wanted]:
        """Return what any of the steps reads besides the input."""
        return {
            f"{one.name}.{role}": wanted
            for one in parameters.ingredients
            for role, wanted in one.step.references(one.parameters).items()
        }

    def versions(self, parameters: Any) -> dict[str, int]:
        """Return the versions of its steps; a recipe has none of its own."""
        found: dict[str, int] = {}
        for one in parameters.ingredients:
            found.update(one.step.versions(one.parameters))
        return found

    def results(self, parameters: Any, output: PurePosixPath) -> tuple[PurePosixPath, ...]:
        """Return one result for each step, in the folder that is the output."""
        return tuple(output / f"{one.name}.zarr" for one in parameters.ingredients)


def _read(mapping: Mapping[str, Any]) -> tuple[Ingredient, ...]:
    from emdvc.steps.parameters import validate
    from emdvc.steps.registry import find

    if not mapping:
        raise StepError(
            "a recipe needs at least one step", hint="--set NAME.step=virtual_detector --set NAME.outer=20px"
        )
    found: dict[str, Ingredient] = {}
    for name, given in mapping.items():
        if not re.fullmatch(r"[\w-]+", name):  # it becomes a file name
            raise StepError(f"'{name}' cannot name a step of a recipe", hint="use letters, digits, _ and -")
        if given is not None and not isinstance(given, Mapping):
            raise StepError(f"'{name}' of the recipe is no step", evidence=f"it is {given!r}", hint=f"{name}.step=STEP")
        settings = dict(given or {})
        step = find(str(settings.pop("step", name)))
        source = settings.pop("source", None)
        if isinstance(step, Recipe):
            raise StepError("a recipe holds no other recipe", evidence=f"'{name}' is one")
        if source is not None and not isinstance(step, WholeStep):
            raise StepError(
                f"'{name}' of the recipe cannot work on '{source}'",
                evidence=f"{step.name} looks at frames, which are those of the dataset",
                hint="make it a stage of its own, whose input is that result",
            )
        found[name] = Ingredient(name, step, validate(step, settings), str(source) if source is not None else None)
    return tuple(_in_order(found))


def _in_order(found: Mapping[str, Ingredient]) -> list[Ingredient]:
    ordered: dict[str, Ingredient] = {}
    while len(ordered) < len(found):
        ready = [
            one for name, one in found.items() if name not in ordered and (one.source is None or one.source in ordered)
        ]
        if not ready:
            waiting = next(one for name, one in found.items() if name not in ordered)
            near = suggest(str(waiting.source), list(found))
            raise UsageError(
                f"'{waiting.name}' of the recipe works on '{waiting.source}', which the recipe does not give",
                code=Code.STEP_PARAMETER,
                evidence=f"it has {', '.join(found)}",
                hint=f"did you mean {near}?" if near and near != waiting.name else None,
            )
        ordered.update((one.name, one) for one in ready)
    return list(ordered.values())
