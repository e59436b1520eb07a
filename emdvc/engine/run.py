"""Running steps on a dataset: from the open file to their results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from emdvc.engine.block_task import Work
from emdvc.engine.compute import Computed, compute
from emdvc.engine.frames import ArraySource, Frames
from emdvc.engine.how import Advance, Earlier, How
from emdvc.errors import Code, InternalError, StepError
from emdvc.formats.chunk_files import ChunkFiles
from emdvc.formats.contract import Opened, Variable
from emdvc.formats.dataset import open_lazy
from emdvc.formats.region import whole
from emdvc.formats.results import Result, ResultVariable
from emdvc.model.axis import Axis, Role
from emdvc.model.sidecar import Sidecar, calibrate, merge
from emdvc.steps.contract import FrameStep, Input, Metadata, Outcome, Plan, Reference, Step, Wanted, WholeStep

#: Opens a dataset by its path.
Open = Callable[[Path], tuple[Opened, Sidecar]]


@dataclass(frozen=True, slots=True)
class Request:
    """A step that is asked for.

    Parameters
    ----------
    step, parameters
        The step and its validated parameters.
    references
        The other datasets that it reads, by the names that it gives them; None to read them from disk.
    inputs
        What the provenance says of the input (path, digest).
    earlier
        What the step gave for data that differ little; None where there is nothing.
    """

    step: Step
    parameters: Any
    references: Mapping[str, Reference] | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    earlier: Earlier | None = None


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
    request = Request(step, parameters, references, inputs or {})
    (result,) = run_steps([request], opened, name=name, signal=signal, how=How(threads=threads, advance=advance))
    return result


def run_steps(
    requests: Sequence[Request],
    opened: Opened,
    *,
    name: str,
    signal: str | None = None,
    how: How | None = None,
    source: ArraySource | None = None,
    folder: Path | None = None,
    others: Open = open_lazy,
) -> list[Result]:
    """Run several steps on an open dataset at the cost of one: each block is read once and feeds them all.

    Parameters
    ----------
    requests
        The steps. Those that look at frames must agree on what a frame is.
    opened, name, signal
        As for :func:`run_step`.
    how
        Threads, memory, place; nothing of it changes the results.
    source
        How another process opens the dataset, where blocks are computed in others.
    folder
        Where the paths of other datasets start that a step reads; default: the current folder.
    others
        Opens another dataset that a step reads.

    Raises
    ------
    StepError
        A step does not fit the dataset or the others, or a sample is no count.
    MetadataError
        A calibration that the parameters need is missing.
    UsageError
        The memory that was allowed does not hold one block.
    """
    how = how or How()
    read = [request.references for request in requests]
    references = [
        found if found is not None else read_references(request.step.references(request.parameters), folder, others)
        for found, request in zip(read, requests, strict=True)
    ]
    outcomes: dict[int, Outcome] = {}
    frame_steps = []
    for index, request in enumerate(requests):
        if isinstance(request.step, WholeStep):
            outcomes[index] = _compute_whole(request.step, request.parameters, opened, references[index], name, signal)
        else:
            frame_steps.append(index)
    if frame_steps:
        chosen = [(requests[index], references[index]) for index in frame_steps]
        computed = _compute_frames(chosen, opened, name, signal, how, source)
        outcomes.update(zip(frame_steps, computed, strict=True))
    return [
        _result(request.step, request.parameters, opened, outcomes[index], name, request.inputs)
        for index, request in enumerate(requests)
    ]


def _compute_frames(
    chosen: Sequence[tuple[Request, Mapping[str, Reference]]],
    opened: Opened,
    name: str,
    signal: str | None,
    how: How,
    source: ArraySource | None,
) -> list[Outcome]:
    variable = opened.variable(signal)
    core = chosen[0][0].step.core
    works = []
    for request, references in chosen:
        step, parameters = request.step, request.parameters
        check_dimensions(step, variable, name)
        if step.core != core:
            raise StepError(
                f"{chosen[0][0].step.name} and {step.name} cannot share one pass",
                code=Code.STEP_DIMENSIONS,
                evidence=f"a frame is {' x '.join(core)} for one, {' x '.join(step.core)} for the other",
                hint="make two stages of them",
            )
        plan = prepare(step, parameters, opened, variable, name, references)
        works.append(Work(plan, allow_negative=parameters.negative == "allow"))
    earlier = {index: request.earlier for index, (request, _) in enumerate(chosen) if request.earlier is not None}
    frames = Frames(variable.array, variable.dims, core, source, variable.name)
    scan = tuple(dim for dim in variable.dims if dim not in core)
    return [_outcome(computed, scan) for computed in compute(frames, works, replace(how, earlier=earlier))]


def _outcome(computed: Computed, scan: tuple[str, ...]) -> Outcome:
    outputs = tuple(
        replace(output, dims=(*scan, *output.dims)) if output.per_probe and not output.ragged else output
        for output in computed.plan.outputs
    )
    return Outcome(outputs, computed.arrays, computed.plan.axes, computed.plan.record, computed.chunks)


def read_references(
    wanted: Mapping[str, Wanted], folder: Path | None = None, others: Open = open_lazy
) -> dict[str, Reference]:
    """Return the datasets that a step reads whole besides its input.

    Parameters
    ----------
    wanted
        As :meth:`emdvc.steps.contract.Step.references` names them.
    folder
        Where their paths start; default: the current folder.
    others
        Opens one.

    Raises
    ------
    FormatError, DataMissingError
        One cannot be read, or is not here.
    """
    found = {}
    for role, one in wanted.items():
        opened, _ = others((folder or Path()) / one.path)
        try:
            chosen = [opened.variable(signal) for signal in one.signals] or [opened.variable()]
            found[role] = Reference(
                {v.name: v.array.read(whole(v.array)) for v in chosen},
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
    variables = _signals(step, parameters, opened, name, signal)
    check_dimensions(step, variables[0], name)
    arrays = {v.name: v.array.read(whole(v.array)) for v in variables}
    return step.compute(parameters, _input(step, parameters, opened, variables[0], name, references), arrays)


def _signals(step: WholeStep, parameters: Any, opened: Opened, name: str, signal: str | None) -> list[Variable]:
    names = step.signals(parameters)
    held = [variable.name for variable in opened.variables]
    missing = [one for one in names if one not in held]
    if missing:
        raise StepError(
            f"{step.name} works on {', '.join(names)}, and {name} does not hold {missing[0]}",
            code=Code.STEP_DIMENSIONS,
            evidence=f"it holds {', '.join(held)}",
            hint=f"give it the result of {' or '.join(step.of)}" if step.of else f"emdvc steps {step.name}",
        )
    return [opened.variable(one) for one in names] if names else [opened.variable(signal)]


def _result(
    step: Step, parameters: Any, opened: Opened, outcome: Outcome, name: str, inputs: Mapping[str, Any]
) -> Result:
    # an axis that the record calibrates follows what the step says of the record; its calibration stays there
    record = merge(opened.record, dict(outcome.record))
    axes: dict[str, Axis] = {dim: calibrate(axis, record) for dim, axis in {**opened.axes, **outcome.axes}.items()}
    own = {dim for dim, axis in outcome.axes.items() if axis.calibration is None}
    # as the CF conventions mark a contiguous ragged array: `count` says how many rows each probe position has
    tables = [output.dims[0] for output in outcome.outputs if output.ragged]
    variables = []
    for output in outcome.outputs:
        given = outcome.arrays[output.name]
        # of a single pattern a plan may give a bare number
        values = given if isinstance(given, ChunkFiles) else np.asarray(given)
        for dim, size in zip(output.dims, values.shape, strict=True):
            if dim not in axes:  # the rows of a table
                axes[dim] = Axis(dim, size, Role.STACK)
                own.add(dim)
        title = output.title or output.name
        chunks = outcome.chunks.get(output.name)
        said = {"sample_dimension": tables[0]} if tables and output.name == "count" else {}
        variables.append(
            ResultVariable(output.name, output.dims, values, output.unit, output.signed, title, chunks, said)
        )
    return Result(
        variables=tuple(variables),
        axes=axes,
        own_axes=frozenset(own),
        provenance=_provenance(step, parameters, inputs),
        title=f"{step.name} of {PurePosixPath(name).name}",
        record=opened.record,
        own_record=dict(outcome.record),
    )


def foresee(
    step: Step,
    parameters: Any,
    opened: Opened,
    *,
    name: str,
    signal: str | None = None,
    folder: Path | None = None,
    others: Open = open_lazy,
) -> list[str]:
    """Return what a run would give, an array a line, after every check that reads no frame.

    Raises
    ------
    StepError, MetadataError
        As :func:`run_step`, but for samples that are no counts.
    """
    if isinstance(step, WholeStep):
        check_dimensions(step, _signals(step, parameters, opened, name, signal)[0], name)
        return [step.summary]
    variable = opened.variable(signal)
    check_dimensions(step, variable, name)
    references = read_references(step.references(parameters), folder, others)
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
    cores = {name: find(name).core for name in names()}
    fit = [name for name, core in cores.items() if core and all(dim in dims for dim in core)]
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
