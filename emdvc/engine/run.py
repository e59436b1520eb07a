"""Running one step on one dataset: from the open file to a result in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from emdvc.engine.compute import Advance, Work, compute
from emdvc.errors import Code, StepError
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis
from emdvc.steps.contract import Input, Metadata, Plan, Step


def run_step(
    step: Step,
    parameters: Any,
    opened: Opened,
    *,
    name: str,
    signal: str | None = None,
    inputs: Mapping[str, Any] | None = None,
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
    variable = opened.variable(signal)
    check_dimensions(step, variable, name)
    plan = prepare(step, parameters, opened, variable, name)
    work = Work(plan, allow_negative=parameters.negative == "allow")
    (arrays,) = compute(variable.array, variable.dims, step.core, [work], threads=threads, advance=advance)
    scan = tuple(dim for dim in variable.dims if dim not in step.core)
    axes: dict[str, Axis] = {**opened.axes, **plan.axes}
    variables = tuple(
        ResultVariable(
            output.name,
            (*scan, *output.dims) if output.per_probe else output.dims,
            np.asarray(arrays[output.name]),  # of a single pattern a plan may give a bare number
            output.unit,
            output.signed,
            output.title or output.name,
        )
        for output in plan.outputs
    )
    return Result(
        variables=variables,
        axes=axes,
        own_axes=frozenset(plan.axes),
        provenance=_provenance(step, parameters, inputs or {}),
        title=f"{step.name} of {PurePosixPath(name).name}",
        record=opened.record,
    )


def foresee(step: Step, parameters: Any, opened: Opened, *, name: str, signal: str | None = None) -> list[str]:
    """Return what a run would give, an array a line, after every check that reads no frame.

    Raises
    ------
    StepError, MetadataError
        As :func:`run_step`, but for samples that are no counts.
    """
    variable = opened.variable(signal)
    check_dimensions(step, variable, name)
    scan = [size for dim, size in zip(variable.dims, variable.array.shape, strict=True) if dim not in step.core]
    each = f", for each of {math.prod(scan)} probe positions"
    outputs = prepare(step, parameters, opened, variable, name).outputs
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


def prepare(step: Step, parameters: Any, opened: Opened, variable: Variable, name: str) -> Plan:
    """Return a step made ready for an array of an open dataset; it can read only the metadata that it declares."""
    metadata = Metadata(opened.record, opened.axes, step.metadata(parameters))
    return step.prepare(
        parameters,
        Input(variable.dims, variable.array.shape, variable.array.dtype, metadata, variable.unit, name),
    )


def _provenance(step: Step, parameters: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": step.name,
        "version": step.version,
        "parameters": parameters.model_dump(mode="json", exclude_defaults=True),
        "metadata": list(step.metadata(parameters)),
        "inputs": dict(inputs),
    }
