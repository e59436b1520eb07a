from __future__ import annotations

from typing import Any

import pytest

from emdvc.steps import registry


def test_every_step_is_listed(emdvc: Any) -> None:
    lines = emdvc("steps").stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_every_step_says_what_it_needs_and_gives(name: str, answer: Any) -> None:
    said = answer("steps", name)
    assert (said["schema"], said["version"]) == ("emdvc/step", 1)
    found = said["step"]
    # what a recipe or a conversion gives is what its steps, or its input, give
    assert found["outputs"] or name in ("recipe", "convert")
    assert found["doc"] and found["metadata"]
    assert all(parameter["doc"] for parameter in found["parameters"])


def test_the_metadata_follows_the_unit(answer: Any) -> None:
    assert answer("steps", "virtual_detector")["step"]["metadata"] == {
        "px": ["diffraction.center"],
        "1/angstrom": ["diffraction"],
        "mrad": ["beam.energy", "diffraction"],
    }


def test_the_text_names_parameters_with_units(emdvc: Any) -> None:
    text = emdvc("steps", "virtual_detector").stdout
    outer = "  outer  (quantity in px, 1/angstrom or mrad)\n      Outer radius; a pixel belongs to the detector below "
    assert outer in text
    assert "  detectors.NAME.inner  (quantity in px, 1/angstrom or mrad)\n" in text
    assert "  mrad        beam.energy, diffraction\n" in text


def test_a_misspelt_step(emdvc: Any) -> None:
    assert "did you mean center_of_mass?" in emdvc("steps", "centre_of_mass", status=2).stderr
