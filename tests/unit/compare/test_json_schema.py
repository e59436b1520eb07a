"""The JSON of a difference is what `docs/reference/diff.schema.json` says, key by key."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from difference_strategies import differences
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from emdvc.compare.causes.cause import CauseKind
from emdvc.compare.dataset import compare
from emdvc.compare.plain import finite, plain
from emdvc.compare.project import ProjectDifference
from emdvc.compare.record import KeyChange
from emdvc.compare.variables import StatisticChange
from emdvc.compare.verdict import Verdict
from emdvc.model.axis import Role
from emdvc.model.quantity import Origin, Quantity

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[3] / "docs" / "reference" / "diff.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA)


def checked(difference: ProjectDifference) -> dict[str, Any]:
    """Return a difference as a reader of strict JSON gets it, after the schema has been asked."""
    content = {"schema": "emdvc/diff", "version": 2, **difference.to_dict()}
    found: dict[str, Any] = json.loads(json.dumps(content, allow_nan=False))
    VALIDATOR.validate(found)
    return found


def test_the_schema_is_one_and_closed() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    objects = [node for node in _nodes(SCHEMA) if node.get("type") == "object" and "properties" in node]
    assert objects and all(node["additionalProperties"] is False for node in objects)
    described = [one for node in objects for one in node["properties"].values()]
    assert all("description" in one or one["$ref"] == "#/$defs/verdict" for one in described)


def _nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for one in node for found in _nodes(one)]
    if isinstance(node, dict):
        return [node, *(found for one in node.values() for found in _nodes(one))]
    return []


def test_the_schema_names_what_the_code_knows() -> None:
    names = SCHEMA["$defs"]
    assert names["verdict"]["enum"] == [str(verdict) for verdict in Verdict]
    assert names["cause"]["properties"]["kind"]["enum"] == [str(kind) for kind in CauseKind]
    assert names["axis"]["properties"]["role"]["enum"] == [str(role) for role in Role]
    assert names["quantity"]["properties"]["origin"]["enum"] == [str(origin) for origin in Origin]


@given(differences(most=2))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_difference_is_valid(difference: ProjectDifference) -> None:
    found = checked(difference)
    assert len(found["datasets"]) == len(difference.datasets)


def test_a_key_that_is_not_documented_is_refused() -> None:
    difference = ProjectDifference("HEAD", None, (compare(None, None, "a"),), 1)
    content = {"schema": "emdvc/diff", "version": 2, **difference.to_dict()}
    VALIDATOR.validate(content)
    content["datasets"][0]["colour"] = "red"
    assert not VALIDATOR.is_valid(content)


def test_two_real_sidecars(raw: Any) -> None:
    from dataclasses import replace

    before = raw().resolved()
    changed = raw(
        {
            "beam.energy": Quantity(300.0, "keV"),
            "scan.step": Quantity((0.9, 0.9), "nm"),
            "sample.elements": ["Au"],
            "operator": None,
        },
        vendor={"Acquisition": {"value": "another", "unit": "none"}, "empty": {}},
        source={"reader": "mib@2", "files": [{"path": "scan.mib", "sha256": "c" * 64, "size": 1000}]},
    ).resolved()
    data = replace(changed.variables["data"], dtype="uint32", digest="d" * 64)
    after = replace(changed, variables={"data": data}, statistics={"data": {"sum": 3}})
    with_sum = replace(before, statistics={"data": {"sum": 0}})
    found = checked(ProjectDifference("HEAD", None, (compare(with_sum, after, "raw/scan.mib"),), 1))["datasets"][0]
    filled = ("record", "axes", "variables", "statistics", "source", "vendor")
    assert all(found[name] for name in filled), "each kind of change is there to be checked"
    assert found["statistics"][0]["percent"] is None and found["statistics"][0]["delta"] == 3


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_said(number: float) -> None:
    change = KeyChange("beam.energy", Quantity((number, 1.0), "keV"), Quantity((1.0, 1.0), "keV"))
    mapping = json.loads(json.dumps(change.to_dict(), allow_nan=False))
    # the sidecar's own spelling; what is computed with it is not known
    assert mapping["before"]["value"] == [str(number), 1.0] and mapping["delta"] == [None, 0.0]
    figure = json.loads(json.dumps(StatisticChange("data", "max", 1.0, number).to_dict(), allow_nan=False))
    assert (figure["before"], figure["after"], figure["delta"]) == (1.0, str(number), None)
    assert plain({"list": [number, (1, None, True)]}) == {"list": [str(number), [1, None, True]]}
    assert finite(number) is None


def test_a_date_is_its_text() -> None:
    from datetime import date, datetime

    assert plain([date(2026, 1, 2), datetime(2026, 1, 2, 3, 4)]) == ["2026-01-02", "2026-01-02T03:04:00"]
