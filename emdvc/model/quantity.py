"""A quantity: a value with its unit and where it came from, moved, merged and compared as a whole."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from emdvc.errors import Code, MetadataError
from emdvc.model import units

Number = float | int
Value = Number | tuple[Number, ...]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TEXT = re.compile(rf"^\s*[\[(]?\s*({_NUMBER}(?:\s*[,;x]\s*{_NUMBER})*)\s*[\])]?\s*(.*?)\s*$")


class Origin(StrEnum):
    """Where a value came from."""

    FILE = "file"
    USER = "user"
    CALIBRATED = "calibrated"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, or a few that belong together, with a unit and an origin.

    Two quantities are the same when they measure the same: ``200 keV`` and ``0.2 MeV`` are.

    Parameters
    ----------
    value
        The number, or a tuple of numbers such as ``(y, x)``.
    unit
        Unit in emdvc's spelling; empty for a pure number.
    origin
        Where the value came from.
    """

    value: Value
    unit: str = ""
    origin: Origin = Origin.FILE

    @property
    def values(self) -> tuple[Number, ...]:
        """The numbers as a tuple, also where there is only one."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def to(self, unit: str) -> Quantity:
        """Return the same quantity in another unit.

        Raises
        ------
        MetadataError
            The unit is unknown or measures something else.
        """
        scale = units.factor(self.unit, unit)
        if scale == 1.0:
            return replace(self, unit=units.normalise(unit))
        if isinstance(self.value, tuple):
            return replace(self, value=tuple(v * scale for v in self.value), unit=units.normalise(unit))
        return replace(self, value=self.value * scale, unit=units.normalise(unit))

    def same(self, other: Quantity, rtol: float = 1e-9) -> bool:
        """Say whether both measure the same, whatever their units and origins.

        The tolerance covers only the rounding of a unit conversion, not an uncertainty.
        """
        if self.unit != other.unit:
            if not units.compatible(other.unit, self.unit):
                return False
            other = other.to(self.unit)
        mine, theirs = self.values, other.values
        return len(mine) == len(theirs) and all(
            math.isclose(a, b, rel_tol=rtol, abs_tol=0.0) or (math.isnan(a) and math.isnan(b))
            for a, b in zip(mine, theirs, strict=True)
        )

    def __format__(self, spec: str) -> str:
        """Return the quantity for a reader, as in ``200 keV`` or ``(122, 127) px``."""
        spec = spec or ".6g"
        numbers = ", ".join(format(v, spec) for v in self.values)
        text = f"({numbers})" if isinstance(self.value, tuple) else numbers
        unit = units.pretty(self.unit)
        return text if not unit else f"{text}{'' if unit == '°' else ' '}{unit}"

    def __str__(self) -> str:
        """Return the quantity for a reader."""
        return format(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the mapping that stands in a sidecar."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"value": value, "unit": self.unit, "origin": str(self.origin)}

    @classmethod
    def from_dict(cls, mapping: dict[str, Any]) -> Quantity:
        """Return the quantity that a sidecar's mapping holds.

        Raises
        ------
        MetadataError
            The mapping lacks a value, or holds what is no number.
        """
        try:
            value = mapping["value"]
            numbers = tuple(_number(v) for v in value) if isinstance(value, list | tuple) else _number(value)
            return cls(numbers, units.normalise(str(mapping.get("unit") or "")), Origin(mapping.get("origin", "file")))
        except (KeyError, TypeError, ValueError) as error:
            raise MetadataError(
                "a quantity needs a number in `value`, a `unit`, and an `origin` (file, user, calibrated or derived)",
                evidence=f"found {mapping!r}",
            ) from error

    @classmethod
    def parse(cls, text: str | Number, *, unit: str = "", origin: Origin = Origin.USER) -> Quantity:
        """Return the quantity that a person typed, such as ``200keV``, ``0.1/angstrom`` or ``122,127 px``.

        Parameters
        ----------
        text
            What was typed.
        unit
            Unit to assume when none was typed.
        origin
            Origin to record.

        Raises
        ------
        MetadataError
            There is no number at the start, or the unit is unknown.
        """
        if isinstance(text, int | float) and not isinstance(text, bool):
            return cls(text, units.normalise(unit), origin)
        match = _TEXT.match(str(text))
        if not match:
            raise MetadataError(
                f"'{text}' is not a value with a unit",
                hint="write the number first, as in 200keV, 20mrad, 0.1/angstrom",
            )
        numbers = tuple(_number(part) for part in re.split(r"\s*[,;x]\s*", match.group(1)))
        typed = match.group(2)
        if typed.startswith("/"):
            typed = "1" + typed
        spelt = units.normalise(typed) if typed else units.normalise(unit)
        if spelt and not units.known(spelt):
            raise MetadataError(
                f"unknown unit '{typed}' in '{text}'", code=Code.METADATA_UNIT, hint=_unit_hint(typed, unit)
            )
        return cls(numbers if len(numbers) > 1 else numbers[0], spelt, origin)


def is_quantity(node: Any) -> bool:
    """Say whether a node of a sidecar is a quantity's mapping."""
    return isinstance(node, dict) and "value" in node and set(node) <= {"value", "unit", "origin"}


def _number(text: Any) -> Number:
    if isinstance(text, bool):
        raise ValueError("a truth value is not a number")
    if isinstance(text, int | float):
        return text
    number = float(text)
    return int(number) if re.fullmatch(r"\s*[-+]?\d+\s*", str(text)) else number


def _unit_hint(typed: str, expected: str) -> str:
    from emdvc.errors import suggest

    common = (
        "nm",
        "um",
        "angstrom",
        "1/angstrom",
        "1/nm",
        "mrad",
        "keV",
        "eV",
        "kV",
        "deg",
        "s",
        "ms",
        "us",
        "px",
        "mm",
    )
    near = suggest(typed, common)
    if near:
        return f"did you mean {near}?"
    return f"a unit like {expected} is expected" if expected else f"units are spelt like {', '.join(common[:8])}"
