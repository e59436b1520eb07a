"""A sidecar resolves what it inherits, and its axes follow the record."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from emdvc.errors import Code, MetadataError
from emdvc.formats import sidecar as files
from emdvc.model import record as rec
from emdvc.model.axis import CALIBRATED_BY, INHERITED, Axis, Role
from emdvc.model.quantity import Origin, Quantity
from emdvc.model.sidecar import Sidecar, VariableInfo


def raw_sidecar() -> Sidecar:
    """Return the sidecar of a calibrated 4D scan."""
    record: rec.Record = {"operator": "Ruska"}
    rec.put(record, "beam.energy", Quantity(200, "keV"))
    rec.put(record, "scan.step", Quantity((0.5, 0.25), "nm"))
    rec.put(record, "diffraction.pixel_size", Quantity(0.02, "1/angstrom"))
    rec.put(record, "diffraction.center", Quantity((4, 3), "px"))
    roles = {"y": Role.SCAN, "x": Role.SCAN, "ky": Role.DETECTOR, "kx": Role.DETECTOR}
    axes = {dim: Axis(dim, 8, role, calibration=CALIBRATED_BY[role, dim]) for dim, role in roles.items()}
    info = VariableInfo(("y", "x", "ky", "kx"), (8, 8, 8, 8), "uint16", "sha256-units:0", "counts")
    return Sidecar(record=record, axes=axes, variables={"counts": info}, main="counts", source={"reader": "zarr@3"})


def test_axes_follow_the_record() -> None:
    """Scale and zero come from the record: 0.5 nm along y, 0.25 nm along x, the beam at k = 0."""
    axes = raw_sidecar().resolved().axes
    assert axes["y"].coordinates()[:3] == [0.0, 0.5, 1.0]
    assert axes["x"].extent() == (0.0, 1.75)
    assert axes["ky"].coordinates()[4] == pytest.approx(0.0)
    assert axes["kx"].coordinates()[4] == pytest.approx(0.02)
    assert axes["kx"].unit == "1/angstrom"


def test_without_a_calibration_coordinates_are_pixel_numbers() -> None:
    """An uncalibrated axis counts pixels from 0, also where the centre is known, so that they can be typed back."""
    sidecar = raw_sidecar()
    rec.put(sidecar.record, "diffraction.pixel_size", None)
    axis = sidecar.resolved().axes["ky"]
    assert (axis.unit, axis.coordinates()[0]) == ("px", 0.0)


def test_yaml_round_trip_is_sorted_and_stable() -> None:
    """What is written is read back the same, and writes the same text again."""
    text = files.dump_yaml(raw_sidecar().to_dict())
    assert files.parse(text) == raw_sidecar()
    assert files.dump_yaml(files.parse(text).to_dict()) == text
    top = [line.split(":")[0] for line in text.splitlines() if line and not line.startswith((" ", "-"))]
    assert top == sorted(top)
    assert "\r" not in text


@pytest.mark.parametrize(
    "value", ["yes", "on", "1e-5", "2026-11-21", "0x10", "null", "~", "1_000", ": x", "#", " pad "]
)
def test_text_that_looks_like_something_else_stays_text(value: str) -> None:
    """A title such as ``on`` or ``1e-5`` comes back as the text that it is."""
    assert files.load_yaml(files.dump_yaml({"title": value}), "test")["title"] == value


@pytest.mark.parametrize("value", [1e-5, 1e300, 2.5079340450550436e-2, -0.0, 3.0, 12345678901234567890])
def test_numbers_keep_every_bit(value: float) -> None:
    """A number comes back with all its digits and its type."""
    back = files.load_yaml(files.dump_yaml({"value": [value]}), "test")["value"][0]
    assert (type(back), repr(back)) == (type(value), repr(value))


def test_results_inherit_through_a_chain() -> None:
    """A correction of the raw data's record holds for a result of a result at once."""
    virtual = Sidecar(
        axes={dim: Axis(dim, 8, Role.SCAN, calibration="scan.step") for dim in ("y", "x")},
        provenance={"step": "virtual_image"},
        inherits="../raw/scan.zarr",
    )
    smoothed = Sidecar(
        axes={"y": Axis("y", 8, Role.SCAN, calibration=INHERITED)}, provenance={"step": "x"}, inherits="v.zarr"
    )
    texts = {
        PurePosixPath("raw/scan.zarr.em.yaml"): files.dump_yaml(raw_sidecar().to_dict()),
        PurePosixPath("results/v.zarr.em.yaml"): files.dump_yaml(virtual.to_dict()),
    }
    resolved = files.resolve(smoothed, PurePosixPath("results/s.zarr.em.yaml"), texts.get)
    assert resolved.axes["y"].scale == Quantity(0.5, "nm", Origin.FILE)
    assert rec.get(resolved.record, "operator") == "Ruska"


def test_a_circle_of_inheritance_is_an_error() -> None:
    """Two sidecars that inherit from each other are refused, not followed for ever."""
    a = Sidecar(inherits="b.zarr", provenance={"step": "x"})
    texts = {
        PurePosixPath(f"{name}.zarr.em.yaml"): files.dump_yaml(
            Sidecar(inherits=other, provenance={"step": "x"}).to_dict()
        )
        for name, other in (("a", "b.zarr"), ("b", "a.zarr"))
    }
    with pytest.raises(MetadataError) as caught:
        files.resolve(a, PurePosixPath("a.zarr.em.yaml"), texts.get)
    assert caught.value.code == Code.SIDECAR_BROKEN


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1, 2", "not valid YAML"),
        ("just text", "not an emdvc sidecar"),
        ("schema_version: 99", "newer emdvc"),
        ("schema_version: 1\naxes: {y: {role: scan}}", "damaged"),
        ("schema_version: 1\naxes: {y: {size: 3, role: sideways}}", "damaged"),
    ],
)
def test_a_broken_sidecar_says_what_is_wrong(text: str, says: str) -> None:
    """Every way to damage a sidecar by hand is one error."""
    with pytest.raises(MetadataError) as caught:
        files.parse(text)
    assert caught.value.code == Code.SIDECAR_BROKEN
    assert says in str(caught.value)
