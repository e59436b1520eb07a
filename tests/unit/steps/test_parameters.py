"""Parameters as people type them."""

from __future__ import annotations

import pytest

from emdvc.errors import Code, StepError, UsageError
from emdvc.model.quantity import Quantity
from emdvc.steps.parameters import merge_settings, parse_settings, validate
from emdvc.steps.registry import find


def test_settings_become_nested_mappings() -> None:
    texts = ["detectors.bf.outer=10mrad", "detectors.df.inner = 20 mrad", "bins=64", "scale=0.5", "on=true", "off=none"]
    assert parse_settings(texts) == {
        "detectors": {"bf": {"outer": "10mrad"}, "df": {"inner": "20 mrad"}},
        "bins": 64,
        "scale": 0.5,
        "on": True,
        "off": None,
    }
    assert parse_settings(["center=122,127px", "text=a=b"]) == {"center": "122,127px", "text": "a=b"}
    assert parse_settings(["bins=1e3"]) == {"bins": 1000.0}


@pytest.mark.parametrize("texts", [["outer"], ["=3"], ["a..b=1"], ["a=1", "a.b=2"], ["a.b=2", "a=1"]])
def test_what_sets_nothing(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_settings(texts)


def test_merging_goes_into_groups() -> None:
    below = {"detectors": {"bf": {"outer": "10mrad"}}, "center": "1,1px"}
    above = {"detectors": {"bf": {"inner": "2mrad"}}, "center": None}
    assert merge_settings(below, above) == {
        "detectors": {"bf": {"outer": "10mrad", "inner": "2mrad"}},
        "center": None,
    }
    assert below["detectors"] == {"bf": {"outer": "10mrad"}}


def test_valid_parameters_have_units() -> None:
    parameters = validate(find("virtual_detector"), {"outer": "20mrad"})
    assert parameters.outer == Quantity(20, "mrad", parameters.outer.origin)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("step", "mapping", "said"),
    [
        ("virtual_detector", {"outr": "1px"}, "did you mean outer?"),
        ("virtual_detector", {"detectors": {"bf": {"iner": "1px"}}}, "did you mean detectors.bf.inner?"),
        ("virtual_detector", {"outer": "1nm"}, "outer: "),
        ("virtual_detector", {}, "give at least one radius"),
        ("radial_profile", {"bins": 0}, "bins: "),
        ("radial_profile", {"unit": "nm"}, "unit: "),
    ],
)
def test_a_wrong_parameter_is_named(step: str, mapping: dict[str, object], said: str) -> None:
    with pytest.raises(StepError) as error:
        validate(find(step), mapping)
    assert error.value.code == Code.STEP_PARAMETER
    assert said in str(error.value)
