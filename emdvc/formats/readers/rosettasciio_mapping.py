"""A plugin's metadata: its ``mapping`` of vendor paths to HyperSpy's is done, this machine's folders are cut out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

Tree = dict[str, Any]


def slug(name: str) -> str:
    """Return a key as HyperSpy spells it as an attribute: ``Exposure (s)`` is ``Exposure_s``."""
    return re.sub(r"[\s-]+", "_", re.sub(r"[^\w\s-]", "", str(name)).strip())


class Node:
    """A branch of the vendor's tree as the mapping's functions expect it: keys by their slugs, dotted paths."""

    def __init__(self, tree: Mapping[Any, Any]) -> None:
        self._tree = {slug(key): value for key, value in tree.items()}

    def keys(self) -> list[str]:
        """Return the slugs of the keys."""
        return list(self._tree)

    def __contains__(self, key: object) -> bool:
        return slug(str(key)) in self._tree

    def __getitem__(self, key: str) -> Any:
        return wrap(self._tree[slug(key)])

    def get(self, path: str, default: Any = None) -> Any:
        """Return what stands at a dotted path, or `default`."""
        node: Any = self
        for part in path.split("."):
            if not isinstance(node, Node) or part not in node:
                return default
            node = node[part]
        return node


def wrap(value: Any) -> Any:
    """Return a branch as a node, a leaf as it is."""
    return Node(value) if isinstance(value, Mapping) else value


def mapped(dictionary: Mapping[str, Any], notes: list[str]) -> tuple[Tree, Tree]:
    """Return HyperSpy's tree of a signal with what its mapping adds, and the vendor's tree.

    Parameters
    ----------
    dictionary
        The signal as the plugin returned it.
    notes
        What the mapping could not translate is added here.
    """
    metadata: Tree = _plain(deepcopy(_tree(dictionary.get("metadata"))))
    original = _tree(dictionary.get("original_metadata"))
    root = Node(original)
    for path, (target, translate) in (dictionary.get("mapping") or {}).items():
        value = root.get(path)
        if value is None or _empty(value):
            continue
        try:
            value = value if translate is None else translate(value)
        except Exception as error:  # a foreign function over foreign values: one field less, not no file
            notes.append(f"{path} was not understood: {type(error).__name__}: {error}")
            continue
        if value is not None and not isinstance(value, Node):
            _put(metadata, target.split("."), value)
    return metadata, original


def _tree(value: Any) -> Tree:
    if value is None:
        return {}
    return value.to_dict() if hasattr(value, "to_dict") else dict(value)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    return {key: _plain(node) for key, node in value.items()} if isinstance(value, Mapping) else value


def _empty(value: Any) -> bool:
    """Say whether a leaf is what DigitalMicrograph writes for an empty text: an empty list."""
    return isinstance(value, str | list | tuple) and len(value) == 0


def _put(tree: Tree, path: list[str], value: Any) -> None:
    for part in path[:-1]:
        child = tree.get(part)
        if not isinstance(child, dict):
            child = tree[part] = {}
        tree = child
    tree[path[-1]] = value


def without_folder(dictionaries: Sequence[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """Return the signals with this machine's folder cut from every text: a sidecar is the same wherever it was made."""

    def cut(node: Any) -> Any:
        if hasattr(node, "to_dict"):
            node = node.to_dict()
        if isinstance(node, dict):
            return {key: cut(value) for key, value in node.items()}
        return cut_folder(node, path) if isinstance(node, str) else node

    return [
        {**d, "metadata": cut(d.get("metadata") or {}), "original_metadata": cut(d.get("original_metadata") or {})}
        for d in dictionaries
    ]


def cut_folder(text: str, path: Path) -> str:
    """Return a text without the folder of a file."""
    for folder in dict.fromkeys((str(path.parent.resolve()), str(path.parent))):
        if len(folder) > 1:
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
    return text
