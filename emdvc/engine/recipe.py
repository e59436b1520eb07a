"""Running a recipe: its steps in one pass, then those that work on results of the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emdvc.engine.frames import ArraySource
from emdvc.engine.how import Earlier, How
from emdvc.engine.run import Open, Request, run_steps
from emdvc.formats.arrays import MemoryArray
from emdvc.formats.chunk_files import in_memory
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import Result
from emdvc.model.sidecar import merge
from emdvc.steps.recipe import Ingredient


def run_recipe(
    ingredients: Sequence[Ingredient],
    opened: Opened,
    *,
    name: str,
    signal: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    earlier: Mapping[str, Earlier] | None = None,
    how: How | None = None,
    source: ArraySource | None = None,
    folder: Path | None = None,
    others: Open = open_lazy,
) -> dict[str, Result]:
    """Run the steps of a recipe and return their results by name, in an order in which they can be written.

    Parameters
    ----------
    ingredients
        The steps, each after the one whose result it needs.
    opened, name, signal, how, source, folder, others
        As for :func:`emdvc.engine.run.run_steps`.
    inputs
        What the provenance says of the input.
    earlier
        What steps gave for data that differ little, by their names in the recipe.

    Raises
    ------
    StepError, MetadataError, UsageError
        As :func:`emdvc.engine.run.run_steps`.
    """
    first = [one for one in ingredients if one.source is None]
    requests = [
        Request(one.step, one.parameters, inputs=inputs or {}, earlier=(earlier or {}).get(one.name)) for one in first
    ]
    computed = run_steps(
        requests, opened, name=name, signal=signal, how=how, source=source, folder=folder, others=others
    )
    results = {one.name: result for one, result in zip(first, computed, strict=True)}
    for one in ingredients:
        if one.source is not None:
            dataset = as_opened(results[one.source], opened)
            request = Request(one.step, one.parameters, inputs=inputs or {})
            below = f"{name} ({one.source})"
            (results[one.name],) = run_steps([request], dataset, name=below, folder=folder, others=others)
    return results


def as_opened(result: Result, below: Opened) -> Opened:
    """Return a result in memory as an open dataset.

    Parameters
    ----------
    result
        The result.
    below
        The dataset that it was computed from, whose record holds for it too.
    """
    variables = tuple(
        Variable(one.name, one.dims, MemoryArray(in_memory(one.values)), one.unit) for one in result.variables
    )
    return replace(below, variables=variables, axes=dict(result.axes), record=merge(below.record, result.own_record))
