"""A step's parameters as people write them: ``--set outer=20mrad`` and the mapping in params.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from emdvc.errors import StepError, UsageError, suggest
from emdvc.steps.contract import Parameters, Step

_WORDS = {"true": True, "yes": True, "false": False, "no": False, "null": None, "none": None}


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return ``key=value`` texts as nested mappings: ``detectors.bf.outer=10mrad`` stands at ``detectors: bf: outer:``.

    Plain numbers and truth values become such; what carries a unit stays text.

    Raises
    ------
    UsageError
        There is no ``=``, or a name is both a value and a group.
    """
    tree: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise UsageError(f"'{text}' sets nothing", hint="write name=value, as in --set outer=20mrad")
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise UsageError(f"'{part}' is both a value and a group", evidence=f"--set {text}")
        if isinstance(node.get(parts[-1]), dict):
            raise UsageError(f"'{parts[-1]}' is both a value and a group", evidence=f"--set {text}")
        node[parts[-1]] = _value(value.strip())
    return tree


def merge_settings(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two parameter mappings as one; what stands in `above` wins, groups are merged."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge_settings(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?", text):
        return float(text)
    return text


def validate(step: Step, mapping: Mapping[str, Any] | None) -> Parameters:
    """Return a step's parameters, checked.

    Raises
    ------
    StepError
        A parameter is unknown (the nearest name is suggested), lacks, or cannot be what was given.
    """
    try:
        return step.Parameters.model_validate(dict(mapping or {}))
    except ValidationError as error:
        raise _step_error(step, error) from error


def _step_error(step: Step, error: ValidationError) -> StepError:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"]]
    name = ".".join(location)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _names(step.Parameters, location[:-1])
        near = suggest(location[-1], known)
        parent = ".".join(location[:-1])
        hint = f"did you mean {f'{parent}.' if parent else ''}{near}?" if near else f"emdvc steps {step.name}"
        return StepError(
            f"{step.name} has no parameter '{name}'",
            evidence=f"it has {', '.join(known)}" if known else "it has no parameters",
            hint=hint,
        )
    if first["type"] == "missing":
        return StepError(
            f"{step.name} needs the parameter '{name}'", hint=f"--set {name}=...; `emdvc steps {step.name}` explains it"
        )
    return StepError(
        f"{name}: {message}" if name else f"{step.name}: {message}",
        evidence=f"got {first['input']!r}" if name else None,
        hint=f"emdvc steps {step.name}",
    )


def _names(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the parameter names that a model has at a place, looking into groups and into mappings of groups."""
    here: Any = model
    for part in location:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part)
            here = field.annotation if field is not None else None
        else:  # the key of a mapping: what follows is its value's model
            models = [kind for kind in get_args(here) if isinstance(kind, type) and issubclass(kind, BaseModel)]
            here = models[0] if models else None
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []
