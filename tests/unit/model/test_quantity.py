"""A quantity is parsed, converted and compared as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdvc.errors import Code, MetadataError
from emdvc.model import units
from emdvc.model.quantity import Origin, Quantity


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("200keV", 200, "keV"),
        ("0.2 MeV", 0.2, "MeV"),
        ("20 mrad", 20, "mrad"),
        ("0.1/angstrom", 0.1, "1/angstrom"),
        ("0.1 1/Å", 0.1, "1/angstrom"),
        ("0.1 1/A", 0.1, "1/angstrom"),
        ("122,127 px", (122, 127), "px"),
        ("(122.5, 127)", (122.5, 127), "px"),
        ("1e-3 nm", 1e-3, "nm"),
        ("25°", 25, "deg"),
        ("-3.5 um", -3.5, "um"),
    ],
)
def test_what_people_type(text: str, value: object, unit: str) -> None:
    """Numbers, pairs and the field's spellings of units are understood."""
    assert Quantity.parse(text, unit="px") == Quantity(value, unit, Origin.USER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("fast", Code.METADATA_VALUE, "not a value"),
        ("200 keW", Code.METADATA_UNIT, "did you mean keV"),
        ("3 mradd", Code.METADATA_UNIT, "did you mean mrad"),
        ("", Code.METADATA_VALUE, "not a value"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, code: Code, says: str) -> None:
    """A bad value or unit is one error that names the nearest unit."""
    with pytest.raises(MetadataError) as caught:
        Quantity.parse(text)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("200keV", "0.2MeV", True),
        ("200keV", "200kV", True),  # an accelerating voltage is spoken of as an energy
        ("200keV", "201keV", False),
        ("10/nm", "1/angstrom", True),
        ("1/nm", "1nm", False),
        ("1deg", "17.453292519943295mrad", True),
        ("1,2 px", "1,2 px", True),
        ("1,2 px", "1 px", False),
        ("1 e/A^2", "100 e/nm^2", True),
    ],
)
def test_same_measure(first: str, second: str, same: bool) -> None:
    """Two quantities are the same when they measure the same, whatever their units."""
    assert Quantity.parse(first).same(Quantity.parse(second)) is same


def test_a_length_is_no_energy() -> None:
    """Conversion between different measures is refused."""
    with pytest.raises(MetadataError) as caught:
        Quantity(1.0, "nm").to("keV")
    assert caught.value.code == Code.METADATA_UNIT


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    st.sampled_from(["nm", "1/angstrom", "keV", "mrad", "px", ""]),
    st.sampled_from(list(Origin)),
)
def test_mapping_round_trip(value: float, unit: str, origin: Origin) -> None:
    """What is written to a sidecar is read back the same."""
    quantity = Quantity(value, unit, origin)
    assert Quantity.from_dict(quantity.to_dict()) == quantity


@given(st.floats(min_value=1e-9, max_value=1e9), st.sampled_from([("keV", "eV"), ("nm", "um"), ("1/nm", "1/angstrom")]))
def test_conversion_there_and_back(value: float, pair: tuple[str, str]) -> None:
    """A conversion there and back gives the same measure."""
    assert Quantity(value, pair[0]).to(pair[1]).same(Quantity(value, pair[0]))


def test_every_spelling_is_a_unit() -> None:
    """Every unit that emdvc writes is one that it can convert."""
    for spelling in {units.normalise(text) for text in units._SPELLINGS}:
        assert units.known(spelling), spelling
