"""Values that a person typed, by what they measure: ``20px`` and ``20 px`` are the same."""

from __future__ import annotations

import re
from typing import Any

from emdvc.compare.record import same_value
from emdvc.errors import MetadataError
from emdvc.model import units
from emdvc.model.quantity import Quantity

# a number and then a unit; `1/nm` alone is the name of a unit, not a quantity
_WITH_UNIT = re.compile(r"\s*(?!1\s*/)[-+(\[]?[\d.].*(?:[^\W\d_]|°)")
_ONE_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\d\s].*?)\s*$")
#: Units that are known without pint, whose import takes longer than all the rest.
_LENGTHS = ("px", "nm", "um", "mm", "pm", "angstrom", "1/nm", "1/angstrom", "mrad", "rad", "deg")
_USUAL = frozenset((*_LENGTHS, "eV", "keV", "MeV", "kV", "V", "s", "ms", "us", "ns", "nA", "pA", "counts"))


def typed(value: Any) -> Any:
    """Return a text such as ``20px`` as a quantity, and any other value as it is."""
    if not isinstance(value, str) or _WITH_UNIT.match(value) is None:
        return value
    plain = _ONE_NUMBER.match(value)
    if plain is not None:
        number, unit = plain.groups()
        spelt = units.normalise(f"1{unit}" if unit.startswith("/") else unit)
        if spelt in _USUAL:
            return Quantity(int(number) if number.lstrip("+-").isdigit() else float(number), spelt)
    try:
        found = Quantity.parse(value)
    except (MetadataError, ValueError):
        return value
    return Quantity(found.value, found.unit) if found.unit else value


def same_measure(before: Any, after: Any) -> bool:
    """Say whether two values measure the same: ``20px`` and ``20 px`` do, and so do 200 keV and 0.2 MeV."""
    a, b = typed(before), typed(after)
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        try:
            return a.same(b)
        except MetadataError:  # a unit that is not known
            return a == b
    return same_value(a, b)
