"""The leaves of a metadata tree: dotted keys and what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emdvc.errors import MetadataError
from emdvc.model.quantity import Quantity, is_quantity


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (dotted key, value) of any metadata tree, in sorted order.

    Unlike :func:`emdvc.model.record.leaves` it takes what it finds: in a vendor's tree a ``value`` may be anything.
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
        else:
            yield key, node


def keys_of(record: Mapping[str, Any]) -> frozenset[str]:
    """Return the dotted keys that hold something."""
    return frozenset(key for key, value in leaves(record) if known(value) is not None)


def known(value: Any) -> Any:
    """Return a leaf, or None where it says nothing: an empty mapping, as of an empty section of YAML."""
    return None if value == {} and isinstance(value, dict) else value
