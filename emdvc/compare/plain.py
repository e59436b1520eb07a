"""What a difference holds, as values that JSON can hold: no NaN, no infinity, no dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from typing import Any

from emdvc.model.quantity import Quantity


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, as the sidecar spells it.

    A number that is not finite becomes the text ``nan``, ``inf`` or ``-inf``: a key that was NaN and is absent now must
    not look as if nothing had happened. A date, which YAML reads without being asked, becomes its text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0.0 else str(value)
    if isinstance(value, Quantity):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): plain(node) for key, node in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(node) for node in value]
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    return str(value)


def finite(value: float | None) -> float | None:
    """Return a number that was computed, or None where it is none that JSON can hold."""
    return value if value is not None and value - value == 0.0 else None
