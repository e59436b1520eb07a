"""Running one step on one dataset: from the open file to a result in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emdvc.engine.compute import Advance, Work, compute
from emdvc.errors import Code, InternalError, StepError
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis, Role
from emdvc.steps.contract import FrameStep, Input, Metadata, Outcome, Plan, Reference, Step, Wanted, WholeStep


def run_step(
    step: Step,
    parameters: Any,
    opened: Opened,
    *,
    name: str,
    signal: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    references: Mapping[str, Reference] | None = None,
    threads: int | None = None,
    advance: Advance | None = None,
) -> Result:
    """Run a step on an open dataset.

    Parameters
    ----------
    step, parameters
        The step and its validated parameters.
    opened
        The dataset, its axes calibrated.
    name
        What messages call it.
    signal
        Which of its arrays; default: the main one.
    inputs
        What the provenance says of the input (path, digest).
    references
        The other datasets that the step reads, by the names that it gives them; by default they are read from disk.
    threads
        Number of threads.
    advance
        Called as probe positions are finished.

    Raises
    ------
    StepError
        The step does not fit the dataset, or a sample is no count.
    MetadataError
        A calibration that the parameters need is missing.
    """
    if references is None:
        references = read_references(step.references(parameters))
    if isinstance(step, WholeStep):
        outcome = _compute_whole(step, parameters, opened, references, name, signal)
        return _result(step, parameters, opened, outcome, name, inputs or {})
    variable = opened.variable(signal)
    check_dimensions(step, variable, name)
    plan = prepare(step, parameters, opened, variable, name, references)
    work = Work(plan, allow_negative=parameters.negative == "allow")
    (computed,) = compute(variable.array, variable.dims, step.core, [work], threads=threads, advance=advance)
    scan = tuple(dim for dim in variable.dims if dim not in step.core)
    outputs = tuple(
        replace(output, dims=(*scan, *output.dims)) if output.per_probe and not output.ragged else output
        for output in computed.plan.outputs
    )
    outcome = Outcome(outputs, computed.arrays, computed.plan.axes, computed.plan.record)
    return _result(step, parameters, opened, outcome, name, inputs or {})


def read_references(wanted: Mapping[str, Wanted], folder: Path | None = None) -> dict[str, Reference]:
    """Return the datasets that a step reads whole besides its input.

    Parameters
    ----------
    wanted
        As :meth:`emdvc.steps.contract.Step.references` names them.
    folder
        Where their paths start; default: the current folder.

    Raises
    ------
    FormatError, DataMissingError
        One cannot be read, or is not here.
    """
    found = {}
    for role, one in wanted.items():
        opened, _ = open_lazy((folder or Path()) / one.path)
        try:
            chosen = [opened.variable(signal) for signal in one.signals] or [opened.variable()]
            found[role] = Reference(
                {v.name: v.array.read(tuple(slice(0, n) for n in v.array.shape)) for v in chosen},
                {v.name: v.dims for v in chosen},
                opened.axes,
                one.path,
            )
        finally:
            opened.close()
    return found


def _compute_whole(
    step: WholeStep,
    parameters: Any,
    opened: Opened,
    references: Mapping[str, Reference],
    name: str,
    signal: str | None,
) -> Outcome:
    names = step.signals(parameters)
    variables = [opened.variable(one) for one in names] if names else [opened.variable(signal)]
    check_dimensions(step, variables[0], name)
    arrays = {v.name: v.array.read(tuple(slice(0, n) for n in v.array.shape)) for v in variables}
    return step.compute(parameters, _input(step, parameters, opened, variables[0], name, references), arrays)


def _result(
    step: Step, parameters: Any, opened: Opened, outcome: Outcome, name: str, inputs: Mapping[str, Any]
) -> Result:
    axes: dict[str, Axis] = {**opened.axes, **outcome.axes}
    own = set(outcome.axes)
    variables = []
    for output in outcome.outputs:
        values = np.asarray(outcome.arrays[output.name])  # of a single pattern a plan may give a bare number
        for dim, size in zip(output.dims, values.shape, strict=True):
            if dim not in axes:  # the rows of a table
                axes[dim] = Axis(dim, size, Role.STACK)
                own.add(dim)
        title = output.title or output.name
        variables.append(ResultVariable(output.name, output.dims, values, output.unit, output.signed, title))
    return Result(
        variables=tuple(variables),
        axes=axes,
        own_axes=frozenset(own),
        provenance=_provenance(step, parameters, inputs),
        title=f"{step.name} of {PurePosixPath(name).name}",
        record=opened.record,
        own_record=dict(outcome.record),
    )


def foresee(step: Step, parameters: Any, opened: Opened, *, name: str, signal: str | None = None) -> list[str]:
    """Return what a run would give, an array a line, after every check that reads no frame.

    Raises
    ------
    StepError, MetadataError
        As :func:`run_step`, but for samples that are no counts.
    """
    if isinstance(step, WholeStep):
        names = step.signals(parameters)
        check_dimensions(step, opened.variable(names[0] if names else signal), name)
        return [step.summary]
    variable = opened.variable(signal)
    check_dimensions(step, variable, name)
    references = read_references(step.references(parameters))
    scan = [size for dim, size in zip(variable.dims, variable.array.shape, strict=True) if dim not in step.core]
    each = f", for each of {math.prod(scan)} probe positions"
    outputs = prepare(step, parameters, opened, variable, name, references).outputs
    return [f"{output.name}: {output.title}" + (each if output.per_probe else "") for output in outputs]


def check_dimensions(step: Step, variable: Variable, name: str) -> None:
    """Check that a dataset has the dimensions of the step's frames, and numbers that can be summed.

    Raises
    ------
    StepError
        It does not; the error names steps that fit.
    """
    if any(dim not in variable.dims for dim in step.core):
        raise StepError(
            f"{step.name} works on {' x '.join(step.core)}, which {name} does not have",
            code=Code.STEP_DIMENSIONS,
            evidence=f"its dimensions are {', '.join(variable.dims)}",
            hint=_fitting(step, variable.dims, name),
        )
    if variable.array.dtype.kind not in "uifb":
        raise StepError(
            f"{step.name} sums counts, which {name} does not hold",
            code=Code.STEP_DIMENSIONS,
            evidence=f"its numbers are of type {variable.array.dtype}",
        )
    if 0 in variable.array.shape:
        raise StepError(f"{name} is empty", code=Code.STEP_DIMENSIONS, evidence=f"its shape is {variable.array.shape}")


def _fitting(wanted: Step, dims: tuple[str, ...], name: str) -> str:
    from emdvc.steps.registry import find, names

    if wanted.core == ("ky", "kx") and dims[-2:] == ("y", "x"):
        # an image file does not say whether it is a picture or a pattern
        return f"if y, x are the detector's: emdvc add {name} --dims {','.join((*dims[:-2], 'ky', 'kx'))}"
    fit = [name for name in names() if all(dim in dims for dim in find(name).core)]
    return f"steps that fit: {', '.join(fit)}" if fit else "emdvc steps lists what each step works on"


def prepare(
    step: Step,
    parameters: Any,
    opened: Opened,
    variable: Variable,
    name: str,
    references: Mapping[str, Reference] | None = None,
) -> Plan:
    """Return a step made ready for an array of an open dataset; it can read only the metadata that it declares."""
    if not isinstance(step, FrameStep):
        raise InternalError(f"{step.name} has no plan: it works on whole arrays", code=Code.INTERNAL)
    return step.prepare(parameters, _input(step, parameters, opened, variable, name, references or {}))


def _input(
    step: Step,
    parameters: Any,
    opened: Opened,
    variable: Variable,
    name: str,
    references: Mapping[str, Reference],
) -> Input:
    metadata = Metadata(opened.record, opened.axes, step.metadata(parameters))
    return Input(variable.dims, variable.array.shape, variable.array.dtype, metadata, variable.unit, name, references)


def _provenance(step: Step, parameters: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": step.name,
        "version": step.version,
        "parameters": parameters.model_dump(mode="json", exclude_defaults=True),
        "metadata": list(step.metadata(parameters)),
        "inputs": dict(inputs),
    }
