"""What a step is, for a reader: read off its class, so that the documentation cannot lag behind the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError

from emdvc.errors import EmdvcError
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Quantity
from emdvc.render.columns import columns
from emdvc.steps.contract import FrameStep, Input, Metadata, Output, Parameters, Step

#: A calibrated input of each kind of frame, small: what a step says it would give for it is its list of outputs.
_SAMPLE_RECORD = {
    "beam": {"energy": {"value": 200.0, "unit": "keV"}},
    "diffraction": {
        "pixel_size": {"value": 0.1, "unit": "1/angstrom"},
        "center": {"value": [16.0, 16.0], "unit": "px"},
    },
    "scan": {"step": {"value": [1.0, 1.0], "unit": "nm"}},
}
_SAMPLE_AXES = {
    "y": Axis("y", 4, Role.SCAN, scale=Quantity(1.0, "nm")),
    "x": Axis("x", 4, Role.SCAN, scale=Quantity(1.0, "nm")),
    "ky": Axis("ky", 32, Role.DETECTOR, scale=Quantity(0.1, "1/angstrom"), offset=Quantity(-1.6, "1/angstrom")),
    "kx": Axis("kx", 32, Role.DETECTOR, scale=Quantity(0.1, "1/angstrom"), offset=Quantity(-1.6, "1/angstrom")),
    "energy": Axis("energy", 64, Role.SPECTRUM, scale=Quantity(1.0, "eV"), offset=Quantity(0.0, "eV")),
}


def describe(step: Step) -> dict[str, Any]:
    """Return everything that a step says about itself, as plain values.

    Returns
    -------
    dict
        ``name``, ``version``, ``summary``, ``core`` (dimensions of a frame, or of a whole
        step's arrays), ``frames`` (whether it looks at frames), ``doc``, ``parameters`` (each with name,
        type, unit, default, required, doc), ``metadata`` (keys that are read, by the unit that the parameters are given
        in; under the empty name where that does not matter), ``outputs`` (name, dims, unit, title, of an example).
    """
    schema = step.Parameters.model_json_schema()
    return {
        "name": step.name,
        "version": step.version,
        "summary": step.summary,
        "core": list(step.core),
        "frames": isinstance(step, FrameStep),
        "doc": inspect.cleandoc(step.__doc__ or ""),
        # what a step adds of its own comes first
        "parameters": sorted(
            _parameters(schema, schema.get("$defs", {})), key=lambda entry: entry["name"] in Parameters.model_fields
        ),
        "metadata": _metadata(step, schema),
        "outputs": _outputs(step, schema),
    }


def _parameters(schema: dict[str, Any], shared: dict[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    """Yield the parameters of a schema; those of a table of named groups follow it, as ``windows.NAME.start``."""
    required = schema.get("required", ())
    for name, entry in schema.get("properties", {}).items():
        kind, unit, group = _type(entry, shared)
        yield {
            "name": prefix + name,
            "type": kind,
            "unit": unit,
            "default": entry.get("default"),
            "required": name in required,
            "doc": " ".join(str(entry.get("description", "")).split()),
        }
        if group is not None:
            yield from _parameters(group, shared, f"{prefix}{name}.NAME.")


def _type(entry: dict[str, Any], shared: dict[str, Any]) -> tuple[str, str, dict[str, Any] | None]:
    """Return the type of a parameter in words, its unit, and the schema of the groups that it is a table of."""
    options = [option for option in entry.get("anyOf", [entry]) if option.get("type") != "null"]
    chosen = options[0] if options else entry
    if "unit" in chosen:
        return "quantity", str(chosen["unit"]), None
    if "enum" in chosen:
        return " or ".join(str(value) for value in chosen["enum"]), "", None
    inner = chosen.get("additionalProperties")
    if isinstance(inner, dict) and "$ref" in inner:
        return "groups by name", "", shared[inner["$ref"].rsplit("/", 1)[-1]]
    words = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return words.get(str(chosen.get("type")), str(chosen.get("type", "value"))), "", None


def _samples(step: Step, schema: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the unit and the parameters of small, valid examples: one for each unit that they can be given in."""
    if step.example:
        yield "", step.Parameters.model_validate(dict(step.example))
        return
    shared = schema.get("$defs", {})
    units = dict.fromkeys(unit for entry in _parameters(schema, shared) for unit in _unit_names(entry["unit"]))
    for unit in units or {"": None}:
        for extra in (*_optional(schema, shared, unit), {}):
            try:
                chosen = {**_required(schema, shared, unit), **extra}
                yield unit, step.Parameters.model_validate(chosen)
            except ValidationError:
                continue
            break


def _unit_names(text: str) -> list[str]:
    # a position, "px (y, x)", or an angle is no choice of units
    return [] if "(" in text or text == "deg" else [unit for unit in re.split(r", | or ", text) if unit]


