"""Values of a conflict as people read them: quantities and axes with their units, what is not there in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from emdvc.errors import MetadataError
from emdvc.history.merging.contract import ABSENT
from emdvc.model import units
from emdvc.model.quantity import Quantity, is_quantity

#: Longer texts are cut: the whole of it stands in the file itself.
_LONGEST = 120
_CHECKSUM = re.compile(r"^((?:[\w-]+:)?[0-9a-f]{8})[0-9a-f]{24,}$")


def spoken(value: Any) -> str:
    """Return a value on one line: ``200 kV``, ``not there``, ``128 × 0.1 1/nm``."""
    return _cut(_one_line(_spoken(value, origins=False)))


def spoken_sides(*values: Any) -> tuple[str, ...]:
    """Return the values of several sides, each on one line, so that two which differ never read the same.

    Where two quantities differ in nothing but their origin, the origins are told.
    """
    texts = tuple(spoken(value) for value in values)
    if not _confused(values, texts):
        return texts
    whole = tuple(_one_line(_spoken(value, origins=True)) for value in values)
    cut = tuple(_cut(text) for text in whole)
    return whole if _confused(values, cut) else cut


def _confused(values: Sequence[Any], texts: Sequence[str]) -> bool:
    pairs = [(i, j) for i in range(len(values)) for j in range(i)]
    return any(texts[i] == texts[j] and values[i] != values[j] for i, j in pairs)


def _spoken(value: Any, *, origins: bool) -> str:
    if value is ABSENT:
        return repr(ABSENT)
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, Mapping):
        return _mapping(value, origins)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_spoken(part, origins=origins) for part in value)}]"
    return _digest(str(value))


def _digest(text: str) -> str:
    """Return a checksum by its first digits; any other text as it is."""
    found = _CHECKSUM.match(text)
    return f"{found[1]}..." if found else text


def _mapping(value: Mapping[Any, Any], origins: bool) -> str:
    if is_quantity(value):
        try:
            return _quantity(Quantity.from_dict(dict(value)), origins)
        except MetadataError:
            pass  # a vendor may call anything a value
    if {"size", "role"} <= set(value):
        return _axis(value, origins)
    return ", ".join(f"{key}: {_spoken(value[key], origins=origins)}" for key in sorted(value, key=str)) or "empty"


def _axis(value: Mapping[str, Any], origins: bool) -> str:
    """Return an axis as ``128 × 0.1 1/nm from -6.4 1/nm (detector)``."""
    text = str(value["size"])
    if value.get("scale"):
        text += f" × {_spoken(value['scale'], origins=origins)}"
    if value.get("values"):
        text += f" at {_spoken(value['values'], origins=origins)}"
    if value.get("offset"):
        text += f" from {_spoken(value['offset'], origins=origins)}"
    by = f", calibrated by {value['calibration']}" if value.get("calibration") else ""
    return f"{text} ({value['role']}{by})"


def _quantity(found: Quantity, origins: bool) -> str:
    # exactly, not to six figures: two sides that differ in the seventh are a conflict
    numbers = ", ".join(_number(one) for one in found.values)
    text = f"({numbers})" if isinstance(found.value, tuple) else numbers
    unit = units.pretty(found.unit)
    return f"{text}{'' if unit in ('', '°') else ' '}{unit}" + (f" ({found.origin})" if origins else "")


def _number(found: float) -> str:
    if found == found and abs(found) < 1e15 and found == int(found):
        return str(int(found))
    return repr(found)


def _one_line(text: str) -> str:
    """Return a text on one line, without what a terminal would obey."""
    text = " ".join(text.split())
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3].rstrip() + "..."
