"""A recipe: what it reads from params.yaml, the order of its steps, and what is refused."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import every_output as every
import pytest

from emdvc.errors import EmdvcError, StepError
from emdvc.steps.parameters import validate
from emdvc.steps.recipe import Recipe
from emdvc.steps.registry import find, names


def read(mapping: dict[str, Any]) -> Any:
    return validate(find("recipe"), mapping)


def test_steps_by_name() -> None:
    """`step` may be left out where the name is the step's; parameters are those of the step, checked by it."""
    parameters = read({"bright": {"step": "virtual_detector", "outer": "20 px"}, "center_of_mass": None})
    assert [(one.name, one.step.name) for one in parameters.ingredients] == [
        ("bright", "virtual_detector"),
        ("center_of_mass", "center_of_mass"),
    ]
    assert parameters.ingredients[0].parameters.outer is not None


def test_what_it_declares() -> None:
    """Metadata keys, versions and results are those of its steps."""
    recipe = find("recipe")
    mapping = {"bright": {"step": "virtual_detector", "outer": "10 mrad"}, "com": {"step": "center_of_mass"}}
    parameters = read(mapping)
    steps = [find("virtual_detector"), find("center_of_mass")]
    each = [step.metadata(validate(step, given)) for step, given in zip(steps, ({"outer": "10 mrad"}, {}), strict=True)]
    assert set(recipe.metadata(parameters)) == set(each[0]) | set(each[1])
    assert recipe.versions(parameters) == {step.name: step.version for step in steps}
    assert recipe.results(parameters, PurePosixPath("results/all")) == (
        PurePosixPath("results/all/bright.zarr"),
        PurePosixPath("results/all/com.zarr"),
    )


def test_references_of_its_steps() -> None:
    parameters = read({"corrected": {"step": "correct", "dark": "raw/dark.zarr"}})
    wanted = find("recipe").references(parameters)
    assert [one.path for one in wanted.values()] == ["raw/dark.zarr"]
    assert all(role.startswith("corrected.") for role in wanted)


def test_sources_come_first() -> None:
    """Whatever the order in params.yaml."""
    parameters = read({"a": {"step": "dpc", "source": "z"}, "z": {"step": "center_of_mass"}})
    assert [one.name for one in parameters.ingredients] == ["z", "a"]


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({}, "at least one step"),
        ({"com": 5}, "'com' of the recipe is no step"),
        ({"com": {"step": "centre_of_mass"}}, "center_of_mass"),
        ({"inner": {"step": "recipe"}}, "no other recipe"),
        ({"bright": {"step": "virtual_detector", "outer": "20 px", "source": "com"}, "com": {"step": "center_of_mass"}},
         "looks at frames"),
        ({"field": {"step": "dpc", "source": "con"}, "com": {"step": "center_of_mass"}}, "did you mean com?"),
        ({"a": {"step": "dpc", "source": "b"}, "b": {"step": "dpc", "source": "a"}}, "which the recipe does not give"),
        ({"a": {"step": "dpc", "source": "a"}}, "which the recipe does not give"),
        ({"bright": {"step": "virtual_detector", "outter": "20 px"}}, "outer"),
        ({"bright": {"step": "virtual_detector", "outer": "20 kg"}}, "kg"),
    ],
)  # fmt: skip
def test_what_is_refused(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(EmdvcError) as caught:
        read(mapping)
    assert words in str(caught.value)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "", ".", "con.zarr/..", "a b"])
def test_names_are_file_names(name: str) -> None:
    """A name becomes a folder below the output, so that it cannot be a path."""
    with pytest.raises(StepError, match="name"):
        read({name: {"step": "sum_pattern"}})


def test_a_recipe_is_no_step_of_frames() -> None:
    assert isinstance(find("recipe"), Recipe)
    assert find("recipe").core == ()


def test_the_tests_of_the_engine_know_their_steps() -> None:
    """Each step that the engine's tests name is there: a step that is renamed would be left out without a word."""
    for recipe in (every.PATTERNS, every.SPECTRA):
        assert {given.get("step", name) for name, given in recipe.items()} <= set(names())