def _optional(schema: dict[str, Any], shared: dict[str, Any], unit: str) -> Iterator[dict[str, Any]]:
    """Yield optional settings that use a unit: the outer radius first, as a disk is the simplest detector."""
    properties = schema.get("properties", {})
    choice = {"unit": unit} if unit in properties.get("unit", {}).get("enum", ()) else {}
    if choice:
        yield choice
    for name in sorted(properties, key=lambda name: name != "outer"):
        kind, allowed, _ = _type(properties[name], shared)
        if kind == "quantity" and unit in _unit_names(allowed):
            yield {name: f"5 {unit}"}


def _required(schema: dict[str, Any], shared: dict[str, Any], unit: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for index, name in enumerate(schema.get("required", ())):
        kind, allowed, group = _type(schema["properties"][name], shared)
        if group is not None:
            found[name] = {"sample": _required(group, shared, unit)}
        elif kind == "quantity":
            found[name] = "8, 8 px" if "(" in allowed else f"{5 * (index + 1)} {unit or allowed}"
    return found


def _metadata(step: Step, schema: dict[str, Any]) -> dict[str, list[str]]:
    by_unit = {unit: list(step.metadata(parameters)) for unit, parameters in _samples(step, schema)}
    return {"": next(iter(by_unit.values()))} if len({tuple(keys) for keys in by_unit.values()}) == 1 else by_unit


def _outputs(step: Step, schema: dict[str, Any]) -> list[dict[str, Any]]:
    if step.gives:
        return [_output(output, whole=not isinstance(step, FrameStep)) for output in step.gives]
    if not isinstance(step, FrameStep):
        return []
    dims = ("y", "x", *step.core)
    if any(dim not in _SAMPLE_AXES for dim in dims):  # frames of another kind, of a user's own step
        return []
    shape = tuple(_SAMPLE_AXES[dim].size for dim in dims)
    for _, parameters in _samples(step, schema):
        metadata = Metadata(_SAMPLE_RECORD, _SAMPLE_AXES, step.metadata(parameters))
        try:
            plan = step.prepare(parameters, Input(dims, shape, np.dtype("uint16"), metadata))
        except EmdvcError:
            continue  # this example does not fit the sample; the next unit may
        return [_output(output) for output in plan.outputs]
    return []


def _output(output: Output, *, whole: bool = False) -> dict[str, Any]:
    dims = (("y", "x") if output.per_probe and not output.ragged and not whole else ()) + output.dims
    return {"name": output.name, "dims": list(dims), "unit": output.unit, "title": output.title}


def as_text(description: dict[str, Any]) -> str:
    """Return a step's description for a terminal."""
    lines = [f"{description['name']}  {description['summary']}", ""]
    lines += [f"  {line}".rstrip() for line in _plain(description["doc"]).splitlines()]
    where = "at every probe position" if description["frames"] else "as a whole"
    if description["core"]:
        lines += ["", f"works on  {', '.join(description['core'])}, {where}"]
    lines += ["", "parameters"]
    for parameter in description["parameters"]:
        lines.append(f"  {parameter['name']}  ({_facts(parameter)})")
        if parameter["doc"]:
            lines.append(f"      {_plain(parameter['doc'])}")
    lines += ["", "metadata read", *columns(_metadata_rows(description))]
    if description["outputs"]:
        lines += ["", "gives, in an example", *columns([_output_row(output) for output in description["outputs"]])]
    lines += ["", f"version {description['version']}"]
    return "\n".join(lines)


def as_markdown(description: dict[str, Any], level: int = 2) -> str:
    """Return a step's description for the documentation, as Markdown under a heading of a level."""
    lines = [f"{'#' * level} `{description['name']}`", "", description["doc"].replace("``", "`"), ""]
    lines += [f"Works on {', '.join(f'`{dim}`' for dim in description['core'])}; version {description['version']}.", ""]
    lines += ["| Parameter | Type | Unit | Default | Meaning |", "|---|---|---|---|---|"]
    for parameter in description["parameters"]:
        default = "required" if parameter["required"] else _default(parameter)
        cells = (f"`{parameter['name']}`", parameter["type"], parameter["unit"], default, parameter["doc"])
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| Parameters given in | Metadata read |", "|---|---|"]
    lines += [f"| {unit} | {keys} |" for unit, keys in _metadata_rows(description)]
    if description["outputs"]:
        lines += ["", "| Output, in an example | Dimensions | Unit | Meaning |", "|---|---|---|---|"]
        lines += [f"| {' | '.join((f'`{row[0]}`', *row[1:]))} |" for row in map(_output_row, description["outputs"])]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("``", "").replace("`", "")


def _facts(parameter: dict[str, Any]) -> str:
    facts = [parameter["type"] + (f" in {parameter['unit']}" if parameter["unit"] else "")]
    if parameter["required"]:
        facts.append("required")
    elif default := _default(parameter):
        facts.append(f"default {default}")
    return ", ".join(facts)


def _default(parameter: dict[str, Any]) -> str:
    default = parameter["default"]
    return "" if default is None or default == {} else str(default)


def _metadata_rows(description: dict[str, Any]) -> list[tuple[str, str]]:
    return [(unit or "always", ", ".join(keys) or "none") for unit, keys in description["metadata"].items()]


def _output_row(output: dict[str, Any]) -> tuple[str, ...]:
    return output["name"], ", ".join(output["dims"]) or "one value", output["unit"], output["title"]
