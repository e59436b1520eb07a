"""Differences of an acquisition record, by key: quantities by what they measure, not by how they are spelt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emdvc.compare.leaves import known, leaves
from emdvc.compare.plain import finite, plain
from emdvc.compare.verdict import Verdict
from emdvc.errors import MetadataError
from emdvc.model.quantity import Quantity

#: Keys, or sections of keys, that say what the numbers of a dataset mean: a change of one is a change of calibration.
CALIBRATING = (
    "beam.energy",
    "detector.counts_per_electron",
    "detector.dark",
    "detector.flip_y",
    "detector.gain",
    "detector.mask",
    "detector.response",
    "diffraction",
    "scan.rotation",
    "scan.step",
)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key whose value differs.

    Parameters
    ----------
    key
        Dotted path.
    before, after
        A :class:`Quantity` or a plain value; None where the key is absent or unknown.
    inherited
        Whether the value stands in another dataset's sidecar, where the change is shown, too.
    """

    key: str
    before: Any
    after: Any
    inherited: bool = False

    @property
    def origin_only(self) -> bool:
        """Whether both measure the same and only where the value came from, or its unit's spelling, differs."""
        return isinstance(self.before, Quantity) and isinstance(self.after, Quantity) and self.before.same(self.after)

    @property
    def verdict(self) -> Verdict:
        """``calibration`` where the key gives the numbers their meaning, else ``metadata``."""
        calibrating = any(self.key == key or self.key.startswith(f"{key}.") for key in CALIBRATING)
        return Verdict.CALIBRATION if calibrating and not self.origin_only else Verdict.METADATA

    @property
    def numbers(self) -> tuple[tuple[float, ...], tuple[float, ...], str] | None:
        """Both values in the unit of the new one, and that unit; None where they are no comparable numbers."""
        if isinstance(self.before, Quantity) and isinstance(self.after, Quantity):
            try:
                before = self.before.to(self.after.unit).values
            except MetadataError:
                return None
            after = self.after.values
            return (before, after, self.after.unit) if len(before) == len(after) else None
        if _is_number(self.before) and _is_number(self.after):
            return (self.before,), (self.after,), ""
        return None

    @property
    def delta(self) -> tuple[float, ...] | None:
        """New minus old, in the unit of the new value."""
        found = self.numbers
        return None if found is None else tuple(b - a for a, b in zip(found[0], found[1], strict=True))

    @property
    def percent(self) -> tuple[float | None, ...] | None:
        """Change in percent of the old value; None where that was zero."""
        found = self.numbers
        return None if found is None else tuple(percentage(a, b) for a, b in zip(found[0], found[1], strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain values."""
        mapping: dict[str, Any] = {"key": self.key, "before": plain(self.before), "after": plain(self.after)}
        found = self.numbers
        if found is not None:
            mapping["delta"] = [finite(number) for number in self.delta or ()]
            mapping["percent"] = [finite(number) for number in self.percent or ()]
            mapping["unit"] = found[2]
        mapping["verdict"] = str(self.verdict)
        mapping["inherited"] = self.inherited
        return mapping


def percentage(before: float, after: float) -> float | None:
    """Return the change in percent of the old value; None where that is zero, or no double holds it."""
    try:
        return None if before == 0 else 100.0 * (after - before) / abs(before)
    except OverflowError:  # whole numbers beyond what a double holds
        return None


def compare_records(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    volatile: Iterable[str] = (),
    own: frozenset[str] | None = None,
) -> tuple[KeyChange, ...]:
    """Return the keys whose values differ, in sorted order.

    A key that is absent on one side and null on the other is unknown on both: no difference.

    Parameters
    ----------
    before, after
        Nested mappings as in a sidecar.
    volatile
        Keys, or sections, that change without meaning anything; they are left out.
    own
        Keys that the sidecars themselves hold: all others are inherited. None: all are their own.
    """
    old, new = dict(leaves(before)), dict(leaves(after))
    ignored = tuple(volatile)
    changes = []
    for key in sorted(old.keys() | new.keys()):
        a, b = known(old.get(key)), known(new.get(key))
        if same_value(a, b) or any(key == name or key.startswith(f"{name}.") for name in ignored):
            continue
        changes.append(KeyChange(key, a, b, own is not None and key not in own))
    return tuple(changes)


def same_value(before: Any, after: Any) -> bool:
    """Say whether two leaves are the same: quantities when they measure the same and have the same origin."""
    if isinstance(before, Quantity) and isinstance(after, Quantity):
        return before.origin == after.origin and before.same(after)
    if _is_number(before) and _is_number(after):
        return bool(before == after) or (before != before and after != after)  # NaN is what it was
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(same_value(a, b) for a, b in zip(before, after, strict=True))
    return type(before) is type(after) and bool(before == after)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
