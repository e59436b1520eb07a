"""Results that were computed again, for readers: stage by stage, with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from emdvc.compare.verification import Outcome, OutputVerdict, StageVerdict
from emdvc.render.columns import columns


def stages_text(stages: Sequence[StageVerdict], commit: str) -> str:
    """Return the table of stages, outputs and verdicts, what differs below each, and one sentence that closes it.

    Parameters
    ----------
    stages
        What was computed again.
    commit
        Short name of the commit that recorded it.
    """
    rows = [("stage", "output", "verdict")]
    below: list[list[str]] = [[]]
    for stage in stages:
        name = stage.name
        for output in stage.outputs:
            rows.append((name, str(output.path), str(output.outcome)))
            below.append(_output_lines(output))
            name = ""
        if not stage.outputs:
            rows.append((name, "none", str(stage.outcome)))
            below.append([])
        below[-1] += _stage_lines(stage)
    lines = []
    for line, more in zip(columns(rows, indent=""), below, strict=True):
        lines += [line, *(f"    {one}" for one in more)]
    return "\n".join([*lines, "", sentence(stages, commit)])


def _output_lines(output: OutputVerdict) -> list[str]:
    if output.difference is None:
        return list(output.lines)
    from emdvc.render.difference.text import dataset_lines

    lines = [line.removeprefix("  ") for line in dataset_lines(output.difference)]
    return [*(lines or ["the same numbers"]), *output.lines]


def _stage_lines(stage: StageVerdict) -> list[str]:
    if stage.problem:
        return [stage.problem]
    if stage.other_inputs and stage.outcome is not Outcome.IDENTICAL:
        return [f"its inputs are not those that were recorded: {', '.join(stage.other_inputs)}"]
    return []


def sentence(stages: Sequence[StageVerdict], commit: str) -> str:
    """Return what to make of it."""
    outcomes = [stage.outcome for stage in stages]
    many = f"{len(stages)} stage{'s' if len(stages) != 1 else ''}"
    told: list[str] = []
    for kind in (Outcome.DIFFERENT, Outcome.FAILED):
        count = outcomes.count(kind)
        verb = "failed" if kind is Outcome.FAILED else "is different" if count == 1 else "are different"
        told += [f"{count if told else f'{count} of {many}'} {verb}"] * bool(count)
    if told:
        return f"{commit} was not reproduced: {', '.join(told)}"
    tolerated = outcomes.count(Outcome.TOLERATED)
    if tolerated:
        return f"{commit} was reproduced: {many}, {tolerated} of them within the tolerance"
    return f"{commit} was reproduced bit by bit: {many}"
