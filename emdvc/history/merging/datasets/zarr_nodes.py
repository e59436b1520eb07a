"""The nodes of a Zarr store by the names of its files: which array a chunk belongs to, and how it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from emdvc.formats.zarr_keys import ChunkKeys

#: The files that are no chunks.
METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})
#: Those that make a folder a node.
NODES = ("zarr.json", ".zarray", ".zgroup")
#: What an array's metadata say beside how its chunks are stored; the names of dimensions are words, too.
_WORDS = ("attributes", "consolidated_metadata", "dimension_names")


@dataclass(frozen=True, slots=True)
class ArrayNode:
    """How one array of a store is kept.

    Parameters
    ----------
    folder
        Of the array in the store; empty where the store is the array.
    core
        What decides which numbers its chunks are: shape, type, chunks, codecs, fill value; as JSON in sorted order.
    keys
        Names of its chunk files; None where only zarr-python knows them.
    dims
        Names of its dimensions; empty where it has none.
    """

    folder: str
    core: str
    keys: ChunkKeys | None
    dims: tuple[str, ...]

    @property
    def version(self) -> int:
        """Version of Zarr."""
        return int(json.loads(self.core)["zarr_format"])


def is_store(files: Iterable[str]) -> bool:
    """Say whether a list of files is that of a Zarr store."""
    names = set(files)
    return any(name in names for name in NODES)


def is_metadata(name: str) -> bool:
    """Say whether a file of a store holds metadata, not numbers."""
    return PurePosixPath(name).name in METADATA


def folder_of(name: str) -> str:
    """Return the folder of a file in its store; empty at the top."""
    return name.rpartition("/")[0]


def nodes_of(files: Iterable[str]) -> dict[str, str]:
    """Return folder -> file that makes it a node, of every node."""
    found: dict[str, str] = {}
    for name in files:
        folder, _, last = name.rpartition("/")
        if last in NODES:
            found[folder] = name
    return found


def owner(name: str, nodes: Mapping[str, Any]) -> str | None:
    """Return the folder of the node that a file belongs to; None where it lies in none."""
    folder = folder_of(name)
    while folder not in nodes:
        if not folder:
            return None
        folder = folder_of(folder)
    return folder


def array_node(folder: str, content: bytes, attributes: bytes | None = None) -> ArrayNode | None:
    """Return the array that a node's metadata describe; None where it is a group, or damaged.

    Parameters
    ----------
    folder
        Of the node.
    content
        Of its ``zarr.json`` or ``.zarray``.
    attributes
        Of the ``.zattrs`` beside it, where names of dimensions stand in Zarr 2.
    """
    try:
        said = json.loads(content)
        if "shape" not in said:
            return None
        names = said.get("dimension_names")
        if names is None and attributes is not None:
            names = json.loads(attributes).get("_ARRAY_DIMENSIONS")
        if names is None:
            names = (said.get("attributes") or {}).get("_ARRAY_DIMENSIONS")
        core = {key: value for key, value in said.items() if key not in _WORDS}
        dims = tuple(str(name or "") for name in names) if names and len(names) == len(said["shape"]) else ()
        return ArrayNode(folder, json.dumps(core, sort_keys=True), _keys(folder, core), dims)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def _keys(folder: str, core: Mapping[str, Any]) -> ChunkKeys | None:
    shape = tuple(int(size) for size in core["shape"])
    if core["zarr_format"] == 2:
        return ChunkKeys(folder, shape, tuple(core["chunks"]), "", core.get("dimension_separator") or ".")
    grid, naming = core["chunk_grid"], core["chunk_key_encoding"]
    if grid["name"] != "regular" or core.get("storage_transformers") or naming["name"] not in ("default", "v2"):
        return None
    default = naming["name"] == "default"
    separator = (naming.get("configuration") or {}).get("separator", "/" if default else ".")
    return ChunkKeys(folder, shape, tuple(grid["configuration"]["chunk_shape"]), "c" if default else "", separator)


def restored_groups(files: Mapping[str, str], before: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the metadata of groups that a merge removed while an array in them stays, as they were before.

    Parameters
    ----------
    files
        Of the merged store.
    before
        The lists of the sides, the first that has a file counts.
    """
    nodes = nodes_of(files)
    lists = list(before)
    found: dict[str, str] = {}
    above = {parent for folder in nodes for parent in _parents(folder)} - set(nodes)
    for folder in sorted(above):
        prefix = f"{folder}/" if folder else ""
        for name in (f"{prefix}{last}" for last in ("zarr.json", ".zgroup", ".zattrs")):
            md5 = next((one[name] for one in lists if name in one), None)
            if md5 is not None and name not in files:
                found[name] = md5
    return found


def _parents(folder: str) -> list[str]:
    parts = folder.split("/") if folder else []
    return ["/".join(parts[:count]) for count in range(len(parts))]
