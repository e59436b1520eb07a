from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emdvc.compare.dataset import compare
from emdvc.compare.verdict import Verdict, strongest
from emdvc.model.axis import Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo

Raw = Callable[..., Sidecar]


def digest(letter: str, **changes: Any) -> dict[str, VariableInfo]:
    return {"data": replace(VariableInfo(("y", "x", "ky", "kx"), (8, 8, 64, 64), "uint16", letter * 64), **changes)}


TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], Verdict]] = {
    "the same energy in another unit": ({"beam.energy": Quantity(0.2, "MeV")}, {}, Verdict.IDENTICAL),
    "another operator": ({"operator": "E. Ruska"}, {}, Verdict.METADATA),
    "a value confirmed by a person": ({"beam.energy": Quantity(200.0, "keV", Origin.USER)}, {}, Verdict.METADATA),
    "another energy": ({"beam.energy": Quantity(300.0, "keV")}, {}, Verdict.CALIBRATION),
    "another step": ({"scan.step": Quantity((0.9, 0.9), "nm")}, {}, Verdict.CALIBRATION),
    "a centre": ({"diffraction.center": Quantity((33.0, 32.0), "px")}, {}, Verdict.CALIBRATION),
    "other numbers": ({}, {"variables": digest("c")}, Verdict.VALUES),
    "another number type": ({}, {"variables": digest("a", dtype="uint32")}, Verdict.STRUCTURE),
    "another shape": ({}, {"variables": digest("a", shape=(8, 8, 32, 64))}, Verdict.STRUCTURE),
    "other numbers and another operator": ({"operator": "E. Ruska"}, {"variables": digest("c")}, Verdict.VALUES),
    "an array more": ({}, {"variables": {**digest("a"), "hot": VariableInfo((), (), "bool")}}, Verdict.STRUCTURE),
    "another reader": ({}, {"source": {"reader": "mib@2"}}, Verdict.METADATA),
    "another vendor's tree": ({}, {"vendor": {"a": 1}}, Verdict.METADATA),
}


@pytest.mark.parametrize("name", TABLE)
def test_verdicts(name: str, raw: Raw) -> None:
    changes, parts, verdict = TABLE[name]
    if name != "an array more":
        parts = {**{"variables": digest("a")}, **parts}
    before, after = raw(variables=digest("a")).resolved(), raw(changes, **parts).resolved()
    difference, back = compare(before, after, "raw/scan.mib"), compare(after, before, "raw/scan.mib")
    assert difference.verdict is verdict
    assert bool(difference) is (verdict is not Verdict.IDENTICAL)
    for part in ("record", "axes", "variables", "statistics", "provenance", "source", "vendor"):
        assert len(getattr(difference, part)) == len(getattr(back, part))
    json.dumps(difference.to_dict())


def test_a_dataset_is_identical_to_itself(raw: Raw) -> None:
    assert not compare(raw().resolved(), raw().resolved())


def test_added_and_removed(raw: Raw) -> None:
    assert compare(None, raw()).status == "added" and compare(raw(), None).status == "removed"
    assert compare(None, raw()).verdict is Verdict.STRUCTURE
    assert not compare(None, None)


def test_an_axis_follows_the_key_that_calibrates_it(raw: Raw) -> None:
    after = raw({"diffraction.pixel_size": Quantity(0.022, "1/angstrom")}).resolved()
    difference = compare(raw().resolved(), after)
    assert [change.key for change in difference.record] == ["diffraction.pixel_size"]
    assert [(change.dim, change.because) for change in difference.axes] == [
        ("ky", ("diffraction.pixel_size",)),
        ("kx", ("diffraction.pixel_size",)),
    ]
    before_view, after_view = difference.axes[0].fields_of_view
    assert before_view is not None and after_view is not None
    assert (before_view.value, after_view.value) == (pytest.approx(1.28), pytest.approx(1.408))


def test_an_axis_that_changes_itself_has_no_other_cause(raw: Raw) -> None:
    def spectra(step: float, size: int = 10) -> Sidecar:
        return Sidecar(axes={"energy": Axis("energy", size, Role.SPECTRUM, Quantity(step, "eV"), Quantity(0.0, "eV"))})

    (change,) = compare(spectra(10.0), spectra(5.0)).axes
    assert (change.aspects, change.because, change.verdict) == (("scale",), (), Verdict.CALIBRATION)
    assert not compare(spectra(10.0), replace(spectra(10.0), axes={
        "energy": Axis("energy", 10, Role.SPECTRUM, Quantity(10.0, "eV"))}))  # fmt: skip
    (change,) = compare(spectra(1000.0), replace(spectra(1.0), axes={
        "energy": Axis("energy", 10, Role.SPECTRUM, Quantity(1.0, "keV"))})).axes  # fmt: skip
    assert (change.aspects, change.verdict) == (("unit",), Verdict.METADATA)
    assert compare(spectra(10.0), spectra(10.0, 20)).verdict is Verdict.STRUCTURE


def result(total: int, outer: str = "20.0 mrad", version: int = 1) -> Sidecar:
    return Sidecar(
        variables={"image": VariableInfo(("y", "x"), (8, 8), "int64", f"{total:064d}", "counts")},
        main="image",
        statistics={"image": {"sum": total, "max": 9}},
        provenance={"step": "virtual_detector", "version": version, "parameters": {"outer": outer}},
    )


def test_figures_parameters_and_versions_of_results() -> None:
    difference = compare(result(1000), result(990, "25.0 mrad", 2))
    assert difference.kind == "result" and difference.verdict is Verdict.VALUES
    (figure,) = difference.statistics
    assert (figure.name, figure.percent) == ("sum", -1.0)
    assert [change.key for change in difference.provenance] == ["parameters.outer", "version"]


def test_a_parameter_in_another_unit_is_the_same() -> None:
    assert not compare(result(1000, "20.0 mrad"), result(1000, "0.02 rad"))


def test_a_changed_file_is_named(raw: Raw) -> None:
    source = {"reader": "mib@1", "files": [{"path": "scan.mib", "sha256": "c" * 64, "size": 1000}]}
    (change,) = compare(raw(), raw(source=source)).source
    assert change.key == "files.scan.mib.sha256"


def test_the_strongest_wins() -> None:
    assert strongest([]) is Verdict.IDENTICAL
    assert strongest([Verdict.VALUES, Verdict.METADATA, Verdict.CALIBRATION]) is Verdict.VALUES
