"""The record's field table, and keys that people type."""

from __future__ import annotations

import pytest

from emdvc.errors import Code, MetadataError
from emdvc.model import record as rec
from emdvc.model import units
from emdvc.model.quantity import Origin, Quantity


def test_every_field_has_a_known_unit_and_one_key() -> None:
    """The table is consistent: single keys, convertible units."""
    assert len(rec.BY_KEY) == len(rec.FIELDS)
    for field in rec.FIELDS:
        assert units.known(field.unit), field.key
        assert field.doc


def test_set_and_get() -> None:
    """A typed value is stored as a mapping and read back as a quantity of the user's."""
    record: rec.Record = {}
    rec.put(record, "beam.energy", rec.parse_value("beam.energy", "200kV"))
    assert record == {"beam": {"energy": {"value": 200, "unit": "kV", "origin": "user"}}}
    energy = rec.quantity(record, "beam.energy")
    assert energy is not None
    assert energy.same(Quantity(200, "keV"))
    assert energy.origin == Origin.USER


def test_a_step_typed_once_holds_for_both_directions() -> None:
    """``scan.step=0.5nm`` is the pair (0.5, 0.5)."""
    assert rec.parse_value("scan.step", "0.5nm") == Quantity((0.5, 0.5), "nm", Origin.USER)


@pytest.mark.parametrize(
    ("key", "text", "code", "says"),
    [
        ("beam.enegry", "200keV", Code.METADATA_KEY, "did you mean beam.energy"),
        ("energy", "200keV", Code.METADATA_KEY, "beam.energy"),
        ("beam.energy", "200nm", Code.METADATA_UNIT, "keV"),
        ("scan.rotation", "5keV", Code.METADATA_UNIT, "deg"),
        ("diffraction.center", "5px", Code.METADATA_VALUE, "pair"),
        ("detector.bit_depth", "many", Code.METADATA_VALUE, "number"),
        ("detector.flip_y", "perhaps", Code.METADATA_VALUE, "true or false"),
        ("beam.aberrations", "1nm", Code.METADATA_VALUE, "several"),
    ],
)
def test_bad_keys_and_values(key: str, text: str, code: Code, says: str) -> None:
    """Each mistake is one error that names the way out."""
    with pytest.raises(MetadataError) as caught:
        rec.parse_value(key, text)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_pixel_size_may_be_an_angle() -> None:
    """Some cameras are calibrated in mrad."""
    assert rec.parse_value("diffraction.pixel_size", "0.3mrad").unit == "mrad"


def test_check_finds_a_wrong_unit_in_a_record() -> None:
    """A sidecar edited by hand is checked too."""
    record: rec.Record = {}
    rec.put(record, "beam.energy", Quantity(200, "nm"))
    with pytest.raises(MetadataError):
        rec.check(record)
