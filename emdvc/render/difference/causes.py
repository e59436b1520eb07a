"""Why a result changed, in sentences."""

from __future__ import annotations

from pathlib import PurePosixPath

from emdvc.compare.causes.cause import Cause, CauseKind
from emdvc.compare.record import KeyChange
from emdvc.render import columns as text
from emdvc.render.difference.keys import key_change

#: The file in which parameters stand unless a stage says otherwise.
_PARAMETERS = "params.yaml"
UNRECORDED_THEN = "no run of its stage was recorded then, as after a merge of two runs"
UNRECORDED_NOW = "no run of its stage is recorded now, as after a merge of two runs: dvc repro"
NOTHING = "nothing that it depends on changed: run it twice and compare"


def cause_line(cause: Cause) -> str:
    """Return one cause, as in ``parameter bright_field.outer 20 px -> 22 px``."""
    through = f"  (through {', '.join(cause.through)})" if cause.through else ""
    return f"{_sentence(cause)}{through}"


def _sentence(cause: Cause) -> str:
    match cause.kind:
        case CauseKind.INPUT:
            return _input(cause)
        case CauseKind.PARAMETER:
            return f"parameter {cause.key} {change_of(cause)}{_place(cause.where)}"
        case CauseKind.METADATA:
            return f"{cause.key} of {cause.where} {change_of(cause)}"
        case CauseKind.SCRIPT:
            return _script(cause)
        case CauseKind.VERSION:
            return f"step {cause.where} version {text.value(cause.before)} -> {text.value(cause.after)}"
        case CauseKind.COMMAND:
            return f"command of {cause.where}: {change_of(cause)}"
        case CauseKind.UNRECORDED:
            return UNRECORDED_NOW if cause.after is None else UNRECORDED_THEN
        case CauseKind.NONE:
            return NOTHING


def change_of(cause: Cause) -> str:
    """Return what it was and what it is."""
    if cause.before is None:
        return f"not set -> {text.value(cause.after)}"
    if cause.after is None:
        return f"{text.value(cause.before)} -> not set"
    return key_change(KeyChange(cause.key, cause.before, cause.after))


def _input(cause: Cause) -> str:
    what = cause.after if isinstance(cause.after, str) else ""
    if what.endswith("read"):
        return f"{cause.where} is {what}"
    return f"{cause.where} changed" + (f" ({text.shortened(what)})" if what else "")


def _place(where: str) -> str:
    """Return where a parameter stands, unless it is where parameters stand: in a file, or given to a step."""
    if where in ("", _PARAMETERS):
        return ""
    return f"  in {where}" if PurePosixPath(where).suffix else f"  of {where}"


def _script(cause: Cause) -> str:
    if not cause.line:
        return f"{cause.where} changed"
    before, after = (None if line is None else text.value(line) for line in (cause.before, cause.after))
    if before is None or after is None:
        lines = f": {'new' if before is None else 'without'} {after if before is None else before}"
    else:
        lines = f": {before} -> {after}"
    more = f"  ({cause.lines} lines in all)" if cause.lines > 1 else ""
    return f"{cause.where} line {cause.line}{lines if before or after else ''}{more}"
