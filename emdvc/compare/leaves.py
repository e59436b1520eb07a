"""The leaves of a metadata tree: dotted keys and what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emdvc.errors import MetadataError
from emdvc.model.quantity import Quantity, is_quantity

#: What an entry of a list is known by, the first that it has.
_NAMES = ("name", "Name", "label", "id")


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (dotted key, value) of any metadata tree, in sorted order.

    Unlike :func:`emdvc.model.record.leaves` it takes what it finds: in a vendor's tree a ``value`` may be anything. The
    entries of a list that have names of their own are known by them, not by their places: ``detectors[HAADF].gain``.
    """
    for name in sorted(tree, key=str):
        node, key = tree[name], f"{prefix}{name}"
        if is_quantity(node):
            try:
                yield key, Quantity.from_dict(node)
            except MetadataError:
                yield key, node
        elif isinstance(node, dict) and node:
            yield from leaves(node, f"{key}.")
        elif isinstance(node, list) and (named := _by_name(node)):
            for entry, rest in sorted(named.items()):
                yield from leaves(rest, f"{key}[{entry}].") if rest else iter([(f"{key}[{entry}]", entry)])
        else:
            yield key, node


def _by_name(entries: list[Any]) -> dict[str, Mapping[str, Any]]:
    """Return the entries of a list without their names, by their names; empty where not each has one of its own."""
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        key = next((name for name in _NAMES if name in entry), None) if isinstance(entry, dict) else None
        if key is None or not isinstance(entry[key], str) or entry[key] in found:
            return {}
        found[entry[key]] = {name: value for name, value in entry.items() if name != key}
    return found


def keys_of(record: Mapping[str, Any]) -> frozenset[str]:
    """Return the dotted keys that hold something."""
    return frozenset(key for key, value in leaves(record) if known(value) is not None)


def known(value: Any) -> Any:
    """Return a leaf, or None where it says nothing: an empty mapping, as of an empty section of YAML."""
    return None if value == {} and isinstance(value, dict) else value
