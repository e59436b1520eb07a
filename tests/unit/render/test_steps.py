from __future__ import annotations

import pytest

from emdvc.render import steps as rendered
from emdvc.steps import registry


@pytest.mark.parametrize("name", registry.names())
def test_markdown_tables_are_whole(name: str) -> None:
    text = rendered.as_markdown(rendered.describe(registry.find(name)))
    assert text.startswith(f"## `{name}`\n")
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert tables and all(line.endswith("|") for line in tables)
    assert {line.count("|") for line in tables} <= {3, 5, 6}


def test_groups_of_parameters_are_spelt_out() -> None:
    names = [entry["name"] for entry in rendered.describe(registry.find("energy_map"))["parameters"]]
    assert names[:3] == ["windows", "windows.NAME.start", "windows.NAME.stop"]


def test_outputs_are_those_of_the_step() -> None:
    outputs = rendered.describe(registry.find("center_of_mass"))["outputs"]
    assert [(output["name"], output["unit"], output["dims"]) for output in outputs[2:]] == [
        ("tilt_y", "mrad", ["y", "x"]),
        ("tilt_x", "mrad", ["y", "x"]),
    ]
